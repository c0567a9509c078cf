"""Runs of a shop's systems and of its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.errors import EvaluationError
from wares.data.runs import Run, read_run
from wares.ranking.score_fusion import RRF

if TYPE_CHECKING:
    from wares.data.listings import Query
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.towers import Towers
    from wares.evaluation.cross_view import Floats
    from wares.shop.shop import Shop


RUN_DEPTH = 500  # results per query in a run: R@500 needs as many


def shop_runs(shop: Shop, queries: Sequence[Query], depth: int = RUN_DEPTH) -> dict[str, Run]:
    """Return the runs of a shop's systems and its baselines, with the best `depth` listings for each query.

    fused, bm25, fused+bm25: systems of the shop (wares.shop.searching)
    reranked: fused+bm25 reranked by the shop's ranker, if it has one
    dense: baseline, the untrained text tower of the shop on the concatenated texts of a listing
    bm25+dense: baseline, reciprocal rank fusion of bm25 and dense

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query, build_shop, build_towers
        >>> from wares.evaluation import shop_runs
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue mug")))
        >>> shop = build_shop(catalogue, build_towers("small"), "shop")
        >>> list(shop_runs(shop, [Query("q1", "boots")]))
        ['fused', 'bm25', 'fused+bm25', 'dense', 'bm25+dense']
    """
    from wares.shop.reranking import RERANK_DEPTH as RERANKED
    from wares.shop.searching import run_queries
    from wares.shop.systems import SYSTEMS

    runs: dict[str, Run] = {system: run_queries(shop, queries, depth, system) for system in SYSTEMS}
    if shop.has_ranker:
        runs["reranked"] = run_queries(shop, queries, depth, rerank_depth=RERANKED)
    dense = dense_run(shop, queries, depth)
    return runs | {"dense": dense, "bm25+dense": fused_runs(dense, runs["bm25"], depth=depth)}


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


def dense_run(shop: Shop, queries: Sequence[Query], depth: int = RUN_DEPTH) -> Run:
    """Return the run of the shop's text tower before any training, on the concatenated texts of each listing."""
    from wares.encoders.features import embed_texts, project_features, text_features
    from wares.encoders.registry import build_towers, load_towers

    untrained = build_towers(load_towers(shop.build_folder / "model").name)
    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    features = text_features(rows["text"].to_pylist(), untrained.text)  # cached, if they were computed before
    ids, listings = rows["id"].to_pylist(), project_features(untrained.text, features, untrained.dimension)
    vectors = embed_texts([query.text for query in queries], untrained)
    return {query.id: _best(listings @ vector, ids, depth) for query, vector in zip(queries, vectors, strict=True)}


def towers_run(
    features: CatalogueFeatures, towers: Towers, ids: Sequence[str], queries: Sequence[Query], depth: int = RUN_DEPTH
) -> Run:
    """Return the run of fused embeddings, without a shop. ids: of the listings of `features`, in their order"""
    from wares.encoders.features import embed_features, embed_texts
    from wares.encoders.fusion import fuse

    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    vectors = embed_texts([query.text for query in queries], towers)
    return {query.id: _best(listings @ vector, ids, depth) for query, vector in zip(queries, vectors, strict=True)}


def _best(scores: Floats | npt.NDArray[np.float32], ids: Sequence[str], depth: int) -> dict[str, float]:
    return {ids[index]: float(scores[index]) for index in np.argsort(-scores, kind="stable")[:depth]}


def fused_runs(first: Run, second: Run, *, depth: int = RUN_DEPTH) -> Run:
    """Reciprocal rank fusion of two runs, as search does it: ties go to the smaller id, the best `depth` stay."""
    fused: Run = {}
    for query in {**first, **second}:
        scores = RRF().fuse([_best_ids(run.get(query, {})) for run in (first, second)])
        fused[query] = {id: scores[id] for id in _best_ids(scores)[:depth]}
    return fused


def _best_ids(scores: Mapping[str, float]) -> list[str]:
    """Ids, best first; equal scores by ascending id, as the shop's search does."""
    return sorted(scores, key=lambda id: (-scores[id], id))
