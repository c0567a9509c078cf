"""Pools of worker processes that are spawned, leave Ctrl-C to their parent, and end with it.

Workers are spawned, not forked: locks that threads of torch, tokenizers or progress bars hold in the parent would stay
locked in a fork forever, and Lance does not survive a fork.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from wares.core.cache import batched
from wares.core.errors import SettingsError, WaresError

CHUNK = 32  # items handed to a worker at once
MIN_ITEMS = 128  # fewer items than this are mapped in this process: starting workers costs more
PROCESSES = "WARES_PROCESSES"  # environment variable: the default number of workers
Item = TypeVar("Item")
T = TypeVar("T")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number_of_workers(workers: int | None) -> int:
    """The number of workers asked for; by default $WARES_PROCESSES, or one for each core.

    Raises SettingsError if it is not positive.
    """
    if workers is None:
        return int(os.environ.get(PROCESSES) or available_cores())
    if workers < 1:
        raise SettingsError(f"workers must be at least 1, not {workers}.")
    return workers


@contextmanager
def worker_pool(
    processes: int,
    task: str,
    remedy: str,
    initializer: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned workers; what is still queued when the block ends is cancelled.

    task: what a worker does, for the error message, as in "reading photos"; remedy: what to do if one was killed
    initializer, arguments: called once in each worker

    Raises WaresError if a worker dies.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start_worker, (initializer, arguments))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise WaresError(
            f"A worker {task} was killed, probably out of memory. {remedy} "
            'A script of your own must start under `if __name__ == "__main__":`.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def map_in_order(
    work: Callable[[Item], T], items: Iterable[Item], workers: int | None, task: str, remedy: str
) -> Iterator[T]:
    """Results of `work` in the order of the items; in this process if there are few items or one worker.

    At most two chunks for each worker are queued or waiting to be consumed.
    """
    all_items = list(items)
    processes = min(number_of_workers(workers), -(-len(all_items) // CHUNK))
    if processes < 2 or len(all_items) < MIN_ITEMS:
        return map(work, all_items)
    return _map_in_pool(work, all_items, processes, task, remedy)


def _map_in_pool(
    work: Callable[[Item], T], items: Iterable[Item], processes: int, task: str, remedy: str
) -> Iterator[T]:
    pending: deque[Future[list[T]]] = deque()
    with worker_pool(processes, task, remedy) as pool:
        for chunk in batched(items, CHUNK):
            pending.append(pool.submit(partial(_work_through, work), chunk))
            if len(pending) >= 2 * processes:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _work_through(work: Callable[[Item], T], chunk: Iterable[Item]) -> list[T]:
    return [work(item) for item in chunk]


def _start_worker(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Leave Ctrl-C to the parent, end when it is gone, and keep its terminal free of decoders' warnings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.filterwarnings("ignore", module="PIL")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
