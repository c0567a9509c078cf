"""Runs of a shop's systems and of its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.core.errors import EvaluationError
from wares.data.runs import Run, ranked_ids, read_run
from wares.data.views import Views
from wares.ranking.score_fusion import RRF, ZScore

if TYPE_CHECKING:
    from wares.data.listings import Query
    from wares.encoders.features import CatalogueFeatures, Vectors
    from wares.encoders.towers import Towers
    from wares.evaluation.cross_view import Floats
    from wares.shop.shop import Shop


RUN_DEPTH = 500  # results per query in a run: R@500 needs as many
WORD_DEPTH = 10_000  # results of BM25 that enter sums of z-scores; further ones count as 0
BASELINES = ("bm25", "dense", "dense-views", "bm25+dense", "bm25+dense-views")  # none of them is trained
TEXT_COLUMNS = ["id", "text", "title", "description", "tags", "texts", "view_names", "view_kinds"]


def shop_runs(shop: Shop, queries: Sequence[Query], depth: int = RUN_DEPTH) -> dict[str, Run]:
    """Return the runs of a shop's systems and its baselines, with the best `depth` listings for each query.

    fused, bm25, fused+bm25: systems of the shop (wares.shop.searching)
    reranked: fused+bm25 reranked by the shop's ranker, if it has one
    dense, dense-views, bm25+dense, bm25+dense-views: baselines (`untrained_runs`)

    Every run holds the listings of a query best first, equal scores by ascending id, as the shop's search does.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query, build_shop, build_towers
        >>> from wares.evaluation import shop_runs
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue mug")))
        >>> shop = build_shop(catalogue, build_towers("small"), "shop")
        >>> list(shop_runs(shop, [Query("q1", "boots")]))[3:]
        ['dense', 'dense-views', 'bm25+dense', 'bm25+dense-views']
    """
    from wares.shop.reranking import RERANK_DEPTH as RERANKED
    from wares.shop.searching import run_queries
    from wares.shop.systems import SYSTEMS

    words = run_queries(shop, queries, max(depth, min(len(shop), WORD_DEPTH)), "bm25")
    runs: dict[str, Run] = {
        system: first_results(words, depth) if system == "bm25" else run_queries(shop, queries, depth, system)
        for system in SYSTEMS
    }
    if shop.has_ranker:
        runs["reranked"] = run_queries(shop, queries, depth, rerank_depth=RERANKED)
    return runs | untrained_runs(shop, queries, words, depth)


def named_runs(paths: Sequence[Path], queries: Sequence[Query]) -> dict[str, Run]:
    """Return the runs of run files and shops by name.

    A run file has its name without the suffix, the systems of a shop their names, or `<shop>/<system>` if there are
    several shops. Raises EvaluationError if a file is no run, or if two systems have the same name.
    """
    from wares.shop.shop import open_shop

    shops = [path for path in paths if path.is_dir()]
    runs: dict[str, Run] = {}
    for path in paths:
        if path.is_dir():
            prefix = f"{path.name}/" if len(shops) > 1 else ""
            new_runs = {f"{prefix}{name}": run for name, run in shop_runs(open_shop(path), queries).items()}
        else:
            new_runs = {path.stem: read_run(path)}
        for name in new_runs:
            if name in runs:
                raise EvaluationError(f"two systems have the name {name!r}. Rename {path}.")
        runs |= new_runs
    return runs


def untrained_runs(shop: Shop, queries: Sequence[Query], words: Run, depth: int = RUN_DEPTH) -> dict[str, Run]:
    """Return the runs of the shop's text tower before any training, alone and with BM25.

    dense: cosine with all texts of a listing, concatenated
    dense-views: cosine with the mean of the unit vectors of a listing's texts, each encoded by itself
    bm25+dense: reciprocal rank fusion of BM25 and dense
    bm25+dense-views: sum of the z-scores of BM25 and dense-views, with equal weights, over the whole catalogue

    words: run of BM25, as deep as it can be; a listing that it leaves out has the score 0
    """
    from wares.encoders.features import embed_texts, project_features, text_features
    from wares.encoders.registry import build_towers, load_towers

    towers = build_towers(load_towers(shop.build_folder / "model").name)
    rows = shop.table.search().select(TEXT_COLUMNS).limit(len(shop)).to_arrow().sort_by("id").to_pylist()
    ids, views = [row["id"] for row in rows], texts_by_listing(rows)
    index_of = {id: index for index, id in enumerate(ids)}

    def encoded(texts: list[str]) -> Vectors:  # features are cached, if they were computed before
        return project_features(towers.text, text_features(texts, towers.text), towers.dimension)

    joined, means = encoded([row["text"] for row in rows]), view_means(encoded(views.items), views)
    runs: dict[str, Run] = {"dense": {}, "dense-views": {}, "bm25+dense": {}, "bm25+dense-views": {}}
    for query, vector in zip(queries, embed_texts([query.text for query in queries], towers), strict=True):
        bm25 = np.zeros(len(ids), dtype=np.float32)
        bm25[[index_of[id] for id in words[query.id]]] = list(words[query.id].values())
        similarities = means @ vector
        total = ZScore().fuse(similarities[None], bm25[None])[0]
        runs["dense"][query.id] = _best(joined @ vector, ids, depth)
        runs["dense-views"][query.id] = _best(similarities, ids, depth)
        runs["bm25+dense-views"][query.id] = _best(total, ids, depth)
    runs["bm25+dense"] = fused_runs(runs["dense"], first_results(words, depth), depth=depth)
    return runs


def texts_by_listing(rows: Sequence[Mapping[str, Any]]) -> Views:
    """Return the text views of rows of a shop's table. rows: with `TEXT_COLUMNS`"""
    texts = []
    for row in rows:
        names = [name for name, kind in zip(row["view_names"], row["view_kinds"], strict=True) if kind == "text"]
        further = iter(row["texts"])
        standard = {"title": row["title"], "description": row["description"], "tags": ", ".join(row["tags"])}
        texts.append([standard[name] if name in standard else next(further) for name in names])
    counts = np.array([len(items) for items in texts], dtype=np.int64)
    items = [text for row in texts for text in row]
    return Views(items, items, np.concatenate([[0], np.cumsum(counts)]))


def view_means(vectors: Vectors, views: Views) -> Vectors:
    """Return (N, d) unit means of the vectors of each listing's views; zero for a listing without one."""
    sums = np.zeros((len(views.counts), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, views.owners, vectors)
    means: Vectors = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return means


def towers_run(
    features: CatalogueFeatures, towers: Towers, ids: Sequence[str], queries: Sequence[Query], depth: int = RUN_DEPTH
) -> Run:
    """Return the run of fused embeddings, without a shop. ids: of the listings of `features`, in their order"""
    from wares.encoders.features import embed_features, embed_texts
    from wares.encoders.fusion import fuse

    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    return vectors_run(listings, ids, embed_texts([query.text for query in queries], towers), queries, depth)


def vectors_run(
    listings: Vectors, ids: Sequence[str], vectors: Vectors, queries: Sequence[Query], depth: int = RUN_DEPTH
) -> Run:
    """Return the run of cosines. listings: (N, d) unit vectors, ids: (N,); vectors: (Q, d) of the queries"""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    listings, ids = listings[order], [ids[i] for i in order]
    return {query.id: _best(listings @ vector, ids, depth) for query, vector in zip(queries, vectors, strict=True)}


def _best(scores: Floats | Vectors, ids: Sequence[str], depth: int) -> dict[str, float]:
    """Scores by id, best first; equal scores by ascending id, as the shop's search does. ids: in ascending order"""
    return {ids[index]: float(scores[index]) for index in np.argsort(-scores, kind="stable")[:depth]}


def first_results(run: Run, depth: int) -> Run:
    """Return the first `depth` results of each query."""
    return {query: {id: scores[id] for id in ranked_ids(scores)[:depth]} for query, scores in run.items()}


def fused_runs(first: Run, second: Run, *, depth: int = RUN_DEPTH) -> Run:
    """Reciprocal rank fusion of two runs; equal sums by ascending id, the best `depth` stay."""
    fused: Run = {}
    for query in {**first, **second}:
        scores = RRF().fuse([ranked_ids(run.get(query, {})) for run in (first, second)])
        fused[query] = {id: scores[id] for id in sorted(scores, key=lambda id: (-scores[id], id))[:depth]}
    return fused
