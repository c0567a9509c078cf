"""Cost of a training step against the number of photos per listing: seconds and peak memory of each method.

    python benchmarks/step_cost.py [--out benchmarks/results] [--rounds 24] [--batch-size 64]

Cost        7 minutes on 2 busy cores, about 3 expected on idle ones, and 2 GB; no data, no network.
Writes      step_cost.json and step_cost.png in --out; a table and the verdict go to stdout.
Expected    factorized and single-view are flat from 2 to 16 photos (ratio 1.0, at most 1.1); all-pairs and
            full-transport, which encode every photo, take 4 to 5 times as long per step and 2.4 to 3 times the memory
            (README.md).

The `small` towers train end to end: convolutions on uint8 pixels, embeddings of token ids, all of it under AdamW.
Pixels and ids are random, because the cost of a step hardly depends on them (only the number of iterations of
full-transport's solver does). Each cell, a method and a number of photos, has the same listings with their first 2, 4,
8 or 16 photos. The step is `train_epoch` over a catalogue of one batch, timed by the recipe's own clock, with defaults
in all other settings.

Seconds     one process; a round visits the cells in a random order, so that a slow period of the machine affects all of
            them; the expensive all-pairs and full-transport in every third round. Medians over rounds; ratios are
            within a round.
Peak        a new process for each cell; peak resident memory (ru_maxrss) after the steps minus that before the first
            step, with libraries, towers and pixels loaded. The difference is the memory of training: activations,
            gradients, the optimiser's state and the working memory of libraries.
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
from typing import Annotated, Any, NamedTuple

import cyclopts
import numpy as np
import torch
from cyclopts import Parameter
from cyclopts.validators import Number
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
EXPENSIVE: tuple[Method, ...] = ("all-pairs", "full-transport")
EXPENSIVE_EVERY = 3  # rounds
WARM_UP = 1  # steps that allocate the optimiser's state and select kernels
MEMORY_STEPS = 2  # from the second on, gradients and the optimiser's state are allocated
FLAT = 1.1  # the claim: largest ratio of factorized's cost with 16 photos to that with 2
SEED = 0


class Cell(NamedTuple):
    """A method and a number of photos per listing."""

    method: Method
    photos: int


CELLS = [Cell(method, photos) for method in METHODS for photos in PHOTOS]


@dataclass(frozen=True)
class Middle:
    """A median and its quartiles."""

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
    """Cost of a cell; ratios are to the same method with the fewest photos."""

    seconds: Middle
    seconds_ratio: Middle
    peak_mib: float
    peak_ratio: float


class Training:
    """Towers and a catalogue of one batch, so that an epoch of the recipe is one step."""

    def __init__(self, cell: Cell, batch_size: int, steps: int) -> None:
        features = synthetic_features(batch_size)
        self.settings = PretrainSettings(method=cell.method, batch_size=batch_size, epochs=steps, seed=SEED)
        self.towers = build_towers("small", SEED)
        photos = ModalityFeatures.from_views(features.photo_views, features.photos)
        self.photos = replace(photos, counts=torch.full_like(photos.counts, cell.photos))
        self.texts = ModalityFeatures.from_views(features.text_views, features.texts)
        self.duplicates = features.duplicate_labels
        self.optimiser = torch.optim.AdamW(self.towers.parameters(), lr=self.settings.learning_rate)
        self.record = new_record(features, self.settings)

    def step(self) -> float:
        """Train on the batch once, and return the seconds that the recipe measured."""
        before = self.record.seconds
        loss = train_epoch(
            self.photos, self.texts, self.duplicates, self.towers, self.optimiser, self.settings, self.record
        )
        self.record.losses.append(loss)
        return self.record.seconds - before


def synthetic_features(listings: int) -> CatalogueFeatures:
    """Random pixels and token ids, with the maximum number of photos for each listing."""
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


def even_views(listings: int, count: int) -> Views:
    """Views of listings with the same number of views each."""
    names = [f"view {index}" for _ in range(listings) for index in range(count)]
    return Views(names, names, np.arange(listings + 1, dtype=np.int64) * count)


def step_seconds(batch_size: int, rounds: int) -> dict[Cell, list[float]]:
    """Return the seconds of a step for each round of a cell."""
    trainings = {cell: Training(cell, batch_size, WARM_UP + rounds) for cell in CELLS}
    seconds: dict[Cell, list[float]] = {cell: [] for cell in CELLS}
    for training in progress(trainings.values(), "warming up", unit="cells"):
        for _ in range(WARM_UP):
            training.step()
    order = np.random.default_rng(SEED)
    for number in progress(range(rounds), "timing steps", unit="rounds"):
        for index in order.permutation(len(CELLS)):
            cell = CELLS[index]
            if cell.method not in EXPENSIVE or number % EXPENSIVE_EVERY == 0:
                seconds[cell].append(trainings[cell].step())
    return seconds


def peak_memory(batch_size: int) -> dict[Cell, float]:
    """Return the peak MiB that training adds, measured in a new process for each cell.

    Call it before this process grows: on Linux the peak of a child starts at the memory of its parent.
    """
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        peaks = pool.map(added_memory, CELLS, [batch_size] * len(CELLS))
        return dict(zip(CELLS, progress(peaks, "measuring memory", total=len(CELLS), unit="cells"), strict=True))


def added_memory(cell: Cell, batch_size: int) -> float:
    """MiB by which the peak resident memory of this process grows in a few steps."""
    training = Training(cell, batch_size, MEMORY_STEPS)
    before = highest_resident()
    for _ in range(MEMORY_STEPS):
        training.step()
    return highest_resident() - before


def highest_resident() -> float:
    """Peak resident memory in MiB; Linux reports KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def summarise(seconds: dict[Cell, list[float]], peaks: dict[Cell, float]) -> dict[Cell, Measured]:
    """Return medians, and ratios to the fewest photos: of times within a round, of peaks overall."""
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
    """Return the figures as a table."""
    ratio = f"× {min(PHOTOS)} photos"
    caption = (
        f"medians of {rounds} rounds ({' and '.join(EXPENSIVE)}: one in {EXPENSIVE_EVERY}); in brackets the quartiles"
    )
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
    """Draw both costs against the number of photos."""
    seconds: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    peaks: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for method in METHODS:
        costs = [summary[Cell(method, photos)] for photos in PHOTOS]
        seconds[method] = PHOTOS, [cost.seconds.median for cost in costs]
        peaks[method] = PHOTOS, [cost.peak_mib for cost in costs]
    panels = {"Time of a training step": seconds, "Memory that training adds": peaks}
    return draw_line_chart(panels, out, "photos per listing", ["seconds (median)", "MiB at the peak"])


def verdict(summary: dict[Cell, Measured]) -> dict[str, Any]:
    """Return whether factorized is flat in time and memory, which is the claim."""
    largest = summary[Cell("factorized", max(PHOTOS))]
    ratios = {"seconds": largest.seconds_ratio.median, "peak": largest.peak_ratio}
    return {
        "claim": f"factorized, {max(PHOTOS)} photos against {min(PHOTOS)}: at most {FLAT}",
        **{what: {"ratio": ratio, "holds": ratio <= FLAT} for what, ratio in ratios.items()},
    }


def machine() -> dict[str, Any]:
    """Return facts about the machine; the load average shows whether other programs ran."""
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
    out: Annotated[Path, Parameter(help="Folder for the results.")] = Path("benchmarks/results"),
    rounds: Annotated[int, Parameter(validator=Number(gte=EXPENSIVE_EVERY), help="Measurements of each cell.")] = 24,
    batch_size: Annotated[int, Parameter(validator=Number(gte=2), help="Listings in a step.")] = 64,
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
        outcome = results["verdict"][what]
        console.print(f"  {what}: {outcome['ratio']:.2f}, {'pass' if outcome['holds'] else 'MISS'}")
    console.print(f"Written: {picture.with_suffix('.json')}, {picture}", soft_wrap=True)


if __name__ == "__main__":
    cyclopts.run(main)
