"""The shops of a server: opened in the background, and replaced by what comes later without a break."""

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
from wares.serve.errors import ApiError
from wares.serve.filters import Column
from wares.serve.searcher import Searcher, count_values
from wares.shop.filters import Filter
from wares.shop.replicas import Replica
from wares.shop.retrieval import SYSTEMS, column_values, scan

if TYPE_CHECKING:
    from wares.shop.shop import Shop


WATCH_SECONDS = 1.0  # seconds between looks at whether a shop was replaced
CATCH_UP_SECONDS = 5.0  # and at whether a published shop has changed
FACET_SAMPLE_SIZE = 2_000  # listings that tell which columns are worth offering
MAX_FACET_CHOICES = 60  # values of a column that people can choose from
MAX_EXAMPLES, MIN_TITLES_PER_WORD = 6, 4  # queries to begin with, and titles that their words are in
log = logging.getLogger("wares.serve")


@dataclass(frozen=True)
class OpenShop:
    """A shop that answers.

    facets: columns worth offering; examples: queries to begin with; replica: what the shop is a copy of, if it is one
    """

    name: str
    searcher: Searcher
    facets: tuple[Column, ...]
    examples: tuple[str, ...]
    replica: Replica | None = None

    @property
    def shop(self) -> Shop:
        """As it was when it was looked at last; `searcher.latest` looks again."""
        return self.searcher.shop

    def photo_path(self, name: str) -> Path:
        """Where a listing's photo lies, fetched first where the shop is a replica. Raises PhotoError."""
        path = self.shop.photo_path(name)
        if self.replica is not None and not path.exists():
            self.replica.fetch_photo(path)
        return path

    def to_json(self, shop: Shop) -> dict[str, object]:
        """What GET /api/shops says of it. shop: as it is now"""
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
    """Shops by name.

    places: where each lies, a folder or a replica; open: opens a folder, which may take seconds
    observe: as `Searcher` takes it
    all_tried: is set when opening has been tried for every shop
    """

    def __init__(
        self,
        locations: Mapping[str, Path | Replica],
        open_shop_folder: Callable[[Path], Shop],
        observe: Callable[[str, int], None],
    ) -> None:
        self._places, self._open, self._observe = dict(locations), open_shop_folder, observe
        self._shops: dict[str, OpenShop] = {}
        self._failed: dict[str, str] = {}
        self._unfollowed: dict[str, str] = {}
        self.all_tried = asyncio.Event()

    def __iter__(self) -> Iterator[OpenShop]:
        return iter([self._shops[name] for name in self._places if name in self._shops])

    @property
    def folders(self) -> dict[str, Path]:
        """Where each shop lies on this machine."""
        return {name: _folder_of(place) for name, place in self._places.items()}

    @property
    def ready(self) -> bool:
        """Whether every shop answers."""
        return len(self._shops) == len(self._places)

    def get(self, name: str | None) -> OpenShop:
        """The shop of a name, or the first. Raises Refused where there is none, or not yet."""
        name = next(iter(self._places)) if name is None else name
        if name not in self._places:
            known = ", ".join(self._places)
            raise ApiError(404, "shop", f'there is no shop "{name[:80]}". There are {known}.')
        if name not in self._shops:
            what = "cannot be opened" if name in self._failed else "is being opened"
            raise ApiError(503, "opening", f'the shop "{name}" {what}. Try again in a moment.', {"Retry-After": "2"})
        return self._shops[name]

    def close(self) -> None:
        """No more searches; those under way are answered."""
        for opened in self:
            opened.searcher.close()

    async def watch(self) -> None:
        """Open all shops, then watch for what replaces them, and have replicas follow; until it is cancelled."""
        await asyncio.gather(self._watch_builds(), *(self._catch_up(name) for name in self._places))

    async def _watch_builds(self) -> None:
        while True:
            for name in self._places:
                await self._refresh(name)
            self.all_tried.set()
            await asyncio.sleep(WATCH_SECONDS)

    async def _catch_up(self, name: str) -> None:
        while isinstance(replica := self._places[name], Replica):
            try:
                copied = await asyncio.to_thread(replica.catch_up)
                self._unfollowed.pop(name, None)
                if copied.files:
                    log.info("shop followed", extra={"shop": name, "files": copied.files, "bytes": copied.total_bytes})
            except (WaresError, OSError) as error:
                self._fail(self._unfollowed, name, "shop cannot be followed", error)
            await asyncio.sleep(CATCH_UP_SECONDS)

    async def _refresh(self, name: str) -> None:
        known = self._shops.get(name)
        try:
            if known is None or await asyncio.to_thread(lambda: known.shop.is_outdated):
                began = time.monotonic()
                opened = await asyncio.to_thread(self._open_warm, name)
                self._shops[name] = opened  # requests under way keep the old one until they are answered
                self._failed.pop(name, None)
                seconds = round(time.monotonic() - began, 3)
                log.info("shop opened", extra={"shop": name, "listings": len(opened.shop), "seconds": seconds})
            else:
                await known.searcher.latest()
                await known.searcher.optimize()
                await known.searcher.load_vectors()
        except (WaresError, OSError) as error:
            self._fail(self._failed, name, "shop cannot be opened", error)

    def _fail(self, known: dict[str, str], name: str, what: str, error: Exception) -> None:
        """Log an error once, not every second."""
        if known.get(name) != str(error):
            log.error(what, extra={"shop": name, "error": str(error)})
        known[name] = str(error)

    def _open_warm(self, name: str) -> OpenShop:
        """Opened and warm: what is slow about the first query has been done."""
        place = self._places[name]
        shop = self._open(_folder_of(place))
        shop.encoder.encode_texts(["warm"])
        if shop.has_ranker:
            _ = shop.reranker
        searcher = Searcher(shop, self._observe)
        rows = scan(shop, FACET_SAMPLE_SIZE, Filter())
        told = column_values(shop, rows, list(searcher.columns))
        offered = tuple(column for column in searcher.columns.values() if is_useful_facet(column, told[column.name]))
        replica = place if isinstance(place, Replica) else None
        return OpenShop(name, searcher, offered, example_queries(told["title"]), replica)


def _folder_of(place: Path | Replica) -> Path:
    return place.folder if isinstance(place, Replica) else place


def example_queries(titles: Sequence[str]) -> tuple[str, ...]:
    """Queries to begin with: words that several titles have, which leaves out names and misspellings."""
    words = [[word for word in title.lower().split() if word.isalpha() and len(word) > 2] for title in titles]
    known = Counter(word for each in words for word in set(each))
    common = [
        " ".join([word for word in each if known[word] >= min(MIN_TITLES_PER_WORD, len(titles))][:3]) for each in words
    ]
    several = [text for text in dict.fromkeys(common) if " " in text]
    return tuple(several[:: max(1, len(several) // MAX_EXAMPLES)][:MAX_EXAMPLES])


def is_useful_facet(column: Column, values: list[object]) -> bool:
    """Whether shoppers would choose by a column: it has some values, and not a value of its own for every listing."""
    if column.name in ("id", "title", "description", "product"):
        return False
    if column.kind == "number":
        return len({value for value in values if value is not None}) > 1
    return 1 < len(count_values(values)) <= MAX_FACET_CHOICES
