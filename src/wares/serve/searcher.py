"""Searches of an open shop: queries are encoded in batches and cached, and ranked in batches.

A search has one list of results, at most the best `MAX_RESULTS` listings. Pages, facets and the total come from it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from cachetools import LRUCache

from wares.core.errors import FilterError, PhotoError, SettingsError
from wares.serve.batching import Batcher
from wares.serve.errors import MAX_SHOWN_LENGTH
from wares.serve.facets import count_values, value_range
from wares.serve.filters import Column, ColumnFilter, filterable_columns, parse_filter, sql_condition
from wares.serve.photo_tokens import decode_photo_token, encode_photo_token
from wares.serve.search_requests import MAX_RESULTS, SearchRequest, SearchResult
from wares.shop.explanation import Hit, explain_batch
from wares.shop.filters import Filter
from wares.shop.reranking import RERANK_DEPTH
from wares.shop.retrieval import RankedListing, column_values, retrieve, scan
from wares.shop.searching import combine_vectors, listing_vector, rerank
from wares.shop.systems import System
from wares.shop.table import TABLE_NAME, Vectors
from wares.shop.update import optimize

if TYPE_CHECKING:
    from wares.shop.shop import Shop


MAX_CACHED_TEXTS = 20_000  # texts with their vectors
MAX_CACHED_COUNTS = 1_000  # filters with their numbers of listings
MAX_BATCH_SIZE = 64  # texts encoded, or queries ranked, together
TABLE_THREADS = 4  # Lance releases Python's lock
CHANGES_PER_OPTIMIZE = 200  # every change adds a file to the table, until `optimize` merges them
CLOCK_TICK_NS = 50_000_000  # longer than the resolution of any file system's clock, in nanoseconds
T = TypeVar("T")


@dataclass(frozen=True)
class PendingQuery:
    """A query that waits for its batch. vector: (d,) unit vector, or (0,) if the system needs none"""

    text: str
    vector: Vectors


@dataclass(frozen=True)
class BatchKey:
    """What the queries of one batch have in common."""

    shop: Shop
    k: int
    system: System
    row_filter: Filter


class Searcher:
    """Searches and changes one shop for many requests at the same time.

    shop: refreshed by `latest`
    observe: receives the kind ("texts", "queries") and size of every batch
    """

    def __init__(self, shop: Shop, observe: Callable[[str, int], None] = lambda kind, size: None) -> None:
        self.shop = shop
        self._texts: LRUCache[str, Vectors] = LRUCache(MAX_CACHED_TEXTS)
        self._counts: LRUCache[tuple[int, str | None], int] = LRUCache(MAX_CACHED_COUNTS)
        self._snapshot = copy(shop)
        self._seen_ns, self._refresh_lock = 0, asyncio.Lock()
        self._changes = 0
        self._model_thread = ThreadPoolExecutor(1, "model")  # models use all cores by themselves
        self._table_threads = ThreadPoolExecutor(TABLE_THREADS, "table")
        self._change_thread = ThreadPoolExecutor(1, "changes")  # a change may wait for the lock of another process
        self._encoding = Batcher(
            self._encode_batch, self._model_thread, 1, MAX_BATCH_SIZE, lambda size: observe("texts", size)
        )
        self._explaining = Batcher(_explain_batch, self._table_threads, TABLE_THREADS, MAX_BATCH_SIZE)
        self._ranking = Batcher(
            _retrieve_batch, self._table_threads, TABLE_THREADS, MAX_BATCH_SIZE, lambda size: observe("queries", size)
        )

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Columns that filters and facets may name."""
        return filterable_columns(self.shop.table.schema)

    async def search(self, request: SearchRequest) -> SearchResult:
        """The results of a request. Raises SettingsError, FilterError, PhotoError, ShopError."""
        system = request.resolved_system
        filters = [parse_filter(text, self.columns) for text in request.filters]
        for name in request.facets:
            if name not in self.columns:
                columns = ", ".join(self.columns)
                raise FilterError(
                    f'facet "{name[:MAX_SHOWN_LENGTH]}" is not a column of this shop. Use one of {columns}.'
                )
        if request.rerank and not self.shop.has_ranker:
            raise SettingsError("this shop has no ranker. Leave out rerank, or add one with `wares index --ranker`.")
        return await _Search(self, await self.latest(), request, system, filters).run()

    async def write(self, change: Callable[[Shop], T]) -> T:
        """Run a function that changes the shop. Changes run one at a time, next to searches."""
        result = await asyncio.get_running_loop().run_in_executor(self._change_thread, change, self.shop)
        self._changes += 1
        return result

    async def optimize(self) -> None:
        """Optimize the table if it had many changes. Searches continue."""
        if self._changes >= CHANGES_PER_OPTIMIZE:
            self._changes = 0
            await asyncio.get_running_loop().run_in_executor(self._change_thread, optimize, self.shop)

    async def load_vectors(self) -> None:
        """Load the fused vectors if the shop searches in memory and has not loaded them. Searches continue."""
        await asyncio.to_thread(self.shop.load_vectors)

    async def latest(self) -> Shop:
        """A snapshot of the shop with all changes, also those of other processes.

        The snapshot never changes, so a request sees one state of the shop. Requests get the same object until the
        shop changes, so that they can share batches.
        """
        if last_modified_ns(self.shop) != self._seen_ns:
            async with self._refresh_lock:
                modified_ns = last_modified_ns(self.shop)
                if modified_ns != self._seen_ns:
                    await self.run_in_table_thread(self.shop.refresh)
                    # Two changes within a tick of the clock have the same time, so a recent time is checked again.
                    self._seen_ns = modified_ns if time.time_ns() - modified_ns > CLOCK_TICK_NS else 0
        changed = self._snapshot.table is not self.shop.table
        if changed or self._snapshot.memory_vectors is not self.shop.memory_vectors:
            self._snapshot = copy(self.shop)
        return self._snapshot

    async def encode_text(self, text: str) -> Vectors:
        """(d,) unit vector of a text."""
        if text not in self._texts:
            self._texts[text] = await self._encoding.submit(text)
        return self._texts[text]

    async def encode_photo(self, photo: str | bytes) -> Vectors:
        """(d,) unit vector of a photo. photo: its token, or the content of its file"""
        build_info = self.shop.build_info
        if isinstance(photo, str):
            return decode_photo_token(photo, build_info.model, build_info.dimension)
        return await self.run_in_model_thread(lambda: _encode_photo(self.shop, photo))

    async def retrieve(self, query: PendingQuery, key: BatchKey) -> list[RankedListing]:
        """The best listings for a query."""
        return await self._ranking.submit((query, key), key)

    async def explain(
        self, shop: Shop, ranked: Sequence[RankedListing], vector: Vectors | None, system: System
    ) -> list[Hit]:
        """Listings as hits, with the contribution of each view."""
        return await self._explaining.submit((shop, ranked, vector, system), (shop, system))

    async def count(self, shop: Shop, sql: str | None) -> int:
        """Number of listings that pass a filter."""
        key = (shop.table.version, sql)
        if key not in self._counts:
            self._counts[key] = await self.run_in_table_thread(lambda: shop.table.count_rows(sql))
        return self._counts[key]

    async def run_in_model_thread(self, function: Callable[[], T]) -> T:
        """Run a function that uses a model."""
        return await asyncio.get_running_loop().run_in_executor(self._model_thread, function)

    async def run_in_table_thread(self, function: Callable[[], T]) -> T:
        """Run a function that reads the table."""
        return await asyncio.get_running_loop().run_in_executor(self._table_threads, function)

    def close(self) -> None:
        """Accept no more searches. Running ones finish."""
        for executor in (self._model_thread, self._table_threads, self._change_thread):
            executor.shutdown(wait=False)

    def _encode_batch(self, texts: Sequence[str]) -> list[Vectors]:
        distinct = list(dict.fromkeys(texts))
        vectors = dict(zip(distinct, self.shop.encoder.encode_texts(distinct), strict=True))
        return [vectors[text] for text in texts]


@dataclass(frozen=True)
class _Search:
    """One request on one snapshot of the shop."""

    searcher: Searcher
    shop: Shop
    request: SearchRequest
    system: System
    filters: Sequence[ColumnFilter]

    async def run(self) -> SearchResult:
        request, sql = self.request, sql_condition(self.filters)
        photo_vector = None if request.photo is None else await self.searcher.encode_photo(request.photo)
        vector = None if request.is_empty or self.system == "bm25" else await self._query_vector(photo_vector)
        by_words = self.system == "bm25" and not request.is_empty
        retrieved, count = await asyncio.gather(
            self._retrieve(vector, sql, self._depth(by_words)),
            self.searcher.count(self.shop, Filter(sql, request.like).sql or None),
        )
        count = len(retrieved) if by_words else count  # the words decide which listings match, not the filter alone
        ranked = await self._rerank(retrieved[:MAX_RESULTS])
        hits, (facets, ranges) = await asyncio.gather(
            self.searcher.explain(
                self.shop, ranked[request.page_slice], vector, "bm25" if vector is None else self.system
            ),
            self._facets(ranked, lambda sql: self._retrieve(vector, sql, MAX_RESULTS)),
        )
        token = None if photo_vector is None else encode_photo_token(photo_vector, self.shop.build_info.model)
        return SearchResult(hits, self.system, min(MAX_RESULTS, count), count > MAX_RESULTS, token, facets, ranges)

    def _depth(self, by_words: bool) -> int:
        """Number of listings to retrieve: all that count if facets or the total need them, else those of the page."""
        if self.request.facets or by_words:
            return MAX_RESULTS + 1
        shown: int = self.request.page_slice.stop
        return max(shown, RERANK_DEPTH if self.request.rerank else 1)

    async def _query_vector(self, photo_vector: Vectors | None) -> Vectors:
        """(d,) unit vector of the query: the normalized sum of its text, photo and listing."""
        vectors = [] if self.request.text is None else [await self.searcher.encode_text(self.request.text)]
        vectors += [] if photo_vector is None else [photo_vector]
        if (like := self.request.like) is not None:
            vectors.append(await self.searcher.run_in_table_thread(lambda: listing_vector(self.shop, like)))
        return combine_vectors(vectors)

    async def _retrieve(self, vector: Vectors | None, sql: str | None, k: int) -> list[RankedListing]:
        """The best k listings that pass a filter. An empty request has the table's order."""
        row_filter = Filter(sql, self.request.like)
        if self.request.is_empty:
            return await self.searcher.run_in_table_thread(lambda: scan(self.shop, k, row_filter))
        query = PendingQuery(self.request.text or "", np.zeros(0, np.float32) if vector is None else vector)
        return await self.searcher.retrieve(query, BatchKey(self.shop, k, self.system, row_filter))

    async def _rerank(self, ranked: list[RankedListing]) -> list[RankedListing]:
        text = self.request.text
        if not self.request.rerank or text is None:
            return ranked
        return await self.searcher.run_in_model_thread(lambda: rerank(self.shop, text, ranked, RERANK_DEPTH))

    async def _facets(
        self, ranked: Sequence[RankedListing], retrieve_filtered: Callable[[str | None], Awaitable[list[RankedListing]]]
    ) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
        """Counts of values, and ranges of numbers, by column.

        A column's own filters do not apply to its counts, so that its other values can be offered.
        retrieve_filtered: the results under a filter
        """
        filtered = {column_filter.column.name for column_filter in self.filters}
        names = list(dict.fromkeys(self.request.facets))
        unfiltered_names = [name for name in names if name not in filtered]
        results = [(ranked, unfiltered_names)] if unfiltered_names else []
        for name in names:
            if name in filtered:
                results.append((await retrieve_filtered(sql_condition(self.filters, excluded_column=name)), [name]))
        values: dict[str, list[Any]] = {}
        for rows, columns in results:
            values |= await self.searcher.run_in_table_thread(
                lambda rows=rows, columns=columns: column_values(self.shop, rows, columns)  # type: ignore[misc]
            )
        kinds = {name: self.searcher.columns[name].kind for name in names}
        return (
            {name: count_values(values[name]) for name in names if kinds[name] != "number"},
            {name: value_range(values[name]) for name in names if kinds[name] == "number"},
        )


def last_modified_ns(shop: Shop) -> int:
    """Time of the table's last change, in nanoseconds, by the file system's clock."""
    return (shop.build_folder / f"{TABLE_NAME}.lance" / "_versions").stat().st_mtime_ns


def _retrieve_batch(batch: Sequence[tuple[PendingQuery, BatchKey]]) -> list[list[RankedListing]]:
    """The best listings for queries with the same key."""
    key = batch[0][1]
    texts = [query.text for query, _ in batch]
    vectors = np.stack([query.vector for query, _ in batch])
    return retrieve(key.shop, texts, vectors, key.k, key.system, key.row_filter)


def _explain_batch(batch: Sequence[tuple[Shop, Sequence[RankedListing], Vectors | None, System]]) -> list[list[Hit]]:
    """The hits of lists that have the shop and the system in common."""
    shop, _, _, system = batch[0]
    return explain_batch(shop, [(ranked, vector) for _, ranked, vector, _ in batch], system)


def _encode_photo(shop: Shop, content: bytes) -> Vectors:
    """(d,) unit vector of an uploaded photo. Raises PhotoError, without the path of the temporary file."""
    with NamedTemporaryFile(suffix=".photo") as file:
        file.write(content)
        file.flush()
        try:
            vector: Vectors = shop.encoder.encode_photos([Path(file.name)])[0]
            return vector
        except PhotoError as error:
            raise PhotoError(str(error).replace(file.name, "the upload")) from error
