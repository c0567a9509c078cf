"""Selecting weights: toy catalogues with a known answer, edge cases, fixed weights, and the arithmetic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from wares.core.errors import SettingsError
from wares.data.views import Views
from wares.encoders.base import ImageTower, Inputs, LinearHead, TextTower
from wares.encoders.features import CatalogueFeatures, Vectors
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import TEMPERATURE, Towers
from wares.training.early_stopping import EarlyStopping
from wares.training.held_out import (
    LOG_PROBABILITY,
    TITLE_TO_PHOTOS,
    average_precision_by_score,
    log_probability,
    score_held_out,
)
from wares.training.pretraining import pretrain
from wares.training.records import TrainingRecord, add_selections
from wares.training.settings import PretrainSettings, method_fusion
from wares.training.weight_selection import (
    ENOUGH_HELD_OUT,
    MAX_LISTINGS,
    Candidate,
    WeightSelection,
    assess_candidates,
    candidate_settings,
    preference_key,
    select_weights,
    selectable_weights,
    split_folds,
)

WIDTH, DIMENSION = 12, 8
SETTINGS = PretrainSettings(epochs=12, batch_size=32, learning_rate=0.02, photo_dropout=0.0)
Auxiliary = Literal["own", "foreign"]


class Head(nn.Module):
    """What both towers share: a linear head over vectors that are there already."""

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(WIDTH, DIMENSION)

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def trainable_backbone(self) -> nn.Module | None:
        return None

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


class PhotoTower(Head, ImageTower):
    key, size, fit = "vectors", 1, "pad"


class WordTower(Head, TextTower):
    key = "vectors"

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        raise NotImplementedError


def build(name: str, seed: int = 0) -> Towers:
    assert name == "toy"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Towers(name, PhotoTower(), WordTower(), DIMENSION)


@pytest.fixture(autouse=True)
def toy_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.training.weight_selection.build_towers", build)


def catalogue(
    listings: int = 120,
    photos: int = 3,
    texts: int = 3,
    photo: Auxiliary = "own",
    text: Auxiliary = "own",
) -> CatalogueFeatures:
    """Views are the listing's own direction, seen through their modality, and noise; foreign ones another listing's."""
    random = np.random.default_rng(0)
    items = random.normal(size=(listings, 6))
    tables: list[tuple[Views, Vectors]] = []
    for count, auxiliary in ((photos, photo), (texts, text)):
        shown = np.repeat(np.arange(listings)[:, None], count, axis=1)
        if auxiliary == "foreign":
            shown[:, 1:] = random.integers(listings, size=shown[:, 1:].shape)
        rows = items[shown.ravel()] @ random.normal(size=(6, WIDTH))
        rows += 0.6 * random.normal(size=rows.shape)
        names = [f"view {place}" for _ in range(listings) for place in range(count)]
        tables.append((Views(names, names, np.arange(listings + 1) * count), rows.astype(np.float32)))
    return CatalogueFeatures(*tables[0], *tables[1], torch.arange(listings)[:, None].expand(-1, 2))


# By eye ----------------------------------------------------------------------------------------------------------


def test_auxiliary_views_that_help_are_kept() -> None:
    choice = select_weights(catalogue(), "toy", SETTINGS)
    assert choice.settings == SETTINGS
    alone, given = choice.candidates[:2]
    assert given.mean > alone.mean
    assert given.harmless


def test_photos_of_other_goods_weigh_less() -> None:
    choice = select_weights(catalogue(photo="foreign"), "toy", SETTINGS)
    assert choice.settings.fusion.marginals.alpha > SETTINGS.fusion.marginals.alpha
    assert not choice.candidates[1].harmless


def test_texts_of_other_goods_are_left_out() -> None:
    choice = select_weights(catalogue(text="foreign"), "toy", SETTINGS)
    assert choice.settings.fusion.marginals.beta == 1.0
    assert choice.settings.fusion.marginals.alpha == 0.5


def test_nothing_but_foreign_views_falls_back_to_single_view() -> None:
    choice = select_weights(catalogue(photo="foreign", text="foreign"), "toy", SETTINGS)
    assert selectable_weights(choice.settings) == {"alpha": 1.0, "beta": 1.0, "intra_modal": 0.0}
    assert [each.harmless for each in choice.candidates] == [True, False, False, False, False]


# The contract ----------------------------------------------------------------------------------------------------


def test_the_seed_decides_and_nothing_else_changes() -> None:
    features = catalogue(40)
    given = replace(SETTINGS, seed=3, seconds=60.0, fusion=Fusion(Marginals("fixed"), gamma=0.3))
    torch.manual_seed(1)
    one = select_weights(features, "toy", given)
    torch.manual_seed(2)
    other = select_weights(features, "toy", given)
    assert replace(one, seconds=0.0) == replace(other, seconds=0.0)
    assert one.candidates != select_weights(features, "toy", replace(given, seed=4)).candidates
    marginals = replace(given.fusion.marginals, alpha=one.settings.fusion.marginals.alpha)
    marginals = replace(marginals, beta=one.settings.fusion.marginals.beta)
    kept = replace(one.settings, intra_modal=given.intra_modal)
    assert kept == replace(given, fusion=Fusion(marginals, gamma=0.3))


def test_what_is_fixed_stays() -> None:
    bad = catalogue(photo="foreign", text="foreign")
    given = replace(SETTINGS, fusion=Fusion(Marginals(alpha=0.6, beta=0.4)))
    choice = select_weights(bad, "toy", given, ("alpha", "intra_modal"))
    assert choice.settings.fusion.marginals.alpha == 0.6
    assert choice.settings.intra_modal == SETTINGS.intra_modal
    left = [each for each in choice.candidates if each.alpha == 0.6]
    assert choice.settings.fusion.marginals.beta == max(left, key=lambda each: each.log_prob_difference).beta
    assert not any(each.harmless for each in left)
    assert choice.candidates[0].alpha == 1.0  # single view is still what all is compared with


@pytest.mark.parametrize(
    ("features", "settings", "fixed"),
    [
        (catalogue(photos=1, texts=1), SETTINGS, ()),
        (catalogue(7), SETTINGS, ()),
        (catalogue(photos=0), SETTINGS, ()),
        (catalogue(), SETTINGS, ("alpha", "beta", "intra_modal")),
        (catalogue(), replace(SETTINGS, method="single-view", fusion=method_fusion("single-view", Fusion())), ()),
    ],
    ids=["single views", "seven listings", "no photos", "all fixed", "single-view"],
)
def test_where_there_is_nothing_to_choose(features: CatalogueFeatures, settings: PretrainSettings, fixed: Any) -> None:
    choice = select_weights(features, "toy", settings, fixed)
    assert (choice.settings, choice.candidates, choice.listings) == (settings, (), 0)


@pytest.mark.parametrize(("photos", "texts"), [(1, 3), (3, 1), (3, 3)])
@pytest.mark.parametrize("listings", [10, 33])
def test_every_small_catalogue_has_an_answer(listings: int, photos: int, texts: int) -> None:
    features = catalogue(listings, photos, texts)
    choice = select_weights(features, "toy", replace(SETTINGS, epochs=2))
    assert choice.listings == listings
    assert choice.settings in candidate_settings(replace(SETTINGS, epochs=2))
    protocols = {TITLE_TO_PHOTOS} | ({"text->photos"} if texts > 1 else set())
    protocols |= {"photo->title", "photo->primary-photo"} if photos > 1 else set()
    assert all(set(each.scores) == protocols for each in choice.candidates)


def test_listings_without_photos_or_texts_are_dealt_evenly() -> None:
    features = catalogue(40)
    photos = features.photo_views
    kept = photos.owners >= 30  # ten listings with photos
    features = replace(features, photo_views=photos.filter(kept), photos=features.photos[kept])
    assert select_weights(features, "toy", replace(SETTINGS, epochs=2)).candidates


@pytest.mark.parametrize("method", ["factorized", "random-view", "all-pairs", "full-transport"])
def test_other_methods_are_given_weights_too(method: Any) -> None:
    choice = select_weights(catalogue(12, photo="foreign"), "toy", replace(SETTINGS, method=method, epochs=1))
    assert choice.settings.method == method
    assert len(choice.candidates) == 5


def test_single_view_is_what_primary_views_alone_are() -> None:
    """The guard is against the method single-view itself, not against something like it."""
    features, weights = catalogue(40), []
    alone = candidate_settings(SETTINGS)[0]
    for settings in (alone, replace(alone, method="single-view")):
        towers = build("toy")
        pretrain(features, towers, settings)
        weights.append(towers.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = []

    class Bar:
        def __init__(self, items: object, label: str, total: int, unit: str) -> None:
            updates.append((label, total))

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self) -> None:
            updates.append(("trial", 1))

    monkeypatch.setattr("wares.training.weight_selection.progress", Bar)
    select_weights(catalogue(16), "toy", replace(SETTINGS, epochs=1))
    assert updates == [("selecting weights", 25), *[("trial", 1)] * 25]


def test_bad_settings_are_refused_as_ever() -> None:
    with pytest.raises(SettingsError, match="alpha"):
        select_weights(catalogue(16), "toy", replace(SETTINGS, fusion=Fusion(Marginals(alpha=1.5))))


# The arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listings", "count"), [(30, 5), (300, 5), (500, 3), (1000, 2), (MAX_LISTINGS, 1), (MAX_LISTINGS + 500, 1)]
)
def test_folds_hold_out_a_fifth_until_enough_were_held_out(listings: int, count: int) -> None:
    both = np.arange(listings) % 3 > 0
    parts = list(split_folds(np.arange(listings)[:, None].repeat(2, axis=1), both, seed=1))
    assert len(parts) == count
    held_out = np.concatenate([rest for _, rest in parts])
    assert len(set(held_out.tolist())) == len(held_out) >= min(listings, ENOUGH_HELD_OUT)
    for training, rest in parts:
        assert len({*training.tolist(), *rest.tolist()}) == len(training) + len(rest) == min(listings, MAX_LISTINGS)
        assert len(rest) == min(listings, MAX_LISTINGS) / 5
        assert both[rest].mean() == pytest.approx(both[[*training, *rest]].mean(), abs=0.1)


def test_folds_never_split_a_group_of_duplicates() -> None:
    products = np.arange(90) // 3  # thirty products of three listings each
    labels = np.stack([products, np.arange(90)], axis=1)
    parts = list(split_folds(labels, np.ones(90, dtype=np.bool_), seed=1))
    assert sorted(np.concatenate([rest for _, rest in parts]).tolist()) == list(range(90))
    for training, rest in parts:
        assert not {*products[training]} & {*products[rest]}
        assert len(rest) == 18


def test_a_catalogue_of_few_groups_has_nothing_to_select() -> None:
    """Sixteen listings of two products: holding out one product would measure nothing but the other."""
    features = catalogue(16)
    labels = torch.stack([torch.arange(16) % 2, torch.arange(16)], dim=1)
    assert select_weights(replace(features, duplicate_labels=labels), "toy", SETTINGS).candidates == ()


def test_average_precision_and_probability_by_eye() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]], dtype=np.float32)
    truth = np.array([[True, False, True], [False, True, False]])
    assert average_precision_by_score(scores, truth) == pytest.approx([(1 + 2 / 3) / 2, 1 / 2])
    odds = np.exp([3.0, 2.0, 1.0])
    assert log_probability(scores, truth) == pytest.approx(np.log([(odds[0] + odds[2]) / odds.sum(), 1 / 3]))


def test_a_listing_that_finds_itself_scores_one() -> None:
    """Identity heads and views that are all alike within a listing: every protocol is solved."""
    features = catalogue(6)
    rows = np.eye(6, WIDTH, dtype=np.float32)[features.photo_views.owners]
    image, text = PhotoTower(), WordTower()
    for tower in (image, text):
        nn.init.eye_(tower.head.linear.weight)
    towers = Towers("toy", image, text, DIMENSION)
    features = replace(features, photos=rows, texts=rows)
    values = score_held_out(features, towers)
    certain = values.pop(LOG_PROBABILITY)
    assert all(value == pytest.approx(np.ones(6)) for value in values.values())
    assert certain == pytest.approx(np.full(6, -np.log1p(5 * np.exp(-1 / TEMPERATURE))), abs=1e-6)


def test_harm_is_asked_of_ranks_and_of_probabilities() -> None:
    zero, ones = np.zeros(4), np.ones(4)
    tried = [PretrainSettings()] * 6
    found = [
        {TITLE_TO_PHOTOS: zero, LOG_PROBABILITY: zero, "photo->title": np.array([1.0, np.nan, 0.0, np.nan])},
        {TITLE_TO_PHOTOS: zero, LOG_PROBABILITY: ones},
        {TITLE_TO_PHOTOS: -0.1 * ones, LOG_PROBABILITY: ones},
        {TITLE_TO_PHOTOS: ones, LOG_PROBABILITY: np.array([-1.0, 1.0, -1.0, 1.0])},
        {TITLE_TO_PHOTOS: ones, LOG_PROBABILITY: np.array([-1.0, 1.0, -1.0, 0.5])},
        {TITLE_TO_PHOTOS: np.array([-1.0, 1.0, -1.0, 0.5]), LOG_PROBABILITY: ones},
    ]
    table = assess_candidates(tried, found)
    assert [each.harmless for each in table] == [True, True, False, True, False, True]
    assert table[0].scores == {TITLE_TO_PHOTOS: 0.0, "photo->title": 0.5}
    assert table[0].mean == 0.25
    assert (table[3].difference, table[3].error, table[3].log_prob_error) == (1.0, 0.0, 0.5)


def test_preference() -> None:
    good, better = (Candidate(0.5, 0.5, 0.0, {TITLE_TO_PHOTOS: score}, 0.0, 0.0, True) for score in (0.1, 0.2))
    worse = Candidate(0.5, 0.5, 0.0, {TITLE_TO_PHOTOS: 0.9}, -0.1, 0.0, False, -2.0)
    worst = Candidate(0.5, 0.5, 0.0, {TITLE_TO_PHOTOS: 0.9}, -0.2, 0.0, False, -3.0)
    assert sorted([better, worst, good, worse], key=preference_key) == [worst, worse, good, better]


def test_a_choice_prints_and_is_noted_beside_the_model(tmp_path: Path) -> None:
    tried = tuple(Candidate(w, 0.5, 0.25, {TITLE_TO_PHOTOS: 0.4}, 0.01, 0.02, w < 1, 0.1, 0.2) for w in (1.0, 0.5))
    choice = WeightSelection(SETTINGS, tried, 120, 90, 1.5)
    console = Console(record=True, width=120)
    choice.render(console)
    text = console.export_text()
    assert "120 held-out" in text
    assert "+0.010 ± 0.020" in text
    towers = build_towers("small")
    record = TrainingRecord({"method": "factorized"}, 150, 300, 450, 0, 0, {"wares": "0.1.0"}, losses=[2.0, 1.0])
    stopping = EarlyStopping(30, {15: -2.0, 30: -1.5}, 118, 110, 2.5)
    written = add_selections(tmp_path, towers, record, [choice, stopping])
    noted = json.loads((tmp_path / "pretrain.json").read_text())
    assert noted == json.loads(json.dumps(written))
    assert noted["losses"] == [2.0, 1.0]
    assert noted["choice"] == json.loads(json.dumps(choice.to_json()))
    assert noted["early_stopping"]["epochs"] == 30
    card = (tmp_path / "README.md").read_text()
    assert "- alpha 0.5, beta 0.5, intra_modal 0.25 selected without labels, of 2 candidates, on 120" in card
    assert "- 30 epochs selected without labels, on 118 held-out listings (110 groups); log probability" in card
    assert noted["choice"]["chosen"] == {"alpha": 0.5, "beta": 0.5, "intra_modal": 0.25}
    WeightSelection(SETTINGS, (), 0, 0, 0.0).render(console)
    assert console.export_text() == ""
