"""Training backbones: the schedule, gradients in parts, a kill and its resumption, and two processes against one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import environment
from tiny_models import WORDS, named
from torch import Tensor

from wares.core.errors import ModelError, PhotoError, SettingsError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing
from wares.data.photos import augment
from wares.data.writers import write_listings
from wares.encoders.backbones import unfreeze_backbone
from wares.encoders.features import catalogue_features
from wares.encoders.listing_encoder import ListingEncoder
from wares.encoders.registry import build_towers, load_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.training.datasets import BatchSchedule, ListingDataset, ListingDraw, ModalityData
from wares.training.end_to_end import pretrain_end_to_end, pretraining_loss, sample_method_views
from wares.training.records import TrainingRecord
from wares.training.settings import PretrainSettings, TrainerSettings
from wares.training.trainer import CHECKPOINT_FOLDER, ListingLoss, build_model_and_arguments

SHORT = PretrainSettings(epochs=3, batch_size=8, learning_rate=0.01)
QUICK = TrainerSettings("last-1", "all", backbone_learning_rate=1e-3, num_workers=0, checkpoint_steps=2)
LISTINGS = 16


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Listings of noise of a colour each, with one to three photos and two texts, and one without photos."""
    folder = tmp_path_factory.mktemp("catalogue")
    random = np.random.default_rng(0)
    listings = []
    for place in range(LISTINGS):
        colour = random.integers(0, 256, 3)
        images = tuple(f"{place}-{view}.png" for view in range(place % 4))
        for name in images:
            noise = random.integers(-40, 40, (40, 36, 3))
            Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(folder / name)
        words = random.permutation(WORDS)
        listings.append(Listing(str(place), " ".join(words[:3]), " ".join(words[3:6]), (), images))
    write_listings(listings, folder / "listings.jsonl")
    return read_catalogue(folder)


def pretrained(
    catalogue: Catalogue,
    shelf: Path,
    out: Path,
    trainer: TrainerSettings = QUICK,
    settings: PretrainSettings = SHORT,
    resume: bool = False,
    family: str = "clip",
) -> tuple[Towers, TrainingRecord]:
    towers = build_towers(named(family, shelf))
    features = catalogue_features(catalogue, towers, out.parent / "cache")
    return towers, pretrain_end_to_end(catalogue, features, towers, settings, trainer, out, resume)


def weights(towers: Towers) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in towers.state_dict().items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor], atol: float, rtol: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=atol, rtol=rtol), name


# The schedule ----------------------------------------------------------------------------------------------------


@given(st.integers(2, 60), st.integers(2, 20), st.integers(1, 3), st.integers(0, 5))
@settings(max_examples=60)
def test_an_epoch_shows_a_listing_at_most_once_in_batches_of_one_size(
    listings: int, batch_size: int, epochs: int, seed: int
) -> None:
    schedule = BatchSchedule(listings, batch_size, epochs, seed)
    batches = list(schedule)
    assert len(batches) == len(schedule) == epochs * schedule.steps_per_epoch
    assert {len(batch) for batch in batches} == {schedule.rank_batch_size}
    assert schedule.rank_batch_size <= batch_size
    for epoch in range(epochs):
        part = batches[epoch * schedule.steps_per_epoch : (epoch + 1) * schedule.steps_per_epoch]
        seen = [draw.listing for batch in part for draw in batch]
        assert len(set(seen)) == len(seen) > listings - schedule.steps_per_epoch
    assert batches == list(schedule), "going over it again gives the same run"


def test_two_processes_share_the_batches_of_one() -> None:
    whole = list(BatchSchedule(24, 8, 2, seed=4))
    parts = [list(BatchSchedule(24, 8, 2, seed=4, rank=rank, world_size=2)) for rank in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == whole


def test_epochs_and_seeds_differ() -> None:
    one, two = list(BatchSchedule(24, 24, 2, seed=0))
    assert one != two
    assert list(BatchSchedule(24, 24, 1, seed=1)) != [one]
    assert all(0 <= draw.photo_draw < 1 and 0 <= draw.text_draw < 1 for draw in one)
    with pytest.raises(SettingsError, match="too few"):
        BatchSchedule(3, 2, 1, seed=0, world_size=2)


# What a batch holds ----------------------------------------------------------------------------------------------


def data_of(catalogue: Catalogue, towers: Towers, cache: Path, method: Any = "factorized") -> ListingDataset:
    features = catalogue_features(catalogue, towers, cache)
    paths = [catalogue.photo_path(name) for name in features.photo_views.items]
    side = ModalityData(features.photo_views, None, paths, towers.image.size, towers.image.fit)
    chosen = partial(sample_method_views, replace(SHORT, method=method))
    return ListingDataset(side, ModalityData(features.text_views, None), features.duplicate_labels, chosen)


def test_a_batch_holds_the_views_it_says(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(named("clip", shelf))
    data = data_of(catalogue, towers, tmp_path)
    batch = data.__getitems__([ListingDraw(3, 0.9, 0.0, 1), ListingDraw(0, 0.5, 0.5, 2), ListingDraw(1, 0.5, 0.5, 3)])
    assert batch["photo_weights"].tolist() == [[0.5, 0.5], [0.0, 0.0], [1.0, 0.0]]
    assert batch["photos"]["items"].shape == (3, 32, 32, 3)
    assert batch["texts"]["items"][:2] == [catalogue.listings[3].title, catalogue.listings[3].description]
    assert len(batch["texts"]["items"]) == 6
    paths = [catalogue.photo_path(name) for name in ("3-0.png", "3-2.png", "1-0.png")]
    expected = towers.image.features([np.asarray(photo) for photo in batch["photos"]["items"]])
    from wares.data.photos import load_photo

    again = towers.image.features([load_photo(path, 32, towers.image.fit) for path in paths])
    np.testing.assert_array_equal(expected, again)


def test_augmented_photos_stay_the_same_goods() -> None:
    photo = np.random.default_rng(0).integers(60, 190, (32, 32, 3), dtype=np.uint8)
    photo[:, :16] = (200, 30, 30)
    seen = [augment(photo, np.random.default_rng(seed)) for seed in range(30)]
    assert {each.shape for each in seen} == {photo.shape}
    assert {each.dtype for each in seen} == {np.dtype(np.uint8)}
    assert len({each.tobytes() for each in seen}) == 30
    assert np.array_equal(seen[3], augment(photo, np.random.default_rng(3)))
    for each in seen:
        red, other = each[:, :8].reshape(-1, 3).mean(0), each[:, 24:].reshape(-1, 3).mean(0)
        assert red[0] - red[1] > 100, "never mirrored, hue kept"
        assert abs(other[0] - other[1]) < 30


# Gradients -------------------------------------------------------------------------------------------------------


def gradients(towers: Towers, batch: dict[str, Any], mini_batch_size: int | None) -> dict[str, Tensor]:
    """Of the loss by the plain model, with everything in the batch encoded mini_batch_size views at a time."""
    from sentence_transformers import SentenceTransformer

    towers.zero_grad()
    model = SentenceTransformer(modules=[ListingEncoder(towers, mini_batch_size)])
    inputs = batch | {
        "photos": towers.image.preprocess(batch["photos"]["items"]),
        "texts": towers.text.preprocess(batch["texts"]["items"]),
    }
    value = ListingLoss(model, partial(pretraining_loss, SHORT))([inputs])
    value.backward()
    found = {"loss": value.detach()}
    return found | {n: p.grad.clone() for n, p in towers.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["clip", "siglip", "pair"])
@pytest.mark.parametrize("mini_batch_size", [1, 3, 100])
def test_gradients_in_parts_are_the_gradients(
    catalogue: Catalogue, shelf: Path, tmp_path: Path, family: str, mini_batch_size: int
) -> None:
    towers = build_towers(named(family, shelf))
    for tower in (towers.image, towers.text):
        unfreeze_backbone(tower, "all")
    batch = data_of(catalogue, towers, tmp_path).__getitems__(next(iter(BatchSchedule(LISTINGS, 8, 1, seed=0))))
    plain, cached = gradients(towers, batch, None), gradients(towers, batch, mini_batch_size)
    assert len(plain) == 1 + sum(p.requires_grad for p in towers.parameters())
    assert_equal(plain, cached, atol=2e-6, rtol=1e-4)


def test_a_batch_without_photos_still_has_every_gradient(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(named("clip", shelf))
    for tower in (towers.image, towers.text):
        unfreeze_backbone(tower, "all")
    data = data_of(catalogue, towers, tmp_path)
    batch = data.__getitems__([ListingDraw(listing, 0.5, 0.5, 0) for listing in (0, 4, 8)])
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(modules=[ListingEncoder(towers)])
    inputs = batch | {
        "photos": {"features": torch.zeros(0, 24)},
        "texts": towers.text.preprocess(batch["texts"]["items"]),
    }
    value = ListingLoss(model, partial(pretraining_loss, SHORT))([inputs])
    value.backward()
    assert all(p.grad is not None for p in towers.parameters() if p.requires_grad)
    assert torch.isfinite(value)


# Runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [("last-1", "all"), ("lora", "frozen"), ("frozen", "lora"), ("frozen", "frozen")])
def test_a_run_learns_and_leaves_a_model(
    catalogue: Catalogue, shelf: Path, tmp_path: Path, how: tuple[str, str]
) -> None:
    settings = replace(SHORT, epochs=12, learning_rate=0.01)
    trainer = replace(QUICK, image_backbone=how[0], text_backbone=how[1], augment=False)
    towers, record = pretrained(catalogue, shelf, tmp_path / "model", trainer, settings)
    assert record.steps == 12 * 2
    assert len(record.losses) == 12
    assert record.losses[-1] < record.losses[0] - 0.1
    assert not (tmp_path / "model" / CHECKPOINT_FOLDER).exists()
    assert load_towers(tmp_path / "model").identity == towers.identity
    written = json.loads((tmp_path / "model" / "pretrain.json").read_text())
    assert written["settings"]["trainer"]["image_backbone"] == how[0]
    assert not towers.training


def test_learned_marginals_are_learned_here_too(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    learned = replace(SHORT, fusion=Fusion(Marginals("learned")))
    towers, _ = pretrained(catalogue, shelf, tmp_path / "model", settings=learned)
    assert towers.photo_attention.detach().norm() > 1e-4
    assert torch.equal(load_towers(tmp_path / "model").photo_attention, towers.photo_attention.cpu())
    plain, _ = pretrained(catalogue, shelf, tmp_path / "plain")
    assert not plain.photo_attention.any()


def test_workers_change_nothing(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    one, _ = pretrained(catalogue, shelf, tmp_path / "one")
    two, _ = pretrained(catalogue, shelf, tmp_path / "two", replace(QUICK, num_workers=2))
    assert_equal(weights(one), weights(two), atol=0.0)


def test_bfloat16_is_near_float32(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    _, full = pretrained(catalogue, shelf, tmp_path / "full")
    towers, half = pretrained(catalogue, shelf, tmp_path / "half", replace(QUICK, bf16=True))
    assert half.losses == pytest.approx(full.losses, rel=0.02)
    assert half.losses != full.losses
    assert {tensor.dtype for tensor in towers.state_dict().values() if tensor.is_floating_point()} == {torch.float32}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a processor needs a C++ compiler")
def test_compiled_backbones_learn_the_same(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    trainer, once = replace(QUICK, text_backbone="frozen"), replace(SHORT, epochs=1)
    _, plain = pretrained(catalogue, shelf, tmp_path / "plain", trainer, once)
    towers, compiled = pretrained(catalogue, shelf, tmp_path / "compiled", replace(trainer, compile=True), once)
    assert compiled.losses == pytest.approx(plain.losses, rel=1e-3)
    assert load_towers(tmp_path / "compiled").identity == towers.identity


def test_accumulated_batches_make_one_step(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    _, record = pretrained(catalogue, shelf, tmp_path / "model", replace(QUICK, gradient_accumulation_steps=2))
    assert record.steps == 3
    assert len(record.losses) == 3


def test_trackers_are_the_trainers_own(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(tmp_path / "board")
    try:
        pretrained(catalogue, shelf, tmp_path / "model", replace(QUICK, report_to=("tensorboard",)))
    finally:
        del os.environ["TENSORBOARD_LOGGING_DIR"]
    assert list((tmp_path / "board").rglob("events.out.tfevents*"))


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_a_killed_run_resumes_to_the_same_weights(
    catalogue: Catalogue, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    whole, record = pretrained(catalogue, shelf, tmp_path / "whole")
    forward, calls = ListingLoss.forward, []

    def until(self: ListingLoss, features: list[Any], labels: None = None) -> Tensor:
        calls.append(1)
        if len(calls) > steps:
            raise Killed
        return forward(self, features, labels)

    with monkeypatch.context() as patch:
        patch.setattr(ListingLoss, "forward", until)
        with pytest.raises(Killed):
            pretrained(catalogue, shelf, tmp_path / "killed")
    resumed, again = pretrained(catalogue, shelf, tmp_path / "killed", resume=True)
    assert_equal(weights(resumed), weights(whole), atol=0.0)
    assert again.losses == record.losses
    assert again.steps == record.steps


def test_only_its_own_run_is_resumed(
    catalogue: Catalogue, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="no checkpoint"):
        pretrained(catalogue, shelf, tmp_path / "none", resume=True)
    monkeypatch.setattr("wares.training.trainer.merge_adapters", lambda _: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        pretrained(catalogue, shelf, tmp_path / "model")
    with pytest.raises(ModelError, match="other settings"):
        pretrained(catalogue, shelf, tmp_path / "model", settings=replace(SHORT, seed=1), resume=True)
    changed = replace(catalogue, folder=tmp_path / "changed")
    shutil.copytree(catalogue.folder, changed.folder)
    Image.new("RGB", (40, 36), "red").save(changed.folder / "3-1.png")
    with pytest.raises(ModelError, match="other photos"):
        pretrained(changed, shelf, tmp_path / "model", resume=True)


def test_a_photo_that_goes_missing_stops_the_run(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    towers = build_towers(named("clip", shelf))
    features = catalogue_features(catalogue, towers, tmp_path / "cache")
    gone = catalogue.photo_path("3-1.png")
    content = gone.read_bytes()
    gone.unlink()
    try:
        with pytest.raises(PhotoError, match=r"3-1\.png"):
            pretrain_end_to_end(catalogue, features, towers, SHORT, QUICK, tmp_path / "model")
    finally:
        gone.write_bytes(content)


@pytest.mark.parametrize(
    "bad",
    [
        {"num_workers": -1},
        {"gradient_accumulation_steps": 0},
        {"mini_batch_size": 0},
        {"backbone_learning_rate": 0.0},
        {"image_backbone": "x"},
    ],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        TrainerSettings(**bad)


# Two processes ---------------------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from dataclasses import replace
from test_trainer import QUICK, SHORT, pretrained
from wares.data.catalogue import read_catalogue
from wares.training.trainer import ListingLoss

catalogue, shelf, out, resume, stop = sys.argv[1:]
steps, forward = [], ListingLoss.forward

def counted(self, features, labels=None):
    if len(steps) == int(stop):
        sys.exit(3)
    value = forward(self, features, labels)
    steps.append(value.item())
    return value

ListingLoss.forward = counted
if __name__ == "__main__":
    towers, record = pretrained(read_catalogue(Path(catalogue)), Path(shelf), Path(out), resume=resume == "resume")
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    torch.save({"weights": towers.state_dict(), "losses": steps}, f"{out}-rank{rank}.pt")
"""


def launched(processes: int, script: Path, *arguments: object) -> int:
    """Run the script under torchrun on gloo, one thread a process; returns its exit status."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    variables = environment(Path(__file__).parent) | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*command, str(script), *map(str, arguments)], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode and "exitcode: 3" not in done.stderr.replace(" ", "").replace("exitcode:", "exitcode: "):
        raise AssertionError(done.stderr[-4000:])
    return done.returncode


@pytest.mark.slow
def test_two_processes_train_as_one(catalogue: Catalogue, shelf: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    folder = catalogue.folder
    assert launched(1, script, folder, shelf, tmp_path / "one", "new", 99) == 0
    assert launched(2, script, folder, shelf, tmp_path / "two", "new", 99) == 0
    one = torch.load(tmp_path / "one-rank0.pt")
    two = [torch.load(tmp_path / f"two-rank{rank}.pt") for rank in range(2)]
    assert len(one["losses"]) == 6
    assert two[0]["losses"] == pytest.approx(one["losses"], abs=1e-4)
    assert two[1]["losses"] == pytest.approx(two[0]["losses"], abs=1e-6)
    assert_equal(two[0]["weights"], two[1]["weights"], atol=0.0)
    # The loss does not depend on the bias of keys, so its gradient is rounding, which Adam blows up.
    apart, whole = ({n: w for n, w in each["weights"].items() if "k_proj.bias" not in n} for each in (two[0], one))
    assert_equal(apart, whole, atol=2e-4, rtol=1e-3)
    assert launched(2, script, folder, shelf, tmp_path / "again", "new", 4) != 0
    assert launched(2, script, folder, shelf, tmp_path / "again", "resume", 99) == 0
    for rank in range(2):
        resumed = torch.load(tmp_path / f"again-rank{rank}.pt")
        assert_equal(resumed["weights"], two[rank]["weights"], atol=0.0)


def test_one_process_uses_one_of_two_gpus(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    towers = build_towers(named("clip", shelf))
    _, args = build_model_and_arguments(towers, QUICK, 1, 0.01, 0.0, 0, tmp_path)
    assert args.n_gpu == 1
