"""What a training step costs as listings get more photos: seconds and peak memory, method by method.

    python benchmarks/step_cost.py [--out benchmarks/results] [--rounds 24] [--batch-size 64]

Cost        7 minutes on 2 busy cores, about 3 expected on idle ones, and 2 GB; no data, no network.
Writes      step_cost.json and step_cost.png in --out; a table and the verdict go to stdout.
Expected    factorized and single-view are flat from 2 to 16 photos (ratio 1.0, at most 1.1);
            all-pairs and full-transport, which encode every photo, take 4 to 5 times as long a step
            and 2.4 to 3 times the memory (README.md).

The `small` towers are trained end to end: convolutions on uint8 pixels, embeddings of token ids, all of it
under AdamW. Pixels and ids are random, since what a step costs hardly depends on what is in a picture (only
full-transport's solver stops sooner or later). Every cell, a method and a number of photos, reads the same
listings and is told of their first 2, 4, 8 or 16 photos. The step is `pretrain.epoch` over a catalogue of one
batch, timed by the recipe's own clock, with the recipe's defaults in everything else.

Seconds     one process; a round visits the cells in a fresh random order, so that a slow spell of the machine
            falls on all of them alike; all-pairs and full-transport, which are dear, in every third round.
            Medians over rounds; ratios are taken within a round.
Peak        one new process per cell; highest resident memory (ru_maxrss) after the steps less the same just
            before the first, when libraries, towers and pixels are there. What remains is what training adds:
            activations, gradients, the optimiser's state and the libraries' working memory.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from wares.core.progress import progress
from wares.data.views import Views
from wares.encoders.features import CatalogueFeatures
from wares.encoders.registry import build_towers
from wares.encoders.small import HASH_BUCKETS, MAX_TOKENS, ConvolutionalTower
from wares.evaluation.charts import draw_line_chart
from wares.training.pretraining import ModalityFeatures, train_epoch
from wares.training.records import new_record
from wares.training.settings import Method, PretrainSettings

METHODS: tuple[Method, ...] = ("single-view", "factorized", "all-pairs", "full-transport")
PHOTOS = (2, 4, 8, 16)
TEXTS = 3
TOKENS = 96  # of a text: about 20 words and their trigrams
DEAR: tuple[Method, ...] = ("all-pairs", "full-transport")
DEAR_EVERY = 3  # rounds
WARM_UP = 1  # steps before the clock counts: the optimiser's state, and kernels chosen at first use
MEMORY_STEPS = 2  # the second finds gradients and the optimiser's state in place, as do all that follow
FLAT = 1.1  # the claim: factorized costs at most this many times more with 16 photos than with 2
SEED = 0


class Cell(NamedTuple):
    """One thing to be measured."""

    method: Method
    photos: int


CELLS = [Cell(method, photos) for method in METHODS for photos in PHOTOS]


@dataclass(frozen=True)
class Middle:
    """A median and the quartiles around it."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, values: Any) -> Middle:
        q1, median, q3 = (float(value) for value in np.percentile(values, [25, 50, 75]))
        return cls(median, q1, q3)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.q1:.2f}–{self.q3:.2f})"


@dataclass(frozen=True)
class Measured:
    """What a cell costs; the ratios are to the same method with the fewest photos."""

    seconds: Middle
    seconds_ratio: Middle
    peak_mib: float
    peak_ratio: float


class Training:
    """Towers of their own and a catalogue of one batch, so that an epoch of the recipe is one step."""

    def __init__(self, cell: Cell, batch_size: int, steps: int) -> None:
        features = synthetic_features(batch_size)
        self.settings = PretrainSettings(method=cell.method, batch_size=batch_size, epochs=steps, seed=SEED)
        self.towers = build_towers("small", SEED)
        every = ModalityFeatures.from_views(features.photo_views, features.photos)
        self.photos = replace(every, counts=torch.full_like(every.counts, cell.photos))
        self.texts = ModalityFeatures.from_views(features.text_views, features.texts)
        self.duplicates = features.duplicate_labels
        self.optimiser = torch.optim.AdamW(self.towers.parameters(), lr=self.settings.learning_rate)
        self.record = new_record(features, self.settings)

    def step(self) -> float:
        """Train on the batch once; returns the seconds that the recipe counted."""
        before = self.record.seconds
        loss = train_epoch(
            self.photos, self.texts, self.duplicates, self.towers, self.optimiser, self.settings, self.record
        )
        self.record.losses.append(loss)
        return self.record.seconds - before


def synthetic_features(listings: int) -> CatalogueFeatures:
    """Random pixels and token ids: as many photos for each listing as any cell wants."""
    random = np.random.default_rng(SEED)
    size = ConvolutionalTower.size
    ids = np.zeros((listings * TEXTS, MAX_TOKENS), dtype=np.int32)
    ids[:, :TOKENS] = random.integers(1, HASH_BUCKETS, (listings * TEXTS, TOKENS))
    return CatalogueFeatures(
        photo_views=even_views(listings, max(PHOTOS)),
        photos=random.integers(0, 256, (listings * max(PHOTOS), size, size, 3), dtype=np.uint8),
        text_views=even_views(listings, TEXTS),
        texts=ids,
        duplicate_labels=torch.arange(listings)[:, None].expand(-1, 2),
    )


def even_views(listings: int, each: int) -> Views:
    """A table in which every listing has as many views."""
    names = [f"view {place}" for _ in range(listings) for place in range(each)]
    return Views(names, names, np.arange(listings + 1, dtype=np.int64) * each)


def step_seconds(batch_size: int, rounds: int) -> dict[Cell, list[float]]:
    """Seconds of a step, one for each round in which the cell was visited."""
    trainings = {cell: Training(cell, batch_size, WARM_UP + rounds) for cell in CELLS}
    seconds: dict[Cell, list[float]] = {cell: [] for cell in CELLS}
    for training in progress(trainings.values(), "warming up", unit="cells"):
        for _ in range(WARM_UP):
            training.step()
    order = np.random.default_rng(SEED)
    for number in progress(range(rounds), "timing steps", unit="rounds"):
        for place in order.permutation(len(CELLS)):
            cell = CELLS[place]
            if cell.method not in DEAR or number % DEAR_EVERY == 0:
                seconds[cell].append(trainings[cell].step())
    return seconds


def peak_memory(batch_size: int) -> dict[Cell, float]:
    """MiB that training adds at its peak, each cell in a new process.

    To be called before this process grows: on Linux a child's peak begins at what its parent held.
    """
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        peaks = pool.map(added_memory, CELLS, [batch_size] * len(CELLS))
        return dict(zip(CELLS, progress(peaks, "measuring memory", total=len(CELLS), unit="cells"), strict=True))


def added_memory(cell: Cell, batch_size: int) -> float:
    """MiB by which this process's highest resident memory grows in a few steps."""
    training = Training(cell, batch_size, MEMORY_STEPS)
    before = highest_resident()
    for _ in range(MEMORY_STEPS):
        training.step()
    return highest_resident() - before


def highest_resident() -> float:
    """MiB; the system counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def summarise(seconds: dict[Cell, list[float]], peaks: dict[Cell, float]) -> dict[Cell, Measured]:
    """Medians, and ratios to the fewest photos: of times within each round, of peaks as they are."""
    summary = {}
    for cell, times in seconds.items():
        fewest = Cell(cell.method, min(PHOTOS))
        summary[cell] = Measured(
            Middle.of(times),
            Middle.of(np.divide(times, seconds[fewest])),
            peaks[cell],
            peaks[cell] / peaks[fewest],
        )
    return summary


def show(summary: dict[Cell, Measured], rounds: int) -> Table:
    """The figures for people."""
    ratio = f"× {min(PHOTOS)} photos"
    caption = f"medians of {rounds} rounds ({' and '.join(DEAR)}: one in {DEAR_EVERY}); in brackets the quartiles"
    table = Table(title="What a training step costs", caption=caption, caption_justify="left")
    table.add_column("method", no_wrap=True)
    for column in ("photos", "seconds", ratio, "peak MiB", ratio):
        table.add_column(column, justify="right", no_wrap=True)
    for cell, cost in summary.items():
        table.add_row(
            cell.method if cell.photos == min(PHOTOS) else "",
            str(cell.photos),
            f"{cost.seconds.median:.2f}",
            str(cost.seconds_ratio),
            f"{cost.peak_mib:.0f}",
            f"{cost.peak_ratio:.2f}",
            end_section=cell.photos == max(PHOTOS),
        )
    return table


def plot(summary: dict[Cell, Measured], out: Path) -> Path:
    """Both costs against the number of photos."""
    seconds: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    peaks: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for method in METHODS:
        costs = [summary[Cell(method, photos)] for photos in PHOTOS]
        seconds[method] = PHOTOS, [cost.seconds.median for cost in costs]
        peaks[method] = PHOTOS, [cost.peak_mib for cost in costs]
    panels = {"Time of a training step": seconds, "Memory that training adds": peaks}
    return draw_line_chart(panels, out, "photos per listing", ["seconds (median)", "MiB at the peak"])


def verdict(summary: dict[Cell, Measured]) -> dict[str, Any]:
    """Whether the claim holds: factorized is flat, in time and in memory."""
    most = summary[Cell("factorized", max(PHOTOS))]
    ratios = {"seconds": most.seconds_ratio.median, "peak": most.peak_ratio}
    return {
        "claim": f"factorized, {max(PHOTOS)} photos against {min(PHOTOS)}: at most {FLAT}",
        **{what: {"ratio": ratio, "holds": ratio <= FLAT} for what, ratio in ratios.items()},
    }


def machine() -> dict[str, Any]:
    """Where the figures come from; the load tells whether the cores were ours alone."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "wares": version("wares"),
    }


def _cpuinfo() -> list[str]:
    listing = Path("/proc/cpuinfo")
    return listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []


def main(
    out: Path = typer.Option(Path("benchmarks/results"), help="Folder for the results."),
    rounds: int = typer.Option(24, min=DEAR_EVERY, help="Times that a cell is visited."),
    batch_size: int = typer.Option(64, min=2, help="Listings in a step."),
) -> None:
    """Measure a training step against the number of photos per listing."""
    results: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": {"batch_size": batch_size, "texts": TEXTS, "towers": "small", "rounds": rounds, "seed": SEED},
    }
    peaks = peak_memory(batch_size)
    summary = summarise(step_seconds(batch_size, rounds), peaks)
    results["cells"] = [cell._asdict() | asdict(measured) for cell, measured in summary.items()]
    results["verdict"] = verdict(summary)
    picture = plot(summary, out / "step_cost.png")
    picture.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")

    console = Console()
    console.print(show(summary, rounds))
    console.print(results["verdict"]["claim"])
    for what in ("seconds", "peak"):
        found = results["verdict"][what]
        console.print(f"  {what}: {found['ratio']:.2f}, {'pass' if found['holds'] else 'MISS'}")
    console.print(f"Written: {picture.with_suffix('.json')}, {picture}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
