"""Retrieval: the best rows of the table for query vectors and texts, before reranking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from wares.core.errors import ShopError
from wares.ranking.score_fusion import RRF
from wares.shop.filters import check_filter, lance_reason
from wares.shop.row_ids import ROW_ID_COLUMN, row_ids_of
from wares.shop.systems import System
from wares.shop.table import NO_LIMIT, Vectors

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder

    from wares.shop.filters import Filter
    from wares.shop.memory import MemoryVectors
    from wares.shop.shop import Shop


RANK_FUSION = RRF(k=60)
RRF_DEPTH = 100  # results of each list that fused+bm25 fuses, or k if larger
QUERY_BATCH_SIZE = 64  # query vectors searched at once
SPARE = 16  # rows retrieved beyond k, to break ties at the k-th score by id


@dataclass(frozen=True, slots=True)
class RankedListing:
    """A row of the table with its score.

    vector_score, bm25_score: parts of the score; under fused+bm25 the reciprocal ranks in the two lists
    rerank_score: of the shop's ranker; None if it did not score the listing
    """

    row_id: int
    id: str
    vector_score: float = 0.0
    bm25_score: float = 0.0
    rerank_score: float | None = None

    @property
    def score(self) -> float:
        """The sum of both parts."""
        return self.vector_score + self.bm25_score


def retrieve(
    shop: Shop, texts: Sequence[str], vectors: Vectors, k: int, system: System, row_filter: Filter
) -> list[list[RankedListing]]:
    """The k best rows of each query, before reranking.

    texts: Q query texts, for "bm25" and "fused+bm25"; vectors: (Q, d) unit vectors, for "fused" and "fused+bm25"
    Raises FilterError, ShopError.
    """
    if system == "fused":
        return _nearest(shop, vectors, k, row_filter)
    if system == "bm25":
        return [_full_text(shop, text, k, row_filter) for text in texts]
    depth = max(k, RRF_DEPTH)
    vector_lists = _nearest(shop, vectors, depth, row_filter)
    bm25_lists = [_full_text(shop, text, depth, row_filter) for text in texts]
    return [reciprocal_rank_fusion(*lists)[:k] for lists in zip(vector_lists, bm25_lists, strict=True)]


def reciprocal_rank_fusion(
    vector_list: Sequence[RankedListing], bm25_list: Sequence[RankedListing]
) -> list[RankedListing]:
    """Fuse two lists by reciprocal ranks, best first. The scores of a listing are its contributions by list."""
    views, words = (RANK_FUSION.contributions([hit.id for hit in hits]) for hits in (vector_list, bm25_list))
    rows = {hit.id: hit.row_id for hit in [*vector_list, *bm25_list]}
    return _best_first(RankedListing(row, id, views.get(id, 0.0), words.get(id, 0.0)) for id, row in rows.items())


def _nearest(
    shop: Shop, vectors: Vectors, k: int, row_filter: Filter, spare: int = SPARE, extend_probes: bool = False
) -> list[list[RankedListing]]:
    """The k rows with the largest dot products for each vector.

    vectors: (Q, d); extend_probes: read further partitions of the index if the first ones have fewer than k rows.
        Always on under a filter; Lance takes three times as long with it
    """
    limit, memory = k + spare, shop.memory_vectors if row_filter.where is None else None
    if memory is not None:
        extend_probes = extend_probes or memory.is_exact
        lists = _nearest_in_memory(memory, vectors, limit, row_filter.excluded_id, extend_probes)
    else:
        extend_probes = extend_probes or bool(row_filter.sql)
        lists = _nearest_in_table(shop, vectors, limit, row_filter, extend_probes)
    return [
        _best_first(ranked)[:k]
        if _ties_complete(ranked, k, spare) and (extend_probes or len(ranked) >= limit or len(ranked) >= len(shop))
        else _nearest(shop, vectors[i : i + 1], k, row_filter, 4 * limit, extend_probes=True)[0]
        for i, ranked in enumerate(lists)
    ]


def _nearest_in_memory(
    memory: MemoryVectors, vectors: Vectors, limit: int, excluded_id: str | None, all_partitions: bool
) -> list[list[RankedListing]]:
    """At least `limit` rows for each vector, from the vectors in memory."""
    lists = memory.nearest(vectors, limit + (excluded_id is not None), all_partitions)
    return [
        [RankedListing(row_id, id, vector_score=dot) for row_id, id, dot in neighbours if id != excluded_id]
        for neighbours in lists
    ]


def _nearest_in_table(
    shop: Shop, vectors: Vectors, limit: int, row_filter: Filter, extend_probes: bool
) -> list[list[RankedListing]]:
    """`limit` rows for each vector, from the table."""
    lists: list[list[RankedListing]] = [[] for _ in vectors]
    for start in range(0, len(vectors), QUERY_BATCH_SIZE):
        query = cast(
            "LanceVectorQueryBuilder", shop.table.search(list(vectors[start : start + QUERY_BATCH_SIZE]), "vector")
        )
        query = shop.vector_index.apply(query, extend_probes)
        rows = execute_query(shop, query.select(["id", "_distance"]), limit, row_filter)
        queries = rows["query_index"].to_pylist() if "query_index" in rows.column_names else [0] * rows.num_rows
        columns = (rows[name].to_pylist() for name in ("_rowid", "id", "_distance"))
        for query_index, row_id, id, distance in zip(queries, *columns, strict=True):
            lists[start + query_index].append(RankedListing(row_id, id, vector_score=1.0 - distance))
    return lists


def _full_text(shop: Shop, text: str, k: int, row_filter: Filter) -> list[RankedListing]:
    """The k rows with the largest BM25 scores; fewer if fewer share a word with the text."""
    import pyarrow as pa

    index = shop.word_index
    words = index.scores(text)
    if row_filter.where is not None:
        passing = execute_query(shop, shop.table.search().select([ROW_ID_COLUMN]), NO_LIMIT, row_filter)
        words = words.select(np.isin(index.row_ids[words.indices], row_ids_of(passing)))
    best = words.best(k + (row_filter.excluded_id is not None))
    rows = words.indices[best]
    columns = (index.row_ids[rows].tolist(), index.ids.take(pa.array(rows)).to_pylist(), words.scores[best].tolist())
    ranked = [RankedListing(row_id, id, bm25_score=score) for row_id, id, score in zip(*columns, strict=True)]
    return [listing for listing in ranked if listing.id != row_filter.excluded_id][:k]


def _ties_complete(ranked: Sequence[RankedListing], k: int, spare: int) -> bool:
    """Whether the list holds every row that ties with its k-th score, so that ties can be broken by id."""
    scores = sorted((listing.score for listing in ranked), reverse=True)
    return len(scores) < k + spare or scores[-1] < scores[k - 1]


def _best_first(ranked: Iterable[RankedListing]) -> list[RankedListing]:
    return sorted(ranked, key=lambda listing: (-listing.score, listing.id))


def scan(shop: Shop, k: int, row_filter: Filter) -> list[RankedListing]:
    """The first k rows in the order of the table, without a query."""
    rows = execute_query(shop, shop.table.search().select(["id"]), k, row_filter)
    pairs = zip(rows["_rowid"].to_pylist(), rows["id"].to_pylist(), strict=True)
    return [RankedListing(row_id, id) for row_id, id in pairs]


def column_values(shop: Shop, rows: Sequence[RankedListing], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Values of some columns, in the order of the rows. An attribute is the column `attributes.<name>`."""
    if not rows:
        return {column: [] for column in columns}
    names = list(dict.fromkeys(["id", *(column.partition(".")[0] for column in columns)]))
    table = shop.table.take_row_ids([row.row_id for row in rows]).select(names).to_arrow()
    index_of = {id: index for index, id in enumerate(table["id"].to_pylist())}
    table = table.take([index_of[row.id] for row in rows])
    values = {}
    for column in columns:
        name, _, attribute = column.partition(".")
        content = table[name].combine_chunks()
        values[column] = (content.field(attribute) if attribute else content).to_pylist()
    return values


def execute_query(shop: Shop, query: LanceQueryBuilder, limit: int, row_filter: Filter) -> pa.Table:
    """The rows of a query of the table, at most `limit`. Raises FilterError, ShopError."""
    query = query.limit(min(limit, NO_LIMIT)).with_row_id(True)
    if row_filter.sql:
        query = query.where(row_filter.sql)
    try:
        return query.to_arrow()
    except (ValueError, RuntimeError, OSError) as error:
        if row_filter.where is not None:
            check_filter(shop, row_filter.where, row_filter.sql)
        raise ShopError(
            f"{shop.path} cannot be searched ({lance_reason(error)}). Rebuild it with `wares index`."
        ) from error
