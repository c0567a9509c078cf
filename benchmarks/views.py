"""One fused vector per listing against all of its views (MaxSim): effectiveness, and cost of search.

    python benchmarks/views.py [FOLDER...] [--listings 200000] [--photos 4] [--seeds 3] [--out benchmarks/results]

Input       folders of catalogues with queries.jsonl and qrels.txt; by default a sample marketplace of 1,000 listings.
            --listings 0 skips the cost, --seeds 0 the effectiveness.
Cost        2 minutes per catalogue once its photos are encoded, 15 minutes for the cost; 6 GB of memory and disk.
Writes      views.json and views-LISTINGS.json in --out; tables go to stdout.
Claim       the paper's "no additional online overhead": a search of fused vectors costs what a search of one view does

A query is one vector, so MaxSim is the maximum of its dot products with the views of a listing.

Effectiveness   judged queries, towers pretrained with the defaults, all listings compared
    fused               the fused embedding, with default weights
    mean of views       the unweighted mean of all views
    all views           MaxSim over photos and texts
    best of each        the maximum over photos plus the maximum over texts

Cost            synthetic listings (wares.evaluation.synthetic_shops) of some photos, a title and a description, each
    system with an index whose effort is the smallest that finds .95 of the 100 nearest listings. Lance searches fused
    vectors as shops do, and all views as a multivector column, which it indexes by cosine only. Faiss has no
    multivectors, so it searches for enough views for 100 listings and keeps the best view of each. Each system runs in
    a process of its own.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import cyclopts
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from measuring import mean_of, means, peak_memory, seconds
from wares.data.catalogue import read_catalogue
from wares.data.queries import read_queries
from wares.encoders.features import Embeddings, catalogue_features, embed_features, embed_texts
from wares.encoders.fusion import fuse
from wares.encoders.registry import build_towers
from wares.evaluation.measures import PerQuery, measure, read_qrels
from wares.evaluation.significance import paired_tests
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.samples.marketplace import write_marketplace
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings

if TYPE_CHECKING:
    from lancedb.query import LanceVectorQueryBuilder

MEASURES = ("nDCG@10", "R@10", "R@100")
DEPTH, RECALL = 100, 0.95
TUNING, LOG = 100, 300  # queries for the selection of the effort, and for timing
EFFORTS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
CHUNK = 8_192
Vectors = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
T = TypeVar("T")


def main(
    folders: list[Path] | None = None,
    listings: int = 200_000,
    photos: int = 4,
    seeds: int = 3,
    out: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print and write."""
    out.mkdir(parents=True, exist_ok=True)
    if seeds:
        with TemporaryDirectory() as name:
            if not folders:
                folders = [Path(name) / "marketplace"]
                write_marketplace(folders[0], 1000, 0)
            found = {folder.name: quality([judged(folder, seed) for seed in range(seeds)]) for folder in folders}
        write({"settings": {"seeds": seeds}, "catalogues": found}, out / "views.json")
        for title, figures in found.items():
            show(title, figures["systems"])
    if listings:
        with TemporaryDirectory() as name:
            in_new_process(prepare, Path(name), listings, photos)
            costs = {system: in_new_process(cost, Path(name), system, photos + 2) for system in SYSTEMS}
        settings = {"listings": listings, "photos": photos, "views": photos + 2}
        write({"settings": settings, "systems": costs}, out / f"views-{listings}.json")
        show(f"{listings:,} listings of {photos + 2} views", costs)


def write(figures: dict[str, Any], file: Path) -> None:
    """Write figures with date and machine."""
    about = {"date": datetime.now(UTC).isoformat(), "machine": {"cores": os.cpu_count(), "system": platform.platform()}}
    file.write_text(json.dumps(about | figures, indent=2) + "\n", encoding="utf-8")


def in_new_process(work: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# Effectiveness


@dataclass(frozen=True)
class Judged:
    """Effectiveness after training with one seed.

    measures: system -> measure -> query -> value
    by_text: fraction of the first ten results of `all views` whose best view is a text
    """

    measures: dict[str, PerQuery]
    by_text: float


def judged(folder: Path, seed: int) -> Judged:
    """Train on a catalogue and measure with its judged queries."""
    catalogue = read_catalogue(folder, "skip")
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    towers = build_towers("offline", seed)
    features = catalogue_features(catalogue, towers, on_error="skip")
    pretrain(features, towers, PretrainSettings(seed=seed))
    embeddings = embed_features(features, towers)
    query_vectors = embed_texts([query.text for query in queries], towers)
    ids = np.array([listing.id for listing in catalogue.listings])
    measures, scored = {}, scores_of(query_vectors, embeddings, fuse(embeddings, towers.fusion).vectors)
    for name, scores in scored.items():
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        run = {
            query.id: dict(zip(ids[indices].tolist(), row[indices].tolist(), strict=True))
            for query, indices, row in zip(queries, best, scores, strict=True)
        }
        measures[name] = measure(run, qrels, MEASURES)
    first = np.argsort(-scored["all views"], axis=1, kind="stable")[:, :10]
    texts = best_of(query_vectors @ embeddings.texts.T, embeddings.text_views.offsets)
    by_text = np.take_along_axis(texts >= scored["all views"], first, axis=1)
    return Judged(measures, float(by_text.mean()))


def scores_of(queries: Vectors, embeddings: Embeddings, fused: Vectors) -> dict[str, Vectors]:
    """System → (Q, N) scores of all listings."""
    photos = best_of(queries @ embeddings.photos.T, embeddings.photo_views.offsets)
    texts = best_of(queries @ embeddings.texts.T, embeddings.text_views.offsets)
    owners = np.concatenate([embeddings.photo_views.owners, embeddings.text_views.owners])
    sums = np.zeros_like(fused)
    np.add.at(sums, owners, np.concatenate([embeddings.photos, embeddings.texts]))
    return {
        "fused": queries @ fused.T,
        "mean of views": queries @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T,
        "all views": np.maximum(photos, texts),
        "best of each": np.where(np.isneginf(photos), 0, photos) + texts,
    }


def best_of(scores: Vectors, offsets: Indices) -> Vectors:
    """(Q, N) maximum over the views of each listing; -inf without a view. scores: (Q, V) of views"""
    best = np.full((len(scores), len(offsets) - 1), -np.inf, dtype=np.float32)
    with_views = np.flatnonzero(np.diff(offsets))
    best[:, with_views] = np.maximum.reduceat(scores, offsets[with_views], axis=1)
    return best


def quality(seeds: Sequence[Judged]) -> dict[str, Any]:
    """Return means over queries and seeds, standard deviations over seeds, and tests against fused."""
    names = list(seeds[0].measures)
    averaged = {name: mean_of([seed.measures[name] for seed in seeds]) for name in names}
    spread = {
        name: {
            measure_name: float(np.std([means(seed.measures[name])[measure_name] for seed in seeds], ddof=1))
            for measure_name in MEASURES
        }
        for name in names
        if len(seeds) > 1
    }
    tests = [
        {"system": test.system, "measure": test.measure, "difference": test.difference, "p": test.p_holm}
        for test in paired_tests(averaged, "fused")
    ]
    by_text = float(np.mean([seed.by_text for seed in seeds]))
    systems = {name: means(values) for name, values in averaged.items()}
    return {"systems": systems, "spread": spread, "tests": tests, "best view is a text": by_text}


# Cost


class System(Protocol):
    """An index that finds the listings nearest to a query."""

    def nearest(self, query: Vectors, effort: int) -> Indices:
        """(100,) listings, the nearest first."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the vectors and their index, in memory or on disk."""
        ...


class Faiss:
    """IVFFlat with √n lists over fused vectors, or over views whose results are grouped by listing.

    views: per listing; 1 for fused vectors
    """

    def __init__(self, vectors: Vectors, views: int, folder: Path) -> None:
        import faiss

        n, dimension = vectors.shape
        lists = round(n**0.5)
        self.index: Any = faiss.index_factory(dimension, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        self.index.train(vectors[:: max(1, n // (50 * lists))])
        self.index.add(vectors)
        self.views, self.size = views, vectors.nbytes + 8 * n + 4 * dimension * lists

    def nearest(self, query: Vectors, effort: int) -> Indices:
        self.index.nprobe = effort
        owners = self.index.search(query[None], DEPTH * self.views)[1][0] // self.views
        return np.fromiter(dict.fromkeys(owners.tolist()), np.int64)[:DEPTH]


class Lance:
    """A table with IVF_FLAT over fused vectors, or over a multivector column."""

    def __init__(self, vectors: Vectors, views: int, folder: Path) -> None:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfFlat

        n, dimension = len(vectors) // views, vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
        if views > 1:
            column = pa.ListArray.from_arrays(pa.array(np.arange(0, len(vectors) + 1, views), pa.int32()), column)
        table = lancedb.connect(folder).create_table("views", pa.table({"listing": np.arange(n), "vector": column}))
        size = round(len(vectors) ** 0.5)
        table.create_index("vector", config=IvfFlat(distance_type="cosine", target_partition_size=size))
        self.table = table
        self.size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    def nearest(self, query: Vectors, effort: int) -> Indices:
        builder = cast("LanceVectorQueryBuilder", self.table.search(query, "vector"))
        builder = builder.distance_type("cosine").nprobes(effort)
        return np.asarray(builder.select(["listing", "_distance"]).limit(DEPTH).to_arrow()["listing"].to_numpy())


SYSTEMS: dict[str, tuple[type[Faiss | Lance], str]] = {
    "fused, faiss": (Faiss, "fused"),
    "all views, faiss": (Faiss, "views"),
    "fused, Lance": (Lance, "fused"),
    "all views, Lance": (Lance, "views"),
}


def prepare(folder: Path, listings: int, photos: int) -> None:
    """Write fused vectors, vectors of all views, queries, and their exact results to disk."""
    catalogue, towers = SyntheticCatalogue(listings, photos), SyntheticTowers()
    fused, views = [], []
    for part in catalogue.chunks(CHUNK):
        embeddings, fused_embeddings = towers.encode_listings(part, "stop")
        photo_vectors = embeddings.photos.reshape(len(part), photos, -1)
        views.append(np.concatenate([photo_vectors, embeddings.texts.reshape(len(part), 2, -1)], axis=1))
        fused.append(fused_embeddings.vectors)
    vectors = {"fused": np.concatenate(fused), "views": np.concatenate(views).reshape(-1, towers.dimension)}
    log = towers.encode_texts([query.text for query in catalogue.queries(TUNING + LOG)[0]])
    np.save(folder / "log.npy", log)
    for name, rows in vectors.items():
        np.save(folder / f"{name}.npy", rows)
        np.save(folder / f"{name}-exact.npy", exact(log, rows, len(rows) // listings))


def exact(queries: Vectors, vectors: Vectors, views: int) -> Indices:
    """(Q, 100) nearest listings by the maximum over their views."""
    nearest = []
    for query in queries:
        scores = (vectors @ query).reshape(-1, views).max(axis=1)
        best = np.argpartition(-scores, DEPTH - 1)[:DEPTH]
        nearest.append(best[np.argsort(-scores[best], kind="stable")])
    return np.stack(nearest)


def cost(folder: Path, name: str, views: int) -> dict[str, float]:
    """Return the cost of a system to build and to search at the target recall."""
    build, kind = SYSTEMS[name]
    vectors, log, nearest = (np.load(folder / f"{file}.npy") for file in (kind, "log", f"{kind}-exact"))
    systems: list[Faiss | Lance] = []
    with TemporaryDirectory() as index_folder:
        built = seconds(lambda: systems.append(build(vectors, views if kind == "views" else 1, Path(index_folder))))
        [system] = systems
        effort = next(
            effort
            for effort in (*EFFORTS, 10 * max(EFFORTS))
            if effort > max(EFFORTS) or recall(system, log[:TUNING], nearest[:TUNING], effort) >= RECALL
        )
        times = np.array([seconds(lambda query=query: system.nearest(query, effort)) for query in log[TUNING:]])  # type: ignore[misc]
        measured_recall = recall(system, log[TUNING:], nearest[TUNING:], effort)
    wall, processor = 1000 * times.T
    return {
        "seconds to build": built[0],
        "processor seconds to build": built[1],
        "MB": system.size / 1e6,
        "MiB at most": peak_memory(),
        "effort": effort,
        "recall@100": measured_recall,
        "p50 ms": float(np.median(wall)),
        "p95 ms": float(np.quantile(wall, 0.95)),
        "p50 processor ms": float(np.median(processor)),
    }


def recall(system: System, queries: Vectors, nearest: Indices, effort: int) -> float:
    """Return the mean fraction of the nearest listings that a system finds."""
    pairs = zip(queries, nearest, strict=True)
    return float(np.mean([len(np.intersect1d(system.nearest(query, effort), best)) / DEPTH for query, best in pairs]))


def show(title: str, systems: dict[str, dict[str, float]]) -> None:
    """Print a table with a column for each system."""
    table = Table("", *systems, title=title)
    for name in next(iter(systems.values())):
        table.add_row(name, *(f"{figures[name]:,.4g}" for figures in systems.values()))
    Console().print(table)


if __name__ == "__main__":
    cyclopts.run(main)
