"""Search in a shop by text, photo or similar listing, with filters and explanations.

Three systems rank the listings:
    fused        cosine of the query with the fused embedding
    bm25         BM25 over all texts of a listing, as of the labeler `bm25` (wares.shop.word_index)
    fused+bm25   the sum of both (wares.ranking.score_fusion.CosineWithWords): the default for queries with a text

A ranker in the shop (wares.shop.reranking) can rerank the first results of each. Ties go to the smaller id, so a
search always returns the same results.
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
from wares.shop.attributes import sql_string
from wares.shop.explanation import explain
from wares.shop.filters import Filter
from wares.shop.retrieval import execute_query, retrieve
from wares.shop.systems import SYSTEMS

if TYPE_CHECKING:
    from wares.data.listings import Query
    from wares.shop.explanation import Hit
    from wares.shop.retrieval import RankedListing
    from wares.shop.shop import Shop
    from wares.shop.systems import System
    from wares.shop.table import Vectors


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
    """The k best listings for a text, a photo file, the id of a listing, or several of them together.

    like: id of a listing, which is left out of the results
    where: SQL over the shop's columns, as in "price < 50 AND attributes.gender = 'men'", applied before ranking
    system: "fused", "bm25" or "fused+bm25"; None: "fused+bm25", or "fused" for a query without a text
    rerank_depth: number of top results that the shop's ranker reranks; None: no reranking

    The vectors of several query parts are added up. BM25 and the ranker read only the text. The ranker's scores are
    combined with those of the retrieval; results that it does not score follow, then those after `rerank_depth`.
    Raises SettingsError, FilterError, PhotoError, ShopError.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers, search
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots", price=80.0), Listing("2", "Red mug", price=9)))
        >>> shop = build_shop(catalogue, build_towers("small"), Path(tempfile.mkdtemp()) / "shop")
        >>> [(hit.id, hit.title) for hit in search(shop, "red", where="price < 50")]
        [('2', 'Red mug')]
    """
    system = system or ("fused" if text is None else "fused+bm25")
    _check(system, k, rerank_depth)
    if text is None and rerank_depth is not None:
        raise SettingsError(
            "a ranker reads the text of the query, and this query has none. Add a text, or search without reranking."
        )
    if system == "bm25" and (photo is not None or like is not None):
        raise SettingsError('system "bm25" reads text only. Leave out the photo and the listing, or use "fused".')
    if text is None and system != "fused":
        raise SettingsError(f'system "{system}" reads text, and this query has none. Add a text, or use "fused".')
    texts = [] if text is None else [_require_words(text, "the query")]
    row_filter = Filter(where, like)
    vector = None if system == "bm25" else _query_vector(shop, texts, photo, like)
    vectors = np.zeros((1, 0), dtype=np.float32) if vector is None else vector[None]
    [ranked] = retrieve(shop, texts, vectors, max(k, rerank_depth or 0), system, row_filter)
    if text is not None and rerank_depth is not None:
        ranked = rerank(shop, text, ranked, rerank_depth)
    return explain(shop, ranked[:k], vector, system)


def run_queries(
    shop: Shop,
    queries: Sequence[Query],
    k: int = 10,
    system: System = "fused+bm25",
    where: str | None = None,
    rerank_depth: int | None = None,
) -> dict[str, dict[str, float]]:
    """A run of many text queries, for evaluation: query id -> listing id -> score, the k best first.

    The same lists as `search`, but faster: queries are encoded and searched in batches. Scores of reranked lists are
    1/rank, because the ranker may not score all of their listings.
    """
    _check(system, k, rerank_depth)
    texts = [_require_words(query.text, f"query {query.id}") for query in queries]
    if not texts:
        return {}
    vectors = np.zeros((len(texts), 0), dtype=np.float32) if system == "bm25" else shop.encoder.encode_texts(texts)
    lists = retrieve(shop, texts, vectors, max(k, rerank_depth or 0), system, Filter(where))
    if rerank_depth is None:
        return {
            query.id: {listing.id: listing.score for listing in ranked}
            for query, ranked in zip(queries, lists, strict=True)
        }
    lists = [rerank(shop, text, ranked, rerank_depth)[:k] for text, ranked in zip(texts, lists, strict=True)]
    return {
        query.id: {listing.id: 1 / rank for rank, listing in enumerate(ranked, 1)}
        for query, ranked in zip(queries, lists, strict=True)
    }


def rerank(shop: Shop, text: str, ranked: Sequence[RankedListing], depth: int) -> list[RankedListing]:
    """Rerank the first `depth` results by the sum of the z-scores of the retrieval and the ranker.

    Z-scores are over the results that the ranker scores. Results that it does not score follow, then the rest. The
    retrieval counts too, because a ranker worse than the shop would otherwise make results much worse. Our reading.
    Raises ShopError if the shop has no ranker.
    """
    candidates = ranked[:depth]

    def texts() -> list[str]:
        rows = shop.table.take_row_ids([listing.row_id for listing in candidates]).select(["id", "text"]).to_arrow()
        by_id = dict(zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True))
        return [by_id[listing.id] for listing in candidates]

    reranker = shop.reranker  # even without candidates, so that a shop without a ranker raises
    ids = [listing.id for listing in candidates]
    scores = reranker.score(text, ids, texts) if candidates else np.zeros(0, dtype=np.float32)
    reranked = [
        replace(listing, rerank_score=float(score)) if math.isfinite(score) else listing
        for listing, score in zip(candidates, scores, strict=True)
    ]
    scored = [listing for listing in reranked if listing.rerank_score is not None]
    retrieval_scores = np.array([[listing.score for listing in scored]], dtype=np.float32)
    rerank_scores = np.array([[listing.rerank_score for listing in scored]], dtype=np.float32)
    total = ZScore().fuse(retrieval_scores, rerank_scores)[0]
    order = sorted(range(len(scored)), key=lambda index: (-total[index], scored[index].id))
    unscored = [listing for listing in reranked if listing.rerank_score is None]
    return [*(scored[index] for index in order), *unscored, *ranked[depth:]]


def _query_vector(shop: Shop, texts: Sequence[str], photo: Path | str | None, like: str | None) -> Vectors:
    parts = [shop.encoder.encode_texts(texts)[0]] if texts else []
    if photo is not None:
        if "://" in str(photo) or re.match(r"https?:/", str(photo)):
            raise SettingsError(f"{photo} is a URL. Download the photo, and name its file.")
        parts.append(shop.encoder.encode_photos([Path(photo)])[0])
    if like is not None:
        parts.append(listing_vector(shop, like))
    return combine_vectors(parts)


def combine_vectors(parts: Sequence[Vectors]) -> Vectors:
    """(d,) normalized sum of the (d,) unit vectors of a query's parts. Raises SettingsError if it is zero."""
    if not parts:
        raise SettingsError("the query is empty. Give a text, a photo or the id of a listing.")
    total = np.sum(parts, axis=0, dtype=np.float64)
    norm = np.linalg.norm(total)
    if norm < 1e-6:
        raise SettingsError("the parts of the query cancel each other out. Leave out one of them.")
    return np.asarray(total / norm, dtype=np.float32)


def listing_vector(shop: Shop, id: str) -> Vectors:
    """(d,) fused embedding of a listing. Raises SettingsError if there is no such listing."""
    rows = execute_query(shop, shop.table.search().select(["vector"]), 1, Filter(f"id = {sql_string(id)}"))
    if not rows.num_rows:
        raise SettingsError(f'there is no listing "{id}" in {shop.path}. Name one of its listings.')
    return np.asarray(rows["vector"].to_pylist()[0], dtype=np.float32)


def _check(system: str, k: int, rerank_depth: int | None) -> None:
    if system not in SYSTEMS:
        raise SettingsError(f'there is no system "{system}". Choose one of {", ".join(SYSTEMS)}.')
    if k < 1:
        raise SettingsError(f"k is {k}. Give a number of results of at least 1.")
    if rerank_depth is not None and rerank_depth < 1:
        raise SettingsError(f"the rerank depth is {rerank_depth}. Rerank at least 1 result.")


def _require_words(text: str, name: str) -> str:
    if not text.strip():
        raise SettingsError(f"{name} is empty. Give at least one word.")
    return text
