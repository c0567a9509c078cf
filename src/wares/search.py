"""Search in a shop: by words, by photo, by a listing one likes, with filters, and with reasons.

Three systems rank the listings:
    fused        cosine of the query with the fused embedding
    bm25         BM25 of the query's words over all texts of a listing
    fused+bm25   reciprocal rank fusion of the two lists

With a ranker in the shop (wares.reranking), the first results of any of them can be reordered by it.

Ties go to the smaller id, so that a search gives the same answer every time. The shop is built next door, in
wares.index.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from wares.errors import FilterError, SettingsError, ShopError
from wares.relabel import standardised
from wares.table import ALL

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder, LanceVectorQueryBuilder

    from wares.catalogue import Query
    from wares.in_memory import InMemory
    from wares.shop import Shop

System = Literal["fused", "bm25", "fused+bm25"]
SYSTEMS: tuple[System, ...] = get_args(System)
RANK_CONSTANT = 60
FUSED_DEPTH = 100  # results of each list that fused+bm25 reads, at least
BATCH = 64  # queries searched for at once
WORDS = "words"  # what the BM25 part of a score is called among the views
KEPT = ("id", "title", "description", "tags", "price", "images", "attributes")  # columns of a hit
VIEWS = ("view_names", "view_kinds", "view_weights", "view_vectors")  # columns of its reasons
Vectors = npt.NDArray[np.float32]


Kind = Literal["photo", "text", "words"]


@dataclass(frozen=True, slots=True)
class Why:
    """What one view, or the query's words, added to a score."""

    view: str
    share: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. The shares in `why` sum to the score, the largest first.

    photo: the photo with the largest share (the first one where only words counted); None where there is none
    photos: all of them, in the listing's own order
    rerank_score: the shop's ranker's own; None where it was not asked, or abstained
    """

    id: str
    score: float
    title: str
    price: float | None
    photo: str | None
    why: tuple[Why, ...]
    attributes: dict[str, Any]
    description: str
    tags: tuple[str, ...]
    photos: tuple[str, ...]
    rerank_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The shape that scripts rely on, without NaN."""
        reranked = {} if self.rerank_score is None else {"rerank_score": self.rerank_score}
        return {
            "id": self.id,
            "score": self.score,
            **reranked,
            "why": [{"view": why.view, "kind": why.kind, "share": why.share} for why in self.why],
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "price": _finite(self.price),
            "photo": self.photo,
            "photos": list(self.photos),
            "attributes": {key: _finite(value) for key, value in self.attributes.items()},
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """Which rows may be ranked.

    where: the user's filter; without: id of a listing to leave out

    Raises FilterError where Lance would silently ignore a part of the filter, which is what follows a closing bracket
    or a semicolon too many, and where it would not survive it: at signs that stand for values to come.
    """

    where: str | None = None
    without: str | None = None

    def __post_init__(self) -> None:
        if self.where is None:
            return
        if not self.where.strip():
            raise FilterError('the filter is empty. Write a condition such as "price < 50", or leave it out.')
        depth = 0
        for sign in re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|::", "", self.where):
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth < 0 or sign in ";$?:":
                raise FilterError(f"filter {_line(self.where)}: there is a stray {sign} in it. Take it out.")

    @property
    def sql(self) -> str:
        """As Lance understands it; empty where every row may be ranked."""
        filters = [f"({self.where}\n)"] if self.where is not None else []
        return " AND ".join(filters + ([f"id != {as_sql(self.without)}"] if self.without is not None else []))


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


def search(
    shop: Shop,
    text: str | None = None,
    photo: Path | str | None = None,
    like: str | None = None,
    *,
    k: int = 10,
    where: str | None = None,
    system: System | None = None,
    rerank: int | None = None,
) -> list[Hit]:
    """The k best listings for a text, a photo file, a listing's id, or any of them together.

    like: id of a listing; it is not among its own results
    where: SQL over the table's columns, as in "price < 50 AND attributes.gender = 'men'"; it is applied before
        ranking, so k listings come back wherever k fit
    system: "fused" by default; "fused+bm25" where results are reranked
    rerank: how many of the best results are reordered, by their own scores and those of the shop's ranker; those after
        them, and those that the ranker has nothing to say of, follow as they were

    Several parts of a query are added up as unit vectors. BM25 and the ranker read the text alone.
    Raises SettingsError, FilterError, PhotoError, ShopError.
    """
    system = _system(system, rerank)
    _check(system, k, rerank)
    if text is None and rerank is not None:
        raise SettingsError("a ranker goes by words, so the query needs a text. Search without reranking.")
    if system == "bm25" and (photo is not None or like is not None):
        raise SettingsError('system "bm25" ranks by words alone; leave out the photo and the listing, or use "fused".')
    if text is None and system != "fused":
        raise SettingsError(f'system "{system}" ranks by words, so the query needs a text. Use "fused" without one.')
    words = [] if text is None else [_words(text, "the query")]
    condition = Condition(where, like)
    vector = None if system == "bm25" else _query_vector(shop, words, photo, like)
    vectors = np.zeros((1, 0), dtype=np.float32) if vector is None else vector[None]
    [best] = rank(shop, words, vectors, max(k, rerank or 0), system, condition)
    if text is not None and rerank is not None:
        best = reorder(shop, text, best, rerank)
    return explain(shop, best[:k], vector, system)


def ranked(
    shop: Shop,
    queries: Sequence[Query],
    k: int = 10,
    system: System | None = None,
    where: str | None = None,
    rerank: int | None = None,
) -> dict[str, dict[str, float]]:
    """The k best listings of many text queries, for evaluation: {query: {listing: score}}, best first.

    The same lists as `search` gives, faster: the queries are encoded and searched for in batches. Scores of reranked
    lists are 1/rank, because not all of their listings have one of the ranker.
    """
    system = _system(system, rerank)
    _check(system, k, rerank)
    texts = [_words(query.text, f"query {query.id}") for query in queries]
    if not texts:
        return {}
    vectors = np.zeros((len(texts), 0), dtype=np.float32) if system == "bm25" else shop.encoder.texts(texts)
    lists = rank(shop, texts, vectors, max(k, rerank or 0), system, Condition(where))
    if rerank is None:
        return {query.id: {hit.id: hit.score for hit in best} for query, best in zip(queries, lists, strict=True)}
    lists = [reorder(shop, text, best, rerank)[:k] for text, best in zip(texts, lists, strict=True)]
    return {
        query.id: {hit.id: 1 / rank for rank, hit in enumerate(best, 1)}
        for query, best in zip(queries, lists, strict=True)
    }


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


def reorder(shop: Shop, text: str, best: Sequence[Ranked], depth: int) -> list[Ranked]:
    """The first `depth` results by their own and the ranker's scores, then those it says nothing of, then the rest.

    Both count alike, standardised over the results that the ranker has scored. What the retrieval knows is not thrown
    away: without it, a ranker that is worse than the shop makes it much worse. Our reading.
    Raises ShopError where the shop has no ranker.
    """
    first = best[:depth]

    def texts() -> list[str]:
        found = shop.table.take_row_ids([hit.row for hit in first]).select(["id", "text"]).to_arrow()
        by_id = dict(zip(found["id"].to_pylist(), found["text"].to_pylist(), strict=True))
        return [by_id[hit.id] for hit in first]

    reranker = shop.reranker  # also where nothing was found: a shop without a ranker says so
    scores = reranker.score(text, [hit.id for hit in first], texts) if first else np.zeros(0, dtype=np.float32)
    scored = [
        replace(hit, reranked=float(score)) if math.isfinite(score) else hit
        for hit, score in zip(first, scores, strict=True)
    ]
    judged = [hit for hit in scored if hit.reranked is not None]
    both = np.array([[hit.score for hit in judged], [hit.reranked for hit in judged]], dtype=np.float32)
    together = standardised(both).sum(axis=0)
    ordered = [judged[place] for place in sorted(range(len(judged)), key=lambda i: (-together[i], judged[i].id))]
    return [*ordered, *(hit for hit in scored if hit.reranked is None), *best[depth:]]


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


def _query_vector(shop: Shop, texts: Sequence[str], photo: Path | str | None, like: str | None) -> Vectors:
    parts = [shop.encoder.texts(texts)[0]] if texts else []
    if photo is not None:
        if "://" in str(photo) or re.match(r"https?:/", str(photo)):
            raise SettingsError(f"{photo} is a URL. Fetch the photo, and name its file.")
        parts.append(shop.encoder.photos([Path(photo)])[0])
    if like is not None:
        parts.append(vector_of(shop, like))
    return joined(parts)


def joined(parts: Sequence[Vectors]) -> Vectors:
    """(d,) normalised sum of a query's parts, each a (d,) unit vector. Raises SettingsError where that is nothing."""
    if not parts:
        raise SettingsError("the query is empty: give a text, a photo or a listing's id.")
    total = np.sum(parts, axis=0, dtype=np.float64)
    norm = np.linalg.norm(total)
    if norm < 1e-6:
        raise SettingsError("the parts of the query cancel each other out. Leave one of them out.")
    return np.asarray(total / norm, dtype=np.float32)


def vector_of(shop: Shop, id: str) -> Vectors:
    """(d,) fused embedding of a listing. Raises SettingsError where there is no such listing."""
    found = _run(shop, shop.table.search().select(["vector"]), 1, Condition(f"id = {as_sql(id)}"))
    if not found.num_rows:
        raise SettingsError(f'there is no listing "{id}" in {shop.path}.')
    return np.asarray(found["vector"].to_pylist()[0], dtype=np.float32)


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


def explain(shop: Shop, best: Sequence[Ranked], query: Vectors | None, system: System) -> list[Hit]:
    """Rows as results, with what each view added to the score.

    query: (d,) as the rows were ranked by; None where vectors were not asked
    """
    return explain_all(shop, [(best, query)], system)[0]


def explain_all(
    shop: Shop, lists: Sequence[tuple[Sequence[Ranked], Vectors | None]], system: System
) -> list[list[Hit]]:
    """`explain` of several lists, each with its query: their rows are read at once."""
    places = list(dict.fromkeys(hit.row for best, _ in lists for hit in best))
    if not places:
        return [[] for _ in lists]
    columns = [name for name in shop.table.schema.names if name in KEPT + VIEWS]
    found = shop.table.take_row_ids(places).select(columns).to_arrow()
    views = [vectors.values.to_numpy(zero_copy_only=False) for vectors in found["view_vectors"]]
    rows = found.drop_columns(["view_vectors"]).to_pylist()
    by_id = {row["id"]: row | {"view_vectors": flat} for row, flat in zip(rows, views, strict=True)}
    return [[_hit(hit, by_id[hit.id], query, system) for hit in best] for best, query in lists]


def _hit(hit: Ranked, row: dict[str, Any], query: Vectors | None, system: System) -> Hit:
    names: list[str] = row["view_names"]
    shares = np.zeros(len(names)) if query is None else _shares(query, row)
    photos = [i for i, kind in enumerate(row["view_kinds"]) if kind == "photo"]
    why = [Why(WORDS, hit.words, "words")] if hit.words else []
    if hit.views or system == "fused":
        divided = _exact(shares, hit.views) if system == "fused" else _proportional(shares, hit.views)
        why += [Why(*each) for each in zip(names, divided.tolist(), row["view_kinds"], strict=True)]
    return Hit(
        id=hit.id,
        score=hit.score,
        title=row["title"],
        price=row["price"],
        photo=names[max(photos, key=lambda i: shares[i])] if photos else None,
        why=tuple(sorted(why, key=lambda item: -item.share)),
        attributes={key: value for key, value in (row.get("attributes") or {}).items() if value is not None},
        description=row["description"],
        tags=tuple(row["tags"]),
        photos=tuple(row["images"]),
        rerank_score=hit.reranked,
    )


def _shares(query: Vectors, row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """(V,) what each view adds to the cosine, computed in float64."""
    weights = np.asarray(row["view_weights"], dtype=np.float64)
    views = row["view_vectors"].astype(np.float64).reshape(len(weights), -1)
    return np.asarray(weights * (views @ query.astype(np.float64)))


def _exact(shares: npt.NDArray[np.float64], score: float) -> npt.NDArray[np.float64]:
    """The shares as they are, except that the largest takes up what float32 rounded off the score."""
    settled = shares.copy()
    settled[np.argmax(np.abs(shares))] += score - shares.sum()
    return settled


def _proportional(shares: npt.NDArray[np.float64], amount: float) -> npt.NDArray[np.float64]:
    """An amount divided in proportion to the shares of the cosine, as fused+bm25 explains a rank.

    A rank has no exact shares, so this is our reading of one. Views that speak against the match get nothing;
    where all do, they share equally.
    """
    helpful = np.maximum(shares, 0.0)
    if helpful.sum() <= 0.0:
        helpful = np.ones_like(shares)
    return np.asarray(amount * helpful / helpful.sum())


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


def _check_filter(shop: Shop, where: str, sql: str) -> None:
    """Raise FilterError where the filter itself is at fault. sql: the condition that it is a part of"""
    try:
        shop.table.count_rows(where)
        shop.table.count_rows(sql)
    except (ValueError, RuntimeError, OSError) as error:
        columns = shop.columns
        column = _unknown_column(str(error))
        reason = _mismatch(str(error)) or _reason(error)
        if column is not None:
            same = [name for name in columns if name.rpartition(".")[2] == column.rpartition(".")[2]]
            close = same or difflib.get_close_matches(column, columns, 1)
            reason = f"there is no column {column}" + (f"; did you mean {close[0]}?" if close else "")
        joint = "" if reason.endswith("?") else "."
        raise FilterError(f"filter {_line(where)}: {reason}{joint} Columns: {', '.join(columns)}.") from error


def _unknown_column(message: str) -> str | None:
    if nested := re.search(r"Field (.+?) not found in struct", message):
        return f"attributes.{nested[1]}"
    top = re.search(r"No field named (.+?)\.(?: |$)|Column (\S+) does not exist", message)
    return (top[1] or top[2]) if top else None


def _mismatch(message: str) -> str | None:
    """What to write where a value is compared with a column of another type."""
    found = re.search(r"literal \w+\((.*)\) and could not convert to literal of type '(\w+)", message)
    if not found:
        return None
    value, kind = found[1].strip('"'), found[2]
    if kind == "List":
        return f"a list is asked for what it holds: array_has(COLUMN, {as_sql(value)})"
    if kind == "Utf8":
        return f"a text is compared with texts, in quotes: {as_sql(value)}"
    return f"{as_sql(value)} is compared with a column of another type ({kind})"


def _reason(error: Exception) -> str:
    """What Lance says, in one line and without its own file names."""
    message = _line(str(error))
    parser = re.search(r"sql parser error: (.*)\)$", message)
    message = parser[1] if parser else re.sub(r",? /\S+\.rs:[\d:]+", "", message)
    return re.sub(r"^(Invalid input, |lance error: )+", "", message).rstrip(".")


def _line(text: str) -> str:
    return " ".join(text.split())


def as_sql(text: str) -> str:
    """A text as Lance reads it in a filter."""
    return "'" + text.replace("'", "''") + "'"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
