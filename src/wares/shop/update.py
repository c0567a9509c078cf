"""Changes to a shop that is open: listings put in, changed and taken out, photos taken in, the table kept in order.

Every change is one commit to the table, so that it happens wholly or not at all, also where the process is killed.
Processes that write exclude each other; those that read are not disturbed, and see a change after `Shop.refresh`.
An update changes the build that is the shop now: a build from the catalogue knows nothing of it.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from wares.core.errors import CatalogueError, PhotoError
from wares.data.listings import Catalogue, Listing, Problem
from wares.data.photos import check_photos
from wares.data.schema import listing_problems
from wares.shop.content import content_hashes
from wares.shop.layout import PHOTOS_FOLDER, set_current_build
from wares.shop.shop import write_lock
from wares.shop.table import EmbeddedListings, id_condition, listings_to_rows, row_to_listing
from wares.shop.vector_index import index_vectors, read_vector_index, write_vector_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa
    from lancedb.table import Table

    from wares.data.listings import OnError
    from wares.shop.shop import Shop


TABLE_HISTORY = timedelta(days=1)  # how long a state of the table can be read after it was changed


@dataclass(frozen=True)
class UpdateResult:
    """What an update did: listings that are new, changed or taken out, and what could not be used."""

    added: int
    changed: int
    problems: tuple[str, ...] = ()
    deleted: int = 0


def upsert(shop: Shop, listings: Sequence[Listing], on_error: OnError = "stop") -> UpdateResult:
    """Put listings into a shop, in place of those with the same ids; all of them, or none where anything is raised.

    The shop's own towers encode them, and the rows are those that a build would make. Photos are found as
    `Shop.photo_path` says.

    on_error: "stop" raises PhotoError at the first photo that does not decode; "skip" leaves it out and says so

    Raises CatalogueError where a listing cannot be stored as it is, ShopError where another build is the shop now.
    """
    attributes = shop.build_info.attributes
    _check(listings)
    for listing in listings:
        attributes.check(listing)
    if not listings:
        return UpdateResult(0, 0)
    rows, problems = encode_rows(shop, ShopListings(shop.catalogue_folder, tuple(listings), shop=shop), on_error)
    with write_lock(shop) as table:
        return merge_rows(table, rows, problems)


def encode_rows(shop: Shop, listings: Catalogue, on_error: OnError) -> tuple[pa.RecordBatch, list[str]]:
    """Rows that are to go into a shop, as its towers make them, and what could not be used. Raises PhotoError."""
    embeddings, fused = shop.encoder.encode_listings(listings, "skip")
    chunk = EmbeddedListings(listings, embeddings, fused, content_hashes(listings, shop.cache))
    if embeddings.problems and on_error == "stop":
        raise PhotoError(str(embeddings.problems[0]))
    return listings_to_rows(chunk, shop.build_info.attributes, shop.table.schema), chunk.problems


def merge_rows(table: Table, rows: pa.RecordBatch, problems: Sequence[str] = ()) -> UpdateResult:
    """Put rows into a table, in place of those with the same ids, as one change."""
    done = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
    return UpdateResult(done.num_inserted_rows, done.num_updated_rows, tuple(problems))


def delete(shop: Shop, ids: Iterable[str]) -> int:
    """Take listings out of a shop; how many there were of them. Raises ShopError as `upsert` does."""
    wanted = sorted(set(ids))
    if not wanted:
        return 0
    with write_lock(shop) as table:
        gone: int = table.count_rows(id_condition(wanted))
        if gone:
            table.delete(id_condition(wanted))
    return gone


def optimize(shop: Shop, target_recall: float | None = None) -> None:
    """Bring a shop's table and its indexes up to date, so that it stays fast after many updates.

    target_recall: as of `wares.build_shop`; as it is where None

    States of the table that are older than a day go; who has such a one open has to refresh. Other writers wait.
    """
    with write_lock(shop) as table:
        table.optimize(cleanup_older_than=TABLE_HISTORY)
        index = read_vector_index(shop.build_folder)
        target = index.target if target_recall is None else target_recall
        if (better := index_vectors(table, index, target, lambda texts: shop.encoder.encode_texts(texts))) != index:
            write_vector_index(better, shop.build_folder)
            set_current_build(shop.path, shop.current.build)  # so that those who have it open notice


def read_listings(shop: Shop, ids: Sequence[str]) -> dict[str, Listing]:
    """What is stored of some listings, in the order asked for; ids that are not in the shop are left out."""
    if not ids:
        return {}
    found = (
        shop.table.search().where(id_condition(set(ids))).select(listing_columns(shop)).limit(len(set(ids))).to_arrow()
    )
    by_id = {row["id"]: row_to_listing(row, shop.build_info.attributes) for row in found.to_pylist()}
    return {id: by_id[id] for id in ids if id in by_id}


def listing_columns(shop: Shop) -> list[str]:
    """Columns that `wares.shop.table.row_to_listing` reads."""
    columns = ["id", "title", "description", "tags", "texts", "price", "product", "images", "view_names", "view_kinds"]
    return columns + [name for name in shop.table.schema.names if name == "attributes"]


def add_photo(shop: Shop, content: bytes) -> str:
    """Take a photo into a shop; the name that a listing's `images` may give it by. The same photo has one name.

    Raises PhotoError where it does not decode fully, or is larger than wares.data.photos allows.
    """
    folder = shop.path / PHOTOS_FOLDER
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
class ShopListings(Catalogue):
    """Listings of a shop, or on their way into it, which knows where their photos are."""

    shop: Shop

    def photo_path(self, name: str) -> Path:
        return self.shop.photo_path(name)

    def photo_problem(self, index: int, error: PhotoError) -> Problem:
        places = {f"{self.folder}{os.sep}": "", f"{self.shop.path / PHOTOS_FOLDER}{os.sep}": "uploads/"}
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
