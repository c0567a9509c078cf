"""Runs of a shop's systems and of baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from wares.core.errors import EvaluationError
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import Run, write_run
from wares.encoders.registry import build_towers
from wares.evaluation.measures import Qrels
from wares.evaluation.systems import dense_run, fused_runs, named_runs, shop_runs
from wares.shop.build import build_shop
from wares.shop.searching import run_queries
from wares.shop.shop import Shop

QRELS: Qrels = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}}
RUN: Run = {"q1": {"c": 3.0, "a": 2.0, "b": 1.0}, "q2": {"e": 1.0, "d": 0.5}}


TEST_QUERIES = [Query("q1", "red wool boots"), Query("q2", "coffee mug"), Query("q3", "nothing of the kind")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Twelve listings of few words, so that BM25 has ties, under towers that can be built again by name."""
    folder = tmp_path_factory.mktemp("shop")
    words = ["red", "blue", "wool", "boots", "mug", "coffee"]
    listings = [Listing(f"l{i:02}", f"{words[i % 6]} {words[(i // 2) % 6]}", words[i % 3]) for i in range(12)]
    towers = build_towers("small", seed=3)
    return build_shop(Catalogue(folder, tuple(listings)), towers, folder / "shop", cache=folder / "cache")


def test_runs_of_a_shop_and_its_baselines(shop: Shop) -> None:
    runs = shop_runs(shop, TEST_QUERIES)
    assert list(runs) == ["fused", "bm25", "fused+bm25", "dense", "bm25+dense"]
    for system in ("fused", "bm25", "fused+bm25"):
        assert runs[system] == run_queries(shop, TEST_QUERIES, 500, system)
    assert runs["bm25"]["q3"] == {}, "none of its words is in the shop"
    assert all(
        len(runs[name][query]) == 12 for name in ("fused", "dense", "bm25+dense") for query in ("q1", "q2", "q3")
    )
    assert {name: len(run["q1"]) for name, run in shop_runs(shop, TEST_QUERIES, depth=4).items()} == dict.fromkeys(
        runs, 4
    )


def test_fusing_two_runs_equals_hybrid_search(shop: Shop) -> None:
    """The same listings, scores and order as search's own hybrid, ties of BM25 included."""
    runs = shop_runs(shop, TEST_QUERIES)
    scores = list(runs["bm25"]["q1"].values())
    assert len(set(scores)) < len(scores), "the test needs ties"
    fused = fused_runs(runs["fused"], runs["bm25"])
    for query, hits in runs["fused+bm25"].items():
        assert list(fused[query]) == list(hits)
        assert fused[query] == pytest.approx(hits)


def test_fused_runs_by_eye() -> None:
    fused = fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {"q1": {"c": 0.9}, "q2": {"d": 1.0}})
    assert list(fused["q1"]) == ["c", "a", "b"]
    assert fused["q1"] == pytest.approx({"c": 1 / 63 + 1 / 61, "a": 1 / 61, "b": 1 / 62})
    assert fused["q2"] == pytest.approx({"d": 1 / 61})
    assert list(fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {}, depth=2)["q1"]) == ["a", "b"]


def test_dense_is_the_untrained_text_tower_on_all_texts(shop: Shop) -> None:
    """The towers of the shop have another seed and are not used."""
    from wares.encoders.features import embed_texts

    untrained = build_towers("small")
    rows = shop.table.to_arrow().to_pylist()
    texts = {row["id"]: row["title"] + "\n" + row["description"] for row in rows}
    cosines = (
        embed_texts([query.text for query in TEST_QUERIES], untrained) @ embed_texts(list(texts.values()), untrained).T
    )
    run = dense_run(shop, TEST_QUERIES)
    for query, row in zip(TEST_QUERIES, cosines, strict=True):
        assert run[query.id] == pytest.approx(dict(zip(texts, row.tolist(), strict=True)), abs=1e-5)
        assert list(run[query.id].values()) == sorted(run[query.id].values(), reverse=True)
    assert dense_run(shop, TEST_QUERIES, depth=2)["q1"] == dict(list(run["q1"].items())[:2])


def test_runs_have_the_names_of_files_and_systems(shop: Shop, tmp_path: Path) -> None:
    write_run(RUN, tmp_path / "mine.txt")
    runs = named_runs([shop.path, tmp_path / "mine.txt"], TEST_QUERIES)
    assert list(runs) == [*shop_runs(shop, TEST_QUERIES), "mine"]
    assert runs["mine"] == RUN
    other = tmp_path / "other"
    other.symlink_to(shop.path)
    both = named_runs([shop.path, other], TEST_QUERIES)
    assert list(both) == [f"{name}/{system}" for name in ("shop", "other") for system in shop_runs(shop, TEST_QUERIES)]
    write_run(RUN, tmp_path / "bm25.txt")
    with pytest.raises(EvaluationError, match=r"two systems have the name 'bm25'. Rename .*bm25\.txt"):
        named_runs([shop.path, tmp_path / "bm25.txt"], TEST_QUERIES)
