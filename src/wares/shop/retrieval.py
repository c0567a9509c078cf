"""Ranked listings for a batch of query vectors or texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from wares.core.errors import ShopError
from wares.ranking.score_fusion import RRF
from wares.shop.filters import check_filter, lance_reason
from wares.shop.systems import SYSTEMS as SYSTEMS
from wares.shop.systems import System as System
from wares.shop.table import NO_LIMIT

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder

    from wares.shop.filters import Filter
    from wares.shop.memory import MemoryVectors
    from wares.shop.shop import Shop


RANK_FUSION = RRF(k=60)
RRF_DEPTH = 100  # results of each list that fused+bm25 reads, at least
QUERY_BATCH_SIZE = 64  # queries searched for at once
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RankedListing:
    """A row of the table and what its views and its words brought it; the score is the sum.

    rerank_score: score by the shop's ranker, where it has given one
    """

    row_id: int
    id: str
    vector_score: float = 0.0
    bm25_score: float = 0.0
    rerank_score: float | None = None

    @property
    def score(self) -> float:
        return self.vector_score + self.bm25_score


def retrieve(
    shop: Shop, texts: Sequence[str], vectors: Vectors, k: int, system: System, row_filter: Filter
) -> list[list[RankedListing]]:
    """The k best rows for each of several queries, before reranking.

    texts: Q of them where the system reads words; vectors: (Q, d) unit vectors where it reads those
    Raises FilterError, ShopError.
    """
    if system == "fused":
        return _nearest(shop, vectors, k, row_filter)
    if system == "bm25":
        return [_matching(shop, text, k, row_filter) for text in texts]
    depth = max(k, RRF_DEPTH)
    by_views = _nearest(shop, vectors, depth, row_filter)
    by_words = [_matching(shop, text, depth, row_filter) for text in texts]
    return [reciprocal_rank_fusion(*lists)[:k] for lists in zip(by_views, by_words, strict=True)]


def reciprocal_rank_fusion(
    vector_list: Sequence[RankedListing], bm25_list: Sequence[RankedListing]
) -> list[RankedListing]:
    """Both lists fused by reciprocal ranks, best first; each score is what the listing's rank in that list adds."""
    views, words = (RANK_FUSION.contributions([hit.id for hit in hits]) for hits in (vector_list, bm25_list))
    rows = {hit.id: hit.row_id for hit in [*vector_list, *bm25_list]}
    return _best_first(RankedListing(row, id, views.get(id, 0.0), words.get(id, 0.0)) for id, row in rows.items())


def _nearest(
    shop: Shop, vectors: Vectors, k: int, condition: Filter, spare: int = 16, more: bool = False
) -> list[list[RankedListing]]:
    """The k rows of the largest dot product for each vector.

    vectors: (Q, d); more: whether further partitions of the index are looked through where these leave fewer than k
        rows; always so under a filter. Being ready for it takes Lance three times as long
    """
    limit, memory = k + spare, shop.memory_vectors if condition.where is None else None
    if memory is not None:
        more = more or memory.is_exact
        lists = _in_memory(memory, vectors, limit, condition.excluded_id, more)
    else:
        more = more or bool(condition.sql)
        lists = _in_table(shop, vectors, limit, condition, more)
    return [
        _best_first(found)[:k]
        if _settled(found, k, spare) and (more or len(found) >= limit or len(found) >= len(shop))
        else _nearest(shop, vectors[i : i + 1], k, condition, 4 * limit, more=True)[0]
        for i, found in enumerate(lists)
    ]


def _in_memory(
    memory: MemoryVectors, vectors: Vectors, limit: int, without: str | None, more: bool
) -> list[list[RankedListing]]:
    """At least `limit` rows for each vector, of those that are held in memory."""
    lists = memory.nearest(vectors, limit + (without is not None), more)
    return [[RankedListing(row, id, vector_score=dot) for row, id, dot in found if id != without] for found in lists]


def _in_table(shop: Shop, vectors: Vectors, limit: int, condition: Filter, more: bool) -> list[list[RankedListing]]:
    """As many rows for each vector, of the table."""
    lists: list[list[RankedListing]] = [[] for _ in vectors]
    for start in range(0, len(vectors), QUERY_BATCH_SIZE):
        query = cast(
            "LanceVectorQueryBuilder", shop.table.search(list(vectors[start : start + QUERY_BATCH_SIZE]), "vector")
        )
        query = shop.vector_index.apply(query, more)
        found = execute_query(shop, query.select(["id", "_distance"]), limit, condition)
        owners = found["query_index"].to_pylist() if "query_index" in found.column_names else [0] * found.num_rows
        rows = zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), found["_distance"].to_pylist(), strict=True)
        for owner, (row, id, distance) in zip(owners, rows, strict=True):
            lists[start + owner].append(RankedListing(row, id, vector_score=1.0 - distance))
    return lists


def _matching(shop: Shop, text: str, k: int, condition: Filter, spare: int = 16) -> list[RankedListing]:
    """The k rows of the largest BM25 score; fewer where fewer share a word with the text."""
    from lancedb.query import MatchQuery

    # A plain string would be read as a phrase where it stands in quotes; MatchQuery takes words as words.
    match = MatchQuery(text, "text")  # type: ignore[call-arg]
    query = shop.table.search(match, query_type="fts").select(["id", "_score"])
    found = execute_query(shop, query, k + spare, condition)
    rows = zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), found["_score"].to_pylist(), strict=True)
    hits = [RankedListing(row, id, bm25_score=score) for row, id, score in rows]
    return _best_first(hits)[:k] if _settled(hits, k, spare) else _matching(shop, text, k, condition, 4 * (k + spare))


def _settled(found: Sequence[RankedListing], k: int, spare: int) -> bool:
    """Whether the list reaches beyond every tie with its k-th score, so that ties can be broken by id."""
    scores = sorted((hit.score for hit in found), reverse=True)
    return len(scores) < k + spare or scores[-1] < scores[k - 1]


def _best_first(hits: Sequence[RankedListing] | Iterator[RankedListing]) -> list[RankedListing]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def scan(shop: Shop, k: int, row_filter: Filter) -> list[RankedListing]:
    """The first k rows, in the table's order, where nothing is looked for."""
    found = execute_query(shop, shop.table.search().select(["id"]), k, row_filter)
    return [RankedListing(*each) for each in zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), strict=True)]


def column_values(shop: Shop, rows: Sequence[RankedListing], columns: Sequence[str]) -> dict[str, list[Any]]:
    """What rows have in some columns, attributes as `attributes.<name>`; in the order of the rows."""
    if not rows:
        return {column: [] for column in columns}
    top = list(dict.fromkeys(["id", *(column.partition(".")[0] for column in columns)]))
    found = shop.table.take_row_ids([hit.row_id for hit in rows]).select(top).to_arrow()
    places = {id: place for place, id in enumerate(found["id"].to_pylist())}
    found = found.take([places[hit.id] for hit in rows])
    given = {}
    for column in columns:
        name, _, attribute = column.partition(".")
        content = found[name].combine_chunks()
        given[column] = (content.field(attribute) if attribute else content).to_pylist()
    return given


def execute_query(shop: Shop, query: LanceQueryBuilder, limit: int, condition: Filter) -> pa.Table:
    query = query.limit(min(limit, NO_LIMIT)).with_row_id(True)
    if condition.sql:
        query = query.where(condition.sql)
    try:
        return query.to_arrow()
    except (ValueError, RuntimeError, OSError) as error:
        if condition.where is not None:
            check_filter(shop, condition.where, condition.sql)
        raise ShopError(
            f"{shop.path} cannot be searched ({lance_reason(error)}). Rebuild it with `wares index`."
        ) from error
