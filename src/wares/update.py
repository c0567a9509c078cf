"""Changes to a shop that is open: listings put in, changed and taken out, photos taken in, the table kept in order.

Every change is one commit to the table, so that it happens wholly or not at all, also where the process is killed.
Processes that write exclude each other; those that read are not disturbed, and see a change after `Shop.refresh`.
An update changes the build that is the shop now: a build from the catalogue knows nothing of it.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from wares.catalogue import Catalogue, Listing, Problem, listing_problems
from wares.errors import CatalogueError, PhotoError, ShopError
from wares.photos import check_photos
from wares.shop import PHOTOS, read_current
from wares.table import index_vectors, listing_of, open_table, rows_of, with_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lancedb.table import Table

    from wares.catalogue import OnError
    from wares.shop import Shop

LOCK = "update.lock"
KEPT = timedelta(days=1)  # how long a state of the table can be read after it was changed


@dataclass(frozen=True)
class Updated:
    """What an update did: listings that are new, listings that took the place of others, photos left out."""

    added: int
    changed: int
    problems: tuple[str, ...] = ()


def upsert(shop: Shop, listings: Sequence[Listing], on_error: OnError = "stop") -> Updated:
    """Put listings into a shop, in place of those with the same ids; all of them, or none where anything is raised.

    The shop's own towers encode them, and the rows are those that a build would make. Photos are found as
    `Shop.photo` says.

    on_error: "stop" raises PhotoError at the first photo that does not decode; "skip" leaves it out and says so

    Raises CatalogueError where a listing cannot be stored as it is, ShopError where another build is the shop now.
    """
    attributes = shop.about.attributes
    _check(listings)
    for listing in listings:
        attributes.check(listing)
    if not listings:
        return Updated(0, 0)
    arrivals = _Arrivals(shop.catalogue, tuple(listings), shop=shop)
    embeddings, fused = shop.encoder.embed(arrivals, "skip")
    problems = tuple(str(problem) for problem in embeddings.problems)
    if problems and on_error == "stop":
        raise PhotoError(problems[0])
    with _writing(shop) as table:
        rows = rows_of(listings, embeddings, fused, attributes, table.schema)
        merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        done = merge.execute(rows)
    return Updated(done.num_inserted_rows, done.num_updated_rows, problems)


def delete(shop: Shop, ids: Iterable[str]) -> int:
    """Take listings out of a shop; how many there were of them. Raises ShopError as `upsert` does."""
    wanted = sorted(set(ids))
    if not wanted:
        return 0
    with _writing(shop) as table:
        gone: int = table.count_rows(with_ids(wanted))
        if gone:
            table.delete(with_ids(wanted))
    return gone


def optimise(shop: Shop) -> None:
    """Bring a shop's table and its indexes up to date, so that it stays fast after many updates.

    States of the table that are older than a day go; who has such a one open has to refresh. Other writers wait.
    """
    with _writing(shop) as table:
        table.optimize(cleanup_older_than=KEPT)
        index_vectors(table)


def read_listings(shop: Shop, ids: Sequence[str]) -> dict[str, Listing]:
    """What is stored of some listings, in the order asked for; ids that are not in the shop are left out."""
    if not ids:
        return {}
    columns = ["id", "title", "description", "tags", "texts", "price", "product", "images", "view_names", "view_kinds"]
    columns += [name for name in shop.table.schema.names if name == "attributes"]
    found = shop.table.search().where(with_ids(set(ids))).select(columns).limit(len(set(ids))).to_arrow()
    by_id = {row["id"]: listing_of(row, shop.about.attributes) for row in found.to_pylist()}
    return {id: by_id[id] for id in ids if id in by_id}


def add_photo(shop: Shop, content: bytes) -> str:
    """Take a photo into a shop; the name that a listing's `images` may give it by. The same photo has one name.

    Raises PhotoError where it does not decode fully, or is larger than wares.photos allows.
    """
    folder = shop.path / PHOTOS
    folder.mkdir(exist_ok=True)
    part = folder / f".{uuid.uuid4().hex}"
    try:
        part.write_bytes(content)
        [facts] = check_photos([part])
        if isinstance(facts, PhotoError):
            raise PhotoError(str(facts).replace(str(part), "the photo"))
        name = f"{facts.digest}{facts.suffix}"
        os.replace(part, folder / name)
    finally:
        part.unlink(missing_ok=True)
    return f"uploads/{name}"


@dataclass(frozen=True, kw_only=True)
class _Arrivals(Catalogue):
    """Listings on their way into a shop, which knows where their photos are."""

    shop: Shop

    def photo(self, name: str) -> Path:
        return self.shop.photo(name)

    def photo_problem(self, index: int, error: PhotoError) -> Problem:
        places = {f"{self.folder}{os.sep}": "", f"{self.shop.path / PHOTOS}{os.sep}": "uploads/"}
        message = str(error)
        for place, name in places.items():
            message = message.replace(place, name)
        return Problem(f'listing "{self.listings[index].id}"', 0, "images", message, kind="unreadable photo")


def _check(listings: Sequence[Listing]) -> None:
    """Raise CatalogueError where a row of a catalogue would be refused that says the same, or an id comes twice."""
    for listing in listings:
        for problem in listing_problems(listing):
            raise CatalogueError(str(problem))
    [(id, times)] = Counter(listing.id for listing in listings).most_common(1) or [("", 1)]
    if times > 1:
        raise CatalogueError(f'listing "{id}" is {times} times in one update. Give the one that counts.')


@contextmanager
def _writing(shop: Shop) -> Iterator[Table]:
    """The shop's table as it is now, while no other process writes to it; afterwards the shop is refreshed."""
    from filelock import FileLock

    _check_current(shop)
    with FileLock(shop.folder / LOCK):
        _check_current(shop)  # again: others may have kept the lock for as long as a build takes
        yield open_table(shop.folder)
    shop.refresh()


def _check_current(shop: Shop) -> None:
    if read_current(shop.path).build != shop.current.build:
        raise ShopError(f"{shop.path} was built anew, and this is the build before it. Open the shop again.")
