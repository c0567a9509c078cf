"""Comparisons of methods: results, weight selection, methods by fusions, and what can be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from wares.core.errors import EvaluationError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing, Query
from wares.data.queries import read_queries
from wares.encoders.features import CatalogueFeatures, catalogue_features, embed_texts
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion
from wares.encoders.towers import Towers
from wares.evaluation.comparison.experiment import (
    CachedQueryEncoder,
    EncodedCatalogue,
    Experiment,
    JudgedQueries,
    cell_name,
    compare,
    systems_of,
)
from wares.evaluation.comparison.results import (
    FUSED_PROTOCOLS,
    QUERY_PROTOCOL,
    ComparisonResult,
)
from wares.evaluation.comparison.validation import FUSIONS, Validation
from wares.evaluation.measures import DEFAULT_MEASURES, POOLED_MEASURES, measure, read_qrels
from wares.evaluation.systems import BASELINES, RUN_DEPTH
from wares.samples.marketplace import write_marketplace
from wares.shop.searching import run_queries
from wares.training.pretraining import pretrain
from wares.training.records import TrainingRecord
from wares.training.settings import METHODS, PretrainSettings
from wares.training.weight_selection import Candidate, WeightSelection

VALIDATED = Validation("factorized", 0, 1, "own", {}, 10, 10, 0.0)
CROSS_VIEWS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo"]


def settings(*methods: str, epochs: int = 1, batch_size: int = 64) -> list[PretrainSettings]:
    return [
        PretrainSettings(method=method, epochs=epochs, batch_size=batch_size) for method in METHODS if method in methods
    ]


class Market:
    """Half of a small sample marketplace, with features of the small towers."""

    def __init__(self, folder: Path) -> None:
        write_marketplace(folder / "market", 40)
        catalogue = read_catalogue(folder / "market").subset(range(20))
        self.corpus = EncodedCatalogue(
            catalogue, catalogue_features(catalogue, build_towers("small"), folder / "cache")
        )
        queries = read_queries(folder / "market" / "queries.jsonl")
        self.judged = JudgedQueries(queries, read_qrels(folder / "market" / "qrels.txt"))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def one_timed_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a single epoch, except in the test of the timing."""
    monkeypatch.setattr("wares.evaluation.comparison.experiment.TIMED_EPOCHS", 1)


# Whole comparisons -----------------------------------------------------------------------------------------------


def test_results_of_all_methods_have_the_documented_shape(market: Market) -> None:
    result = compare(market.corpus, "small", settings(*METHODS), 1, market.judged, select=False)
    comparison = result.comparison
    results = comparison.results()
    json.dumps(results, allow_nan=False)
    rows = [*METHODS, *(f"{method} + bm25" for method in METHODS), *BASELINES]
    assert list(results["methods"]) == rows
    assert list(comparison.systems) == list(systems_of(dict.fromkeys(METHODS, ()), judged=True))
    for name, row in results["methods"].items():
        protocols = [key for key in row if key != "seconds"]
        assert protocols == [*(CROSS_VIEWS if name in METHODS else []), QUERY_PROTOCOL]
        assert all(list(row[protocol]) == list(DEFAULT_MEASURES) for protocol in protocols)
        assert all(value["std"] == 0 for value in row[QUERY_PROTOCOL].values()), "one seed has no deviation"
        assert (row["seconds"] == 0) == (comparison.systems[name].method is None) == (name in BASELINES)
    for protocol in comparison.protocols:
        cells = comparison.cells(protocol)
        assert list(cells) == (list(METHODS) if protocol in FUSED_PROTOCOLS else [])
        assert all(list(row) == list(FUSIONS) for row in cells.values())
    assert result.selected_weights == []


@pytest.fixture(scope="module")
def two_seeds(market: Market) -> ComparisonResult:
    return compare(market.corpus, "small", settings("factorized", "single-view"), 2, market.judged)


def test_means_and_deviations_are_over_seeds(two_seeds: ComparisonResult) -> None:
    comparison = two_seeds.comparison
    results = comparison.results()
    assert results["seeds"] == len(comparison.seed_values) == 2
    for name, protocol in [("factorized", QUERY_PROTOCOL), ("single-view", "title->photos"), ("bm25", QUERY_PROTOCOL)]:
        means = [np.mean(list(table[name][protocol]["AP"].values())) for table in comparison.seed_values]
        spread = results["methods"][name][protocol]["AP"]
        assert spread["std"] == pytest.approx(np.std(means, ddof=1))
        if protocol == QUERY_PROTOCOL:
            assert spread["mean"] == pytest.approx(np.mean(means)), "all seeds measure the same queries"
    assert results["methods"]["factorized"]["title->photos"]["AP"]["std"] > 0
    assert results["methods"]["bm25"][QUERY_PROTOCOL]["AP"]["std"] == 0


def test_weights_are_selected_for_each_seed_without_held_out_listings(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The selection reads the listings that are not held out."""
    chosen, trained = [], []

    def choice(features: CatalogueFeatures, towers: str, given: PretrainSettings) -> WeightSelection:
        chosen.append((given.method, given.seed, features.text_views.items))
        marginals = replace(given.fusion.marginals, alpha=0.75)
        tried = (Candidate(0.75, 0.5, 0.25, {}, 0.0, 0.0, True),)
        return WeightSelection(replace(given, fusion=replace(given.fusion, marginals=marginals)), tried, 10, 10, 1.5)

    def recorded(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        trained.append((given.method, given.seed, features.text_views.items, given.fusion.marginals.alpha))
        return pretrain(features, towers, given)

    monkeypatch.setattr("wares.evaluation.comparison.experiment.select_weights", choice)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", recorded)
    result = compare(market.corpus, "small", settings("single-view", "factorized", "all-pairs"), 2, market.judged)
    assert [(method, seed) for method, seed, _ in chosen] == [("factorized", 0), ("factorized", 1)]
    after_costs = trained[6:]  # one warm-up epoch and one timed epoch of each method
    with_transport = [each for each in after_costs if each[0] != "single-view"]
    assert {alpha for *_, alpha in with_transport} == {0.75}, "in both trainings"
    assert {(seed, tuple(t)) for _, seed, t in chosen} == {
        (seed, tuple(t))
        for _, seed, t, _ in with_transport
        if len(set(t)) < len(market.corpus.features.text_views.items)
    }, "the selection does not read held-out listings"
    assert {alpha for method, *_, alpha in after_costs if method == "single-view"} == {1.0}
    assert [(each.method, each.seed) for each in result.selected_weights] == [("factorized", 0), ("factorized", 1)]
    assert result.selected_weights[0].weights == {"alpha": 0.75, "beta": 0.5, "gamma": 0.5, "intra_modal": 0.25}
    assert result.selected_weights[0].seconds == 1.5


def test_milliseconds_are_the_median_of_alternating_epochs(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which random-view takes four times as long as factorized, with two spikes."""
    spent: list[str] = []

    def timed(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        record = pretrain(features, towers, given)
        spent.append(given.method)
        spike = 100.0 if len(spent) in (3, 6) else 1.0
        record.seconds = spike * record.listings * {"factorized": 0.001, "random-view": 0.004}[given.method]
        return record

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", timed)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.TIMED_EPOCHS", 3)
    experiment = Experiment(market.corpus, "small", None, False, None)
    costs = experiment.measure_costs(settings("factorized", "random-view", epochs=12, batch_size=16))
    assert spent == ["factorized", "random-view"] * 4
    assert {name: cost.milliseconds for name, cost in costs.items()} == {"factorized": 1.0, "random-view": 4.0}


def test_each_training_is_as_long_as_its_validation_selects(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int]] = []

    def selected(
        features: CatalogueFeatures, views: CatalogueFeatures, towers: str, given: PretrainSettings
    ) -> Validation:
        all_listings = len(views.duplicate_labels) == len(market.corpus.catalogue)
        epochs = {"factorized": 2, "single-view": 4}[given.method] + all_listings
        return Validation(given.method, given.seed, epochs, "uniform", {}, 10, 10, 0.5)

    def recorded(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        trained.append((given.method, given.epochs))
        return pretrain(features, towers, given)

    monkeypatch.setattr("wares.evaluation.comparison.experiment.validate", selected)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", recorded)
    result = compare(
        market.corpus, "small", settings("factorized", "single-view", epochs=9), 1, market.judged, select=False
    )
    expected = [("factorized", 2), ("factorized", 3), ("single-view", 4), ("single-view", 5)]
    assert trained[4:] == expected, "the first four are timed"
    assert [each.epochs for each in result.validations_of("single-view", "cross-view")] == [4]
    assert [each.epochs for each in result.validations_of("single-view", "queries")] == [5]
    assert result.comparison.systems["single-view"].seconds > 1, "the seconds of both validations are included"
    [table] = result.comparison.seed_values
    for protocol in FUSED_PROTOCOLS:
        assert table["single-view"][protocol] == table[cell_name("single-view", "uniform")][protocol]
        assert table["single-view"][protocol] != table[cell_name("single-view", "primary")][protocol]


def test_costs_of_methods(market: Market) -> None:
    result = Experiment(market.corpus, "small", None, False, None).measure_costs(settings(*METHODS))
    features = market.corpus.features
    photos, texts = features.photo_views.counts, features.text_views.counts
    assert (result["single-view"].photos, result["single-view"].texts, result["single-view"].indexed) == (1, 1, 2)
    assert (result["random-view"].photos, result["random-view"].texts) == (1, 1)
    assert result["factorized"].photos == pytest.approx(np.minimum(photos, 2).mean())
    assert result["all-pairs"].photos == pytest.approx(photos.mean())
    assert result["all-pairs"].indexed == pytest.approx((photos + texts).mean())
    assert all(cost.milliseconds > 0 for cost in result.values())


def test_joint_text_trains_on_one_text_and_one_photo(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[CatalogueFeatures] = []

    def recorded(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        trained.append(features)
        return pretrain(features, towers, given)

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", recorded)
    result = compare(market.corpus, "small", settings("joint-text"), 1, market.judged)
    assert len(trained) == 4
    for features in trained:
        assert set(features.text_views.counts) == {1} and max(features.photo_views.counts) == 1
    first = market.corpus.catalogue.listings[0]
    assert first.title in trained[0].text_views.items[0] and first.description in trained[0].text_views.items[0]
    assert trained[0].duplicate_labels is market.corpus.features.duplicate_labels, (
        "duplicates are those of the original catalogue"
    )
    assert result.costs["joint-text"].indexed == 2
    assert result.selected_weights == [], "joint-text has no weights to select"
    assert result.comparison.protocols == [*CROSS_VIEWS, QUERY_PROTOCOL]
    [table] = result.comparison.seed_values
    own, primary = (table[cell_name("joint-text", fusion)] for fusion in ("own", "primary"))
    assert own["title->photos"] == primary["title->photos"], "both have the first photo"
    assert own[QUERY_PROTOCOL] != primary[QUERY_PROTOCOL], "its own fusion indexes the joined text"


def test_candidate_counts(two_seeds: ComparisonResult) -> None:
    comparison = two_seeds.comparison
    assert comparison.candidate_counts == {**dict.fromkeys(CROSS_VIEWS, 6), QUERY_PROTOCOL: 20}
    assert comparison.measures("title->photos") == ["nDCG@10", "AP", "RR"]


def test_every_method_is_measured_with_every_fusion(two_seeds: ComparisonResult) -> None:
    [table, _] = two_seeds.comparison.seed_values
    single, factorized = ({f: table[cell_name(m, f)] for f in FUSIONS} for m in ("single-view", "factorized"))
    for cells in (single, factorized):
        assert all(list(row) == ["title->photos", "description->photos", QUERY_PROTOCOL] for row in cells.values())
        assert cells["primary"][QUERY_PROTOCOL] != cells["uniform"][QUERY_PROTOCOL]
    assert single["own"] == single["primary"] != single["agreement"]


def test_values_are_those_of_a_shop(market: Market) -> None:
    """Cells are measured without a shop, but as its searches rank."""
    experiment = Experiment(market.corpus, "small", market.judged, False, None)
    towers, given = build_towers("small"), PretrainSettings()
    values = experiment._measure_queries(towers, given, market.judged)["agreement"][QUERY_PROTOCOL]
    with experiment._shop(market.corpus, towers, Fusion()) as shop:
        run = run_queries(shop, market.judged.queries, RUN_DEPTH, "fused")
    assert values == measure(run, market.judged.qrels)


def test_pooled_judgments_add_measures_of_queries(market: Market) -> None:
    """The market's judgments name relevant listings alone; one listing judged irrelevant makes them pooled."""
    first = next(iter(market.judged.qrels))
    other = next(
        listing.id for listing in market.corpus.catalogue.listings if listing.id not in market.judged.qrels[first]
    )
    qrels = market.judged.qrels | {first: market.judged.qrels[first] | {other: 0}}
    judged = JudgedQueries(market.judged.queries, qrels)
    row = compare(market.corpus, "small", settings("factorized"), 1, judged, False).comparison.results()["methods"]
    assert list(row["factorized"][QUERY_PROTOCOL]) == [*DEFAULT_MEASURES, *POOLED_MEASURES]
    assert list(row["factorized"]["title->photos"]) == list(DEFAULT_MEASURES)
    assert 0 < row["bm25"][QUERY_PROTOCOL]["Judged@10"]["mean"] < 1


def test_cached_query_encoder_equals_the_towers(market: Market) -> None:
    texts = [query.text for query in market.judged.queries[:3]]
    towers = build_towers("small")
    encoder = CachedQueryEncoder(towers, dict(zip(texts, towers.text.features(texts), strict=True)))
    np.testing.assert_allclose(encoder.encode_texts(texts), embed_texts(texts, towers), atol=1e-6)
    assert encoder.identity == towers.identity


def test_held_out_listings_depend_on_the_seed_only(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    select = CatalogueFeatures.select

    def recorded(self: CatalogueFeatures, listings: npt.NDArray[np.int64]) -> CatalogueFeatures:
        seen.append(listings.tolist())
        return select(self, listings)

    monkeypatch.setattr(CatalogueFeatures, "select", recorded)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.validate", lambda *_: VALIDATED)
    compare(market.corpus, "small", settings("factorized", "all-pairs"), seeds=2, select=False)
    held_out = seen[2::3]
    for training, held in zip(seen[1::3], held_out, strict=True):
        assert sorted([*training, *held]) == list(range(20)) and len(held) == 6
    assert held_out[0] == held_out[1] != held_out[2] == held_out[3]


# What can and cannot be compared ---------------------------------------------------------------------------------


def without_photos(market: Market) -> EncodedCatalogue:
    """The marketplace without photos."""
    listings = tuple(replace(listing, images=()) for listing in market.corpus.catalogue.listings)
    features = market.corpus.features
    none = np.zeros(len(features.photos), dtype=np.bool_)
    bare = replace(features, photos=features.photos[none], photo_views=features.photo_views.filter(none))
    return EncodedCatalogue(replace(market.corpus.catalogue, listings=listings), bare)


def test_without_photos_only_the_query_protocol_is_measured(market: Market) -> None:
    result = compare(without_photos(market), "small", settings("factorized"), 1, market.judged)
    rows = result.comparison.results()["methods"]
    assert all(row.keys() == {QUERY_PROTOCOL, "seconds"} for row in rows.values())
    assert rows["factorized"]["seconds"] > 0


def test_without_queries_only_cross_view_protocols_are_measured(market: Market) -> None:
    result = compare(market.corpus, "small", settings("factorized"), 1).comparison
    [row] = result.results()["methods"].values()
    assert row.keys() == {*CROSS_VIEWS, "seconds"}
    assert result.protocols == CROSS_VIEWS


def test_without_photos_and_queries_is_an_error(market: Market) -> None:
    with pytest.raises(EvaluationError, match="neither photos nor judged queries"):
        compare(without_photos(market), "small", settings("factorized"), 1)


def test_eight_groups_are_too_few(market: Market) -> None:
    indices = np.arange(9)
    few = EncodedCatalogue(market.corpus.catalogue.subset(indices), market.corpus.features.select(indices))
    with pytest.raises(EvaluationError, match="9 listings form 8 groups"):
        compare(few, "small", settings("factorized"), 1)


def test_means_are_over_the_seeds_that_have_the_protocol(tmp_path: Path) -> None:
    """One listing in twelve has a second photo, and only some seeds hold it out."""
    listings = []
    for i in range(12):
        images = (f"{i}.png", "again.png") if i == 0 else (f"{i}.png",)
        listings.append(Listing(f"l{i}", f"thing {i}", images=images))
        for name in images:
            Image.new("RGB", (16, 16), (20 * i, 255 - 20 * i, 90)).save(tmp_path / name)
    catalogue = Catalogue(tmp_path, tuple(listings))
    corpus = EncodedCatalogue(catalogue, catalogue_features(catalogue, build_towers("small"), tmp_path / "cache"))
    result = compare(corpus, "small", settings("factorized"), 8, select=False).comparison
    has_protocol = ["photo->title" in table["factorized"] for table in result.seed_values]
    assert 0 < sum(has_protocol) < 8, "else the test is void"
    row = result.results()["methods"]["factorized"]
    values = [
        value
        for table in result.seed_values
        for value in table["factorized"].get("photo->title", {"RR": {}})["RR"].values()
    ]
    assert row["photo->title"]["RR"]["mean"] == pytest.approx(np.mean(values)), "always of the one listing"
    assert "description->photos" not in row
    assert result.interval("factorized", "photo->title", "RR").low <= row["photo->title"]["RR"]["mean"]


def test_judgments_do_not_change_training(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[list[float]] = []

    def recorded(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        record = pretrain(features, towers, given)
        losses.append(record.losses)
        return record

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", recorded)
    chosen = []
    for qrels in (market.judged.qrels, {query: {"w0001": 2} for query in market.judged.qrels}):
        judged = JudgedQueries([Query(query.id, query.text) for query in market.judged.queries], qrels)
        result = compare(market.corpus, "small", settings("factorized"), 1, judged)
        chosen.append([replace(choice, seconds=0.0) for choice in result.selected_weights])
    half = len(losses) // 2
    assert losses[half - 2 : half] == losses[-2:], "the trainings after the cost measurement"
    assert chosen[0] == chosen[1] and len(chosen[0]) == 1
