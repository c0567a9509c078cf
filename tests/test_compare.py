"""Comparing methods: the table's shape, fair budgets, and the cross-view protocols by eye on hand-made vectors."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from wares.catalogue import Catalogue, Listing, Query, read_catalogue, read_queries
from wares.compare import ALL_VIEWS, QUERIES, Comparison, Judged, compare, cross_views
from wares.encode import CatalogueFeatures, Embeddings, catalogue_features
from wares.errors import EvaluationError
from wares.evaluate import MEASURES, read_qrels
from wares.fuse import barycentres
from wares.pretrain import METHODS, PretrainRecord, PretrainSettings, pretrain
from wares.samples import write_marketplace
from wares.towers import Fusion, Towers, build_towers
from wares.views import Marginals, Views

CROSS_VIEWS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo"]
BASELINES = ["bm25", "dense", "bm25+dense"]
FIXED = Fusion(Marginals("fixed"))


def settings(*methods: str, epochs: int = 1, batch_size: int = 64) -> list[PretrainSettings]:
    every = [PretrainSettings(method=method, epochs=epochs, batch_size=batch_size) for method in METHODS]
    return [each for each in every if each.method in methods]


class Market:
    """Half of a small sample marketplace, with the features of the small towers."""

    def __init__(self, folder: Path) -> None:
        write_marketplace(folder / "market", 40)
        self.catalogue = read_catalogue(folder / "market").subset(range(20))
        self.features = catalogue_features(self.catalogue, build_towers("small"), folder / "cache")
        queries = read_queries(folder / "market" / "queries.jsonl")
        self.judged = Judged(queries, read_qrels(folder / "market" / "qrels.txt"))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market(tmp_path_factory.mktemp("market"))


# Whole comparisons -----------------------------------------------------------------------------------------------


def test_all_five_methods_in_the_promised_shape(market: Market) -> None:
    found = compare(market.catalogue, market.features, "small", settings(*METHODS), seeds=1, judged=market.judged)
    assert list(found) == ["equal wall-clock", "equal epochs"]
    for comparison in found.values():
        results = comparison.results()
        json.dumps(results, allow_nan=False)
        trained = [*METHODS, ALL_VIEWS]
        assert set(results["methods"]) == {*trained, *(f"{name} + bm25" for name in trained), *BASELINES}
        for name, row in results["methods"].items():
            assert [key for key in row if key != "seconds"] == [*(CROSS_VIEWS if name in trained else []), QUERIES]
            assert all(list(row[protocol]) == list(MEASURES) for protocol in row if protocol != "seconds")
            assert all(value["std"] == 0 for value in row[QUERIES].values()), "one seed has no spread"
            assert (row["seconds"] == 0) == (name in BASELINES)
        assert results["methods"]["single-view"]["seconds"] == results["methods"][ALL_VIEWS]["seconds"]


@pytest.fixture(scope="module")
def two_seeds(market: Market) -> dict[str, Comparison]:
    methods = settings("factorized", "single-view")
    return compare(market.catalogue, market.features, "small", methods, seeds=2, judged=market.judged)


def test_means_and_spreads_are_over_seeds(two_seeds: dict[str, Comparison]) -> None:
    comparison = two_seeds["equal epochs"]
    results = comparison.results()
    assert results["seeds"] == len(comparison.tables) == 2
    for name, protocol in [("factorized", QUERIES), ("single-view", "title->photos"), ("bm25", QUERIES)]:
        means = [np.mean(list(table[name][protocol]["AP"].values())) for table in comparison.tables]
        spread = results["methods"][name][protocol]["AP"]
        assert spread == pytest.approx({"mean": np.mean(means), "std": np.std(means, ddof=1)})
    assert results["methods"]["factorized"]["title->photos"]["AP"]["std"] > 0
    assert results["methods"]["bm25"][QUERIES]["AP"]["std"] == 0


def test_the_first_method_sets_the_clock_and_is_trained_once(two_seeds: dict[str, Comparison]) -> None:
    clock, epochs = two_seeds["equal wall-clock"], two_seeds["equal epochs"]
    assert clock.seconds["factorized"] == epochs.seconds["factorized"]
    for one, other in zip(clock.tables, epochs.tables, strict=True):
        assert one["factorized"] is other["factorized"]
        assert one["single-view"] is not other["single-view"]


def test_tests_average_a_query_over_seeds(two_seeds: dict[str, Comparison]) -> None:
    comparison = two_seeds["equal wall-clock"]
    tests = comparison.tests()
    results = comparison.results()["methods"]
    assert {test.baseline for test in tests} == {"single-view"}
    assert {test.system for test in tests} == set(results) - {"single-view"}
    for test in tests:
        means = [results[name][QUERIES][test.measure]["mean"] for name in (test.system, "single-view")]
        assert test.difference == pytest.approx(means[0] - means[1])


def test_the_baseline_of_the_tests(two_seeds: dict[str, Comparison]) -> None:
    comparison = two_seeds["equal epochs"]
    assert {test.baseline for test in comparison.tests("bm25")} == {"bm25"}
    with pytest.raises(EvaluationError, match="'random-view' was not measured in query->listing"):
        comparison.tests("random-view")
    with pytest.raises(EvaluationError, match="'bm25' was not measured in title->photos"):
        comparison.tests("bm25", "title->photos")
    without = [{name: row for name, row in table.items() if "single-view" not in name} for table in comparison.tables]
    assert {test.baseline for test in Comparison(without, comparison.seconds).tests()} == {"factorized"}


def test_single_view_fuses_its_primary_views_and_once_more_all_of_them(two_seeds: dict[str, Comparison]) -> None:
    [table, _] = two_seeds["equal epochs"].tables
    for protocol in ("photo->title", "photo->primary-photo"):
        assert table["single-view"][protocol] == table[ALL_VIEWS][protocol], "no fusion has a part in these"
    assert table["single-view"]["title->photos"] != table[ALL_VIEWS]["title->photos"]
    assert table["single-view"][QUERIES] != table[ALL_VIEWS][QUERIES]


def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[PretrainSettings, PretrainRecord]]:
    """Every training that a comparison does, as it is done."""
    runs: list[tuple[PretrainSettings, PretrainRecord]] = []

    def noted(features: CatalogueFeatures, towers: Towers, chosen: PretrainSettings) -> PretrainRecord:
        runs.append((chosen, pretrain(features, towers, chosen)))
        return runs[-1][1]

    monkeypatch.setattr("wares.compare.pretrain", noted)
    return runs


def test_every_method_gets_the_first_ones_time_and_no_more(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which a step of the first method takes 1 second, and one of the second 4."""
    runs = spied(monkeypatch)
    seconds = itertools.count()

    def now() -> float:
        method = "random-view" if len(runs) in (2, 3, 4, 5) else "factorized"
        return next(seconds) * (4.0 if method == "random-view" else 1.0)

    monkeypatch.setattr("wares.pretrain.time", SimpleNamespace(monotonic=now))
    methods = settings("factorized", "random-view", epochs=3, batch_size=16)
    compare(market.catalogue, market.features, "small", methods, seeds=1, judged=market.judged)
    steps = {"part": 3 * 1, "whole": 3 * 2}  # 14 and 20 listings in batches of 16
    chosen = [run.method for run, _ in runs]
    assert chosen == ["factorized"] * 2 + ["random-view"] * 4
    assert [record.listings for _, record in runs] == [14, 20] * 3, "30 % are held out of one training"
    assert [run.seconds for run, _ in runs] == [None] * 4 + [float(steps["part"]), float(steps["whole"])]
    assert [record.steps for _, record in runs[:4]] == [steps["part"], steps["whole"]] * 2, "equal epochs"
    # A step that has begun is finished, and none begins once the time is up: 3 s are 1 step of 4 s, 6 s are 2.
    assert [record.steps for _, record in runs[4:]] == [1, 2]


def test_seeds_hold_out_different_listings_and_methods_the_same(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    select = CatalogueFeatures.select

    def noted(self: CatalogueFeatures, listings: npt.NDArray[np.int64]) -> CatalogueFeatures:
        seen.append(listings.tolist())
        return select(self, listings)

    monkeypatch.setattr(CatalogueFeatures, "select", noted)
    methods = settings("factorized", "random-view")
    compare(market.catalogue, market.features, "small", methods, seeds=2)
    trained, held_out = seen[::2], seen[1::2]
    for training, held in zip(trained, held_out, strict=True):
        assert sorted([*training, *held]) == list(range(20)) and len(held) == 6
    assert held_out[0] == held_out[1] == held_out[2] != held_out[3] == held_out[5]


# What can and cannot be compared ---------------------------------------------------------------------------------


def textual(market: Market) -> tuple[Catalogue, CatalogueFeatures]:
    """The marketplace without its photos."""
    listings = tuple(replace(listing, images=()) for listing in market.catalogue.listings)
    features = market.features
    none = np.zeros(len(features.photos), dtype=np.bool_)
    bare = replace(features, photos=features.photos[none], photo_views=features.photo_views.keep(none))
    return replace(market.catalogue, listings=listings), bare


def test_without_photos_only_queries_are_measured(market: Market) -> None:
    catalogue, features = textual(market)
    found = compare(catalogue, features, "small", settings("factorized"), 1, market.judged)
    rows = found["equal epochs"].results()["methods"]
    assert all(row.keys() == {QUERIES, "seconds"} for row in rows.values())
    assert rows["factorized"]["seconds"] > 0


def test_without_queries_only_views_are_measured(market: Market) -> None:
    found = compare(market.catalogue, market.features, "small", settings("factorized"), 1)
    [row] = found["equal epochs"].results()["methods"].values()
    assert row.keys() == {*CROSS_VIEWS, "seconds"}
    assert not found["equal epochs"].has(QUERIES)


def test_without_either_there_is_nothing_to_compare(market: Market) -> None:
    catalogue, features = textual(market)
    with pytest.raises(EvaluationError, match="neither photos nor judged queries"):
        compare(catalogue, features, "small", settings("factorized"), 1)


def test_nine_listings_are_too_few(market: Market) -> None:
    places = np.arange(9)
    few, features = market.catalogue.subset(places), market.features.select(places)
    with pytest.raises(EvaluationError, match="9 listings are too few"):
        compare(few, features, "small", settings("factorized"), 1)


def test_a_protocol_that_only_some_seeds_have_is_averaged_over_those(tmp_path: Path) -> None:
    """One listing in twelve has a second photo: it is held out by some seeds only."""
    listings = []
    for i in range(12):
        images = (f"{i}.png", "again.png") if i == 0 else (f"{i}.png",)
        listings.append(Listing(f"l{i}", f"thing {i}", images=images))
        for name in images:
            Image.new("RGB", (16, 16), (20 * i, 255 - 20 * i, 90)).save(tmp_path / name)
    catalogue = Catalogue(tmp_path, tuple(listings))
    features = catalogue_features(catalogue, build_towers("small"), tmp_path / "cache")
    found = compare(catalogue, features, "small", settings("factorized"), 8)["equal epochs"]
    there = ["photo->title" in table["factorized"] for table in found.tables]
    assert 0 < sum(there) < 8, "otherwise this shows nothing"
    row = found.results()["methods"]["factorized"]
    values = [
        table["factorized"]["photo->title"]["RR"] for table in found.tables if "photo->title" in table["factorized"]
    ]
    assert row["photo->title"]["RR"]["mean"] == pytest.approx(np.mean([list(value.values()) for value in values]))
    assert "description->photos" not in row


def test_judgments_have_no_part_in_training(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = spied(monkeypatch)
    methods = settings("factorized")
    for qrels in (market.judged.qrels, {query: {"w0001": 2} for query in market.judged.qrels}):
        judged = Judged([Query(query.id, query.text) for query in market.judged.queries], qrels)
        compare(market.catalogue, market.features, "small", methods, 1, judged)
    losses = [record.losses for _, record in runs]
    assert losses[:2] == losses[2:]


# Cross-view protocols by eye -------------------------------------------------------------------------------------

E = np.eye(8, dtype=np.float32)


def embeddings(photos: list[list[Any]], texts: list[list[tuple[str, Any]]]) -> Embeddings:
    """Hand-made vectors. photos: by listing; texts: by listing, name and vector."""

    def table(names: list[list[str]]) -> Views:
        flat = [name for row in names for name in row]
        return Views(flat, flat, np.cumsum([0, *map(len, names)]))

    def stack(rows: list[list[Any]]) -> npt.NDArray[np.float32]:
        vectors = np.array([vector for row in rows for vector in row], dtype=np.float32).reshape(-1, E.shape[1])
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    names = [[f"{i}-{j}.jpg" for j in range(len(row))] for i, row in enumerate(photos)]
    return Embeddings(
        table(names),
        stack(photos),
        table([[name for name, _ in row] for row in texts]),
        stack([[vector for _, vector in row] for row in texts]),
    )


def aligned(*listings: int) -> tuple[list[list[Any]], list[list[tuple[str, Any]]]]:
    """Listings whose photos and texts all point the same way, each listing its own."""
    return [[E[i], E[i]] for i in listings], [[("title", E[i]), ("description", E[i])] for i in listings]


def reciprocal_ranks(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, list[float]]:
    return {protocol: list(measures["RR"].values()) for protocol, measures in found.items()}


@pytest.mark.parametrize("fusion", [FIXED, Fusion()])
def test_orthogonal_listings_are_told_apart_perfectly(fusion: Fusion) -> None:
    found = cross_views(embeddings(*aligned(0, 1, 2)), np.arange(3), fusion)
    assert list(found) == CROSS_VIEWS
    for measures in found.values():
        assert list(measures) == list(MEASURES)
        assert all(list(values.values()) == [1.0] * 3 for values in measures.values())


def test_swapped_photos_lower_every_score() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    found = reciprocal_ranks(cross_views(embeddings(photos, texts), np.arange(3), FIXED))
    # A text's own photos now tie with the third listing's, which stands behind it, or behind the other's.
    assert found["title->photos"] == found["description->photos"] == found["photo->title"] == [0.5, 0.5, 1.0]
    assert found["photo->primary-photo"] == [1.0, 1.0, 1.0], "photos still agree with photos"


def test_one_primary_photo_that_shows_another_good() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[2][0] = E[0]
    found = reciprocal_ranks(cross_views(embeddings(photos, texts), np.arange(3), FIXED))
    assert found["photo->primary-photo"] == [1.0, 1.0, pytest.approx(1 / 3)], "no first photo is like its second"
    assert found["title->photos"] == [1.0, 1.0, 1.0], "half of its photos still agree, and nobody else's do"


def test_listings_of_one_product_are_relevant_to_each_other() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    found = cross_views(embeddings(photos, texts), np.array([7, 7, 3]), FIXED)
    assert reciprocal_ranks(found)["title->photos"] == [1.0, 1.0, 1.0]
    assert list(found["title->photos"]["R@10"].values()) == [1.0, 1.0, 1.0]
    apart = cross_views(embeddings(photos, texts), np.arange(3), FIXED)
    assert reciprocal_ranks(apart)["title->photos"] == [0.5, 0.5, 1.0]


def test_marginals_weigh_the_photos_that_are_ranked() -> None:
    """Both listings show the other's good in their second photo."""
    photos = [[E[0], E[1]], [E[1], E[0]]]
    texts = [[("title", E[0])], [("title", E[1])]]

    def ranks(alpha: float) -> list[float]:
        found = cross_views(embeddings(photos, texts), np.arange(2), Fusion(Marginals("fixed", alpha=alpha)))
        return reciprocal_ranks(found)["title->photos"]

    assert ranks(0.8) == [1.0, 1.0]
    assert ranks(0.2) == [0.5, 0.5]


def test_the_text_that_asks_has_no_say_in_the_agreement() -> None:
    """Listing 0 has a size chart for its second photo. Its title would pick the first photo, were it asked; its
    description speaks of sizes and picks the chart. So the title, asking, finds listing 1 first.
    """
    title, chart = E[0], E[1]
    near = title * 0.6 + E[2] * 0.8
    photos = [[title, chart], [near, near]]
    texts = [[("title", title), ("description", chart)], [("title", E[2]), ("description", E[2])]]
    made = embeddings(photos, texts)
    fusion = Fusion(Marginals("agreement", epsilon=0.1))
    assert reciprocal_ranks(cross_views(made, np.arange(2), fusion))["title->photos"][0] == 0.5
    only_title = embeddings(photos, [[("title", title), ("description", title)], texts[1]])
    assert reciprocal_ranks(cross_views(only_title, np.arange(2), fusion))["title->photos"][0] == 1.0
    peeking = barycentres(made, fusion.marginals, "photo")[0]
    peeking /= np.linalg.norm(peeking, axis=1, keepdims=True)
    assert float(peeking[0] @ title) > float(peeking[1] @ title), "with the title in it, listing 0 would come first"


def test_a_title_alone_leaves_the_fixed_marginals() -> None:
    photos = [[E[0], E[1]], [E[1], E[0]]]
    made = embeddings(photos, [[("title", E[0])], [("title", E[1])]])
    agreement = cross_views(made, np.arange(2), Fusion(Marginals("agreement", alpha=0.2)))
    fixed = cross_views(made, np.arange(2), Fusion(Marginals("fixed", alpha=0.2)))
    assert agreement == fixed
    assert reciprocal_ranks(agreement)["title->photos"] == [0.5, 0.5]


def test_listings_without_photos_or_with_one_ask_and_answer_what_they_can() -> None:
    photos: list[list[Any]] = [[E[0]], [], [E[2], E[2]]]
    texts = [[("title", E[0])], [("title", E[1]), ("description", E[1])], [("title", E[2]), ("tags", E[2])]]
    found = reciprocal_ranks(cross_views(embeddings(photos, texts), np.arange(3), FIXED))
    assert found == {"title->photos": [1.0, 1.0], "photo->title": [1.0], "photo->primary-photo": [1.0]}
    one = cross_views(embeddings([[E[0]], [E[1]]], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED)
    assert list(one) == ["title->photos"]
    none = cross_views(embeddings([[], []], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED)
    assert none == {}
