"""One fused vector a listing against all of its views (MaxSim): what each finds, and what each costs to search.

    python benchmarks/views.py [FOLDER...] [--listings 200000] [--photos 4] [--seeds 3] [--out benchmarks/results]

Draws       a sample marketplace of 1,000 listings where no folder is named; folders have queries.jsonl and qrels.txt.
            --listings 0 leaves the cost out, --seeds 0 what is found.
Cost        2 minutes a catalogue once its photos are encoded, 15 minutes for the cost; 6 GB of memory and disk.
Writes      views.json and views-LISTINGS.json in --out; tables go to stdout.
Claim       the paper's "no additional online overhead": a search of fused vectors costs what a search of one view does

A query is one vector, so MaxSim is the largest of its dot products with a listing's views.

Found       listings that judges call relevant, towers pretrained with the defaults, all listings compared
    fused               the fused embedding, weights as they were chosen
    mean of views       the mean of all views, none weighed
    all views           MaxSim over photos and texts
    best of each        the largest over photos plus the largest over texts

Cost        clouds (wares.evaluation.synthetic_shops) of some photos, a title and a description each, through an index each, which
            looks at the least that finds .95 of the 100 listings that comparing everything finds. Lance searches fused
            vectors as shops do, and all views as a column of several vectors (which it indexes by cosine alone); faiss
            has no such thing, so it searches for views, enough for 100 listings whatever they are, and keeps the best
            of each. Each in a process of its own.
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
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import typer
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
TUNING, LOG = 100, 300  # queries that the effort is chosen by, and others that are timed
EFFORTS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512)
CHUNK = 8_192
Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
T = TypeVar("T")


def main(
    folders: Annotated[list[Path] | None, typer.Argument()] = None,
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
            alone(prepare, Path(name), listings, photos)
            costs = {system: alone(cost, Path(name), system, photos + 2) for system in SYSTEMS}
        settings = {"listings": listings, "photos": photos, "views": photos + 2}
        write({"settings": settings, "systems": costs}, out / f"views-{listings}.json")
        show(f"{listings:,} listings of {photos + 2} views", costs)


def write(figures: dict[str, Any], file: Path) -> None:
    """Figures, with date and machine."""
    about = {"date": datetime.now(UTC).isoformat(), "machine": {"cores": os.cpu_count(), "system": platform.platform()}}
    file.write_text(json.dumps(about | figures, indent=2) + "\n", encoding="utf-8")


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """Work done in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# What is found


@dataclass(frozen=True)
class Judged:
    """What judges say after training with a seed.

    measures: of each system, query by query; by_text: share of first tens of `all views` whose best view is a text
    """

    measures: dict[str, PerQuery]
    by_text: float


def judged(folder: Path, seed: int) -> Judged:
    """Train on a catalogue, and measure with its queries."""
    catalogue = read_catalogue(folder, "skip")
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.txt")
    towers = build_towers("offline", seed)
    features = catalogue_features(catalogue, towers, on_error="skip")
    pretrain(features, towers, PretrainSettings(seed=seed))
    embeddings = embed_features(features, towers)
    asked = embed_texts([query.text for query in queries], towers)
    ids = np.array([listing.id for listing in catalogue.listings])
    found, scored = {}, scores_of(asked, embeddings, fuse(embeddings, towers.fusion).vectors)
    for name, scores in scored.items():
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        run = {
            query.id: dict(zip(ids[places].tolist(), row[places].tolist(), strict=True))
            for query, places, row in zip(queries, best, scores, strict=True)
        }
        found[name] = measure(run, qrels, MEASURES)
    first = np.argsort(-scored["all views"], axis=1, kind="stable")[:, :10]
    texts = best_of(asked @ embeddings.texts.T, embeddings.text_views.offsets)
    by_text = np.take_along_axis(texts >= scored["all views"], first, axis=1)
    return Judged(found, float(by_text.mean()))


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


def best_of(scores: Vectors, offsets: Places) -> Vectors:
    """(Q, N) the largest of each listing's (Q, V); -inf where it has no view."""
    found = np.full((len(scores), len(offsets) - 1), -np.inf, dtype=np.float32)
    some = np.flatnonzero(np.diff(offsets))
    found[:, some] = np.maximum.reduceat(scores, offsets[some], axis=1)
    return found


def quality(seeds: Sequence[Judged]) -> dict[str, Any]:
    """Means over queries and seeds, with the standard deviation of seeds, and tests against fused."""
    names = list(seeds[0].measures)
    averaged = {name: mean_of([seed.measures[name] for seed in seeds]) for name in names}
    spread = {
        name: {of: float(np.std([means(seed.measures[name])[of] for seed in seeds], ddof=1)) for of in MEASURES}
        for name in names
        if len(seeds) > 1
    }
    tests = [
        {"system": test.system, "measure": test.measure, "difference": test.difference, "p": test.p_holm}
        for test in paired_tests(averaged, "fused")
    ]
    by_text = float(np.mean([seed.by_text for seed in seeds]))
    systems = {name: means(each) for name, each in averaged.items()}
    return {"systems": systems, "spread": spread, "tests": tests, "best view is a text": by_text}


# What it costs


class System(Protocol):
    """What finds the listings nearest to a query."""

    def nearest(self, query: Vectors, effort: int) -> Places:
        """(100,) listings, the nearest first."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the vectors and their index, in memory or on disk."""
        ...


class Faiss:
    """IVFFlat of √n lists over fused vectors, or over views that are grouped by their listings.

    views: of a listing; 1 for fused vectors
    """

    def __init__(self, vectors: Vectors, views: int, folder: Path) -> None:
        import faiss

        n, dimension = vectors.shape
        lists = round(n**0.5)
        self.index: Any = faiss.index_factory(dimension, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        self.index.train(vectors[:: max(1, n // (50 * lists))])
        self.index.add(vectors)
        self.views, self.size = views, vectors.nbytes + 8 * n + 4 * dimension * lists

    def nearest(self, query: Vectors, effort: int) -> Places:
        self.index.nprobe = effort
        found = self.index.search(query[None], DEPTH * self.views)[1][0] // self.views
        return np.fromiter(dict.fromkeys(found.tolist()), np.int64)[:DEPTH]


class Lance:
    """A table with IVF_FLAT over fused vectors, or over a column of several vectors a listing."""

    def __init__(self, vectors: Vectors, views: int, folder: Path) -> None:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfFlat

        n, dimension = len(vectors) // views, vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
        if views > 1:
            column = pa.ListArray.from_arrays(pa.array(np.arange(0, len(vectors) + 1, views), pa.int32()), column)
        table = lancedb.connect(folder).create_table("views", pa.table({"place": np.arange(n), "vector": column}))
        size = round(len(vectors) ** 0.5)
        table.create_index("vector", config=IvfFlat(distance_type="cosine", target_partition_size=size))
        self.table = table
        self.size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    def nearest(self, query: Vectors, effort: int) -> Places:
        asked = cast("LanceVectorQueryBuilder", self.table.search(query, "vector"))
        asked = asked.distance_type("cosine").nprobes(effort)
        return np.asarray(asked.select(["place", "_distance"]).limit(DEPTH).to_arrow()["place"].to_numpy())


SYSTEMS: dict[str, tuple[type[Faiss | Lance], str]] = {
    "fused, faiss": (Faiss, "fused"),
    "all views, faiss": (Faiss, "views"),
    "fused, Lance": (Lance, "fused"),
    "all views, Lance": (Lance, "views"),
}


def prepare(folder: Path, listings: int, photos: int) -> None:
    """Fused vectors and those of all views, listing by listing, queries, and the nearest of each, on disk."""
    clouds, towers = SyntheticCatalogue(listings, photos), SyntheticTowers()
    fused, views = [], []
    for part in clouds.chunks(CHUNK):
        embeddings, found = towers.encode_listings(part, "stop")
        of_photos = embeddings.photos.reshape(len(part), photos, -1)
        views.append(np.concatenate([of_photos, embeddings.texts.reshape(len(part), 2, -1)], axis=1))
        fused.append(found.vectors)
    vectors = {"fused": np.concatenate(fused), "views": np.concatenate(views).reshape(-1, towers.dimension)}
    log = towers.encode_texts([query.text for query in clouds.queries(TUNING + LOG)[0]])
    np.save(folder / "log.npy", log)
    for name, each in vectors.items():
        np.save(folder / f"{name}.npy", each)
        np.save(folder / f"{name}-exact.npy", exact(log, each, len(each) // listings))


def exact(queries: Vectors, vectors: Vectors, views: int) -> Places:
    """(Q, 100) listings by the best of their views."""
    found = []
    for query in queries:
        scores = (vectors @ query).reshape(-1, views).max(axis=1)
        best = np.argpartition(-scores, DEPTH - 1)[:DEPTH]
        found.append(best[np.argsort(-scores[best], kind="stable")])
    return np.stack(found)


def cost(folder: Path, name: str, views: int) -> dict[str, float]:
    """What a system takes to build and to search at the recall that is aimed at."""
    make, of = SYSTEMS[name]
    vectors, log, nearest = (np.load(folder / f"{file}.npy") for file in (of, "log", f"{of}-exact"))
    systems: list[Faiss | Lance] = []
    with TemporaryDirectory() as place:
        built = seconds(lambda: systems.append(make(vectors, views if of == "views" else 1, Path(place))))
        [system] = systems
        effort = next(
            effort
            for effort in (*EFFORTS, 10 * max(EFFORTS))
            if effort > max(EFFORTS) or recall(system, log[:TUNING], nearest[:TUNING], effort) >= RECALL
        )
        took = np.array([seconds(lambda query=query: system.nearest(query, effort)) for query in log[TUNING:]])  # type: ignore[misc]
        found = recall(system, log[TUNING:], nearest[TUNING:], effort)
    wall, processor = 1000 * took.T
    return {
        "seconds to build": built[0],
        "processor seconds to build": built[1],
        "MB": system.size / 1e6,
        "MiB at most": peak_memory(),
        "effort": effort,
        "recall@100": found,
        "p50 ms": float(np.median(wall)),
        "p95 ms": float(np.quantile(wall, 0.95)),
        "p50 processor ms": float(np.median(processor)),
    }


def recall(system: System, queries: Vectors, nearest: Places, effort: int) -> float:
    """The mean share of the nearest that are found."""
    pairs = zip(queries, nearest, strict=True)
    return float(np.mean([len(np.intersect1d(system.nearest(query, effort), best)) / DEPTH for query, best in pairs]))


def show(title: str, systems: dict[str, dict[str, float]]) -> None:
    """A system a column."""
    table = Table("", *systems, title=title)
    for name in next(iter(systems.values())):
        table.add_row(name, *(f"{figures[name]:,.4g}" for figures in systems.values()))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
