"""A search request, from its question to its answer, on an open shop.

Queries are encoded in batches and remembered; rows are ranked in batches. What a request sees of the shop is one set of
results: the best thousand listings. Pages, facets and the total are of that set.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from cachetools import LRUCache

from wares.core.errors import FilterError, PhotoError, SettingsError
from wares.serve.batching import Batcher
from wares.serve.filters import Column, ColumnFilter, filterable_columns, parse_filter, sql_condition
from wares.serve.photo_tokens import decode_photo_token, encode_photo_token
from wares.shop.explanation import Hit, explain_batch
from wares.shop.filters import Filter
from wares.shop.reranking import RERANK_DEPTH
from wares.shop.retrieval import RankedListing, System, Vectors, column_values, retrieve, scan
from wares.shop.searching import combine_vectors, listing_vector, rerank
from wares.shop.table import TABLE_NAME
from wares.shop.update import optimize

if TYPE_CHECKING:
    from wares.shop.shop import Shop


MAX_RESULTS = 1000  # listings in a set of results
MAX_CACHED_TEXTS = 20_000  # encoded texts
MAX_CACHED_COUNTS = 1_000  # filters whose listings have been counted
MAX_BATCH_SIZE = 64  # texts encoded, or queries put to the table, at once
TABLE_THREADS = 4  # Lance works outside of Python's lock
CHANGES_PER_OPTIMIZE = 200  # changes, each of which adds a file to the table, until it is brought in order
CLOCK_TICK_NS = 50_000_000  # nanoseconds: longer than any file system's clock takes to move on
MAX_FACET_VALUES = 100  # of a facet that are told, at most
T = TypeVar("T")


@dataclass(frozen=True)
class SearchRequest:
    """What a request asks: the parameters of GET /api/search.

    photo: a token, or the content of an image
    """

    text: str | None = None
    photo: str | bytes | None = None
    like: str | None = None
    filters: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    page: int = 1
    per_page: int = 20
    system: System | None = None
    rerank: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is looked for, so that all listings are shown."""
        return self.text is None and self.photo is None and self.like is None

    @property
    def resolved_system(self) -> System:
        """The system that ranks: the given one, or the default. Raises SettingsError if it cannot rank this request."""
        if self.rerank and self.text is None:
            raise SettingsError("a ranker goes by words, so rerank needs q.")
        if self.system == "bm25" and (self.photo is not None or self.like is not None):
            raise SettingsError('system "bm25" ranks by words alone; leave out photo and like, or use "fused".')
        if self.system == "fused+bm25" and self.text is None and not self.is_empty:
            raise SettingsError('system "fused+bm25" ranks by words too, so it needs q. Use "fused" without.')
        return self.system or ("fused+bm25" if self.rerank else "fused")

    @property
    def page_slice(self) -> slice:
        """The page's places in the set of results."""
        return slice((self.page - 1) * self.per_page, min(MAX_RESULTS, self.page * self.per_page))


@dataclass(frozen=True)
class SearchResult:
    """What a request is told.

    total: listings in the set of results; capped: whether there were more; photo: token of the photo looked for
    """

    hits: Sequence[Hit]
    system: System
    total: int
    capped: bool
    photo: str | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class PendingQuery:
    """One query to the table."""

    text: str
    vector: Vectors


@dataclass(frozen=True)
class BatchKey:
    """What queries have in common that are put to the table together."""

    shop: Shop
    k: int
    system: System
    row_filter: Filter


class Searcher:
    """Searches of a shop.

    shop: changes while it is searched; `latest` says what it is now
    observe: is told what was worked on together ("texts", "queries"), and how many
    """

    def __init__(self, shop: Shop, observe: Callable[[str, int], None] = lambda kind, size: None) -> None:
        self.shop = shop
        self._texts: LRUCache[str, Vectors] = LRUCache(MAX_CACHED_TEXTS)
        self._counts: LRUCache[tuple[int, str | None], int] = LRUCache(MAX_CACHED_COUNTS)
        self._snapshot = copy(shop)
        self._seen, self._refreshing = 0, asyncio.Lock()
        self._changes = 0
        self._models = ThreadPoolExecutor(1, "models")  # they use all cores by themselves
        self._store = ThreadPoolExecutor(TABLE_THREADS, "store")
        self._changing = ThreadPoolExecutor(1, "changes")  # apart from the models: it waits for other processes
        self._encoding = Batcher(self._encode, self._models, 1, MAX_BATCH_SIZE, lambda size: observe("texts", size))
        self._explaining = Batcher(_explain_batch, self._store, TABLE_THREADS, MAX_BATCH_SIZE)
        self._ranking = Batcher(
            _retrieve_batch, self._store, TABLE_THREADS, MAX_BATCH_SIZE, lambda size: observe("queries", size)
        )

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Columns that filters and facets may name."""
        return filterable_columns(self.shop.table.schema)

    async def search(self, request: SearchRequest) -> SearchResult:
        """Raises SettingsError, FilterError, PhotoError, ShopError."""
        system = request.resolved_system
        filters = [parse_filter(text, self.columns) for text in request.filters]
        for name in request.facets:
            if name not in self.columns:
                known = ", ".join(self.columns)
                raise FilterError(f'facet "{name[:80]}" is no column of this shop. There are {known}.')
        if request.rerank and not self.shop.has_ranker:
            raise SettingsError("this shop has no ranker; leave rerank out, or add one with `wares index --ranker`.")
        return await _Search(self, await self.latest(), request, system, filters).run()

    async def write(self, change: Callable[[Shop], T]) -> T:
        """Change the shop; one change of this process at a time, while searches go on."""
        done = await asyncio.get_running_loop().run_in_executor(self._changing, change, self.shop)
        self._changes += 1
        return done

    async def optimize(self) -> None:
        """Bring the table in order after many changes, while it is searched."""
        if self._changes >= CHANGES_PER_OPTIMIZE:
            self._changes = 0
            await asyncio.get_running_loop().run_in_executor(self._changing, optimize, self.shop)

    async def load_vectors(self) -> None:
        """Read the vectors into memory where they are to be there and are not, while the shop is searched."""
        await asyncio.to_thread(self.shop.load_vectors)

    async def latest(self) -> Shop:
        """The shop as it is now, whoever changed it. What is returned stays as it is: a request has one view of it.

        It is the same object until something changes, so that requests can be worked on together.
        """
        if last_modified_ns(self.shop) != self._seen:
            async with self._refreshing:
                stamp = last_modified_ns(self.shop)
                if stamp != self._seen:
                    await self.run_in_table_thread(self.shop.refresh)
                    # Two changes within a tick of the file system's clock look like one: look again.
                    self._seen = stamp if time.time_ns() - stamp > CLOCK_TICK_NS else 0
        if self._snapshot.table is not self.shop.table or self._snapshot.memory_vectors is not self.shop.memory_vectors:
            self._snapshot = copy(self.shop)
        return self._snapshot

    async def encode_text(self, text: str) -> Vectors:
        """(d,) unit vector of a text."""
        if text not in self._texts:
            self._texts[text] = await self._encoding.submit(text)
        return self._texts[text]

    async def encode_photo(self, photo: str | bytes) -> Vectors:
        """(d,) unit vector of a photo, from its token or its content."""
        about = self.shop.build_info
        if isinstance(photo, str):
            return decode_photo_token(photo, about.model, about.dimension)
        return await self.run_in_model_thread(lambda: _encode_photo(self.shop, photo))

    async def retrieve(self, query: PendingQuery, key: BatchKey) -> list[RankedListing]:
        """The best rows for a query."""
        return await self._ranking.submit((query, key), key)

    async def explain(
        self, shop: Shop, ranked: Sequence[RankedListing], vector: Vectors | None, system: System
    ) -> list[Hit]:
        """Rows as results, with reasons."""
        return await self._explaining.submit((shop, ranked, vector, system), (shop, system))

    async def count(self, shop: Shop, sql: str | None) -> int:
        """Listings that pass a filter."""
        key = (shop.table.version, sql)
        if key not in self._counts:
            self._counts[key] = await self.run_in_table_thread(lambda: shop.table.count_rows(sql))
        return self._counts[key]

    async def run_in_model_thread(self, function: Callable[[], T]) -> T:
        """Work for a model, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._models, function)

    async def run_in_table_thread(self, function: Callable[[], T]) -> T:
        """Work for the table, in one of its threads."""
        return await asyncio.get_running_loop().run_in_executor(self._store, function)

    def close(self) -> None:
        """No more questions; those under way are answered."""
        for pool in (self._models, self._store, self._changing):
            pool.shutdown(wait=False)

    def _encode(self, texts: Sequence[str]) -> list[Vectors]:
        distinct = list(dict.fromkeys(texts))
        encoded = dict(zip(distinct, self.shop.encoder.encode_texts(distinct), strict=True))
        return [encoded[text] for text in texts]


@dataclass(frozen=True)
class _Search:
    """One question, on one snapshot of the shop."""

    searcher: Searcher
    shop: Shop
    request: SearchRequest
    system: System
    filters: Sequence[ColumnFilter]

    async def run(self) -> SearchResult:
        question, sql = self.request, sql_condition(self.filters)
        of_photo = None if question.photo is None else await self.searcher.encode_photo(question.photo)
        vector = None if question.is_empty or self.system == "bm25" else await self._vector(of_photo)

        async def results(sql: str | None, k: int = MAX_RESULTS) -> list[RankedListing]:
            condition = Filter(sql, question.like)
            if question.is_empty:
                return await self.searcher.run_in_table_thread(lambda: scan(self.shop, k, condition))
            asked = PendingQuery(question.text or "", np.zeros(0, np.float32) if vector is None else vector)
            return await self.searcher.retrieve(asked, BatchKey(self.shop, k, self.system, condition))

        by_words = self.system == "bm25" and not question.is_empty
        k = (
            MAX_RESULTS + 1
            if question.facets or by_words
            else max(question.page_slice.stop, RERANK_DEPTH if question.rerank else 1)
        )
        passing = self.searcher.count(self.shop, Filter(sql, question.like).sql or None)
        retrieved, found = await asyncio.gather(results(sql, k), passing)
        found = len(retrieved) if by_words else found
        best = retrieved[:MAX_RESULTS]
        if question.rerank and question.text is not None:
            text = question.text
            best = await self.searcher.run_in_model_thread(
                lambda: rerank(self.shop, text, retrieved[:MAX_RESULTS], RERANK_DEPTH)
            )
        shown = best[question.page_slice]
        hits, (facets, ranges) = await asyncio.gather(
            self.searcher.explain(self.shop, shown, vector, "bm25" if vector is None else self.system),
            self._facets(best, results),
        )
        token = None if of_photo is None else encode_photo_token(of_photo, self.shop.build_info.model)
        return SearchResult(hits, self.system, min(MAX_RESULTS, found), found > MAX_RESULTS, token, facets, ranges)

    async def _vector(self, photo: Vectors | None) -> Vectors:
        parts = [] if self.request.text is None else [await self.searcher.encode_text(self.request.text)]
        parts += [] if photo is None else [photo]
        if (like := self.request.like) is not None:
            parts.append(await self.searcher.run_in_table_thread(lambda: listing_vector(self.shop, like)))
        return combine_vectors(parts)

    async def _facets(
        self, best: Sequence[RankedListing], results: Callable[[str | None], Awaitable[list[RankedListing]]]
    ) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
        """Values of the results' columns. One that is filtered by counts as if it were not, to offer its other values.

        results: gives the set of results of a filter
        """
        filtered = {each.column.name for each in self.filters}
        names = list(dict.fromkeys(self.request.facets))
        free = [name for name in names if name not in filtered]
        sets = [(best, free)] if free else []
        sets += [
            (await results(sql_condition(self.filters, excluded_column=name)), [name])
            for name in names
            if name in filtered
        ]
        told: dict[str, list[Any]] = {}
        for rows, of in sets:
            told |= await self.searcher.run_in_table_thread(lambda rows=rows, of=of: column_values(self.shop, rows, of))  # type: ignore[misc]
        kinds = {name: self.searcher.columns[name].kind for name in names}
        return (
            {name: count_values(told[name]) for name in names if kinds[name] != "number"},
            {name: value_range(told[name]) for name in names if kinds[name] == "number"},
        )


def last_modified_ns(shop: Shop) -> int:
    """When the table was changed last, in nanoseconds, by the clock of the file system."""
    return (shop.build_folder / f"{TABLE_NAME}.lance" / "_versions").stat().st_mtime_ns


def count_values(values: Sequence[Any]) -> dict[str, int]:
    """How often each value comes, the most frequent first; of lists, each of their values."""
    every = (each for value in values for each in (value if isinstance(value, list) else [value]) if each is not None)
    counts = Counter(str(each).lower() if isinstance(each, bool) else str(each) for each in every)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_FACET_VALUES])


def value_range(values: Sequence[float | None]) -> dict[str, float]:
    """The least and the largest number; nothing where there is none."""
    numbers = [value for value in values if value is not None and np.isfinite(value)]
    return {"min": min(numbers), "max": max(numbers)} if numbers else {}


def _retrieve_batch(questions: Sequence[tuple[PendingQuery, BatchKey]]) -> list[list[RankedListing]]:
    """The best rows for queries that have the rest in common."""
    same = questions[0][1]
    texts = [asked.text for asked, _ in questions]
    vectors = np.stack([asked.vector for asked, _ in questions])
    return retrieve(same.shop, texts, vectors, same.k, same.system, same.row_filter)


def _explain_batch(lists: Sequence[tuple[Shop, Sequence[RankedListing], Vectors | None, System]]) -> list[list[Hit]]:
    """The results of lists that have shop and system in common."""
    shop, _, _, system = lists[0]
    return explain_batch(shop, [(best, vector) for _, best, vector, _ in lists], system)


def _encode_photo(shop: Shop, content: bytes) -> Vectors:
    """Raises PhotoError, without the name of the file that the photo passes through."""
    with NamedTemporaryFile(suffix=".photo") as file:
        file.write(content)
        file.flush()
        try:
            vector: Vectors = shop.encoder.encode_photos([Path(file.name)])[0]
            return vector
        except PhotoError as error:
            raise PhotoError(str(error).replace(file.name, "the upload")) from error
