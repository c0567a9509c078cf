"""Runs of a shop's systems and of baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import zscore

from wares.core.errors import EvaluationError
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import Run, ranked_ids, read_run, write_run
from wares.data.views import Views
from wares.encoders.features import catalogue_features, embed_texts
from wares.encoders.registry import build_towers
from wares.evaluation.evaluator import evaluate
from wares.evaluation.measures import Qrels
from wares.evaluation.systems import (
    BASELINES,
    first_results,
    fused_runs,
    named_runs,
    shop_runs,
    texts_by_listing,
    towers_run,
    untrained_runs,
    view_means,
)
from wares.shop.build import build_shop
from wares.shop.searching import run_queries, search
from wares.shop.shop import Shop
from wares.shop.systems import SYSTEMS, System

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
    assert list(runs) == ["fused", "bm25", "fused+bm25", "dense", "dense-views", "bm25+dense", "bm25+dense-views"]
    assert set(BASELINES) < set(runs)
    for system in ("fused", "bm25", "fused+bm25"):
        assert runs[system] == run_queries(shop, TEST_QUERIES, 500, system)
    assert runs["bm25"]["q3"] == {}, "none of its words is in the shop"
    assert all(len(runs[name][query]) == 12 for name in ("fused", *BASELINES[1:]) for query in ("q1", "q2", "q3"))
    assert {name: len(run["q1"]) for name, run in shop_runs(shop, TEST_QUERIES, depth=4).items()} == dict.fromkeys(
        runs, 4
    )


def test_fused_runs_by_eye() -> None:
    fused = fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {"q1": {"c": 0.9}, "q2": {"d": 1.0}})
    assert list(fused["q1"]) == ["c", "b", "a"]
    assert fused["q1"] == pytest.approx({"c": 1 / 63 + 1 / 61, "b": 1 / 61, "a": 1 / 62})
    assert fused["q2"] == pytest.approx({"d": 1 / 61})
    assert list(fused_runs({"q1": {"b": 5.0, "a": 5.0, "c": 1.0}}, {}, depth=2)["q1"]) == ["b", "a"]


def test_dense_is_the_untrained_text_tower(shop: Shop) -> None:
    """The towers of the shop have another seed and are not used."""
    untrained = build_towers("small")
    rows = shop.table.to_arrow().to_pylist()
    queries = embed_texts([query.text for query in TEST_QUERIES], untrained)
    joined = embed_texts([row["title"] + "\n" + row["description"] for row in rows], untrained)
    means = sum(embed_texts([row[name] for row in rows], untrained) for name in ("title", "description"))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    runs = untrained_runs(shop, TEST_QUERIES, run_queries(shop, TEST_QUERIES, 12, "bm25"))
    for name, cosines in (("dense", queries @ joined.T), ("dense-views", queries @ means.T)):
        for query, row in zip(TEST_QUERIES, cosines, strict=True):
            expected = dict(zip((row["id"] for row in rows), row.tolist(), strict=True))
            assert runs[name][query.id] == pytest.approx(expected, abs=1e-5)
            assert list(runs[name][query.id].values()) == sorted(runs[name][query.id].values(), reverse=True)
    shallow = untrained_runs(shop, TEST_QUERIES, run_queries(shop, TEST_QUERIES, 12, "bm25"), depth=2)
    assert shallow == {name: first_results(run, 2) for name, run in runs.items()}


def test_sums_of_z_scores_are_over_the_whole_catalogue(shop: Shop) -> None:
    words = run_queries(shop, TEST_QUERIES, 12, "bm25")
    runs = untrained_runs(shop, TEST_QUERIES, words)
    for query in ("q1", "q2"):
        dense = runs["dense-views"][query]
        bm25 = {id: words[query].get(id, 0.0) for id in dense}
        total = zscore(list(dense.values())) / 2 + zscore(list(bm25.values())) / 2
        assert runs["bm25+dense-views"][query] == pytest.approx(dict(zip(dense, total.tolist(), strict=True)), abs=1e-4)
    assert list(runs["bm25+dense-views"]["q3"]) == list(runs["dense-views"]["q3"]), "BM25 knows none of its words"


def test_texts_come_from_the_table_in_the_order_of_their_views(tmp_path: Path) -> None:
    listings = [
        Listing("b", "Boots", tags=("red", "wool"), texts={"care": "Wash cold.", "blank": " "}),
        Listing("a", "Mug", "For tea.", texts={"care": "By hand."}),
    ]
    shop = build_shop(Catalogue(tmp_path, tuple(listings)), build_towers("small"), tmp_path / "shop")
    views = texts_by_listing(shop.table.to_arrow().sort_by("id").to_pylist())
    assert views.items == ["Mug", "For tea.", "By hand.", "Boots", "red, wool", "Wash cold."]
    assert views.offsets.tolist() == [0, 3, 6]


def test_means_of_views_by_eye() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    means = view_means(vectors, Views(["x"] * 3, ["x"] * 3, np.array([0, 2, 2, 3])))
    np.testing.assert_allclose(means, np.array([[2**-0.5, 2**-0.5], [0, 0], [0, 1]]), rtol=1e-6)


# Measured as served -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["fused", "bm25", "fused+bm25"])
def test_a_run_ranks_as_search_does(shop: Shop, system: System, tmp_path: Path) -> None:
    """Ties included, through memory and through a file."""
    runs = shop_runs(shop, TEST_QUERIES)
    write_run(runs[system], tmp_path / "run.txt")
    for query in TEST_QUERIES:
        shown = [hit.id for hit in search(shop, query.text, k=12, system=system)]
        assert ranked_ids(runs[system][query.id]) == shown
        assert ranked_ids(read_run(tmp_path / "run.txt").get(query.id, {})) == shown


@given(
    words=st.lists(st.lists(st.sampled_from(["red", "wool", "boots"]), min_size=1, max_size=3), min_size=3, max_size=8),
    relevant=st.integers(0, 7),
)
@settings(max_examples=15, deadline=None)
def test_evaluate_measures_the_order_that_search_shows(
    words: list[list[str]], relevant: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Listings of few words have equal scores in every system; the reciprocal rank is the rank that search shows."""
    folder = tmp_path_factory.mktemp("ties")
    ids = [f"{(7 * index) % 8}" for index in range(len(words))]
    listings = tuple(Listing(id, " ".join(title)) for id, title in zip(ids, words, strict=True))
    shop = build_shop(Catalogue(folder, listings), build_towers("small"), folder / "shop", cache=folder / "cache")
    [query], target = [Query("q", "red boots")], ids[relevant % len(ids)]
    evaluation = evaluate(shop_runs(shop, [query]), {"q": {target: 1}}, measures=["RR", "RR@10", "nDCG@10"])
    for system in SYSTEMS:
        shown = [hit.id for hit in search(shop, query.text, k=len(ids), system=system)]
        rank = shown.index(target) + 1 if target in shown else None
        assert evaluation.per_query[system]["RR"]["q"] == pytest.approx(1 / rank if rank else 0.0)
        assert evaluation.per_query[system]["RR@10"]["q"] == pytest.approx(1 / rank if rank else 0.0)
        assert evaluation.per_query[system]["nDCG@10"]["q"] == pytest.approx(1 / np.log2(rank + 1) if rank else 0.0)


def test_equal_scores_of_towers_are_in_the_order_of_ids() -> None:
    catalogue = Catalogue(Path("."), tuple(Listing(id, "red boots") for id in "cab"))
    towers = build_towers("small")
    run = towers_run(catalogue_features(catalogue, towers), towers, list("cab"), [Query("q", "boots")])
    assert list(run["q"]) == ["a", "b", "c"]


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
