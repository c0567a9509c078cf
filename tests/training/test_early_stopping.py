"""Early stopping: what is tried, on which listings, and what is selected."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from vector_catalogues import goods, toy_towers

from wares.data.duplicates import duplicate_groups
from wares.encoders.features import CatalogueFeatures
from wares.encoders.towers import Towers
from wares.training import early_stopping
from wares.training.early_stopping import (
    MIN_VALIDATION,
    EarlyStopping,
    epoch_candidates,
    select_epochs,
    validation_folds,
)
from wares.training.settings import PretrainSettings
from wares.training.weight_selection import MAX_LISTINGS

FEATURES = goods([2, 1, 3, 2] * 15, [1, 2, 2, 3] * 15, duplicates=[i // 2 for i in range(60)])
SETTINGS = PretrainSettings(epochs=8, batch_size=32, learning_rate=0.02)


@pytest.fixture(autouse=True)
def towers_of_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, seed: int) -> Towers:
        return toy_towers(seed)[0]

    monkeypatch.setattr(early_stopping, "build_towers", build)


def test_candidates_are_parts_of_the_maximum() -> None:
    assert [epoch_candidates(maximum) for maximum in (60, 4, 1)] == [[8, 15, 30, 60], [1, 2, 4], [1]]


def test_folds_hold_out_whole_groups_of_training_listings() -> None:
    groups = duplicate_groups(FEATURES.duplicate_labels)
    folds = list(validation_folds(FEATURES, seed=3))
    assert len(folds) == 5, "a small catalogue is validated on all of its listings"
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(60))
    for training, held_out in folds:
        assert sorted([*training, *held_out]) == list(range(60))
        assert not set(groups[training]) & set(groups[held_out])
    many = goods([1] * 600, [1] * 600)
    [(training, held_out)] = validation_folds(many, seed=3)
    assert len(held_out) == 120 >= MIN_VALIDATION and len(training) == 480


def test_the_number_of_epochs_with_the_highest_log_probability_is_selected() -> None:
    stopping = select_epochs(FEATURES, "toy", SETTINGS)
    assert list(stopping.log_probs) == [1, 2, 4, 8]
    assert stopping.log_probs[stopping.epochs] == max(stopping.log_probs.values())
    assert stopping.epochs > 1, "one epoch learns almost nothing"
    assert (stopping.listings, stopping.groups) == (60, 30)
    assert replace(stopping, seconds=0.0) == replace(select_epochs(FEATURES, "toy", SETTINGS), seconds=0.0)


def test_heads_that_learn_noise_by_heart_stop_early() -> None:
    """Photos of other listings: whatever the heads learn of them is wrong for the next ones."""
    features = goods([1] * 120, [1] * 120)
    foreign = replace(features, photos=features.photos[np.random.default_rng(0).permutation(120)])
    long = replace(SETTINGS, epochs=48, photo_dropout=0.0)
    assert select_epochs(foreign, "toy", long).epochs < select_epochs(features, "toy", long).epochs


@pytest.mark.parametrize(
    ("features", "settings"),
    [
        (FEATURES, replace(SETTINGS, seconds=1.0)),
        (FEATURES, replace(SETTINGS, epochs=1)),
        (goods([2] * 18, [2] * 18, duplicates=[i // 2 for i in range(18)]), SETTINGS),
        (goods([0] * 30, [2] * 30), SETTINGS),
        (goods([1] * (MAX_LISTINGS + 1), [1] * (MAX_LISTINGS + 1)), SETTINGS),
    ],
    ids=["limited time", "one epoch", "nine groups", "no photos", "too many listings"],
)
def test_where_there_is_nothing_to_select(features: CatalogueFeatures, settings: PretrainSettings) -> None:
    stopping = select_epochs(features, "toy", settings)
    assert (stopping.epochs, stopping.log_probs, stopping.listings) == (settings.epochs, {}, 0)
    assert not str(stopping)


def test_the_record_and_the_sentence() -> None:
    stopping = EarlyStopping(30, {15: -2.07, 30: -1.95, 60: -1.953}, 118, 110, 2.5)
    record = json.loads(json.dumps(stopping.to_json()))
    assert record["log_probs"] == {"15": -2.07, "30": -1.95, "60": -1.953}
    assert str(stopping) == (
        "30 epochs selected without labels, on 118 held-out listings (110 groups); "
        "log probability by epochs 15: -2.07, 30: -1.95, 60: -1.95"
    )
