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
from wares.serve.batches import Batches
from wares.serve.filters import Column, ColumnFilter, columns_of, parse_filter, where
from wares.serve.tokens import read_token, write_token
from wares.shop.explanation import Hit, explain_batch
from wares.shop.filters import Filter
from wares.shop.reranking import RERANK_DEPTH
from wares.shop.retrieval import RankedListing, System, Vectors, column_values, retrieve, scan
from wares.shop.searching import combine_vectors, listing_vector, rerank
from wares.shop.table import TABLE_NAME
from wares.shop.update import optimize

if TYPE_CHECKING:
    from wares.shop.shop import Shop


MOST = 1000  # listings in a set of results
REMEMBERED = 20_000  # encoded texts
COUNTED = 1_000  # filters whose listings have been counted
TOGETHER = 64  # texts encoded, or queries put to the table, at once
STORE_THREADS = 4  # Lance works outside of Python's lock
UNTIDY = 200  # changes, each of which adds a file to the table, until it is brought in order
TICK = 50_000_000  # nanoseconds: longer than any file system's clock takes to move on
VALUES = 100  # of a facet that are told, at most
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
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
    def empty(self) -> bool:
        """Whether nothing is looked for, so that all listings are shown."""
        return self.text is None and self.photo is None and self.like is None

    @property
    def ranked_by(self) -> System:
        """As wares.shop.searching chooses where nothing is said. Raises SettingsError where it does not go with the rest."""
        if self.rerank and self.text is None:
            raise SettingsError("a ranker goes by words, so rerank needs q.")
        if self.system == "bm25" and (self.photo is not None or self.like is not None):
            raise SettingsError('system "bm25" ranks by words alone; leave out photo and like, or use "fused".')
        if self.system == "fused+bm25" and self.text is None and not self.empty:
            raise SettingsError('system "fused+bm25" ranks by words too, so it needs q. Use "fused" without.')
        return self.system or ("fused+bm25" if self.rerank else "fused")

    @property
    def shown(self) -> slice:
        """The page's places in the set of results."""
        return slice((self.page - 1) * self.per_page, min(MOST, self.page * self.per_page))


@dataclass(frozen=True)
class Answer:
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
class Asked:
    """One query to the table."""

    text: str
    vector: Vectors


@dataclass(frozen=True)
class Same:
    """What queries have in common that are put to the table together."""

    shop: Shop
    k: int
    system: System
    condition: Filter


class Searcher:
    """Searches of a shop.

    shop: changes while it is searched; `latest` says what it is now
    observe: is told what was worked on together ("texts", "queries"), and how many
    """

    def __init__(self, shop: Shop, observe: Callable[[str, int], None] = lambda kind, size: None) -> None:
        self.shop = shop
        self._texts: LRUCache[str, Vectors] = LRUCache(REMEMBERED)
        self._counts: LRUCache[tuple[int, str | None], int] = LRUCache(COUNTED)
        self._snapshot = copy(shop)
        self._seen, self._refreshing = 0, asyncio.Lock()
        self._changes = 0
        self._models = ThreadPoolExecutor(1, "models")  # they use all cores by themselves
        self._store = ThreadPoolExecutor(STORE_THREADS, "store")
        self._changing = ThreadPoolExecutor(1, "changing")  # apart from the models: it waits for other processes
        self._encoding = Batches(self._encode, self._models, 1, TOGETHER, lambda size: observe("texts", size))
        self._explaining = Batches(_explained, self._store, STORE_THREADS, TOGETHER)
        self._ranking = Batches(_ranked, self._store, STORE_THREADS, TOGETHER, lambda size: observe("queries", size))

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Columns that filters and facets may name."""
        return columns_of(self.shop.table.schema)

    async def answer(self, question: Question) -> Answer:
        """Raises SettingsError, FilterError, PhotoError, ShopError."""
        system = question.ranked_by
        filters = [parse_filter(text, self.columns) for text in question.filters]
        for name in question.facets:
            if name not in self.columns:
                known = ", ".join(self.columns)
                raise FilterError(f'facet "{name[:80]}" is no column of this shop. There are {known}.')
        if question.rerank and not self.shop.has_ranker:
            raise SettingsError("this shop has no ranker; leave rerank out, or add one with `wares index --ranker`.")
        return await _Search(self, await self.latest(), question, system, filters).answer()

    async def change(self, work: Callable[[Shop], T]) -> T:
        """Change the shop; one change of this process at a time, while searches go on."""
        done = await asyncio.get_running_loop().run_in_executor(self._changing, work, self.shop)
        self._changes += 1
        return done

    async def tidy(self) -> None:
        """Bring the table in order after many changes, while it is searched."""
        if self._changes >= UNTIDY:
            self._changes = 0
            await asyncio.get_running_loop().run_in_executor(self._changing, optimize, self.shop)

    async def hold(self) -> None:
        """Read the vectors into memory where they are to be there and are not, while the shop is searched."""
        await asyncio.to_thread(self.shop.load_vectors)

    async def latest(self) -> Shop:
        """The shop as it is now, whoever changed it. What is returned stays as it is: a request has one view of it.

        It is the same object until something changes, so that requests can be worked on together.
        """
        if changed_at(self.shop) != self._seen:
            async with self._refreshing:
                stamp = changed_at(self.shop)
                if stamp != self._seen:
                    await self.with_store(self.shop.refresh)
                    # Two changes within a tick of the file system's clock look like one: look again.
                    self._seen = stamp if time.time_ns() - stamp > TICK else 0
        if self._snapshot.table is not self.shop.table or self._snapshot.memory_vectors is not self.shop.memory_vectors:
            self._snapshot = copy(self.shop)
        return self._snapshot

    async def text(self, text: str) -> Vectors:
        """(d,) unit vector of a text."""
        if text not in self._texts:
            self._texts[text] = await self._encoding.ask(text)
        return self._texts[text]

    async def photo(self, photo: str | bytes) -> Vectors:
        """(d,) unit vector of a photo, from its token or its content."""
        about = self.shop.build_info
        if isinstance(photo, str):
            return read_token(photo, about.model, about.dimension)
        return await self.with_models(lambda: _encoded_photo(self.shop, photo))

    async def ranked(self, asked: Asked, same: Same) -> list[RankedListing]:
        """The best rows for a query."""
        return await self._ranking.ask((asked, same), same)

    async def explained(
        self, shop: Shop, best: Sequence[RankedListing], vector: Vectors | None, system: System
    ) -> list[Hit]:
        """Rows as results, with reasons."""
        return await self._explaining.ask((shop, best, vector, system), (shop, system))

    async def count(self, shop: Shop, sql: str | None) -> int:
        """Listings that pass a filter."""
        key = (shop.table.version, sql)
        if key not in self._counts:
            self._counts[key] = await self.with_store(lambda: shop.table.count_rows(sql))
        return self._counts[key]

    async def with_models(self, work: Callable[[], T]) -> T:
        """Work for a model, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._models, work)

    async def with_store(self, work: Callable[[], T]) -> T:
        """Work for the table, in one of its threads."""
        return await asyncio.get_running_loop().run_in_executor(self._store, work)

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
    question: Question
    system: System
    filters: Sequence[ColumnFilter]

    async def answer(self) -> Answer:
        question, sql = self.question, where(self.filters)
        of_photo = None if question.photo is None else await self.searcher.photo(question.photo)
        vector = None if question.empty or self.system == "bm25" else await self._vector(of_photo)

        async def results(sql: str | None, k: int = MOST) -> list[RankedListing]:
            condition = Filter(sql, question.like)
            if question.empty:
                return await self.searcher.with_store(lambda: scan(self.shop, k, condition))
            asked = Asked(question.text or "", np.zeros(0, np.float32) if vector is None else vector)
            return await self.searcher.ranked(asked, Same(self.shop, k, self.system, condition))

        by_words = self.system == "bm25" and not question.empty
        k = (
            MOST + 1
            if question.facets or by_words
            else max(question.shown.stop, RERANK_DEPTH if question.rerank else 1)
        )
        passing = self.searcher.count(self.shop, Filter(sql, question.like).sql or None)
        retrieved, found = await asyncio.gather(results(sql, k), passing)
        found = len(retrieved) if by_words else found
        best = retrieved[:MOST]
        if question.rerank and question.text is not None:
            text = question.text
            best = await self.searcher.with_models(lambda: rerank(self.shop, text, retrieved[:MOST], RERANK_DEPTH))
        shown = best[question.shown]
        hits, (facets, ranges) = await asyncio.gather(
            self.searcher.explained(self.shop, shown, vector, "bm25" if vector is None else self.system),
            self._facets(best, results),
        )
        token = None if of_photo is None else write_token(of_photo, self.shop.build_info.model)
        return Answer(hits, self.system, min(MOST, found), found > MOST, token, facets, ranges)

    async def _vector(self, photo: Vectors | None) -> Vectors:
        parts = [] if self.question.text is None else [await self.searcher.text(self.question.text)]
        parts += [] if photo is None else [photo]
        if (like := self.question.like) is not None:
            parts.append(await self.searcher.with_store(lambda: listing_vector(self.shop, like)))
        return combine_vectors(parts)

    async def _facets(
        self, best: Sequence[RankedListing], results: Callable[[str | None], Awaitable[list[RankedListing]]]
    ) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
        """Values of the results' columns. One that is filtered by counts as if it were not, to offer its other values.

        results: gives the set of results of a filter
        """
        filtered = {each.column.name for each in self.filters}
        names = list(dict.fromkeys(self.question.facets))
        free = [name for name in names if name not in filtered]
        sets = [(best, free)] if free else []
        sets += [(await results(where(self.filters, without=name)), [name]) for name in names if name in filtered]
        told: dict[str, list[Any]] = {}
        for rows, of in sets:
            told |= await self.searcher.with_store(lambda rows=rows, of=of: column_values(self.shop, rows, of))  # type: ignore[misc]
        kinds = {name: self.searcher.columns[name].kind for name in names}
        return (
            {name: counted(told[name]) for name in names if kinds[name] != "number"},
            {name: extent(told[name]) for name in names if kinds[name] == "number"},
        )


def changed_at(shop: Shop) -> int:
    """When the table was changed last, in nanoseconds, by the clock of the file system."""
    return (shop.build_folder / f"{TABLE_NAME}.lance" / "_versions").stat().st_mtime_ns


def counted(told: Sequence[Any]) -> dict[str, int]:
    """How often each value comes, the most frequent first; of lists, each of their values."""
    every = (each for value in told for each in (value if isinstance(value, list) else [value]) if each is not None)
    counts = Counter(str(each).lower() if isinstance(each, bool) else str(each) for each in every)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:VALUES])


def extent(told: Sequence[float | None]) -> dict[str, float]:
    """The least and the largest number; nothing where there is none."""
    numbers = [value for value in told if value is not None and np.isfinite(value)]
    return {"min": min(numbers), "max": max(numbers)} if numbers else {}


def _ranked(questions: Sequence[tuple[Asked, Same]]) -> list[list[RankedListing]]:
    """The best rows for queries that have the rest in common."""
    same = questions[0][1]
    texts = [asked.text for asked, _ in questions]
    vectors = np.stack([asked.vector for asked, _ in questions])
    return retrieve(same.shop, texts, vectors, same.k, same.system, same.condition)


def _explained(lists: Sequence[tuple[Shop, Sequence[RankedListing], Vectors | None, System]]) -> list[list[Hit]]:
    """The results of lists that have shop and system in common."""
    shop, _, _, system = lists[0]
    return explain_batch(shop, [(best, vector) for _, best, vector, _ in lists], system)


def _encoded_photo(shop: Shop, content: bytes) -> Vectors:
    """Raises PhotoError, without the name of the file that the photo passes through."""
    with NamedTemporaryFile(suffix=".photo") as file:
        file.write(content)
        file.flush()
        try:
            vector: Vectors = shop.encoder.encode_photos([Path(file.name)])[0]
            return vector
        except PhotoError as error:
            raise PhotoError(str(error).replace(file.name, "the upload")) from error
