"""Pretraining: one contract for every method, seeds, budgets, and the fitted space."""

from __future__ import annotations

import json
import math
import random
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from vector_catalogues import (
    CATALOGUES,
    PHOTO_WIDTH,
    SHORT,
    TEXT_WIDTH,
    equal,
    goods,
    toy_towers,
    train_weights,
    weights,
)

from wares.core.errors import SettingsError
from wares.data.duplicates import duplicate_mask
from wares.encoders import marginals
from wares.encoders.features import CatalogueFeatures, embed_features
from wares.encoders.fusion import barycentres
from wares.encoders.marginals import ViewBatch
from wares.encoders.registry import build_towers
from wares.encoders.settings import MARGINAL_KINDS, Fusion, Marginals
from wares.encoders.towers import Towers
from wares.training import losses
from wares.training.pretraining import batch_loss, pretrain
from wares.training.settings import METHODS, MULTI_VIEW_METHODS, Method, PretrainSettings

# Every method ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CATALOGUES)
def test_every_method_copes_with_every_catalogue(method: Method, name: str) -> None:
    towers, _, _ = toy_towers()
    before = weights(towers)
    record = pretrain(CATALOGUES[name], towers, replace(SHORT, method=method))
    assert len(record.losses) == SHORT.epochs
    assert all(math.isfinite(loss) and loss >= 0 for loss in record.losses)
    after = weights(towers)
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    assert not equal(before, after)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls_and_both_towers_learn(method: Method) -> None:
    towers, _, _ = toy_towers()
    before = weights(towers)
    record = pretrain(CATALOGUES["many views"], towers, replace(SHORT, method=method, epochs=40))
    assert np.mean(record.losses[-4:]) < 0.7 * record.losses[0]
    for name, parameter in towers.named_parameters():
        moved = float((parameter.detach() - before[name]).abs().max())
        assert moved > 1e-3 if parameter.requires_grad else moved == 0, name


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_towers_from_scratch(method: Method) -> None:
    """The small towers, whose features are pixels and token ids rather than vectors."""
    towers = build_towers("small")
    noise = np.random.default_rng(0)
    pixels = noise.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    texts = towers.text.features(["red mug", "for tea", "blue mug", "lamp", "for a desk", "wool scarf"])
    photo_views, text_views = goods([2, 0, 1, 3], [2, 1, 2, 1]).photo_views, goods([1] * 4, [2, 1, 2, 1]).text_views
    features = CatalogueFeatures(photo_views, pixels, text_views, texts, CATALOGUES["many views"].duplicate_labels[:4])
    record = pretrain(features, towers, replace(SHORT, method=method, epochs=2))
    assert all(map(math.isfinite, record.losses))
    assert towers.identity != build_towers("small").identity


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_a_run_bit_for_bit(method: Method) -> None:
    features, settings = CATALOGUES["many views"], replace(SHORT, method=method)
    runs = []
    for ambient in (1, 2):  # the caller's own randomness has no part in it
        torch.manual_seed(ambient)
        random.seed(ambient)
        np.random.seed(ambient)
        runs.append(train_weights(features, settings))
    assert equal(*runs)
    assert not equal(runs[0], train_weights(features, replace(settings, seed=1)))


# What a step costs, and what settings do -------------------------------------------------------------------------


def rows_per_step(method: Method, photos: int) -> tuple[set[int], set[int]]:
    towers, image, text = toy_towers()
    pretrain(goods([photos] * 16, [3] * 16), towers, replace(SHORT, method=method))
    return set(image.rows), set(text.rows)


def test_factorized_encodes_two_views_per_listing_and_modality_however_many_there_are() -> None:
    for photos in (2, 4, 16):
        assert rows_per_step("factorized", photos) == ({16}, {16})
        assert rows_per_step("single-view", photos) == rows_per_step("random-view", photos) == ({8}, {8})
        assert rows_per_step("joint-text", photos) == ({8}, {8})
        for method in ("all-pairs", "full-transport", "low-rank-transport", "mean-views"):
            assert rows_per_step(method, photos) == ({8 * photos}, {8 * 3})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", MARGINAL_KINDS)
def test_every_trained_parameter_gets_a_gradient(method: Method, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What distributed training needs: no parameter waits for a gradient that never comes."""
    try:
        settings = replace(SHORT, method=method, fusion=Fusion(Marginals(kind)), epochs=1)
    except SettingsError:
        return
    towers, _, _ = toy_towers()

    class Watched(torch.optim.AdamW):
        def step(self, *arguments: Any, **named: Any) -> Any:
            for name, parameter in towers.named_parameters():
                assert (parameter.grad is not None) == parameter.requires_grad, name
            return super().step(*arguments, **named)

    monkeypatch.setattr("torch.optim.AdamW", Watched)
    pretrain(CATALOGUES["some without anything"], towers, settings)
    assert towers.photo_attention.requires_grad == (kind == "learned")


def test_every_epoch_draws_anew_until_every_auxiliary_view_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    features = goods([4] * 16, [1] * 16)
    towers, image, _ = toy_towers()
    seen: list[Tensor] = []
    forward = image.forward

    def watched(rows: Tensor) -> Tensor:
        seen.append(rows)
        return forward(rows)

    monkeypatch.setattr(image, "forward", watched)
    pretrain(features, towers, replace(SHORT, batch_size=16, epochs=60, photo_dropout=0.0))
    assert [len(rows) for rows in seen] == [32] * 60
    assert len(torch.unique(torch.cat(seen), dim=0)) == len(features.photos) == 64


BASE = PretrainSettings(epochs=3, batch_size=8, learning_rate=0.02, fusion=Fusion(Marginals("fixed")))


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "barycentric"},
        {"intra_modal": 0.0},
        {"intra_modal": 1.0},
        {"batch_size": 4},
        {"epochs": 4},
        {"learning_rate": 0.01},
        {"weight_decay": 0.5},
        {"fusion": Fusion(Marginals("agreement"))},
        {"fusion": Fusion(Marginals("learned"))},
        {"fusion": Fusion(Marginals("fixed", alpha=0.9))},
        {"fusion": Fusion(Marginals("fixed", beta=0.9))},
        *[{"method": method} for method in METHODS if method != "factorized"],
    ],
    ids=str,
)
def test_every_setting_has_an_effect(changed: dict[str, Any]) -> None:
    features = CATALOGUES["many views"]
    assert not equal(train_weights(features, BASE), train_weights(features, replace(BASE, **changed)))


def test_epsilon_has_an_effect_in_training() -> None:
    runs = [
        train_weights(CATALOGUES["many views"], replace(BASE, fusion=Fusion(Marginals("agreement", epsilon=epsilon))))
        for epsilon in (0.1, 1.0)
    ]
    assert not equal(*runs)


def test_auxiliary_views_of_no_weight_are_single_view() -> None:
    """With all weight on the primary views and nothing between views of one modality, the methods meet."""
    sure = replace(BASE, fusion=Fusion(Marginals("fixed", alpha=1.0, beta=1.0)), intra_modal=0.0, epochs=1)
    single = goods([3] * 16, [2] * 16)
    runs = [
        train_weights(single, replace(sure, method=method, batch_size=16)) for method in ("all-pairs", "single-view")
    ]
    for name in runs[0]:
        torch.testing.assert_close(runs[0][name], runs[1][name], atol=1e-5, rtol=1e-4)


def test_towers_take_the_fusion_they_were_trained_with() -> None:
    towers, _, _ = toy_towers()
    fusion = Fusion(Marginals("fixed", alpha=0.8), gamma=0.9)
    pretrain(CATALOGUES["many views"], towers, replace(SHORT, fusion=fusion))
    assert towers.fusion == fusion


def test_the_learning_rate_falls_along_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Watched(torch.optim.AdamW):
        def step(self, *arguments: Any, **named: Any) -> Any:
            seen.append(self.param_groups[0]["lr"])
            return super().step(*arguments, **named)

    monkeypatch.setattr("torch.optim.AdamW", Watched)
    pretrain(CATALOGUES["many views"], toy_towers()[0], replace(SHORT, epochs=5))
    expected = [0.02 * math.cos(math.pi / 2 * step / 10) ** 2 for step in range(10)]
    assert seen == pytest.approx(expected)


def test_duplicates_are_no_negatives() -> None:
    same = duplicate_mask(torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2]]))
    assert same.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    plain, masked = (
        pretrain(CATALOGUES[name], toy_towers()[0], replace(SHORT, epochs=1)).losses[0]
        for name in ("many views", "duplicates")
    )
    assert masked < plain - 0.05
    only = pretrain(CATALOGUES["nothing but duplicates"], toy_towers()[0], replace(SHORT, epochs=1))
    assert only.losses == pytest.approx([0.0], abs=1e-5)


# Budget ----------------------------------------------------------------------------------------------------------


class Clock:
    """A clock on which every look takes a second: a training step, looked at twice, lasts one."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_a_budget_in_seconds_ends_the_run_and_the_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.training.pretraining.time", SimpleNamespace(monotonic=Clock().monotonic))
    record = pretrain(CATALOGUES["many views"], toy_towers()[0], replace(SHORT, epochs=1, seconds=7.0))
    assert (record.steps, record.seconds) == (7, 7.0)
    assert len(record.losses) == 4  # of two steps each, the last cut short
    assert all(loss > 0 for loss in record.losses)


def test_a_real_budget_is_kept() -> None:
    began = time.monotonic()
    record = pretrain(CATALOGUES["many views"], toy_towers()[0], replace(SHORT, epochs=10**9, seconds=0.2))
    assert time.monotonic() - began < 20
    assert record.seconds >= 0.2
    assert record.steps > 1


# Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_one_listing_has_nothing_to_be_told_from(method: Method) -> None:
    with pytest.raises(SettingsError, match=r"one listing.*untrained"):
        pretrain(goods([2], [2]), toy_towers()[0], replace(SHORT, method=method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("photos", "texts"), [([0] * 8, [1] * 8), ([1] * 8, [0] * 8), ([1, 0, 1], [1, 1, 0])])
def test_without_pairs_there_is_nothing_to_align(method: Method, photos: list[int], texts: list[int]) -> None:
    with pytest.raises(SettingsError, match=r"nothing to align. Add photos.*wares index --towers offline"):
        pretrain(goods(photos, texts), toy_towers()[0], replace(SHORT, method=method))


@pytest.mark.parametrize("method", ["single-view", "random-view"])
def test_texts_alone_need_views_to_compare(method: Method) -> None:
    with pytest.raises(SettingsError, match="Add photos"):
        pretrain(goods([0] * 8, [3] * 8), toy_towers()[0], replace(SHORT, method=method))
    with pytest.raises(SettingsError, match="Add photos"):
        pretrain(goods([0] * 8, [3] * 8), toy_towers()[0], replace(SHORT, intra_modal=0.0))


@pytest.mark.parametrize("method", ["factorized", "all-pairs"])
def test_texts_alone_learn_from_each_other(method: Method) -> None:
    """A catalogue without a single photo: its features are an empty table."""
    towers, _, _ = toy_towers()
    before = weights(towers)
    record = pretrain(goods([0] * 16, [3] * 16), towers, replace(SHORT, method=method, epochs=20))
    assert record.losses[-1] < 0.8 * record.losses[0]
    assert not torch.equal(before["text.head.linear.weight"], weights(towers)["text.head.linear.weight"])


def test_mean_views_trains_on_plain_means() -> None:
    """Its loss is the barycentric one of the means over all views, whatever alpha, beta and the marginals are."""
    settings = replace(SHORT, method="mean-views", batch_size=16, epochs=1, photo_dropout=0.0)
    plain, other = (
        pretrain(CATALOGUES["some without anything"], toy_towers()[0], replace(settings, fusion=Fusion(marginals)))
        for marginals in (Marginals("fixed", 0.5, 0.5), Marginals("agreement", 0.9, 0.1))
    )
    assert plain.losses == other.losses
    towers, _, _ = toy_towers()
    embeddings = embed_features(CATALOGUES["some without anything"], towers)
    means = [barycentres(embeddings, Marginals("fixed"), side)[0] for side in ("photo", "text")]
    both = torch.from_numpy((np.abs(means[0]).sum(1) > 0) & (np.abs(means[1]).sum(1) > 0)).float()
    scores = torch.from_numpy(means[0] @ means[1].T)
    expected = losses.info_nce(scores, towers.scale.detach(), torch.eye(16, dtype=torch.bool), both)
    assert plain.losses == pytest.approx([float(expected)], abs=1e-4)


# Learned marginals -----------------------------------------------------------------------------------------------

LEARNED = PretrainSettings(epochs=60, batch_size=32, learning_rate=0.02, fusion=Fusion(Marginals("learned")))


def with_charts(listings: int) -> CatalogueFeatures:
    """Four photos a listing, of which the last is a size chart, and charts look much the same; two texts."""
    features = goods([4] * listings, [2] * listings)
    photos = np.array(features.photos)
    noise = np.random.default_rng(1)
    photos[3::4] = 3.0 * noise.normal(size=PHOTO_WIDTH) + 0.5 * noise.normal(size=(listings, PHOTO_WIDTH))
    return replace(features, photos=photos.astype(np.float32))


@pytest.mark.parametrize("method", MULTI_VIEW_METHODS)
@pytest.mark.parametrize("loss", ["pairwise", "barycentric"])
def test_learned_marginals_play_down_size_charts(method: Method, loss: Any) -> None:
    towers, _, _ = toy_towers()
    features = with_charts(64)
    pretrain(features, towers, replace(LEARNED, method=method, loss=loss))
    weights = barycentres(embed_features(features, towers), towers.fusion.marginals, "photo")[1].reshape(-1, 4)
    assert weights.sum(1) == pytest.approx(np.ones(64), abs=1e-5)
    assert weights[:, 3].mean() < 0.5 * (0.5 / 3)


def test_learned_marginals_begin_as_fixed() -> None:
    features = CATALOGUES["some without anything"]
    embeddings = embed_features(features, toy_towers()[0])
    for side in ("photo", "text"):
        for begun, fixed in zip(
            barycentres(embeddings, Marginals("learned"), side),
            barycentres(embeddings, Marginals("fixed"), side),
            strict=True,
        ):
            np.testing.assert_allclose(begun, fixed, atol=1e-6)


def test_learned_marginals_leave_the_towers_to_the_loss() -> None:
    """The direction gets no gradient from it, and the towers none from the direction's."""
    noise = torch.Generator().manual_seed(0)
    sides = [torch.nn.functional.normalize(torch.randn(6, 2, 5, generator=noise), dim=2).requires_grad_() for _ in "ft"]
    photos, texts = (ViewBatch(vectors, torch.full((6, 2), 0.5)) for vectors in sides)
    tilt = torch.full((5,), 0.1, requires_grad=True)
    same, scale = torch.eye(6, dtype=torch.bool), torch.tensor(5.0, requires_grad=True)
    losses.marginal_loss(marginals.learned_marginals(photos, tilt), texts, scale, same).backward()
    assert tilt.grad is not None and tilt.grad.any()
    assert all(each.grad is None for each in (*sides, scale))
    alone, tilt.grad = tilt.grad, None
    batch_loss(photos, texts, same, scale, replace(SHORT, fusion=LEARNED.fusion), tilt).backward()
    torch.testing.assert_close(tilt.grad, alone)
    assert all(each.grad is not None and each.grad.any() for each in (*sides, scale))


# What is learned -------------------------------------------------------------------------------------------------

COLOURS = 6


def coloured(listings: int, seed: int) -> tuple[CatalogueFeatures, npt.NDArray[np.int64]]:
    """Only the second photo shows a listing's colour, and only its description tells it; and those colours.

    The first photo and the title are about what kind of thing it is.
    """
    noise = np.random.default_rng(seed)
    kinds, colours = noise.integers(0, PHOTO_WIDTH - COLOURS, listings), noise.integers(0, COLOURS, listings)
    clean = np.zeros((listings, 2, PHOTO_WIDTH))
    clean[np.arange(listings), 0, COLOURS + kinds] = 1.0
    clean[np.arange(listings), 1, colours] = 1.0
    wording = np.linalg.qr(np.random.default_rng(0).normal(size=(TEXT_WIDTH, TEXT_WIDTH)))[0][:PHOTO_WIDTH]
    two = goods([2] * listings, [2] * listings)
    photos, texts = (
        (views + 0.05 * noise.normal(size=views.shape)).reshape(2 * listings, -1).astype(np.float32)
        for views in (clean, clean @ wording)
    )
    return replace(two, photos=photos, texts=texts), colours


def precision_of_descriptions(towers: Towers, features: CatalogueFeatures, colours: npt.NDArray[np.int64]) -> float:
    """Share of a description's best five listings, by their photos alone, that have its colour."""
    embeddings = embed_features(features, towers)
    photos, _ = barycentres(embeddings, Marginals("fixed"), "photo")
    best = np.argsort(-(embeddings.texts[1::2] @ photos.T), axis=1)[:, :5]
    return float((colours[best] == colours[:, None]).mean())


def test_factorized_learns_what_only_auxiliary_views_show() -> None:
    """On listings that training has not seen; one colour in six is right by chance."""
    features, _ = coloured(96, seed=1)
    held_out, colours = coloured(96, seed=2)
    settings = PretrainSettings(epochs=40, batch_size=32, learning_rate=0.02, fusion=Fusion(Marginals("fixed")))
    found: dict[str, float] = {}
    for method in ("factorized", "single-view"):
        towers, _, _ = toy_towers()
        pretrain(features, towers, replace(settings, method=method))
        found[method] = precision_of_descriptions(towers, held_out, colours)
    assert found["factorized"] > 0.9
    assert found["single-view"] < 0.5


def test_towers_are_aligned_once_photos_and_texts_taught_them(tmp_path: Path) -> None:
    towers, texts_only = toy_towers()[0], toy_towers()[0]
    before, aligned_before = towers.identity, towers.aligned
    pretrain(CATALOGUES["many views"], towers, replace(SHORT, epochs=1), out=tmp_path)
    assert (aligned_before, towers.aligned) == (False, True)
    assert json.loads((tmp_path / "towers.json").read_text())["aligned"] is True
    assert towers.identity != before
    pretrain(goods([0] * 16, [3] * 16), texts_only, replace(SHORT, epochs=1))
    assert not texts_only.aligned, "no photo, nothing learned about photos"
