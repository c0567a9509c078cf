"""Micro-batching: sizes of batches, errors, cancelled items."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wares.serve.batching import Batcher


def test_questions_that_wait_are_answered_together() -> None:
    """By eye: while one batch is held, the five questions that come are two batches by kind, most at a time."""
    gate = threading.Event()
    sizes: list[int] = []

    def doubled(questions: Sequence[int]) -> list[int]:
        gate.wait()
        return [2 * question for question in questions]

    async def asked() -> list[int]:
        batches = Batcher(doubled, pool, 1, 2, sizes.append)
        answers = [asyncio.ensure_future(batches.submit(i, i % 2)) for i in range(6)]
        await asyncio.sleep(0)  # all six have asked
        gate.set()
        return await asyncio.gather(*answers)

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(asked()) == [0, 2, 4, 6, 8, 10]
    assert sizes == [1, 2, 2, 1]


def test_a_failed_batch_fails_its_questions_alone() -> None:
    def work(questions: Sequence[int]) -> list[int]:
        if 0 in questions:
            raise ValueError("zero")
        return list(questions)

    async def asked() -> list[Any]:
        batches = Batcher(work, pool, 1, 8)
        return await asyncio.gather(*(batches.submit(i, i) for i in range(3)), return_exceptions=True)

    with ThreadPoolExecutor(1) as pool:
        [failed, *answered] = asyncio.run(asked())
    assert isinstance(failed, ValueError)
    assert answered == [1, 2]


def test_questions_whose_asker_has_gone_are_dropped() -> None:
    gate = threading.Event()
    worked: list[int] = []

    def work(questions: Sequence[int]) -> list[int]:
        gate.wait()
        worked.extend(questions)
        return list(questions)

    async def asked() -> int:
        batches = Batcher(work, pool, 1, 1)
        first, gone, last = (asyncio.ensure_future(batches.submit(i)) for i in range(3))
        await asyncio.sleep(0)
        gone.cancel()
        gate.set()
        return await first + await last

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(asked()) == 2
    assert worked == [0, 2]
