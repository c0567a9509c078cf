"""Comparing methods: the shape, fair budgets, choices, and the cross-view protocols by eye on hand-made vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from wares.core.errors import EvaluationError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing, Query
from wares.data.queries import read_queries
from wares.data.views import Views
from wares.encoders.features import CatalogueFeatures, Embeddings, catalogue_features, embed_texts
from wares.encoders.fusion import barycentres
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.evaluation.comparison.experiment import (
    UNTRAINED_SYSTEMS,
    CachedQueryEncoder,
    EncodedCatalogue,
    JudgedQueries,
    compare,
    equal_wall_clock_epochs,
    system_names,
)
from wares.evaluation.comparison.protocols import measure_cross_view_protocols
from wares.evaluation.comparison.results import (
    QUERY_PROTOCOL,
    SINGLE_VIEW_ALL_FUSED,
    ComparisonResult,
    Cost,
    ProtocolValues,
)
from wares.evaluation.cross_view import GroupLabels
from wares.evaluation.measures import DEFAULT_MEASURES, read_qrels
from wares.samples.marketplace import write_marketplace
from wares.training.pretraining import pretrain
from wares.training.records import TrainingRecord
from wares.training.settings import METHODS, PretrainSettings
from wares.training.weight_selection import Candidate, WeightSelection

CROSS_VIEWS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo"]
FIXED = Fusion(Marginals("fixed"))


def settings(*methods: str, epochs: int = 1, batch_size: int = 64) -> list[PretrainSettings]:
    every = [PretrainSettings(method=method, epochs=epochs, batch_size=batch_size) for method in METHODS]
    return [each for each in every if each.method in methods]


class Market:
    """Half of a small sample marketplace, with the features of the small towers."""

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
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are measured once; how is another test's."""
    monkeypatch.setattr("wares.evaluation.comparison.experiment.TIMED_EPOCHS", 1)


# Whole comparisons -----------------------------------------------------------------------------------------------


def test_all_methods_in_the_promised_shape(market: Market) -> None:
    found = compare(market.corpus, "small", settings(*METHODS), 1, market.judged, select=False)
    assert list(found.budgets) == ["equal wall-clock", "equal epochs"]
    for comparison in found.budgets.values():
        results = comparison.results()
        json.dumps(results, allow_nan=False)
        assert list(results["methods"]) == list(comparison.epochs)
        assert set(results["methods"]) == set(system_names(METHODS, judged=True))
        trained = system_names(METHODS, judged=False)
        for name, row in results["methods"].items():
            assert [key for key in row if key != "seconds"] == [
                *(CROSS_VIEWS if name in trained else []),
                QUERY_PROTOCOL,
            ]
            assert all(list(row[protocol]) == list(DEFAULT_MEASURES) for protocol in row if protocol != "seconds")
            assert all(value["std"] == 0 for value in row[QUERY_PROTOCOL].values()), "one seed has no spread"
            assert (row["seconds"] == 0) == (comparison.epochs[name] == 0) == (name in UNTRAINED_SYSTEMS)
        assert results["methods"]["single-view"]["seconds"] == results["methods"][SINGLE_VIEW_ALL_FUSED]["seconds"]
    assert found.selected_weights == []


@pytest.fixture(scope="module")
def two_seeds(market: Market) -> ComparisonResult:
    return compare(market.corpus, "small", settings("factorized", "single-view"), 2, market.judged)


def test_means_and_spreads_are_over_seeds(two_seeds: ComparisonResult) -> None:
    comparison = two_seeds.budgets["equal epochs"]
    results = comparison.results()
    assert results["seeds"] == len(comparison.seed_values) == 2
    for name, protocol in [("factorized", QUERY_PROTOCOL), ("single-view", "title->photos"), ("bm25", QUERY_PROTOCOL)]:
        means = [np.mean(list(table[name][protocol]["AP"].values())) for table in comparison.seed_values]
        spread = results["methods"][name][protocol]["AP"]
        assert spread == pytest.approx({"mean": np.mean(means), "std": np.std(means, ddof=1)})
    assert results["methods"]["factorized"]["title->photos"]["AP"]["std"] > 0
    assert results["methods"]["bm25"][QUERY_PROTOCOL]["AP"]["std"] == 0


def test_settings_are_chosen_for_each_seed_on_what_is_trained_on(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever chooses gets the listings that are not held out, or all of them, and no more."""
    chosen, trained = [], []

    def choice(features: CatalogueFeatures, towers: str, given: PretrainSettings) -> WeightSelection:
        chosen.append((given.method, given.seed, features.text_views.items))
        marginals = replace(given.fusion.marginals, alpha=0.75)
        tried = (Candidate(0.75, 0.5, 0.25, {}, 0.0, 0.0, True),)
        return WeightSelection(replace(given, fusion=replace(given.fusion, marginals=marginals)), tried, 10, 1.5)

    def noted(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        trained.append((given.method, given.seed, features.text_views.items, given.fusion.marginals.alpha))
        return pretrain(features, towers, given)

    monkeypatch.setattr("wares.evaluation.comparison.experiment.select_weights", choice)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", noted)
    found = compare(market.corpus, "small", settings("single-view", "factorized", "all-pairs"), 2, market.judged)
    assert [(method, seed) for method, seed, _ in chosen] == [("factorized", 0), ("factorized", 1)]
    after_costs = trained[6:]
    with_transport = [each for each in after_costs if each[0] != "single-view"]
    assert {alpha for *_, alpha in with_transport} == {0.75}, "on a part and on the whole"
    assert {(seed, tuple(t)) for _, seed, t in chosen} == {
        (seed, tuple(t))
        for _, seed, t, _ in with_transport
        if len(set(t)) < len(market.corpus.features.text_views.items)
    }, "what is held out is not looked at"
    assert {alpha for method, *_, alpha in after_costs if method == "single-view"} == {1.0}
    assert [(each.method, each.seed) for each in found.selected_weights] == [("factorized", 0), ("factorized", 1)]
    assert found.selected_weights[0].weights == {"alpha": 0.75, "beta": 0.5, "gamma": 0.5, "intra_modal": 0.25}
    assert found.selected_weights[0].seconds == 1.5


def test_equal_clock_by_the_median_of_epochs_taken_in_turn(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which a listing costs random-view four times what it costs factorized, but for two spikes."""
    spent: list[str] = []

    def timed(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        record = pretrain(features, towers, given)
        spent.append(given.method)
        spike = 100.0 if len(spent) in (3, 6) else 1.0
        record.seconds = spike * record.listings * {"factorized": 0.001, "random-view": 0.004}[given.method]
        return record

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", timed)
    monkeypatch.setattr("wares.evaluation.comparison.experiment.TIMED_EPOCHS", 3)
    methods = settings("factorized", "random-view", epochs=12, batch_size=16)
    found = compare(market.corpus, "small", methods, 1, market.judged, select=False)
    assert spent[:4] == ["factorized", "random-view"] * 2
    assert {name: cost.milliseconds for name, cost in found.costs.items()} == {
        "factorized": 1.0,
        "random-view": 4.0,
    }
    assert found.budgets["equal wall-clock"].epochs["random-view"] == 3
    assert found.budgets["equal epochs"].epochs["random-view"] == 12
    assert {found.budgets[name].epochs["factorized"] for name in found.budgets} == {12}


def test_equal_clock_is_at_least_one_epoch() -> None:
    costs = {
        "factorized": Cost(2, 2, 1.0, 4),
        "all-pairs": Cost(9, 9, 100.0, 4),
        "single-view": Cost(1, 1, 0.4, 2),
    }
    methods = settings("factorized", "all-pairs", "single-view", epochs=5)
    assert equal_wall_clock_epochs(methods, costs) == {"factorized": 5, "all-pairs": 1, "single-view": 12}  # type: ignore[arg-type]


def test_one_run_serves_both_budgets_where_they_agree(two_seeds: ComparisonResult) -> None:
    clock, epochs = (two_seeds.budgets[name] for name in ("equal wall-clock", "equal epochs"))
    for one, other in zip(clock.seed_values, epochs.seed_values, strict=True):
        assert one["factorized"] is other["factorized"]
        assert one["bm25"] is other["bm25"]


def test_what_a_method_costs(market: Market) -> None:
    found = compare(market.corpus, "small", settings(*METHODS), 1, select=False).costs
    features = market.corpus.features
    photos, texts = features.photo_views.counts, features.text_views.counts
    assert (found["single-view"].photos, found["single-view"].texts, found["single-view"].indexed) == (1, 1, 2)
    assert (found["random-view"].photos, found["random-view"].texts) == (1, 1)
    assert found["factorized"].photos == pytest.approx(np.minimum(photos, 2).mean())
    assert found["all-pairs"].photos == pytest.approx(photos.mean())
    assert found["all-pairs"].indexed == pytest.approx((photos + texts).mean())
    assert all(cost.milliseconds > 0 for cost in found.values())


def test_joint_text_is_one_text_and_one_photo_and_is_asked_the_same(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[CatalogueFeatures] = []

    def noted(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        trained.append(features)
        return pretrain(features, towers, given)

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", noted)
    found = compare(market.corpus, "small", settings("joint-text"), 1, market.judged)
    for features in trained:
        assert set(features.text_views.counts) == {1} and max(features.photo_views.counts) == 1
    first = market.corpus.catalogue.listings[0]
    assert first.title in trained[0].text_views.items[0] and first.description in trained[0].text_views.items[0]
    assert trained[0].duplicate_labels is market.corpus.features.duplicate_labels, (
        "titles are gone, but not who shares one"
    )
    assert found.costs["joint-text"].indexed == 2
    assert found.selected_weights == [], "there is nothing to choose"
    for comparison in found.budgets.values():
        assert comparison.protocols == [*CROSS_VIEWS, QUERY_PROTOCOL]
        assert comparison.strongest_without_transport(QUERY_PROTOCOL, "R@10") is not None


def test_how_many_listings_are_ranked(two_seeds: ComparisonResult) -> None:
    comparison = two_seeds.budgets["equal epochs"]
    assert comparison.candidate_counts == {**dict.fromkeys(CROSS_VIEWS, 6), QUERY_PROTOCOL: 20}
    assert comparison.measures("title->photos") == ["nDCG@10", "AP", "RR"]


def test_single_view_fuses_its_primary_views_and_once_more_all_of_them(two_seeds: ComparisonResult) -> None:
    [table, _] = two_seeds.budgets["equal epochs"].seed_values
    for protocol in ("photo->title", "photo->primary-photo"):
        assert table["single-view"][protocol] == table[SINGLE_VIEW_ALL_FUSED][protocol], "no fusion has a part in these"
    assert table["single-view"]["title->photos"] != table[SINGLE_VIEW_ALL_FUSED]["title->photos"]
    assert table["single-view"][QUERY_PROTOCOL] != table[SINGLE_VIEW_ALL_FUSED][QUERY_PROTOCOL]


def test_queries_are_encoded_once_and_as_a_shop_would(market: Market) -> None:
    texts = [query.text for query in market.judged.queries[:3]]
    towers = build_towers("small")
    known = CachedQueryEncoder(towers, dict(zip(texts, towers.text.features(texts), strict=True)))
    np.testing.assert_allclose(known.encode_texts(texts), embed_texts(texts, towers), atol=1e-6)
    assert known.identity == towers.identity


def test_seeds_hold_out_different_listings_and_methods_the_same(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    select = CatalogueFeatures.select

    def noted(self: CatalogueFeatures, listings: npt.NDArray[np.int64]) -> CatalogueFeatures:
        seen.append(listings.tolist())
        return select(self, listings)

    monkeypatch.setattr(CatalogueFeatures, "select", noted)
    compare(market.corpus, "small", settings("factorized", "all-pairs"), seeds=2, select=False)
    trained, held_out = seen[::2], seen[1::2]
    for training, held in zip(trained, held_out, strict=True):
        assert sorted([*training, *held]) == list(range(20)) and len(held) == 6
    assert held_out[0] == held_out[1] != held_out[2] == held_out[3]


# What can and cannot be compared ---------------------------------------------------------------------------------


def textual(market: Market) -> EncodedCatalogue:
    """The marketplace without its photos."""
    listings = tuple(replace(listing, images=()) for listing in market.corpus.catalogue.listings)
    features = market.corpus.features
    none = np.zeros(len(features.photos), dtype=np.bool_)
    bare = replace(features, photos=features.photos[none], photo_views=features.photo_views.filter(none))
    return EncodedCatalogue(replace(market.corpus.catalogue, listings=listings), bare)


def test_without_photos_only_queries_are_measured(market: Market) -> None:
    found = compare(textual(market), "small", settings("factorized"), 1, market.judged)
    rows = found.budgets["equal epochs"].results()["methods"]
    assert all(row.keys() == {QUERY_PROTOCOL, "seconds"} for row in rows.values())
    assert rows["factorized"]["seconds"] > 0


def test_without_queries_only_views_are_measured(market: Market) -> None:
    found = compare(market.corpus, "small", settings("factorized"), 1).budgets["equal epochs"]
    [row] = found.results()["methods"].values()
    assert row.keys() == {*CROSS_VIEWS, "seconds"}
    assert found.protocols == CROSS_VIEWS


def test_without_either_there_is_nothing_to_compare(market: Market) -> None:
    with pytest.raises(EvaluationError, match="neither photos nor judged queries"):
        compare(textual(market), "small", settings("factorized"), 1)


def test_nine_listings_are_too_few(market: Market) -> None:
    places = np.arange(9)
    few = EncodedCatalogue(market.corpus.catalogue.subset(places), market.corpus.features.select(places))
    with pytest.raises(EvaluationError, match="9 listings are too few"):
        compare(few, "small", settings("factorized"), 1)


def test_a_protocol_that_only_some_seeds_have_is_averaged_over_those(tmp_path: Path) -> None:
    """One listing in twelve has a second photo: it is held out by some seeds only."""
    listings = []
    for i in range(12):
        images = (f"{i}.png", "again.png") if i == 0 else (f"{i}.png",)
        listings.append(Listing(f"l{i}", f"thing {i}", images=images))
        for name in images:
            Image.new("RGB", (16, 16), (20 * i, 255 - 20 * i, 90)).save(tmp_path / name)
    catalogue = Catalogue(tmp_path, tuple(listings))
    corpus = EncodedCatalogue(catalogue, catalogue_features(catalogue, build_towers("small"), tmp_path / "cache"))
    found = compare(corpus, "small", settings("factorized"), 8, select=False).budgets["equal epochs"]
    there = ["photo->title" in table["factorized"] for table in found.seed_values]
    assert 0 < sum(there) < 8, "otherwise this shows nothing"
    row = found.results()["methods"]["factorized"]
    values = [
        table["factorized"]["photo->title"]["RR"]
        for table in found.seed_values
        if "photo->title" in table["factorized"]
    ]
    assert row["photo->title"]["RR"]["mean"] == pytest.approx(np.mean([list(value.values()) for value in values]))
    assert "description->photos" not in row
    assert found.interval("factorized", "photo->title", "RR").low <= row["photo->title"]["RR"]["mean"]


def test_judgments_have_no_part_in_training(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[list[float]] = []

    def noted(features: CatalogueFeatures, towers: Towers, given: PretrainSettings) -> TrainingRecord:
        record = pretrain(features, towers, given)
        losses.append(record.losses)
        return record

    monkeypatch.setattr("wares.evaluation.comparison.experiment.pretrain", noted)
    chosen = []
    for qrels in (market.judged.qrels, {query: {"w0001": 2} for query in market.judged.qrels}):
        judged = JudgedQueries([Query(query.id, query.text) for query in market.judged.queries], qrels)
        found = compare(market.corpus, "small", settings("factorized"), 1, judged)
        chosen.append([replace(choice, seconds=0.0) for choice in found.selected_weights])
    half = len(losses) // 2
    assert losses[half - 2 : half] == losses[-2:], "the trainings after the costs were measured"
    assert chosen[0] == chosen[1] and len(chosen[0]) == 1


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


def crossed(made: Embeddings, groups: GroupLabels, fusion: Fusion) -> ProtocolValues:
    """The protocols of listings called after their numbers."""
    return measure_cross_view_protocols(
        made, groups, np.array([str(i) for i in range(len(groups))], dtype=np.object_), fusion
    )


def reciprocal_ranks(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, list[float]]:
    return {protocol: list(measures["RR"].values()) for protocol, measures in found.items()}


@pytest.mark.parametrize("fusion", [FIXED, Fusion()])
def test_orthogonal_listings_are_told_apart_perfectly(fusion: Fusion) -> None:
    found = crossed(embeddings(*aligned(0, 1, 2)), np.arange(3), fusion)
    assert list(found) == CROSS_VIEWS
    for measures in found.values():
        assert list(measures) == list(DEFAULT_MEASURES)
        assert all(list(values.values()) == [1.0] * 3 for values in measures.values())


def test_swapped_photos_lower_every_score() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    found = reciprocal_ranks(crossed(embeddings(photos, texts), np.arange(3), FIXED))
    # A text's own photos now tie with the third listing's, which stands behind it, or behind the other's.
    assert found["title->photos"] == found["description->photos"] == found["photo->title"] == [0.5, 0.5, 1.0]
    assert found["photo->primary-photo"] == [1.0, 1.0, 1.0], "photos still agree with photos"


def test_one_primary_photo_that_shows_another_good() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[2][0] = E[0]
    found = reciprocal_ranks(crossed(embeddings(photos, texts), np.arange(3), FIXED))
    assert found["photo->primary-photo"] == [1.0, 1.0, pytest.approx(1 / 3)], "no first photo is like its second"
    assert found["title->photos"] == [1.0, 1.0, 1.0], "half of its photos still agree, and nobody else's do"


def test_listings_of_one_product_are_relevant_to_each_other() -> None:
    photos, texts = aligned(0, 1, 2)
    photos[0], photos[1] = photos[1], photos[0]
    found = crossed(embeddings(photos, texts), np.array([7, 7, 3]), FIXED)
    assert reciprocal_ranks(found)["title->photos"] == [1.0, 1.0, 1.0]
    assert list(found["title->photos"]["R@10"].values()) == [1.0, 1.0, 1.0]
    apart = crossed(embeddings(photos, texts), np.arange(3), FIXED)
    assert reciprocal_ranks(apart)["title->photos"] == [0.5, 0.5, 1.0]


def test_marginals_weigh_the_photos_that_are_ranked() -> None:
    """Both listings show the other's good in their second photo."""
    photos = [[E[0], E[1]], [E[1], E[0]]]
    texts = [[("title", E[0])], [("title", E[1])]]

    def ranks(alpha: float) -> list[float]:
        found = crossed(embeddings(photos, texts), np.arange(2), Fusion(Marginals("fixed", alpha=alpha)))
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
    assert reciprocal_ranks(crossed(made, np.arange(2), fusion))["title->photos"][0] == 0.5
    only_title = embeddings(photos, [[("title", title), ("description", title)], texts[1]])
    assert reciprocal_ranks(crossed(only_title, np.arange(2), fusion))["title->photos"][0] == 1.0
    peeking = barycentres(made, fusion.marginals, "photo")[0]
    peeking /= np.linalg.norm(peeking, axis=1, keepdims=True)
    assert float(peeking[0] @ title) > float(peeking[1] @ title), "with the title in it, listing 0 would come first"


def test_a_title_alone_leaves_the_fixed_marginals() -> None:
    photos = [[E[0], E[1]], [E[1], E[0]]]
    made = embeddings(photos, [[("title", E[0])], [("title", E[1])]])
    agreement = crossed(made, np.arange(2), Fusion(Marginals("agreement", alpha=0.2)))
    fixed = crossed(made, np.arange(2), Fusion(Marginals("fixed", alpha=0.2)))
    assert agreement == fixed
    assert reciprocal_ranks(agreement)["title->photos"] == [0.5, 0.5]


def test_listings_without_photos_or_with_one_ask_and_answer_what_they_can() -> None:
    photos: list[list[Any]] = [[E[0]], [], [E[2], E[2]]]
    texts = [[("title", E[0])], [("title", E[1]), ("description", E[1])], [("title", E[2]), ("tags", E[2])]]
    found = reciprocal_ranks(crossed(embeddings(photos, texts), np.arange(3), FIXED))
    assert found == {"title->photos": [1.0, 1.0], "photo->title": [1.0], "photo->primary-photo": [1.0]}
    one = crossed(embeddings([[E[0]], [E[1]]], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED)
    assert list(one) == ["title->photos"]
    none = crossed(embeddings([[], []], [[("title", E[0])], [("title", E[1])]]), np.arange(2), FIXED)
    assert none == {}


def test_a_listing_counts_once_however_many_photos_ask() -> None:
    """Listing 0 has one further photo, which finds its title; listing 1 has three, of which one does."""
    photos = [[E[0], E[0]], [E[1], E[1], E[0], E[0]]]
    texts = [[("title", E[0])], [("title", E[1])]]
    ids = np.array(["a", "b"], dtype=np.object_)
    found = measure_cross_view_protocols(embeddings(photos, texts), np.arange(2), ids, FIXED)["photo->title"]
    assert found["RR"] == {"a": 1.0, "b": pytest.approx((1 + 0.5 + 0.5) / 3)}
