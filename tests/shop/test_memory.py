"""Vectors held in memory: they find what the table finds, and what has changed at once; a server that holds them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import BOOTS, MUG, SCARF, THREE, toy_shop

from wares.core.errors import SettingsError
from wares.data.listings import Listing
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.serve.search_requests import SearchRequest
from wares.serve.searcher import Searcher
from wares.serve.settings import ServeSettings
from wares.shop import memory as in_memory
from wares.shop import vector_index
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.filters import Filter
from wares.shop.memory import MemoryVectors
from wares.shop.retrieval import RankedListing, retrieve
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.table import Vectors
from wares.shop.update import delete, optimize, upsert

ROWS = 3_000


def with_memory(shop: Shop) -> Shop:
    """The same shop with its vectors in memory."""
    return open_shop(shop.path, shop.encoder, in_memory=True)


def memory_of(shop: Shop) -> MemoryVectors:
    assert shop.memory_vectors is not None
    return shop.memory_vectors


def nearest(shop: Shop, vectors: Vectors, k: int, without: str | None = None) -> list[list[RankedListing]]:
    return retrieve(shop, [""] * len(vectors), vectors, k, "fused", Filter(excluded_id=without))


def assert_same(found: list[list[RankedListing]], expected: list[list[RankedListing]]) -> None:
    """The same rows in the same order, but for what float32 rounds off in one way here and in another there."""
    for some, others in zip(found, expected, strict=True):
        assert [(hit.row_id, hit.id) for hit in some] == [(hit.row_id, hit.id) for hit in others]
        np.testing.assert_allclose([hit.score for hit in some], [hit.score for hit in others], atol=1e-6)


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that has an index of its vectors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_index, "MIN_INDEXED_ROWS", 1_000)
        towers, path = SyntheticTowers(64), tmp_path_factory.mktemp("clouds") / "shop"
        write_shop(
            summarize_catalogue(SyntheticCatalogue(ROWS)), towers, towers.chunks(SyntheticCatalogue(ROWS), 1_000), path
        )
    return open_shop(path, towers)


@pytest.fixture(scope="module")
def log(clouds: Shop) -> Vectors:
    return clouds.encoder.encode_texts([query.text for query in SyntheticCatalogue(ROWS).queries(40)[0]])


# What is found ---------------------------------------------------------------------------------------------------


def test_a_small_shop_is_compared_as_a_whole(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    memory = memory_of(with_memory(shop))
    assert memory.is_exact
    assert len(memory.snapshot) == len(THREE)
    vectors = shop.encoder.encode_texts(["boots", "blue wool", "mug for winter"])
    assert_same(nearest(with_memory(shop), vectors, 3), nearest(shop, vectors, 3))


def test_all_partitions_find_what_the_table_finds_by_all_its_rows(clouds: Shop, log: Vectors) -> None:
    memory, exact = memory_of(with_memory(clouds)), open_shop(clouds.path, clouds.encoder)
    exact.vector_index = vector_index.EXACT
    expected = [{hit.row_id for hit in best} for best in nearest(exact, log, 50)]
    assert not memory.is_exact
    assert [{row for row, _, _ in best} for best in memory.nearest(log, 50, all_partitions=True)] == expected


def test_a_search_finds_the_share_that_it_is_measured_to_find(clouds: Shop, log: Vectors) -> None:
    memory = memory_of(with_memory(clouds))
    by = memory.snapshot.vector_index
    assert by.reaches_target
    assert 1 <= by.probes < by.partitions
    found, exact = memory.nearest(log, 100), memory.nearest(log, 100, all_partitions=True)
    shares = [len({row for row, *_ in a} & {row for row, *_ in b}) / 100 for a, b in zip(found, exact, strict=True)]
    assert by.target - 0.15 < np.mean(shares) < 1  # other queries than those that it was measured with


def test_as_many_as_asked_for_come_where_the_nearest_partitions_have_fewer(clouds: Shop, log: Vectors) -> None:
    shop = with_memory(clouds)
    assert [len(best) for best in nearest(shop, log[:2], ROWS - 1)] == [ROWS - 1] * 2
    assert [len(best) for best in nearest(shop, log[:2], 2 * ROWS)] == [ROWS] * 2


def test_a_listing_is_not_like_itself(tmp_path: Path) -> None:
    shop = with_memory(toy_shop(tmp_path))
    assert {hit.id for hit in search(shop, like="boots", k=9)} == {"scarf", "mug"}


def test_vectors_of_rows_are_those_of_the_table(clouds: Shop, tmp_path: Path) -> None:
    changed = with_memory(toy_shop(tmp_path))
    upsert(changed, [replace(BOOTS, id="a")])
    for shop in (with_memory(clouds), changed):
        rows = shop.table.search().select(["vector"]).with_row_id(True).limit(len(shop)).to_arrow().combine_chunks()
        expected, order = np.array(rows["vector"].to_pylist(), np.float32), np.arange(len(rows))[::-1]
        row_ids = rows["_rowid"].to_numpy()[order].astype(np.int64)
        assert np.array_equal(memory_of(shop).vectors(row_ids), expected[order])


def test_words_add_to_an_index_of_vectors_what_they_add_to_all(clouds: Shop, log: Vectors) -> None:
    """The best sums are at least as good as those of the nearest listings that the index finds."""
    texts = [query.text for query in SyntheticCatalogue(ROWS).queries(40)[0]][:5]
    for shop in (clouds, with_memory(clouds)):
        sums = retrieve(shop, texts, log[:5], 50, "fused+bm25", Filter())
        for hits, words in zip(sums, retrieve(shop, texts, log[:5], ROWS, "bm25", Filter()), strict=True):
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert {hit.id for hit in hits if hit.bm25_score} <= {hit.id for hit in words}
            assert len({hit.id for hit in hits}) == 50


def test_filters_and_words_go_to_the_table(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    for asked in ({"where": "price < 50"}, {"system": "bm25"}, {"system": "fused+bm25"}):
        found = search(with_memory(shop), "boots", k=3, **asked)  # type: ignore[arg-type]
        assert [hit.id for hit in found] == [hit.id for hit in search(shop, "boots", k=3, **asked)]  # type: ignore[arg-type]


# What changes ----------------------------------------------------------------------------------------------------


def test_equal_vectors_have_equal_scores_wherever_they_lie(tmp_path: Path) -> None:
    shop = with_memory(toy_shop(tmp_path, [BOOTS, *THREE[1:], replace(BOOTS, id="z")]))
    upsert(shop, [replace(BOOTS, id="a")])
    assert memory_of(shop).new_ids.to_pylist() == ["a"]
    best = search(shop, "leather", k=3)
    assert [hit.id for hit in best] == ["a", "boots", "z"]
    assert len({hit.score for hit in best}) == 1


names = st.sampled_from(["boots", "scarf", "mug", "hat", "cap"])
goods = st.builds(Listing, id=names, title=st.sampled_from(["Red hat", "Blue cap", "Coffee mug", "Leather boots"]))
changes: st.SearchStrategy[tuple[str, list[Any]]] = st.one_of(
    st.lists(goods, max_size=3, unique_by=lambda listing: listing.id).map(lambda some: ("upsert", some)),
    st.lists(names, max_size=2).map(lambda ids: ("delete", ids)),
    st.just(("optimize", [])),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(changes, min_size=1, max_size=5))
def test_after_any_changes_the_table_and_memory_agree(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, list[Any]]]
) -> None:
    writer = toy_shop(tmp_path_factory.mktemp("changed"), [BOOTS, SCARF, MUG])
    shop = with_memory(writer)
    vectors = writer.encoder.encode_texts(["red hat", "leather boots", "mug"])
    for what, some in drawn:
        {"upsert": upsert, "delete": delete, "optimize": lambda shop, _: optimize(shop)}[what](writer, some)  # type: ignore[operator]
        shop.refresh()
        memory = memory_of(shop)
        assert len(memory.snapshot) - len(memory.deleted) + len(memory.new_row_ids) == len(shop) == len(writer)
        assert_same(nearest(shop, vectors, 4), nearest(writer, vectors, 4))


def test_too_many_changes_are_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "ALLOWED_CHANGES", 1)
    shop = with_memory(toy_shop(tmp_path))
    upsert(shop, [Listing("hat", "Red hat")])
    assert memory_of(shop).new_ids.to_pylist() == ["hat"]
    upsert(shop, [Listing("cap", "Red cap")])
    assert shop.memory_vectors is None
    assert {hit.id for hit in search(shop, "red", k=5)} == {"hat", "cap", "boots", "scarf", "mug"}
    shop.load_vectors()
    assert sorted(memory_of(shop).snapshot.ids.to_pylist()) == ["boots", "cap", "hat", "mug", "scarf"]
    before = shop.memory_vectors
    shop.load_vectors()
    assert shop.memory_vectors is before


def test_who_does_not_ask_for_it_holds_nothing(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    shop.load_vectors()
    assert shop.memory_vectors is None


# A server --------------------------------------------------------------------------------------------------------


def test_a_search_under_way_keeps_the_vectors_of_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "ALLOWED_CHANGES", 1)
    shop = with_memory(toy_shop(tmp_path))

    async def asked() -> None:
        searcher = Searcher(shop)
        before = await searcher.latest()
        await searcher.write(lambda shop: upsert(shop, [Listing("hat", "Red hat")]))
        after = await searcher.latest()
        assert (len(memory_of(before).new_row_ids), len(memory_of(after).new_row_ids)) == (0, 1)
        await searcher.write(lambda shop: upsert(shop, [Listing("cap", "Red cap")]))
        assert (await searcher.latest()).memory_vectors is None
        await searcher.load_vectors()
        now = await searcher.latest()
        assert len(memory_of(now).snapshot) == 5
        assert {hit.id for hit in (await searcher.search(SearchRequest("red"))).hits} == set(
            memory_of(now).snapshot.ids.to_pylist()
        )
        searcher.close()

    asyncio.run(asked())


def test_settings_reach_other_processes() -> None:
    given = ServeSettings(shops=(("shop", "/shop"),), in_memory=True)
    assert ServeSettings.from_json(given.to_json()) == given


def test_without_faiss_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = toy_shop(tmp_path)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SettingsError, match=r"pip install 'wares\[memory\]'"):
        with_memory(shop)
    assert search(shop, "boots", k=1)[0].id == "boots"
