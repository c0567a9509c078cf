"""What is asked at the same time is worked on together, in threads, while the event loop goes on.

No request waits for a batch to fill: while one batch is worked on, the next one gathers.
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
class _Waiting(Generic[Q, A]):
    kind: Hashable
    question: Q
    answer: asyncio.Future[A]


class Batcher(Generic[Q, A]):
    """Answers questions by a function of many at once; of one event loop.

    work: what is asked together -> an answer to each, in order; an exception is the answer to all of them
    pool: of threads; at_once: batches worked on at the same time; most: questions in a batch
    observe: is told the size of every batch
    """

    def __init__(
        self,
        process: Callable[[Sequence[Q]], Sequence[A]],
        executor: Executor,
        max_running: int,
        max_size: int,
        observe_size: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._work, self._pool, self._at_once, self._most, self._observe = (
            process,
            executor,
            max_running,
            max_size,
            observe_size,
        )
        self._waiting: list[_Waiting[Q, A]] = []
        self._running = 0

    async def submit(self, item: Q, key: Hashable = None) -> A:
        """key: only questions of the same kind are worked on together"""
        waiting = _Waiting[Q, A](key, item, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start()
        return await waiting.answer

    def _start(self) -> None:
        """Put idle threads to work, first come, first served. Questions whose asker has gone are dropped."""
        while self._running < self._at_once:
            self._waiting = [each for each in self._waiting if not each.answer.done()]
            if not self._waiting:
                return
            batch = [each for each in self._waiting if each.kind == self._waiting[0].kind][: self._most]
            taken = set(batch)
            self._waiting = [each for each in self._waiting if each not in taken]
            self._running += 1
            self._observe(len(batch))
            questions = [each.question for each in batch]
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, questions)
            work.add_done_callback(lambda done, batch=batch: self._finish(batch, done))  # type: ignore[misc]

    def _finish(self, batch: Sequence[_Waiting[Q, A]], done: asyncio.Future[Sequence[A]]) -> None:
        self._running -= 1
        error = done.exception()
        for place, each in enumerate(batch):
            if each.answer.done():
                continue
            if error is None:
                each.answer.set_result(done.result()[place])
            else:
                each.answer.set_exception(error)
        self._start()
