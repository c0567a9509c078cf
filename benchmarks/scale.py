"""Build and search of a shop of a million listings, against libraries that only search vectors.

    python benchmarks/scale.py [--listings 1000000] [--queries 500] [--out benchmarks/results] [--keep FOLDER]

Cost        45 minutes on 2 cores, 12 GB of disk and 6 GB of memory; needs no network. `pip install usearch` adds
            usearch, which is left out if it is not installed.
Writes      scale-LISTINGS.json and .png in --out; tables go to stdout.
Target      median time of a query at most twice that of faiss IVFFlat, at the same recall

Listings are synthetic (wares.evaluation.synthetic_shops) with 256 dimensions: two photos, a title and a description
each. Each system builds and searches in a process of its own, so that its memory is its own, on the same vectors.

Effort      number of partitions (or efSearch) of each system: the smallest that finds .95 of the 100 nearest for 200
            queries of words of a title. Wares selects it when it builds. Recall and time are reported for queries of a
            log, of two words each.
Single      500 queries, one after the other, 100 results each
Batched     the same, 64 at a time
Words       disk, memory and opening time of the word index, and the same searches by text with each system of a shop,
            without the encoding of the query
Processor   time of a query on all cores together, which other load on the machine disturbs less than wall-clock
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

import cyclopts
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from measuring import peak_memory
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.filters import Filter
from wares.shop.retrieval import retrieve
from wares.shop.shop import open_shop
from wares.shop.systems import SYSTEMS as SEARCH_SYSTEMS
from wares.shop.vector_index import DEFAULT_TARGET_RECALL, TARGET_DEPTH, sample_queries
from wares.shop.word_index import WORD_INDEX_FILE

CHUNK, BATCH = 2_048, 64
BUILDING = "building.json"  # figures of the build, in the folder of the shop
DEPTHS = (10, 100, 500)
EFFORTS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
Vectors = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
T = TypeVar("T")


class System(Protocol):
    """An index of vectors, which finds the nearest of them."""

    @property
    def efforts(self) -> Sequence[int]: ...

    def nearest(self, queries: Vectors, k: int, effort: int) -> Indices:
        """(Q, k) indices of the vectors with the largest dot products."""
        ...


def main(
    listings: int = 1_000_000, queries: int = 500, out: Path = Path("benchmarks/results"), keep: Path | None = None
) -> None:
    """Build, search, print and write. keep: a folder that keeps the shop, for a later run"""
    with TemporaryDirectory() as name:
        folder = Path(name) if keep is None else keep
        folder.mkdir(exist_ok=True)
        built = folder / BUILDING
        if not built.exists():
            built.write_text(json.dumps(in_new_process(build, folder, listings), indent=2) + "\n", encoding="utf-8")
        in_new_process(prepare, folder, queries)
        figures = {
            "date": datetime.now(UTC).isoformat(),
            "machine": {"cores": os.cpu_count(), "system": platform.platform()},
            "settings": {"listings": listings, "queries": queries, "dimension": SyntheticTowers().dimension},
            "building": json.loads(built.read_text(encoding="utf-8")),
            "searching": {},
            "words": in_new_process(measure_words, folder, queries),
        }
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"scale-{listings}.json"
        for name in filter(installed, SYSTEMS):
            figures["searching"][name] = in_new_process(measure, folder, name)
            file.write_text(
                json.dumps(figures, indent=2) + "\n", encoding="utf-8"
            )  # an interrupted run keeps its results
    show(figures)
    draw(figures["searching"], file.with_suffix(".png"))


def in_new_process(work: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# The shop, and the vectors of all systems


def build(folder: Path, listings: int) -> dict[str, Any]:
    """Build the shop; return seconds, memory and size."""
    catalogue, towers = SyntheticCatalogue(listings), SyntheticTowers()
    before, began = peak_memory(), time.monotonic()
    write_shop(summarize_catalogue(catalogue), towers, towers.chunks(catalogue, CHUNK), folder / "shop")
    seconds = time.monotonic() - began
    size = sum(file.stat().st_size for file in (folder / "shop").rglob("*") if file.is_file())
    figures = {"seconds": seconds, "listings a second": listings / seconds, "GB on disk": size / 1e9}
    shop = open_shop(folder / "shop", towers)
    return figures | {"MiB before": before, "MiB at most": peak_memory(), "index": str(shop.vector_index)}


def prepare(folder: Path, count: int) -> None:
    """Write the shop's vectors, queries, and their exact results to disk for all systems."""
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
    """The shop itself: it returns ids, breaks ties, sees changes, and has selected its effort."""

    def __init__(self, folder: Path, in_memory: bool = False) -> None:
        self.shop = open_shop(folder / "shop", SyntheticTowers(), in_memory=in_memory)
        memory = self.shop.memory_vectors
        self.efforts = ((self.shop.vector_index if memory is None else memory.snapshot.vector_index).probes,)

    def nearest(self, queries: Vectors, k: int, effort: int) -> Indices:
        lists = retrieve(self.shop, [""] * len(queries), queries, k, "fused", Filter())
        return np.array([[int(hit.id[1:]) for hit in best] for best in lists])


class Exact:
    """Exhaustive search with NumPy."""

    efforts = (0,)

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def nearest(self, queries: Vectors, k: int, effort: int) -> Indices:
        results = []
        for start in range(0, len(queries), BATCH):
            scores = queries[start : start + BATCH] @ self.vectors.T
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
            results.append(np.take_along_axis(best, order, 1))
        return np.concatenate(results)


class Faiss:
    """IVFFlat with √n lists, or HNSW, of faiss."""

    efforts = EFFORTS

    def __init__(self, vectors: Vectors, kind: str) -> None:
        import faiss

        n, d = vectors.shape
        lists = round(n**0.5)
        description = f"IVF{lists},Flat" if kind == "ivf" else "HNSW32,Flat"
        self.index: Any = faiss.index_factory(d, description, faiss.METRIC_INNER_PRODUCT)
        if kind == "ivf":
            sample = np.random.default_rng(0).choice(n, min(n, 64 * lists), replace=False)
            self.index.train(vectors[np.sort(sample)])
        self.index.add(vectors)
        self.kind = kind

    def nearest(self, queries: Vectors, k: int, effort: int) -> Indices:
        if self.kind == "ivf":
            self.index.nprobe = effort
        else:
            self.index.hnsw.efSearch = max(k, effort)
        return np.asarray(self.index.search(queries, k)[1])


class Usearch:
    """HNSW of usearch."""

    efforts = EFFORTS

    def __init__(self, vectors: Vectors) -> None:
        from usearch.index import Index

        self.index: Any = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
        self.index.add(np.arange(len(vectors)), vectors)

    def nearest(self, queries: Vectors, k: int, effort: int) -> Indices:
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
    """True if the library of a system is installed; else print that it is left out."""
    spec = find_spec(LIBRARIES.get(name, name.split()[0]))
    if spec is None:
        print(f"{name} is left out: it is not installed.", file=sys.stderr)
    return spec is not None


# Measuring


def measure(folder: Path, name: str) -> dict[str, Any]:
    """Return recall and times of a system."""
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
    single: list[tuple[float, float]] = []
    batched: list[tuple[float, float]] = []
    system.nearest(log[:BATCH], TARGET_DEPTH, effort)
    for query in log:
        with timed(single):
            system.nearest(query[None], TARGET_DEPTH, effort)
    for start in range(0, len(log), BATCH):
        with timed(batched):
            system.nearest(log[start : start + BATCH], TARGET_DEPTH, effort)
    results = system.nearest(log, max(DEPTHS), effort)
    return {
        "effort": effort,
        "seconds to build or open": building,
        "MiB": peak_memory(),
        **{f"p{100 * q:.0f} ms": 1000 * float(np.quantile(single, q, axis=0)[0]) for q in (0.5, 0.95, 0.99)},
        "p50 processor ms": 1000 * float(np.median(single, axis=0)[1]),
        **{f"p{100 * q:.0f} ms of a batch": 1000 * float(np.quantile(batched, q, axis=0)[0]) for q in (0.5, 0.95)},
        "batched queries a second": len(log) / float(np.sum(batched, axis=0)[0]),
        "batched queries a processor second": len(log) / float(np.sum(batched, axis=0)[1]),
        **{f"recall@{k}": recall(results, exact, k) for k in DEPTHS},
        "recall@100 of tuning": recall(system.nearest(tuning, TARGET_DEPTH, effort), tuning_exact, TARGET_DEPTH),
    }


def measure_words(folder: Path, count: int) -> dict[str, Any]:
    """Return what the word index costs, and times of searches by a log of texts, whose vectors are known."""
    shop = open_shop(folder / "shop", SyntheticTowers())
    texts = [query.text for query in SyntheticCatalogue(len(shop)).queries(count)[0]]
    vectors, times = shop.encoder.encode_texts(texts), list[tuple[float, float]]()
    before = peak_memory()
    with timed(times):
        shop.word_index.scores(texts[0])
    figures = {
        "MB on disk": (shop.build_folder / WORD_INDEX_FILE).stat().st_size / 1e6,
        "terms per listing": float(shop.word_index.terms.lengths.mean()),
        "seconds to open": times.pop()[0],
        "MiB": peak_memory() - before,
    }
    for system in SEARCH_SYSTEMS:
        single: list[tuple[float, float]] = []
        for text, vector in zip(texts, vectors, strict=True):
            with timed(single):
                retrieve(shop, [text], vector[None], TARGET_DEPTH, system, Filter())
        figures |= {
            f"{system}, p{100 * q:.0f} ms": 1000 * float(np.quantile(single, q, axis=0)[0]) for q in (0.5, 0.95)
        }
    return figures


def recall(results: Indices, exact: Indices, k: int) -> float:
    """Return the mean fraction of the exact k nearest among the first k results."""
    return float(np.mean([len(np.intersect1d(a[:k], b[:k])) / k for a, b in zip(results, exact, strict=True)]))


@contextmanager
def timed(times: list[tuple[float, float]]) -> Any:
    """Append the (wall-clock, processor) seconds of the block to a list."""
    began, worked = time.perf_counter(), time.process_time()
    yield
    times.append((time.perf_counter() - began, time.process_time() - worked))


# Reporting


def show(figures: dict[str, Any]) -> None:
    """Print the build as lines, the systems as a table."""
    console = Console()
    for name, value in figures["building"].items():
        console.print(f"{name}: {value:,.1f}" if isinstance(value, float) else f"{name}: {value}")
    for name, value in figures["words"].items():
        console.print(f"words: {name}: {value:,.3g}")
    searching = figures["searching"]
    table = Table("", *searching, title=f"{figures['settings']['listings']:,} listings")
    for name in next(iter(searching.values())):
        table.add_row(name, *(f"{system[name]:,.4g}" for system in searching.values()))
    console.print(table)


def draw(systems: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the median time of a query and the rate of batches, side by side."""
    import matplotlib.pyplot as plt

    figure, (single, batched) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
    for axes, name in ((single, "p50 ms"), (batched, "batched queries a second")):
        bars = axes.barh(list(systems), [system[name] for system in systems.values()], color="#0072b2")
        axes.bar_label(bars, [f"{bar.get_width():,.{1 if bar.get_width() < 100 else 0}f}" for bar in bars], padding=3)
        axes.set(xlabel=name)
        axes.margins(x=0.15)
    single.invert_yaxis()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    cyclopts.run(main)
