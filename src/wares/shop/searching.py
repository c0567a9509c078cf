"""Search in a shop: by words, by photo, by a listing one likes, with filters, and with reasons.

Three systems rank the listings:
    fused        cosine of the query with the fused embedding
    bm25         BM25 of the query's words over all texts of a listing
    fused+bm25   reciprocal rank fusion of the two lists

With a ranker in the shop (wares.shop.reranking), the first results of any of them can be reordered by it.

Ties go to the smaller id, so that a search gives the same answer every time. The shop is built next door, in
wares.shop.build.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.score_fusion import ZScore
from wares.shop.explanation import explain
from wares.shop.filters import Filter, sql_string
from wares.shop.retrieval import SYSTEMS, execute_query, retrieve

if TYPE_CHECKING:
    from wares.data.listings import Query
    from wares.shop.explanation import Hit
    from wares.shop.retrieval import RankedListing, System, Vectors
    from wares.shop.shop import Shop


def search(
    shop: Shop,
    text: str | None = None,
    photo: Path | str | None = None,
    like: str | None = None,
    *,
    k: int = 10,
    where: str | None = None,
    system: System | None = None,
    rerank_depth: int | None = None,
) -> list[Hit]:
    """The k best listings for a text, a photo file, a listing's id, or any of them together.

    like: id of a listing; it is not among its own results
    where: SQL over the table's columns, as in "price < 50 AND attributes.gender = 'men'"; it is applied before
        ranking, so k listings come back wherever k fit
    system: "fused" by default; "fused+bm25" where results are reranked
    rerank_depth: how many of the best results are reordered, by their own scores and those of the shop's ranker; those after
        them, and those that the ranker has nothing to say of, follow as they were

    Several parts of a query are added up as unit vectors. BM25 and the ranker read the text alone.
    Raises SettingsError, FilterError, PhotoError, ShopError.
    """
    system = _system(system, rerank_depth)
    _check(system, k, rerank_depth)
    if text is None and rerank_depth is not None:
        raise SettingsError("a ranker goes by words, so the query needs a text. Search without reranking.")
    if system == "bm25" and (photo is not None or like is not None):
        raise SettingsError('system "bm25" ranks by words alone; leave out the photo and the listing, or use "fused".')
    if text is None and system != "fused":
        raise SettingsError(f'system "{system}" ranks by words, so the query needs a text. Use "fused" without one.')
    words = [] if text is None else [_words(text, "the query")]
    condition = Filter(where, like)
    vector = None if system == "bm25" else _query_vector(shop, words, photo, like)
    vectors = np.zeros((1, 0), dtype=np.float32) if vector is None else vector[None]
    [best] = retrieve(shop, words, vectors, max(k, rerank_depth or 0), system, condition)
    if text is not None and rerank_depth is not None:
        best = rerank(shop, text, best, rerank_depth)
    return explain(shop, best[:k], vector, system)


def run_queries(
    shop: Shop,
    queries: Sequence[Query],
    k: int = 10,
    system: System | None = None,
    where: str | None = None,
    rerank_depth: int | None = None,
) -> dict[str, dict[str, float]]:
    """The k best listings of many text queries, for evaluation: {query: {listing: score}}, best first.

    The same lists as `search` gives, faster: the queries are encoded and searched for in batches. Scores of reranked
    lists are 1/rank, because not all of their listings have one of the ranker.
    """
    system = _system(system, rerank_depth)
    _check(system, k, rerank_depth)
    texts = [_words(query.text, f"query {query.id}") for query in queries]
    if not texts:
        return {}
    vectors = np.zeros((len(texts), 0), dtype=np.float32) if system == "bm25" else shop.encoder.encode_texts(texts)
    lists = retrieve(shop, texts, vectors, max(k, rerank_depth or 0), system, Filter(where))
    if rerank_depth is None:
        return {query.id: {hit.id: hit.score for hit in best} for query, best in zip(queries, lists, strict=True)}
    lists = [rerank(shop, text, best, rerank_depth)[:k] for text, best in zip(texts, lists, strict=True)]
    return {
        query.id: {hit.id: 1 / rank for rank, hit in enumerate(best, 1)}
        for query, best in zip(queries, lists, strict=True)
    }


def rerank(shop: Shop, text: str, ranked: Sequence[RankedListing], depth: int) -> list[RankedListing]:
    """The first `depth` results by their own and the ranker's scores, then those it says nothing of, then the rest.

    Both count alike, standardised over the results that the ranker has scored. What the retrieval knows is not thrown
    away: without it, a ranker that is worse than the shop makes it much worse. Our reading.
    Raises ShopError where the shop has no ranker.
    """
    first = ranked[:depth]

    def texts() -> list[str]:
        found = shop.table.take_row_ids([hit.row_id for hit in first]).select(["id", "text"]).to_arrow()
        by_id = dict(zip(found["id"].to_pylist(), found["text"].to_pylist(), strict=True))
        return [by_id[hit.id] for hit in first]

    reranker = shop.reranker  # also where nothing was found: a shop without a ranker says so
    scores = reranker.score(text, [hit.id for hit in first], texts) if first else np.zeros(0, dtype=np.float32)
    scored = [
        replace(hit, rerank_score=float(score)) if math.isfinite(score) else hit
        for hit, score in zip(first, scores, strict=True)
    ]
    judged = [hit for hit in scored if hit.rerank_score is not None]
    both = np.array([[hit.score for hit in judged], [hit.rerank_score for hit in judged]], dtype=np.float32)
    together = ZScore().fuse(both[:1], both[1:])[0]
    ordered = [judged[place] for place in sorted(range(len(judged)), key=lambda i: (-together[i], judged[i].id))]
    return [*ordered, *(hit for hit in scored if hit.rerank_score is None), *ranked[depth:]]


def _query_vector(shop: Shop, texts: Sequence[str], photo: Path | str | None, like: str | None) -> Vectors:
    parts = [shop.encoder.encode_texts(texts)[0]] if texts else []
    if photo is not None:
        if "://" in str(photo) or re.match(r"https?:/", str(photo)):
            raise SettingsError(f"{photo} is a URL. Fetch the photo, and name its file.")
        parts.append(shop.encoder.encode_photos([Path(photo)])[0])
    if like is not None:
        parts.append(listing_vector(shop, like))
    return combine_vectors(parts)


def combine_vectors(parts: Sequence[Vectors]) -> Vectors:
    """(d,) normalised sum of a query's parts, each a (d,) unit vector. Raises SettingsError where that is nothing."""
    if not parts:
        raise SettingsError("the query is empty: give a text, a photo or a listing's id.")
    total = np.sum(parts, axis=0, dtype=np.float64)
    norm = np.linalg.norm(total)
    if norm < 1e-6:
        raise SettingsError("the parts of the query cancel each other out. Leave one of them out.")
    return np.asarray(total / norm, dtype=np.float32)


def listing_vector(shop: Shop, id: str) -> Vectors:
    """(d,) fused embedding of a listing. Raises SettingsError where there is no such listing."""
    found = execute_query(shop, shop.table.search().select(["vector"]), 1, Filter(f"id = {sql_string(id)}"))
    if not found.num_rows:
        raise SettingsError(f'there is no listing "{id}" in {shop.path}.')
    return np.asarray(found["vector"].to_pylist()[0], dtype=np.float32)


def _system(system: System | None, rerank: int | None) -> System:
    return system or ("fused" if rerank is None else "fused+bm25")


def _check(system: str, k: int, rerank: int | None) -> None:
    if system not in SYSTEMS:
        raise SettingsError(f'there is no system "{system}". Choose one of {", ".join(SYSTEMS)}.')
    if k < 1:
        raise SettingsError(f"k is a number of results, at least 1, not {k}.")
    if rerank is not None and rerank < 1:
        raise SettingsError(f"at least 1 result is reranked, not {rerank}.")


def _words(text: str, name: str) -> str:
    if not text.strip():
        raise SettingsError(f"{name} is empty: give it at least one word.")
    return text
