"""Micro-batching: sizes of batcher, errors, cancelled items."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wares.serve.batching import Batcher


def test_pending_items_share_batches_by_key() -> None:
    """By eye: one batch runs; the other five items wait, and form batcher of one key and at most two items."""
    gate = threading.Event()
    sizes: list[int] = []

    def doubled(items: Sequence[int]) -> list[int]:
        gate.wait()
        return [2 * item for item in items]

    async def run() -> list[int]:
        batcher = Batcher(doubled, pool, 1, 2, sizes.append)
        results = [asyncio.ensure_future(batcher.submit(i, i % 2)) for i in range(6)]
        await asyncio.sleep(0)  # all six are submitted
        gate.set()
        return await asyncio.gather(*results)

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(run()) == [0, 2, 4, 6, 8, 10]
    assert sizes == [1, 2, 2, 1]


def test_an_exception_reaches_only_the_items_of_its_batch() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise ValueError("zero")
        return list(items)

    async def run() -> list[Any]:
        batcher = Batcher(work, pool, 1, 8)
        return await asyncio.gather(*(batcher.submit(i, i) for i in range(3)), return_exceptions=True)

    with ThreadPoolExecutor(1) as pool:
        [failed, *results] = asyncio.run(run())
    assert isinstance(failed, ValueError)
    assert results == [1, 2]


def test_cancelled_items_are_dropped() -> None:
    gate = threading.Event()
    worked: list[int] = []

    def work(items: Sequence[int]) -> list[int]:
        gate.wait()
        worked.extend(items)
        return list(items)

    async def run() -> int:
        batcher = Batcher(work, pool, 1, 1)
        first, cancelled, last = (asyncio.ensure_future(batcher.submit(i)) for i in range(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        gate.set()
        return await first + await last

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(run()) == 2
    assert worked == [0, 2]
