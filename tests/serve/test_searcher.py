"""Snapshots, batches and caches of a shop that many requests search and change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api_client import AUTHORISED, HAT, KEY, client_of, ids, search_json, until_ready
from fastapi.testclient import TestClient
from toys import Toys, opened, toy_shop

from wares.data.listings import Listing
from wares.serve.api import create_app
from wares.serve.search_requests import SearchRequest
from wares.serve.searcher import Searcher
from wares.serve.settings import ServeSettings
from wares.shop.shop import Shop, open_shop
from wares.shop.systems import SYSTEMS
from wares.shop.update import upsert


def test_a_snapshot_does_not_see_later_changes(tmp_path: Path) -> None:
    shop = opened(toy_shop(tmp_path).path)

    async def run() -> tuple[int, int]:
        searcher = Searcher(shop)
        before = await searcher.latest()
        await searcher.write(lambda shop: upsert(shop, [Listing("hat", "Hat")]))
        after = await searcher.latest()
        return len(before), len(after)

    assert asyncio.run(run()) == (3, 4)


def test_requests_share_a_snapshot_until_the_shop_changes(tmp_path: Path) -> None:
    """Requests with different snapshots could not share batches."""

    async def run() -> tuple[list[Shop], Shop]:
        searcher = Searcher(opened(toy_shop(tmp_path).path))
        before = [await searcher.latest() for _ in range(1000)]
        await searcher.write(lambda shop: upsert(shop, [Listing("hat", "Hat")]))
        return before, await searcher.latest()

    before, after = asyncio.run(run())
    assert before[-1] is before[-2]
    assert all(shop is not after for shop in before)


def test_batched_requests_get_the_results_of_single_requests(tmp_path: Path) -> None:
    questions = [SearchRequest(text, system=system) for text in ("red shoe", "hat", "blue") for system in SYSTEMS] * 5

    async def run() -> None:
        searcher = Searcher(opened(toy_shop(tmp_path).path))
        together = await asyncio.gather(*(searcher.search(question) for question in questions))
        assert list(together) == [await searcher.search(question) for question in questions]

    asyncio.run(run())


def test_a_query_is_encoded_once_and_does_not_block_bm25(shops: dict[str, Path]) -> None:
    encoding, go_on = threading.Event(), threading.Event()
    encoded: list[str] = []

    class Slow(Toys):
        def encode_texts(self, texts: Sequence[str]) -> Any:
            encoded.extend(texts)
            if "slow" in texts:
                encoding.set()
                go_on.wait()
            return super().encode_texts(texts)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), lambda folder: open_shop(folder, Slow()))
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        until_ready(client)
        slow = pool.submit(search_json, client, q="slow")
        encoding.wait()
        assert client.get("/healthz").status_code == 200
        assert ids(search_json(client, q="mug", system="bm25")) == ["mug"]
        go_on.set()
        first = slow.result()["hits"]
        assert search_json(client, q="slow")["hits"] == first
    assert encoded.count("slow") == 1


def fragments(folder: Path) -> int:
    stats: Any = opened(folder).table.stats()
    return int(stats["fragment_stats"]["num_fragments"])


def test_the_table_is_optimized_after_many_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.serve.searcher.CHANGES_PER_OPTIMIZE", 3)
    folder = toy_shop(tmp_path).path
    with client_of({"three": folder}, api_key=KEY) as changing:
        until_ready(changing)
        for number in range(3):
            changing.put(f"/api/listings/new{number}", json=HAT, headers=AUTHORISED)
        while fragments(folder) > 2:  # of four
            pass
        assert search_json(changing)["total"] == 6
