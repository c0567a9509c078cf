"""Pretraining: one contract for every method, seeds, a kill and its resumption, budgets, and what is learned."""

from __future__ import annotations

import json
import math
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from processes import environment
from safetensors.torch import load_file
from torch import Tensor

from wares.core.errors import ModelError, SettingsError
from wares.data.duplicates import duplicate_mask
from wares.data.views import Views
from wares.encoders import marginals
from wares.encoders.base import ImageTower, Inputs, LinearHead, TextTower
from wares.encoders.features import CatalogueFeatures, Vectors, embed_features
from wares.encoders.fusion import barycentres
from wares.encoders.marginals import ViewBatch, all_views
from wares.encoders.registry import build_towers
from wares.encoders.settings import MARGINAL_KINDS, Fusion, Marginals
from wares.encoders.towers import Towers
from wares.training import losses
from wares.training.pretraining import batch_loss, pretrain
from wares.training.records import TrainingRecord
from wares.training.settings import METHODS, MULTI_VIEW_METHODS, Method, PretrainSettings, method_fusion

PHOTO_WIDTH, TEXT_WIDTH, DIMENSION = 10, 12, 8
SHORT = PretrainSettings(epochs=4, batch_size=8, learning_rate=0.02)


# A catalogue of vectors: seconds become milliseconds -------------------------------------------------------------


class PhotoTower(ImageTower):
    """A linear head over vectors; counts the rows of every forward pass."""

    key, size, fit = "vectors", 1, "pad"

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(PHOTO_WIDTH, DIMENSION)
        self.rows: list[int] = []

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def trainable_backbone(self) -> None:
        return None

    def forward(self, features: Tensor) -> Tensor:
        self.rows.append(len(features))
        vectors: Tensor = self.head(features)
        return vectors


class WordTower(TextTower):
    """The same for texts."""

    key = "vectors"

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(TEXT_WIDTH, DIMENSION)
        self.rows: list[int] = []

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def trainable_backbone(self) -> None:
        return None

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        self.rows.append(len(features))
        vectors: Tensor = self.head(features)
        return vectors


def toy_towers(seed: int = 0) -> tuple[Towers, PhotoTower, WordTower]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        image, text = PhotoTower(), WordTower()
    return Towers("toy", image, text, DIMENSION), image, text


def goods(photos: Sequence[int], texts: Sequence[int], duplicates: Sequence[int] = ()) -> CatalogueFeatures:
    """Listings with so many views; each view is the listing's own direction, seen through its modality, and noise.

    duplicates: products of the listings; all different where not given
    """
    noise = np.random.default_rng(0)
    items = noise.normal(size=(len(photos), 6))
    tables: list[tuple[Views, Vectors]] = []
    for counts, width in ((photos, PHOTO_WIDTH), (texts, TEXT_WIDTH)):
        names = [f"{listing}-{view}" for listing, count in enumerate(counts) for view in range(count)]
        views = np.repeat(items, counts, axis=0) @ noise.normal(size=(6, width))
        rows = (views + 0.3 * noise.normal(size=views.shape)).astype(np.float32)
        rows = rows if names else np.zeros((0, 1), dtype=np.float32)
        tables.append((Views(names, names, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)), rows))
    places = np.arange(len(photos))
    labels = torch.from_numpy(np.stack([np.asarray(duplicates or places), places], axis=1).astype(np.int64))
    return CatalogueFeatures(*tables[0], *tables[1], labels)


RICH = [1, 2, 3, 4] * 4, [3, 1, 2, 2] * 4
CATALOGUES = {
    "many views": goods(*RICH),
    "one view each": goods([1] * 16, [1] * 16),
    "some without photos": goods([0, 1, 3, 0] * 4, [1, 2, 1, 3] * 4),
    "some without texts": goods([1, 2, 3, 1] * 4, [0, 1, 2, 1] * 4),
    "some without anything": goods([0, 1, 2, 2] * 4, [0, 2, 1, 3] * 4),
    "duplicates": goods(*RICH, duplicates=[0, 0, 0, 1, 2, 3, 4, 5] * 2),
    "nothing but duplicates": goods(*RICH, duplicates=[7] * 16),
    "two listings": goods([2, 1], [1, 2]),
}


def weights(towers: Towers) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in towers.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def trained(features: CatalogueFeatures, settings: PretrainSettings, seed: int = 0) -> dict[str, Tensor]:
    towers, _, _ = toy_towers(seed)
    pretrain(features, towers, settings)
    return weights(towers)


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
        runs.append(trained(features, settings))
    assert equal(*runs)
    assert not equal(runs[0], trained(features, replace(settings, seed=1)))


@pytest.mark.parametrize("method", METHODS)
def test_the_record_is_complete(method: Method, tmp_path: Path) -> None:
    towers, _, _ = toy_towers()
    settings = replace(SHORT, method=method, fusion=Fusion(Marginals("fixed", 0.7, 0.6), gamma=0.4))
    features = replace(CATALOGUES["many views"], truncated_texts=3)
    record = pretrain(features, towers, settings, out=tmp_path / "deep" / "model")
    written = json.loads((tmp_path / "deep" / "model" / "pretrain.json").read_text())
    assert written == asdict(record)
    assert written["settings"] == asdict(settings)
    assert (written["listings"], written["photos"], written["texts"], written["truncated_texts"]) == (16, 40, 32, 3)
    assert written["steps"] == SHORT.epochs * 2
    assert written["seconds"] > 0
    assert set(written["versions"]) == {"python", "wares", "torch", "numpy"}
    assert sorted(path.name for path in (tmp_path / "deep" / "model").iterdir()) == [
        "README.md",
        "modules.json",
        "pretrain.json",
        "towers.json",
        "towers.safetensors",
    ]
    assert json.loads((tmp_path / "deep" / "model" / "towers.json").read_text())["identity"] == towers.identity


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
    pretrain(features, towers, replace(SHORT, batch_size=16, epochs=60))
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
    assert not equal(trained(features, BASE), trained(features, replace(BASE, **changed)))


def test_epsilon_has_an_effect_in_training() -> None:
    runs = [
        trained(CATALOGUES["many views"], replace(BASE, fusion=Fusion(Marginals("agreement", epsilon=epsilon))))
        for epsilon in (0.1, 1.0)
    ]
    assert not equal(*runs)


def test_auxiliary_views_of_no_weight_are_single_view() -> None:
    """With all weight on the primary views and nothing between views of one modality, the methods meet."""
    sure = replace(BASE, fusion=Fusion(Marginals("fixed", alpha=1.0, beta=1.0)), intra_modal=0.0, epochs=1)
    single = goods([3] * 16, [2] * 16)
    runs = [trained(single, replace(sure, method=method, batch_size=16)) for method in ("all-pairs", "single-view")]
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "magic"},
        {"loss": "hinge"},
        {"batch_size": 1},
        {"epochs": 0},
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"intra_modal": -0.1},
        {"weight_decay": -1.0},
        {"method": "single-view", "fusion": Fusion(Marginals("learned"))},
        {"method": "full-transport", "fusion": Fusion(Marginals("learned"))},
        {"method": "factorized", "fusion": Fusion(Marginals("uniform"))},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="marginals" if "fusion" in wrong else next(iter(wrong))):
        PretrainSettings(**wrong)


def test_methods_that_know_no_marginals_are_fused_as_they_see() -> None:
    asked = Fusion(Marginals("agreement", alpha=0.3), gamma=0.4)
    for method in METHODS:
        marginals = method_fusion(method, asked).marginals
        counts = torch.tensor([4])
        weights = all_views(counts, marginals.primary_weight("photo")).weights[0].tolist()
        match method:
            case "single-view" | "joint-text":
                assert weights == [1.0, 0.0, 0.0, 0.0]
            case "mean-views":
                assert weights == [0.25] * 4
            case _:
                assert marginals == asked.marginals
        assert method_fusion(method, asked).gamma == 0.4


def test_mean_views_trains_on_plain_means() -> None:
    """Its loss is the barycentric one of the means over all views, whatever alpha, beta and the marginals are."""
    settings = replace(SHORT, method="mean-views", batch_size=16, epochs=1)
    plain, other = (
        pretrain(CATALOGUES["some without anything"], toy_towers()[0], replace(settings, fusion=Fusion(marginals)))
        for marginals in (Marginals("fixed", 0.5, 0.5), Marginals("agreement", 0.9, 0.1))
    )
    assert plain.losses == other.losses
    towers, _, _ = toy_towers()
    embeddings = embed_features(CATALOGUES["some without anything"], towers)
    means = [barycentres(embeddings, Marginals("uniform"), side)[0] for side in ("photo", "text")]
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


def test_learned_marginals_are_saved_resumed_and_part_of_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, fusion=LEARNED.fusion)
    interrupted(tmp_path, settings, monkeypatch)
    towers, _, _ = toy_towers()
    pretrain(CATALOGUES["many views"], towers, settings, out=tmp_path, resume=True)
    assert equal(weights(towers), trained(CATALOGUES["many views"], settings))
    assert towers.photo_attention.detach().any()
    saved = load_file(str(tmp_path / "towers.safetensors"))
    assert torch.equal(saved["photo_attention"], towers.photo_attention)
    before = towers.identity
    with torch.no_grad():
        towers.photo_attention[0] += 0.5
    assert towers.identity != before


# Killed and resumed ----------------------------------------------------------------------------------------------

LONG = replace(SHORT, epochs=12)
WORKER = """
import sys, time
from pathlib import Path
import test_pretraining
from wares.training import pretraining

out, method = Path(sys.argv[1]), sys.argv[2]
pretraining.CHECKPOINT_SECONDS = 0.0
towers, image, text = test_pretraining.toy_towers()
forward = image.forward

def stop_in_the_sixth_epoch(features):
    if len(image.rows) == 11:
        (out / "stopped").touch()
        time.sleep(600)
    return forward(features)

image.forward = stop_in_the_sixth_epoch
settings = test_pretraining.replace(test_pretraining.LONG, method=method)
pretraining.pretrain(test_pretraining.CATALOGUES["many views"], towers, settings, out=out)
"""


def killed(out: Path, method: Method) -> None:
    """Train in another process, and kill it in the middle of its sixth epoch."""
    command = [sys.executable, "-c", WORKER, str(out), method]
    with subprocess.Popen(command, env=environment(Path(__file__).parent)) as process:
        deadline = time.monotonic() + 100
        while not (out / "stopped").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (out / "checkpoint.pt").exists()
    assert not (out / "towers.json").exists()


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    killed(tmp_path, "factorized")
    (tmp_path / ".checkpoint.pt.part").write_bytes(b"the beginning of a checkpoi")
    features = CATALOGUES["many views"]
    towers, image, _ = toy_towers(seed=5)  # the weights come from the checkpoint
    record = pretrain(features, towers, LONG, out=tmp_path, resume=True)
    assert len(image.rows) == 2 * (12 - 5)
    assert (record.resumed, record.steps, len(record.losses)) == (1, 24, 12)
    whole, _, _ = toy_towers()
    uninterrupted = pretrain(features, whole, LONG)
    assert equal(weights(towers), weights(whole))
    assert record.losses == uninterrupted.losses
    assert json.loads((tmp_path / "pretrain.json").read_text())["resumed"] == 1
    assert not (tmp_path / "checkpoint.pt").exists()


class Killed(BaseException):
    """Stands for a kill where a second process would prove nothing more."""


def interrupted(out: Path, settings: PretrainSettings, monkeypatch: pytest.MonkeyPatch, passes: int = 5) -> None:
    """Leave the checkpoint of a run that ended in its third epoch."""
    monkeypatch.setattr("wares.training.pretraining.CHECKPOINT_SECONDS", 0.0)
    towers, image, _ = toy_towers()
    forward = image.forward

    def until(features: Tensor) -> Tensor:
        if len(image.rows) == passes:
            raise Killed
        return forward(features)

    monkeypatch.setattr(image, "forward", until)
    with pytest.raises(Killed):
        pretrain(CATALOGUES["many views"], towers, settings, out=out)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_resumes_to_the_same_weights(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, method=method)
    interrupted(tmp_path, settings, monkeypatch)
    towers, _, _ = toy_towers()
    pretrain(CATALOGUES["many views"], towers, settings, out=tmp_path, resume=True)
    assert equal(weights(towers), trained(CATALOGUES["many views"], settings))


def test_a_run_may_be_killed_and_resumed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, SHORT, monkeypatch)
    towers, image, _ = toy_towers()
    forward = image.forward

    def once(features: Tensor) -> Tensor:
        if len(image.rows) == 3:
            raise Killed
        return forward(features)

    monkeypatch.setattr(image, "forward", once)
    with pytest.raises(Killed):
        pretrain(CATALOGUES["many views"], towers, SHORT, out=tmp_path, resume=True)
    towers, _, _ = toy_towers()
    record = pretrain(CATALOGUES["many views"], towers, SHORT, out=tmp_path, resume=True)
    assert record.resumed == 2
    assert equal(weights(towers), trained(CATALOGUES["many views"], SHORT))


def refusal(out: Path, features: CatalogueFeatures, settings: PretrainSettings, towers: Towers | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        pretrain(features, towers or toy_towers()[0], settings, out=out, resume=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, SHORT, monkeypatch)
    features = CATALOGUES["many views"]
    for other in (replace(SHORT, seed=1), replace(SHORT, epochs=5), replace(SHORT, fusion=Fusion(gamma=0.125))):
        assert "settings" in refusal(tmp_path, features, other)
    assert "listings" in refusal(tmp_path, CATALOGUES["two listings"], SHORT)
    assert "photos" in refusal(tmp_path, CATALOGUES["some without photos"], SHORT)
    towers = build_towers("small")
    assert "towers" in refusal(tmp_path, features, SHORT, towers)
    assert towers.identity == build_towers("small").identity
    pretrain(features, toy_towers()[0], SHORT, out=tmp_path, resume=True)  # refusing left it whole


def test_nothing_to_resume_from_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = CATALOGUES["many views"]
    assert "no checkpoint" in refusal(tmp_path, features, SHORT)
    for damaged in (b"", b"not a checkpoint"):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        assert "checkpoint.pt" in refusal(tmp_path, features, SHORT)
    interrupted(tmp_path, SHORT, monkeypatch)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    assert "checkpoint.pt" in refusal(tmp_path, features, SHORT)


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


def test_a_record_says_when_nothing_was_resumed() -> None:
    record = pretrain(CATALOGUES["two listings"], toy_towers()[0], SHORT)
    assert isinstance(record, TrainingRecord)
    assert record.resumed == 0
