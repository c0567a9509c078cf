"""Retrieval: the best rows of the table for query vectors and texts, before reranking."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from wares.core.errors import ShopError
from wares.ranking.score_fusion import CosineWithWords
from wares.shop.filters import check_filter, lance_reason
from wares.shop.hybrid import best_by_sum
from wares.shop.row_ids import ROW_ID_COLUMN, row_ids_of
from wares.shop.systems import System
from wares.shop.table import NO_LIMIT, Vectors

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder

    from wares.shop.filters import Filter
    from wares.shop.memory import MemoryVectors
    from wares.shop.row_ids import RowIds
    from wares.shop.shop import Shop
    from wares.shop.word_index import WordScores


FUSION = CosineWithWords()
HYBRID_DEPTH = 100  # nearest listings that fused+bm25 starts from, or k if larger
ROUNDING = 1e-5  # by which two computations of a cosine differ, at most
QUERY_BATCH_SIZE = 64  # query vectors searched at once
SPARE = 16  # rows retrieved beyond k, to break ties at the k-th score by id


@dataclass(frozen=True, slots=True)
class RankedListing:
    """A row of the table with its score.

    vector_score, bm25_score: parts of the score: the cosine, and what the words add (under "bm25" the BM25 score)
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
    matches = _word_scores(shop, texts, row_filter)
    if system == "bm25":
        return [_best_words(shop, words, k) for words in matches]
    lists = _nearest(shop, vectors, max(k, HYBRID_DEPTH), row_filter)
    return [_best_sums(shop, *query, k) for query in zip(vectors, lists, matches, strict=True)]


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


def _word_scores(shop: Shop, texts: Sequence[str], row_filter: Filter) -> list[WordScores]:
    """BM25 scores of the rows that pass the filter, for each text."""
    index = shop.word_index
    matches = [index.scores(text) for text in texts]
    if not row_filter.sql:
        return matches
    rows = execute_query(shop, shop.table.search().select([ROW_ID_COLUMN]), NO_LIMIT, row_filter)
    passes = np.zeros(len(index), np.bool_)
    passes[index.indices_of(row_ids_of(rows))] = True
    return [words.select(passes[words.indices]) for words in matches]


def _best_words(shop: Shop, words: WordScores, k: int) -> list[RankedListing]:
    """The k rows with the largest BM25 scores; fewer if fewer share a word with the query."""
    index, best = shop.word_index, words.best(k)
    indices, scores = words.indices[best], words.scores[best].tolist()
    ids = index.ids.take(indices).to_pylist()
    listings = zip(index.row_ids[indices].tolist(), ids, scores, strict=True)
    return [RankedListing(row_id, id, bm25_score=score) for row_id, id, score in listings]


def _best_sums(
    shop: Shop, vector: Vectors, nearest: Sequence[RankedListing], words: WordScores, k: int
) -> list[RankedListing]:
    """The k rows with the largest sums of cosine and words.

    nearest: the `HYBRID_DEPTH` nearest rows, or k if that is more; fewer if they are all that pass the filter
    """
    index, is_complete = shop.word_index, len(nearest) < max(k, HYBRID_DEPTH)
    best = best_by_sum(
        index.indices_of(np.array([listing.row_id for listing in nearest], dtype=np.int64)),
        -math.inf if is_complete else nearest[-1].vector_score + ROUNDING,
        words.indices,
        FUSION.words(words.scores, words.coverage),
        lambda indices: _cosines(shop, index.row_ids[indices], vector),
        k,
    )
    ids = index.ids.take(best.indices).to_pylist()
    parts = index.row_ids[best.indices].tolist(), ids, best.cosines.tolist(), best.words.tolist()
    return [RankedListing(*listing) for listing in zip(*parts, strict=True)]


def _cosines(shop: Shop, row_ids: RowIds, vector: Vectors) -> npt.NDArray[np.float64]:
    """(n,) dot products of rows with a vector. Equal embeddings have equal ones, which BLAS does not promise."""
    cosines: npt.NDArray[np.float64] = np.einsum("nd,d->n", _row_vectors(shop, row_ids), vector.astype(np.float64))
    return cosines


def _row_vectors(shop: Shop, row_ids: RowIds) -> npt.NDArray[np.float64]:
    """(n, d) fused embeddings of rows."""
    if not len(row_ids):
        return np.zeros((0, shop.build_info.dimension))
    if shop.memory_vectors is not None:
        return shop.memory_vectors.vectors(row_ids).astype(np.float64)
    rows = shop.table.take_row_ids(row_ids.tolist()).select(["vector", ROW_ID_COLUMN]).to_arrow().combine_chunks()
    vectors = np.asarray(rows["vector"].combine_chunks().flatten(), dtype=np.float64).reshape(len(rows), -1)
    order = np.argsort(row_ids_of(rows))
    return vectors[order[np.searchsorted(row_ids_of(rows), row_ids, sorter=order)]]


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
