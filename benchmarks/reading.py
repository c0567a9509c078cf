"""Reading and indexing catalogues: listings per second, and memory as catalogues grow.

    python benchmarks/reading.py [--listings 100000] [--out benchmarks/results]

Cost        15 minutes on 2 cores, 2 GB of disk; needs no network.
Writes      reading-LISTINGS.json in --out; a table goes to stdout.
Target      the same memory for a catalogue of ten times the size

Listings are synthetic (wares.evaluation.synthetic_shops), with one of a thousand different photos of 256 pixels each.
Each measurement is a process of its own.

Read        `wares.read_catalogue`: the whole catalogue
Chunks      `wares.data.catalogue.open_catalogue(…).chunks(2048)`
Index       `wares index` with the small towers, from an empty cache
Nothing     the same process with the same imports, and the towers
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from measuring import peak_memory
from wares.data.catalogue import open_catalogue, read_catalogue
from wares.data.listings import Listing
from wares.data.writers import write_listings
from wares.encoders.registry import build_towers
from wares.evaluation.synthetic_shops import SyntheticCatalogue
from wares.shop.build import build_shop

CHUNK, PHOTOS, SIDE = 2_048, 1_000, 256


def main(listings: int = 100_000, out: Path = Path("benchmarks/results")) -> None:
    """Write catalogues, read and index them, print and write."""
    measurements = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos")
        for count in (listings // 10, listings):
            for suffix in ("jsonl", "csv", "parquet"):
                write_listings(goods(count), folder / f"{count}.{suffix}")
                for kind, work in WORKS.items():
                    if kind in ("chunks", "read") or suffix == "parquet":
                        measurements.append(
                            {"what": kind, "file": suffix} | in_new_process(work, folder, f"{count}.{suffix}", count)
                        )
                        print(measurements[-1], flush=True)
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": {"listings": listings},
        "runs": measurements,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"reading-{listings}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    table = Table("what", "file", "listings", "listings a second", "MiB")
    for run in measurements:
        rate, memory = f"{run['listings a second']:,.0f}", f"{run['MiB']:,.0f}"
        table.add_row(run["what"], run["file"], f"{run['listings']:,}", rate, memory)
    Console().print(table)


def write_photos(folder: Path) -> None:
    """Write different photos."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(PHOTOS):
        small = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE)).save(folder / f"{number}.jpg")


def goods(count: int) -> list[Listing]:
    """Synthetic listings with a photo each."""
    return [
        replace(listing, images=(f"photos/{index % PHOTOS}.jpg",))
        for index, listing in enumerate(SyntheticCatalogue(count).read().listings)
    ]


def in_new_process(work: Callable[[Path, Path], int], folder: Path, name: str, count: int) -> dict[str, Any]:
    """Time and peak memory of some work in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        seconds, memory = pool.submit(measured, work, folder, folder / name).result()
    return {"listings": count, "seconds": seconds, "listings a second": count / seconds, "MiB": memory}


def measured(work: Callable[[Path, Path], int], folder: Path, file: Path) -> tuple[float, float]:
    """Seconds and peak MiB."""
    began = time.monotonic()
    work(folder, file)
    return time.monotonic() - began, peak_memory()


def nothing(folder: Path, file: Path) -> int:
    """Import and build the towers only."""
    return build_towers("small").dimension


def read(folder: Path, file: Path) -> int:
    """Read the whole catalogue."""
    return len(read_catalogue(file))


def chunks(folder: Path, file: Path) -> int:
    """Read the catalogue chunk by chunk."""
    return sum(len(part) for part in open_catalogue(file).chunks(CHUNK))


def index(folder: Path, file: Path) -> int:
    """Build a shop from the catalogue."""
    with TemporaryDirectory() as name:
        path = Path(name)
        return len(build_shop(open_catalogue(file), build_towers("small"), path / "shop", cache=path / "cache"))


WORKS: dict[str, Callable[[Path, Path], int]] = {"nothing": nothing, "read": read, "chunks": chunks, "index": index}


if __name__ == "__main__":
    cyclopts.run(main)
