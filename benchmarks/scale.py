"""Build a shop of a million listings and search it, beside libraries that do nothing but search vectors.

    python benchmarks/scale.py [--listings 1000000] [--queries 500] [--out benchmarks/results] [--keep FOLDER]

Cost        45 minutes on 2 cores, 12 GB of disk and 6 GB of memory; needs no network. `pip install usearch` adds what
            wares does not come with; without, it is left out.
Writes      scale-LISTINGS.json and .png in --out; tables go to stdout.
Aim         half of the queries within 2 times what faiss' IVFFlat takes, at the same recall

Listings are clouds of 256 dimensions (wares.evaluation.synthetic_shops): two photos, a title and a description each. Everything is
built and searched in a process of its own, so that what it holds in memory is its own; all get the same vectors.

Effort      How much each looks at is the least that finds .95 of the 100 nearest for 200 queries of some words of a
            title; wares chooses so by itself when it builds. What is reported is found and timed with queries of a log,
            each of two words.
One by one  500 queries, one after the other, 100 results each
Batched     the same, 64 at a time
Processor   what a query costs all cores together, which other work on the machine disturbs less than the clock
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.table import Table

from measuring import peak_memory
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.filters import Filter
from wares.shop.retrieval import retrieve
from wares.shop.shop import open_shop
from wares.shop.vector_index import DEFAULT_TARGET_RECALL, TARGET_DEPTH, sample_queries

CHUNK, BATCH = 2_048, 64
BUILDING = "building.json"  # what the build took, beside the shop
DEPTHS = (10, 100, 500)
EFFORTS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
T = TypeVar("T")


class System(Protocol):
    """What finds the nearest of the vectors that it was built of."""

    @property
    def efforts(self) -> Sequence[int]: ...

    def nearest(self, queries: Vectors, k: int, effort: int) -> Places:
        """(Q, k) places of the vectors of the largest dot product."""
        ...


def main(
    listings: int = 1_000_000, queries: int = 500, out: Path = Path("benchmarks/results"), keep: Path | None = None
) -> None:
    """Build, search, print and write. keep: a folder for the shop, to go on with it"""
    with TemporaryDirectory() as name:
        folder = Path(name) if keep is None else keep
        folder.mkdir(exist_ok=True)
        built = folder / BUILDING
        if not built.exists():
            built.write_text(json.dumps(alone(build, folder, listings), indent=2) + "\n", encoding="utf-8")
        alone(prepare, folder, queries)
        figures = {
            "date": datetime.now(UTC).isoformat(),
            "machine": {"cores": os.cpu_count(), "system": platform.platform()},
            "settings": {"listings": listings, "queries": queries, "dimension": SyntheticTowers().dimension},
            "building": json.loads(built.read_text(encoding="utf-8")),
            "searching": {},
        }
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"scale-{listings}.json"
        for name in filter(installed, SYSTEMS):
            figures["searching"][name] = alone(measure, folder, name)
            file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")  # a killed run keeps what it has
    show(figures)
    draw(figures["searching"], file.with_suffix(".png"))


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """Work done in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# A shop, and what everybody searches


def build(folder: Path, listings: int) -> dict[str, Any]:
    """Seconds and memory of a build, and how large it is."""
    clouds, towers = SyntheticCatalogue(listings), SyntheticTowers()
    before, began = peak_memory(), time.monotonic()
    write_shop(summarize_catalogue(clouds), towers, towers.chunks(clouds, CHUNK), folder / "shop")
    seconds = time.monotonic() - began
    size = sum(file.stat().st_size for file in (folder / "shop").rglob("*") if file.is_file())
    figures = {"seconds": seconds, "listings a second": listings / seconds, "GB on disk": size / 1e9}
    shop = open_shop(folder / "shop", towers)
    return figures | {"MiB before": before, "MiB at most": peak_memory(), "index": str(shop.vector_index)}


def prepare(folder: Path, count: int) -> None:
    """The shop's vectors as one array, queries, and what NumPy finds for them, on disk for all systems."""
    shop = open_shop(folder / "shop", SyntheticTowers())
    blocks = shop.table.search().select(["vector"]).limit(len(shop)).to_batches(65_536)
    vectors = np.concatenate([block["vector"].flatten().to_numpy() for block in blocks]).reshape(len(shop), -1)
    np.save(folder / "vectors.npy", vectors)
    log = SyntheticTowers().encode_texts([query.text for query in SyntheticCatalogue(len(shop)).queries(count)[0]])
    for name, queries in (("tuning", shop.encoder.encode_texts(sample_queries(shop.table))), ("log", log)):
        np.save(folder / f"{name}.npy", queries)
        np.save(folder / f"{name}-exact.npy", Exact(vectors).nearest(queries, max(DEPTHS), 0))


# Systems


class Wares:
    """The shop itself: rows come with ids, ties are broken, changes are seen; it has chosen its effort."""

    def __init__(self, folder: Path, in_memory: bool = False) -> None:
        self.shop = open_shop(folder / "shop", SyntheticTowers(), in_memory=in_memory)
        memory = self.shop.memory_vectors
        self.efforts = ((self.shop.vector_index if memory is None else memory.snapshot.vector_index).probes,)

    def nearest(self, queries: Vectors, k: int, effort: int) -> Places:
        lists = retrieve(self.shop, [""] * len(queries), queries, k, "fused", Filter())
        return np.array([[int(hit.id[1:]) for hit in best] for best in lists])


class Exact:
    """All dot products."""

    efforts = (0,)

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def nearest(self, queries: Vectors, k: int, effort: int) -> Places:
        found = []
        for start in range(0, len(queries), BATCH):
            scores = queries[start : start + BATCH] @ self.vectors.T
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
            found.append(np.take_along_axis(best, order, 1))
        return np.concatenate(found)


class Faiss:
    """IVFFlat with √n lists, or HNSW."""

    efforts = EFFORTS

    def __init__(self, vectors: Vectors, kind: str) -> None:
        import faiss

        n, d = vectors.shape
        lists = round(n**0.5)
        described = f"IVF{lists},Flat" if kind == "ivf" else "HNSW32,Flat"
        self.index: Any = faiss.index_factory(d, described, faiss.METRIC_INNER_PRODUCT)
        if kind == "ivf":
            sample = np.random.default_rng(0).choice(n, min(n, 64 * lists), replace=False)
            self.index.train(vectors[np.sort(sample)])
        self.index.add(vectors)
        self.kind = kind

    def nearest(self, queries: Vectors, k: int, effort: int) -> Places:
        if self.kind == "ivf":
            self.index.nprobe = effort
        else:
            self.index.hnsw.efSearch = max(k, effort)
        return np.asarray(self.index.search(queries, k)[1])


class Usearch:
    """HNSW as usearch has it."""

    efforts = EFFORTS

    def __init__(self, vectors: Vectors) -> None:
        from usearch.index import Index

        self.index: Any = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
        self.index.add(np.arange(len(vectors)), vectors)

    def nearest(self, queries: Vectors, k: int, effort: int) -> Places:
        self.index.expansion_search = max(k, effort)
        keys = self.index.search(queries, k).keys
        return np.asarray(keys, dtype=np.int64).reshape(len(queries), -1)


def _vectors(folder: Path) -> Vectors:
    return np.asarray(np.load(folder / "vectors.npy"), dtype=np.float32)


SYSTEMS: dict[str, Callable[[Path], System]] = {
    "wares": Wares,
    "wares in memory": lambda folder: Wares(folder, in_memory=True),
    "faiss IVFFlat": lambda folder: Faiss(_vectors(folder), "ivf"),
    "numpy": lambda folder: Exact(_vectors(folder)),
    "faiss HNSW": lambda folder: Faiss(_vectors(folder), "hnsw"),
    "usearch": lambda folder: Usearch(_vectors(folder)),
}
LIBRARIES = {"wares in memory": "faiss"}


def installed(name: str) -> bool:
    """Whether the library of a system is there; told where it is not."""
    there = find_spec(LIBRARIES.get(name, name.split()[0])) is not None
    if not there:
        print(f"{name} is left out: it is not installed.", file=sys.stderr)
    return there


# Measuring


def measure(folder: Path, name: str) -> dict[str, Any]:
    """What a system finds, and how long it takes."""
    tuning, tuning_exact = np.load(folder / "tuning.npy"), np.load(folder / "tuning-exact.npy")
    log, exact = np.load(folder / "log.npy"), np.load(folder / "log-exact.npy")
    began = time.monotonic()
    system = SYSTEMS[name](folder)
    building = time.monotonic() - began
    effort = next(
        (
            effort
            for effort in system.efforts
            if recall(system.nearest(tuning, TARGET_DEPTH, effort), tuning_exact, TARGET_DEPTH) >= DEFAULT_TARGET_RECALL
        ),
        system.efforts[-1],
    )
    took: list[tuple[float, float]] = []
    batched: list[tuple[float, float]] = []
    system.nearest(log[:BATCH], TARGET_DEPTH, effort)
    for query in log:
        with timed(took):
            system.nearest(query[None], TARGET_DEPTH, effort)
    for start in range(0, len(log), BATCH):
        with timed(batched):
            system.nearest(log[start : start + BATCH], TARGET_DEPTH, effort)
    found = system.nearest(log, max(DEPTHS), effort)
    return {
        "effort": effort,
        "seconds to build or open": building,
        "MiB": peak_memory(),
        **{f"p{100 * q:.0f} ms": 1000 * float(np.quantile(took, q, axis=0)[0]) for q in (0.5, 0.95, 0.99)},
        "p50 processor ms": 1000 * float(np.median(took, axis=0)[1]),
        **{f"p{100 * q:.0f} ms of a batch": 1000 * float(np.quantile(batched, q, axis=0)[0]) for q in (0.5, 0.95)},
        "batched queries a second": len(log) / float(np.sum(batched, axis=0)[0]),
        "batched queries a processor second": len(log) / float(np.sum(batched, axis=0)[1]),
        **{f"recall@{k}": recall(found, exact, k) for k in DEPTHS},
        "recall@100 of tuning": recall(system.nearest(tuning, TARGET_DEPTH, effort), tuning_exact, TARGET_DEPTH),
    }


def recall(found: Places, exact: Places, k: int) -> float:
    """The mean share of the exact k that is among the k found."""
    return float(np.mean([len(np.intersect1d(a[:k], b[:k])) / k for a, b in zip(found, exact, strict=True)]))


@contextmanager
def timed(took: list[tuple[float, float]]) -> Any:
    """Seconds of what is done inside, by the clock and of processors, added to a list."""
    began, worked = time.perf_counter(), time.process_time()
    yield
    took.append((time.perf_counter() - began, time.process_time() - worked))


# Telling


def show(figures: dict[str, Any]) -> None:
    """The build as lines, the systems as a table."""
    console = Console()
    for name, value in figures["building"].items():
        console.print(f"{name}: {value:,.1f}" if isinstance(value, float) else f"{name}: {value}")
    found = figures["searching"]
    table = Table("", *found, title=f"{figures['settings']['listings']:,} listings")
    for name in next(iter(found.values())):
        table.add_row(name, *(f"{figures[name]:,.4g}" for figures in found.values()))
    console.print(table)


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Half of the queries' time and all queries' rate, side by side."""
    import matplotlib.pyplot as plt

    figure, (single, batched) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
    for axes, name in ((single, "p50 ms"), (batched, "batched queries a second")):
        bars = axes.barh(list(found), [system[name] for system in found.values()], color="#0072b2")
        axes.bar_label(bars, [f"{bar.get_width():,.{1 if bar.get_width() < 100 else 0}f}" for bar in bars], padding=3)
        axes.set(xlabel=name)
        axes.margins(x=0.15)
    single.invert_yaxis()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
