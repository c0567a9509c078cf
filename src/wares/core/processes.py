"""Pools of spawned worker processes that ignore Ctrl-C and end with their parent.

Workers are spawned, not forked: locks held by threads of torch, tokenizers or progress bars would stay locked in a fork
forever, and Lance does not survive a fork.
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

CHUNK = 32  # items per message to a worker
MIN_ITEMS = 128  # below this, starting workers costs more than it saves
PROCESSES = "WARES_PROCESSES"  # environment variable: the default number of workers
Item = TypeVar("Item")
T = TypeVar("T")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number_of_workers(workers: int | None) -> int:
    """The given number of workers, or $WARES_PROCESSES, or one per core.

    Raises SettingsError if it is not positive.
    """
    if workers is None:
        return int(os.environ.get(PROCESSES) or available_cores())
    if workers < 1:
        raise SettingsError(f"workers must be at least 1, not {workers}.")
    return workers


def is_running(process: str) -> bool:
    """Whether another process with this id runs. Without POSIX signals, it is assumed to."""
    if os.name != "posix":
        return process != str(os.getpid())
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return process != str(os.getpid())


@contextmanager
def worker_pool(
    processes: int,
    task: str,
    remedy: str,
    initializer: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned workers; the end of the block cancels queued work.

    task, remedy: for the error message: what a worker does, as in "reading photos", and what to do if one is killed
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
    """Results of `work` in the order of the items, computed by worker processes.

    This process does the work itself if there are few items or one worker. At most two chunks per worker are queued or
    wait for the consumer. task, remedy: as in `worker_pool`
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
    """Ignore Ctrl-C, watch the parent, and keep warnings of decoders off its terminal."""
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
