"""Validation of a method without labels: what is tried, on which listings, and what is selected."""

from __future__ import annotations

import numpy as np
import pytest
from vector_catalogues import goods, toy_towers

from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.evaluation.comparison.validation import (
    FUSIONS,
    fusions_of_method,
    select_best,
    validate,
)
from wares.training import early_stopping
from wares.training.settings import METHODS, PretrainSettings

FEATURES = goods([2, 1, 3, 2] * 15, [1, 2, 2, 3] * 15, duplicates=[i // 2 for i in range(60)])
SETTINGS = PretrainSettings(epochs=8, batch_size=32, learning_rate=0.02)


@pytest.fixture(autouse=True)
def towers_of_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, seed: int) -> Towers:
        return toy_towers(seed)[0]

    monkeypatch.setattr(early_stopping, "build_towers", build)


def test_the_highest_log_probability_is_selected() -> None:
    assert select_best({5: {"own": -2.0, "uniform": -1.0}, 10: {"own": -1.5, "uniform": -3.0}}) == (5, "uniform")
    assert select_best({5: {"own": -1.0, "uniform": -1.0}, 10: {"own": -1.0, "uniform": -1.0}}) == (5, "own")


def test_fusions_of_methods() -> None:
    given = Fusion(Marginals("agreement", alpha=0.75), gamma=0.4)
    for method in METHODS:
        fusions = fusions_of_method(method, given)
        assert tuple(fusions) == FUSIONS and {fusion.gamma for fusion in fusions.values()} == {0.4}
        assert fusions["agreement"].marginals == Marginals() and fusions["uniform"] != fusions["primary"]
    assert fusions_of_method("factorized", given)["own"] == given
    single = fusions_of_method("single-view", given)
    assert single["own"] == single["primary"]
    mean = fusions_of_method("mean-views", given)
    assert mean["own"] == mean["uniform"]


def test_every_number_of_epochs_and_fusion_is_validated() -> None:
    found = validate(FEATURES, FEATURES, "toy", SETTINGS)
    assert list(found.log_probs) == [1, 2, 4, 8]
    assert all(list(row) == list(FUSIONS) for row in found.log_probs.values())
    assert (found.epochs, found.fusion) == select_best(found.log_probs)
    assert found.epochs > 1, "one epoch learns almost nothing"
    assert found.log_probs[8]["own"] > found.log_probs[1]["own"]
    assert (found.method, found.seed, found.listings, found.groups) == ("factorized", 0, 60, 30)
    assert found.log_probs == validate(FEATURES, FEATURES, "toy", SETTINGS).log_probs


def test_too_few_groups_leave_the_ceiling_and_the_own_fusion() -> None:
    few = goods([2] * 18, [2] * 18, duplicates=[i // 2 for i in range(18)])
    found = validate(few, few, "toy", SETTINGS)
    assert (found.epochs, found.fusion, found.log_probs, found.listings) == (8, "own", {}, 0)


def test_primary_views_win_if_the_others_show_other_goods() -> None:
    """Listings have two photos; the second is that of the next listing."""
    clean = goods([2] * 60, [1] * 60)
    photos = clean.photos.copy()
    photos[1::2] = np.roll(photos[0::2], 1, axis=0)
    spoilt = type(clean)(clean.photo_views, photos, clean.text_views, clean.texts, clean.duplicate_labels)
    single = PretrainSettings(method="single-view", epochs=16, batch_size=32, learning_rate=0.02)
    for features, better, worse in ((clean, "uniform", "primary"), (spoilt, "primary", "uniform")):
        row = validate(features, features, "toy", single).log_probs[16]
        assert row[better] > row[worse]
