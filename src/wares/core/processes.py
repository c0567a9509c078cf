"""A pool of worker processes that end with their parent."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from wares.core.errors import SettingsError, WaresError

CHUNK = 32  # photos handed to a worker at once
FEW = 128  # fewer photos than this are read in this process: starting others costs more
PROCESSES = "WARES_PROCESSES"  # environment variable: how many read photos where nothing is said, at most
Item = TypeVar("Item")
T = TypeVar("T")


def _cores(workers: int | None) -> int:
    if workers is not None:
        if workers < 1:
            raise SettingsError(f"workers is a number of processes, at least 1, not {workers}.")
        return workers
    if most := os.environ.get(PROCESSES):
        return int(most)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_order(work: Callable[[Item], T], paths: Iterable[Item], workers: int | None) -> Iterator[T]:
    every = list(paths)
    processes = min(_cores(workers), -(-len(every) // CHUNK))
    if processes < 2 or len(every) < FEW:
        return map(work, every)
    return _in_processes(work, [every[i : i + CHUNK] for i in range(0, len(every), CHUNK)], processes)


def _in_processes(work: Callable[[Item], T], chunks: Sequence[Sequence[Item]], processes: int) -> Iterator[T]:
    """Results in order, with at most two chunks a process under way or waiting to be taken."""
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_start_worker)
    waiting: deque[Future[list[T]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_work_through, work, chunk))
            if len(waiting) >= 2 * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WaresError(
            "A process that reads photos ended without a word: killed, perhaps for want of memory. Use fewer workers; "
            'in a script of your own, start under `if __name__ == "__main__":`.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _work_through(work: Callable[[Item], T], chunk: Sequence[Item]) -> list[T]:
    return [work(path) for path in chunk]


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, end when it is gone, and keep its terminal free of decoders' warnings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", module="PIL")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
