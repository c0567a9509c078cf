"""Micro-batching: items that arrive at the same time are processed together in threads.

No item waits for a batch to fill: while one batch runs, the next one collects items.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, eq=False)
class _Pending(Generic[Q, A]):
    key: Hashable
    item: Q
    result: asyncio.Future[A]


class Batcher(Generic[Q, A]):
    """Runs a batch function on items that many tasks of one event loop submit.

    process: items of a batch -> their results, in order; an exception is raised for each item of the batch
    executor: runs the batches; max_running: batches that run at the same time; max_size: items in a batch
    observe_size: receives the size of every batch
    """

    def __init__(
        self,
        process: Callable[[Sequence[Q]], Sequence[A]],
        executor: Executor,
        max_running: int,
        max_size: int,
        observe_size: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._process, self._executor, self._observe_size = process, executor, observe_size
        self._max_running, self._max_size = max_running, max_size
        self._pending: list[_Pending[Q, A]] = []
        self._running = 0

    async def submit(self, item: Q, key: Hashable = None) -> A:
        """The result for an item. key: only items with equal keys share a batch"""
        pending = _Pending[Q, A](key, item, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        self._start()
        return await pending.result

    def _start(self) -> None:
        """Start batches until `max_running` run, first come, first served. Drops items whose task was cancelled."""
        while self._running < self._max_running:
            self._pending = [pending for pending in self._pending if not pending.result.done()]
            if not self._pending:
                return
            key = self._pending[0].key
            batch = [pending for pending in self._pending if pending.key == key][: self._max_size]
            started = set(batch)
            self._pending = [pending for pending in self._pending if pending not in started]
            self._running += 1
            self._observe_size(len(batch))
            items = [pending.item for pending in batch]
            future = asyncio.get_running_loop().run_in_executor(self._executor, self._process, items)
            future.add_done_callback(lambda done, batch=batch: self._finish(batch, done))  # type: ignore[misc]

    def _finish(self, batch: Sequence[_Pending[Q, A]], done: asyncio.Future[Sequence[A]]) -> None:
        self._running -= 1
        error = done.exception()
        for index, pending in enumerate(batch):
            if pending.result.done():
                continue
            if error is None:
                pending.result.set_result(done.result()[index])
            else:
                pending.result.set_exception(error)
        self._start()
