"""Ranked listings for a batch of query vectors or texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from wares.core.errors import ShopError
from wares.shop.filters import _check_filter, _reason
from wares.shop.table import ALL

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder

    from wares.shop.filters import Condition
    from wares.shop.memory import InMemory
    from wares.shop.shop import Shop


System = Literal["fused", "bm25", "fused+bm25"]
SYSTEMS: tuple[System, ...] = get_args(System)
RANK_CONSTANT = 60
FUSED_DEPTH = 100  # results of each list that fused+bm25 reads, at least
BATCH = 64  # queries searched for at once
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row of the table and what its views and its words brought it; the score is the sum.

    reranked: score by the shop's ranker, where it has given one
    """

    row: int
    id: str
    views: float = 0.0
    words: float = 0.0
    reranked: float | None = None

    @property
    def score(self) -> float:
        return self.views + self.words


def rank(
    shop: Shop, texts: Sequence[str], vectors: Vectors, k: int, system: System, condition: Condition
) -> list[list[Ranked]]:
    """The k best rows for each of several queries, before reranking.

    texts: Q of them where the system reads words; vectors: (Q, d) unit vectors where it reads those
    Raises FilterError, ShopError.
    """
    if system == "fused":
        return _nearest(shop, vectors, k, condition)
    if system == "bm25":
        return [_matching(shop, text, k, condition) for text in texts]
    depth = max(k, FUSED_DEPTH)
    by_views = _nearest(shop, vectors, depth, condition)
    by_words = [_matching(shop, text, depth, condition) for text in texts]
    return [reciprocal_ranks(*lists)[:k] for lists in zip(by_views, by_words, strict=True)]


def reciprocal_ranks(by_views: Sequence[Ranked], by_words: Sequence[Ranked]) -> list[Ranked]:
    """Both lists as one: a listing scores 1/(60 + rank) in each list that has it.

    Source: Cormack, Clarke and Büttcher, SIGIR 2009.
    """
    views = {hit.id: 1 / (RANK_CONSTANT + rank) for rank, hit in enumerate(by_views, 1)}
    words = {hit.id: 1 / (RANK_CONSTANT + rank) for rank, hit in enumerate(by_words, 1)}
    rows = {hit.id: hit.row for hit in [*by_views, *by_words]}
    return _best_first(Ranked(row, id, views.get(id, 0.0), words.get(id, 0.0)) for id, row in rows.items())


def _nearest(
    shop: Shop, vectors: Vectors, k: int, condition: Condition, spare: int = 16, more: bool = False
) -> list[list[Ranked]]:
    """The k rows of the largest dot product for each vector.

    vectors: (Q, d); more: whether further partitions of the index are looked through where these leave fewer than k
        rows; always so under a filter. Being ready for it takes Lance three times as long
    """
    limit, memory = k + spare, shop.memory if condition.where is None else None
    if memory is not None:
        more = more or memory.exact
        lists = _in_memory(memory, vectors, limit, condition.without, more)
    else:
        more = more or bool(condition.sql)
        lists = _in_table(shop, vectors, limit, condition, more)
    return [
        _best_first(found)[:k]
        if _settled(found, k, spare) and (more or len(found) >= limit or len(found) >= len(shop))
        else _nearest(shop, vectors[i : i + 1], k, condition, 4 * limit, more=True)[0]
        for i, found in enumerate(lists)
    ]


def _in_memory(memory: InMemory, vectors: Vectors, limit: int, without: str | None, more: bool) -> list[list[Ranked]]:
    """At least `limit` rows for each vector, of those that are held in memory."""
    lists = memory.nearest(vectors, limit + (without is not None), more)
    return [[Ranked(row, id, views=dot) for row, id, dot in found if id != without] for found in lists]


def _in_table(shop: Shop, vectors: Vectors, limit: int, condition: Condition, more: bool) -> list[list[Ranked]]:
    """As many rows for each vector, of the table."""
    lists: list[list[Ranked]] = [[] for _ in vectors]
    for start in range(0, len(vectors), BATCH):
        query = cast("LanceVectorQueryBuilder", shop.table.search(list(vectors[start : start + BATCH]), "vector"))
        query = shop.vector_index.apply(query, more)
        found = _run(shop, query.select(["id", "_distance"]), limit, condition)
        owners = found["query_index"].to_pylist() if "query_index" in found.column_names else [0] * found.num_rows
        rows = zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), found["_distance"].to_pylist(), strict=True)
        for owner, (row, id, distance) in zip(owners, rows, strict=True):
            lists[start + owner].append(Ranked(row, id, views=1.0 - distance))
    return lists


def _matching(shop: Shop, text: str, k: int, condition: Condition, spare: int = 16) -> list[Ranked]:
    """The k rows of the largest BM25 score; fewer where fewer share a word with the text."""
    from lancedb.query import MatchQuery

    # A plain string would be read as a phrase where it stands in quotes; MatchQuery takes words as words.
    match = MatchQuery(text, "text")  # type: ignore[call-arg]
    query = shop.table.search(match, query_type="fts").select(["id", "_score"])
    found = _run(shop, query, k + spare, condition)
    rows = zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), found["_score"].to_pylist(), strict=True)
    hits = [Ranked(row, id, words=score) for row, id, score in rows]
    return _best_first(hits)[:k] if _settled(hits, k, spare) else _matching(shop, text, k, condition, 4 * (k + spare))


def _settled(found: Sequence[Ranked], k: int, spare: int) -> bool:
    """Whether the list reaches beyond every tie with its k-th score, so that ties can be broken by id."""
    scores = sorted((hit.score for hit in found), reverse=True)
    return len(scores) < k + spare or scores[-1] < scores[k - 1]


def _best_first(hits: Sequence[Ranked] | Iterator[Ranked]) -> list[Ranked]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def unranked(shop: Shop, k: int, condition: Condition) -> list[Ranked]:
    """The first k rows, in the table's order, where nothing is looked for."""
    found = _run(shop, shop.table.search().select(["id"]), k, condition)
    return [Ranked(*each) for each in zip(found["_rowid"].to_pylist(), found["id"].to_pylist(), strict=True)]


def values(shop: Shop, rows: Sequence[Ranked], columns: Sequence[str]) -> dict[str, list[Any]]:
    """What rows have in some columns, attributes as `attributes.<name>`; in the order of the rows."""
    if not rows:
        return {column: [] for column in columns}
    top = list(dict.fromkeys(["id", *(column.partition(".")[0] for column in columns)]))
    found = shop.table.take_row_ids([hit.row for hit in rows]).select(top).to_arrow()
    places = {id: place for place, id in enumerate(found["id"].to_pylist())}
    found = found.take([places[hit.id] for hit in rows])
    given = {}
    for column in columns:
        name, _, attribute = column.partition(".")
        content = found[name].combine_chunks()
        given[column] = (content.field(attribute) if attribute else content).to_pylist()
    return given


def _run(shop: Shop, query: LanceQueryBuilder, limit: int, condition: Condition) -> pa.Table:
    query = query.limit(min(limit, ALL)).with_row_id(True)
    if condition.sql:
        query = query.where(condition.sql)
    try:
        return query.to_arrow()
    except (ValueError, RuntimeError, OSError) as error:
        if condition.where is not None:
            _check_filter(shop, condition.where, condition.sql)
        raise ShopError(f"{shop.path} cannot be searched ({_reason(error)}). Rebuild it with `wares index`.") from error
