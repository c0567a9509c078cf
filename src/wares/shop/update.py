"""Updates of an open shop: upsert and delete listings, add photos, optimize the table.

Each update is one commit to the table, so it happens completely or not at all, even if the process is killed.
Writers take turns by the shop's lock. Readers are not blocked, and see an update after `Shop.refresh`. An update
changes the current build only: a later build from the catalogue does not have it.
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
from wares.shop.content_diff import content_hashes
from wares.shop.layout import PHOTOS_FOLDER, switch_build
from wares.shop.shop import write_lock
from wares.shop.table import EmbeddedListings, id_condition, listings_to_rows, row_to_listing
from wares.shop.vector_index import index_vectors, read_vector_index, write_vector_index
from wares.shop.word_index import write_word_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa
    from lancedb.table import Table

    from wares.data.listings import OnError
    from wares.shop.shop import Shop


TABLE_HISTORY = timedelta(days=1)  # how long earlier versions of the table stay readable


@dataclass(frozen=True)
class UpdateResult:
    """Numbers of listings that were added, changed and deleted, and problems, one line each."""

    added: int
    changed: int
    problems: tuple[str, ...] = ()
    deleted: int = 0


def upsert(shop: Shop, listings: Sequence[Listing], on_error: OnError = "stop") -> UpdateResult:
    """Insert listings, or replace those with the same ids: all of them, or none if anything is raised.

    The shop's own towers encode them, and a build would write the same rows. `Shop.photo_path` finds the photos.

    on_error: "stop" raises PhotoError at the first photo that does not decode; "skip" leaves it out and reports it

    Raises CatalogueError if a listing cannot be stored as it is, ShopError if another build is current.
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
    """Rows of listings, encoded by the shop's towers, and problems, one line each. Raises PhotoError."""
    embeddings, fused = shop.encoder.encode_listings(listings, "skip")
    embedded = EmbeddedListings(listings, embeddings, fused, content_hashes(listings, shop.cache))
    if embeddings.problems and on_error == "stop":
        raise PhotoError(str(embeddings.problems[0]))
    return listings_to_rows(embedded, shop.build_info.attributes, shop.table.schema), embedded.problems


def merge_rows(table: Table, rows: pa.RecordBatch, problems: Sequence[str] = ()) -> UpdateResult:
    """Insert rows into a table, or replace those with the same ids, in one commit."""
    merged = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
    return UpdateResult(merged.num_inserted_rows, merged.num_updated_rows, tuple(problems))


def delete(shop: Shop, ids: Iterable[str]) -> int:
    """Delete listings and return how many the shop had. Raises ShopError as `upsert` does."""
    distinct = sorted(set(ids))
    if not distinct:
        return 0
    with write_lock(shop) as table:
        deleted: int = table.count_rows(id_condition(distinct))
        if deleted:
            table.delete(id_condition(distinct))
    return deleted


def optimize(shop: Shop, target_recall: float | None = None) -> None:
    """Compact the table and update its indexes, so that searches stay fast after many updates.

    target_recall: as in `wares.build_shop`; None: as it is

    Deletes versions of the table older than `TABLE_HISTORY`: a shop that has one open must be refreshed. Other writers
    wait.
    """
    with write_lock(shop) as table:
        table.optimize(cleanup_older_than=TABLE_HISTORY)
        index = read_vector_index(shop.build_folder)
        target = index.target if target_recall is None else target_recall
        updated = index_vectors(table, index, target, lambda texts: shop.encoder.encode_texts(texts))
        write_word_index(shop.word_index_loader.load(table), shop.build_folder)
        if updated != index:
            write_vector_index(updated, shop.build_folder)
            switch_build(shop.path, shop.current.build, shop.current.build)  # so that others with it open reopen it


def read_listings(shop: Shop, ids: Sequence[str]) -> dict[str, Listing]:
    """Stored listings by id, in the order of the ids. Unknown ids are left out."""
    if not ids:
        return {}
    rows = (
        shop.table.search().where(id_condition(set(ids))).select(listing_columns(shop)).limit(len(set(ids))).to_arrow()
    )
    by_id = {row["id"]: row_to_listing(row, shop.build_info.attributes) for row in rows.to_pylist()}
    return {id: by_id[id] for id in ids if id in by_id}


def listing_columns(shop: Shop) -> list[str]:
    """The columns that `row_to_listing` reads."""
    columns = ["id", "title", "description", "tags", "texts", "price", "product", "images", "view_names", "view_kinds"]
    return columns + [name for name in shop.table.schema.names if name == "attributes"]


def add_photo(shop: Shop, content: bytes) -> str:
    """Store a photo and return its name for the `images` of listings. The same bytes get the same name.

    Raises PhotoError if it does not decode completely or is larger than wares.data.photos allows.
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
    """Listings whose photos are found by a shop, in its catalogue's folder or among its own photos."""

    shop: Shop

    def photo_path(self, name: str) -> Path:
        return self.shop.photo_path(name)

    def photo_problem(self, index: int, error: PhotoError) -> Problem:
        prefixes = {f"{self.folder}{os.sep}": "", f"{self.shop.path / PHOTOS_FOLDER}{os.sep}": "uploads/"}
        message = str(error)
        for prefix, name in prefixes.items():
            message = message.replace(prefix, name)
        return Problem(f'listing "{self.listings[index].id}"', 0, "images", message, kind="unreadable photo")


def _check(listings: Sequence[Listing]) -> None:
    """Raise CatalogueError for a listing that a catalogue could not have, or for a duplicate id."""
    for listing in listings:
        for problem in listing_problems(listing):
            raise CatalogueError(str(problem))
    [(id, count)] = Counter(listing.id for listing in listings).most_common(1) or [("", 1)]
    if count > 1:
        raise CatalogueError(f'duplicate listing "{id}": {count} times in one update. Send it once.')
