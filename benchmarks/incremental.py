"""Update of a shop after 1 % of its listings changed, against a new build, while another process searches it.

    python benchmarks/incremental.py [--listings 1000000] [--changed 10000] [--out benchmarks/results] [--shop SHOP]

Cost        40 minutes on 2 cores, 15 GB of disk; needs no network.
Writes      incremental-LISTINGS.json in --out, and its content to stdout.
Target      an update in a small part of the time of a build; no search fails or waits for the update

Listings are synthetic (wares.evaluation.synthetic_shops): their vectors cost next to nothing. With towers that encode
photos a build takes longer, and the update a smaller part of it: this measures the rest.

Build       of the changed catalogue, from nothing
Update      of a shop of the catalogue before the change; the changed listings are consecutive
Searches    one after the other, by another process that opens the shop and refreshes it before each search
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
from rich.console import Console

from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import open_shop
from wares.shop.sync import update_shop
from wares.shop.versions import list_versions, roll_back

CHUNK, QUERIES = 2_048, 1_000


def main(
    listings: int = 1_000_000,
    changed: int = 10_000,
    out: Path = Path("benchmarks/results"),
    shop: Path | None = None,
) -> None:
    """Build, update, roll back, build the changed catalogue, print and write.

    shop: a shop of as many synthetic listings, such as the one of benchmarks/scale.py --keep; a copy of it is updated
    """
    middle = listings // 2
    before, after = SyntheticCatalogue(listings), SyntheticCatalogue(listings, changed=range(middle, middle + changed))
    with TemporaryDirectory() as name:
        folder = Path(name)
        if shop is None:
            build(before, folder / "shop")
        else:
            shutil.copytree(shop, folder / "shop")
        quiet = searched(folder / "shop", folder / "quiet", lambda: time.sleep(20))
        began = time.monotonic()
        meanwhile = searched(folder / "shop", folder / "meanwhile", lambda: update(folder / "shop", after, changed))
        updating = time.monotonic() - began
        began = time.monotonic()
        roll_back(folder / "shop", list_versions(folder / "shop")[1].name)
        back = time.monotonic() - began
        rebuilding = build(after, folder / "again")
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": {"listings": listings, "changed": changed},
        "seconds": {"build": rebuilding, "update": updating, "rollback": back},
        "update / build": updating / rebuilding,
        "searches": {"nothing else going on": quiet, "during the update": meanwhile},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"incremental-{listings}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    Console().print(figures)


def build(catalogue: SyntheticCatalogue, path: Path) -> float:
    """Seconds of a build, in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_build, catalogue, path).result()


def _build(catalogue: SyntheticCatalogue, path: Path) -> float:
    towers, began = SyntheticTowers(), time.monotonic()
    write_shop(summarize_catalogue(catalogue), towers, towers.chunks(catalogue, CHUNK), path)
    return time.monotonic() - began


def update(path: Path, catalogue: SyntheticCatalogue, changed: int) -> None:
    """Update the shop. Raises AssertionError if anything but the changed listings changed."""
    done = update_shop(open_shop(path, SyntheticTowers()), catalogue)
    assert (done.added, done.changed, done.deleted) == (0, changed, 0), done


def searched(path: Path, flag: Path, work: Any) -> dict[str, float]:
    """Milliseconds of searches in another process while this one works."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool, _stopped(flag):
        ready = flag.with_suffix(".ready")
        running = pool.submit(_search, path, flag, ready)
        while not ready.exists():
            running.done() and running.result()
            time.sleep(0.1)
        work()
        flag.touch()
        took = running.result()
    quantiles = {f"p{100 * q:.0f} ms": 1000 * float(np.quantile(took, q)) for q in (0.5, 0.95, 0.99, 1)}
    return {"searches": len(took)} | quantiles


@contextmanager
def _stopped(flag: Path) -> Any:
    """Stop the other process at the end, also after an error."""
    try:
        yield
    finally:
        flag.touch()


def _search(path: Path, flag: Path, ready: Path) -> list[float]:
    shop, took = open_shop(path, SyntheticTowers()), list[float]()
    texts = [query.text for query in SyntheticCatalogue(len(shop)).queries(QUERIES)[0]]
    for text in texts[:20]:
        search(shop, text)
    ready.touch()
    while not flag.exists():
        began = time.perf_counter()
        shop.refresh()
        assert search(shop, texts[len(took) % QUERIES])
        took.append(time.perf_counter() - began)
    return took


if __name__ == "__main__":
    cyclopts.run(main)
