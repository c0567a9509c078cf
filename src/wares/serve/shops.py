"""The shops of a server: opened in the background, and reopened when a new build replaces them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wares.core.errors import WaresError
from wares.serve.errors import MAX_SHOWN_LENGTH, ApiError
from wares.serve.facets import is_useful_facet
from wares.serve.filters import Column
from wares.serve.searcher import Searcher
from wares.shop.filters import Filter
from wares.shop.replicas import Replica
from wares.shop.retrieval import column_values, scan
from wares.shop.systems import SYSTEMS

if TYPE_CHECKING:
    from wares.shop.shop import Shop


WATCH_SECONDS = 1.0  # between checks whether a new build replaced a shop
CATCH_UP_SECONDS = 5.0  # between checks whether a published shop changed
FACET_SAMPLE_SIZE = 2_000  # listings that decide which columns are useful facets
MAX_EXAMPLES = 6  # example queries of a shop
MIN_TITLES_PER_WORD = 4  # titles that contain each word of an example query
log = logging.getLogger("wares.serve")


@dataclass(frozen=True)
class OpenShop:
    """A shop that can be searched.

    facets: columns that are useful as facets; replica: the replica that the shop is opened from, if any
    """

    name: str
    searcher: Searcher
    facets: tuple[Column, ...]
    examples: tuple[str, ...]
    replica: Replica | None = None

    @property
    def shop(self) -> Shop:
        """The shop as of the last refresh; `searcher.latest` refreshes it."""
        return self.searcher.shop

    def photo_path(self, name: str) -> Path:
        """The file of a listing's photo; a replica downloads it first. Raises PhotoError."""
        path = self.shop.photo_path(name)
        if self.replica is not None and not path.exists():
            self.replica.fetch_photo(path)
        return path

    def to_json(self, shop: Shop) -> dict[str, object]:
        """The description in GET /api/shops. shop: its current state"""
        return {
            "name": self.name,
            "listings": len(shop),
            "photos": shop.build_info.photos,
            "model": shop.build_info.model,
            "systems": list(SYSTEMS),
            "has_ranker": shop.has_ranker,
            "facets": [
                {"name": column.name, "label": column.name.removeprefix("attributes."), "kind": column.kind}
                for column in self.facets
            ],
            "examples": list(self.examples),
        }


class ShopRegistry:
    """The shops of a server, by name. Iterates over the shops that are open.

    locations: folder or replica of each shop, the default shop first
    open_shop_folder: opens a folder, which may take seconds; observe: see `Searcher`
    all_tried: set after the first attempt to open every shop
    """

    def __init__(
        self,
        locations: Mapping[str, Path | Replica],
        open_shop_folder: Callable[[Path], Shop],
        observe: Callable[[str, int], None],
    ) -> None:
        self._locations, self._open_shop_folder, self._observe = dict(locations), open_shop_folder, observe
        self._shops: dict[str, OpenShop] = {}
        self._open_errors: dict[str, str] = {}
        self._catch_up_errors: dict[str, str] = {}
        self.all_tried = asyncio.Event()

    def __iter__(self) -> Iterator[OpenShop]:
        return iter([self._shops[name] for name in self._locations if name in self._shops])

    @property
    def folders(self) -> dict[str, Path]:
        """The local folder of each shop."""
        return {name: _local_folder(location) for name, location in self._locations.items()}

    @property
    def ready(self) -> bool:
        """Whether every shop is open."""
        return len(self._shops) == len(self._locations)

    def get(self, name: str | None) -> OpenShop:
        """The shop with a name, or the default one. Raises ApiError if it does not exist, or is not open yet."""
        name = next(iter(self._locations)) if name is None else name
        if name not in self._locations:
            names = ", ".join(self._locations)
            raise ApiError(404, "shop", f'no shop has the name "{name[:MAX_SHOWN_LENGTH]}". Use one of {names}.')
        if name not in self._shops:
            state = "cannot be opened" if name in self._open_errors else "is not open yet"
            raise ApiError(503, "opening", f'the shop "{name}" {state}. Retry in a moment.', {"Retry-After": "2"})
        return self._shops[name]

    def close(self) -> None:
        """Accept no more searches. Running ones finish."""
        for opened in self:
            opened.searcher.close()

    async def watch(self) -> None:
        """Open all shops, reopen those with a new build, and let replicas catch up, until the task is cancelled."""
        await asyncio.gather(self._watch_builds(), *(self._catch_up(name) for name in self._locations))

    async def _watch_builds(self) -> None:
        while True:
            for name in self._locations:
                await self._refresh(name)
            self.all_tried.set()
            await asyncio.sleep(WATCH_SECONDS)

    async def _catch_up(self, name: str) -> None:
        while isinstance(replica := self._locations[name], Replica):
            try:
                copied = await asyncio.to_thread(replica.catch_up)
                self._catch_up_errors.pop(name, None)
                if copied.files:
                    details = {"shop": name, "files": copied.files, "bytes": copied.total_bytes}
                    log.info("replica caught up", extra=details)
            except (WaresError, OSError) as error:
                _log_once(self._catch_up_errors, name, "replica cannot catch up", error)
            await asyncio.sleep(CATCH_UP_SECONDS)

    async def _refresh(self, name: str) -> None:
        current = self._shops.get(name)
        try:
            if current is None or await asyncio.to_thread(lambda: current.shop.is_outdated):
                start = time.monotonic()
                opened = await asyncio.to_thread(self._open_warm, name)
                self._shops[name] = opened  # running requests use the old shop until they finish
                self._open_errors.pop(name, None)
                seconds = round(time.monotonic() - start, 3)
                log.info("shop opened", extra={"shop": name, "listings": len(opened.shop), "seconds": seconds})
            else:
                await current.searcher.latest()
                await current.searcher.optimize()
                await current.searcher.load_vectors()
        except (WaresError, OSError) as error:
            _log_once(self._open_errors, name, "shop cannot be opened", error)

    def _open_warm(self, name: str) -> OpenShop:
        """Open a shop, and load what would slow down its first query."""
        location = self._locations[name]
        shop = self._open_shop_folder(_local_folder(location))
        shop.encoder.encode_texts(["warm"])
        shop.word_index.scores("warm")
        if shop.has_ranker:
            _ = shop.reranker
        searcher = Searcher(shop, self._observe)
        sample = scan(shop, FACET_SAMPLE_SIZE, Filter())
        values = column_values(shop, sample, list(searcher.columns))
        facets = tuple(column for column in searcher.columns.values() if is_useful_facet(column, values[column.name]))
        replica = location if isinstance(location, Replica) else None
        return OpenShop(name, searcher, facets, example_queries(values["title"]), replica)


def example_queries(titles: Sequence[str]) -> tuple[str, ...]:
    """Up to `MAX_EXAMPLES` queries of words that several titles contain, which leaves out names and misspellings."""
    titles_words = [[word for word in title.lower().split() if word.isalpha() and len(word) > 2] for title in titles]
    title_counts = Counter(word for words in titles_words for word in set(words))
    min_titles = min(MIN_TITLES_PER_WORD, len(titles))
    texts = [" ".join([word for word in words if title_counts[word] >= min_titles][:3]) for words in titles_words]
    queries = [text for text in dict.fromkeys(texts) if " " in text]
    return tuple(queries[:: max(1, len(queries) // MAX_EXAMPLES)][:MAX_EXAMPLES])


def _local_folder(location: Path | Replica) -> Path:
    return location.folder if isinstance(location, Replica) else location


def _log_once(last_errors: dict[str, str], name: str, message: str, error: Exception) -> None:
    """Log an error of a shop unless it is the last one logged: the checks repeat every few seconds."""
    if last_errors.get(name) != str(error):
        log.error(message, extra={"shop": name, "error": str(error)})
    last_errors[name] = str(error)
