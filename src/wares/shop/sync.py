"""A shop brought in line with its catalogue, or moved to another model, while it is searched and changed.

Only listings whose content hash has changed are encoded again.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from wares.core.errors import ShopError
from wares.core.progress import progress
from wares.core.runners import LOCAL_RUNNER
from wares.data.listings import Catalogue
from wares.shop.build import CatalogueSummary, encode_shop
from wares.shop.content import ContentDiff, content_hashes
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import EncodingTask, ListingBatch
from wares.shop.layout import SHOP_FORMAT, CurrentBuild
from wares.shop.shop import Shop, open_build, open_shop, write_lock
from wares.shop.table import NO_LIMIT, id_condition, row_to_listing
from wares.shop.update import (
    ShopListings,
    UpdateResult,
    delete,
    encode_rows,
    listing_columns,
    merge_rows,
    optimize,
    read_listings,
)
from wares.shop.versions import copy_current_build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lancedb.query import LanceEmptyQueryBuilder

    from wares.core.runners import Runner
    from wares.data.listings import AnyCatalogue, Listing, OnError
    from wares.encoders.towers import Towers


BATCH_SIZE = 2048  # listings compared, or encoded and put into the shop, at once


def update_shop(
    shop: Shop,
    catalogue: AnyCatalogue,
    *,
    on_error: OnError = "stop",
    target_recall: float | None = None,
    runner: Runner = LOCAL_RUNNER,
) -> UpdateResult:
    """Bring a shop in line with its catalogue: what is new or has changed is encoded, what is gone is taken out.

    catalogue: in the folder that the shop was built from
    target_recall: as of `wares.build_shop`; as it was where None
    runner: where listings are encoded (wares.core.runners)

    The whole catalogue is checked before anything changes. The state before is kept (wares.shop.versions). Changes come in
    batches, and searches see each as it comes; where this is killed, the next update goes on.
    Raises CatalogueError, PhotoError and ShopError as `wares.shop.update.upsert` does.
    """
    if catalogue.folder.absolute() != shop.catalogue_folder.absolute():
        raise ShopError(
            f"{shop.path} is of the catalogue in {shop.catalogue_folder}, not of the one in {catalogue.folder}. Name that, or "
            "build a shop of its own."
        )
    stored = _compared(shop, catalogue)
    if not stored.modified_count and not stored.deleted_count and target_recall in (None, shop.vector_index.target):
        return UpdateResult(0, 0)
    with write_lock(shop):
        copy_current_build(shop)
    total = UpdateResult(0, 0)
    with progress(None, "encoding what has changed", total=stored.modified_count, unit="listings") as bar:
        work = EncodingTask(shop.encoder, shop.build_info.attributes, on_error, shop.cache)
        for made in runner.map(work, (ListingBatch(part, {}) for part in _changed(catalogue, stored))):
            with write_lock(shop) as table:
                done = UpdateResult(0, 0) if made.rows is None else merge_rows(table, made.rows)
            total = UpdateResult(
                total.added + done.added, total.changed + done.changed, (*total.problems, *made.problems)
            )
            bar.update(made.listings)
    deleted = sum(delete(shop, ids) for ids in stored.deleted_ids(BATCH_SIZE))
    optimize(shop, target_recall)
    return replace(total, deleted=deleted)


def reembed_shop(
    path: Path,
    towers: Towers,
    *,
    cache: Path | None = None,
    on_error: OnError = "skip",
    runner: Runner = LOCAL_RUNNER,
) -> Shop:
    """Embed a shop's listings by another model, beside what is searched, and take its place when all are there.

    cache: as of `wares.build_shop`
    on_error: what becomes of a listing whose photo is no longer there
    runner: where listings are encoded (wares.core.runners)

    Changes of the shop that come meanwhile are taken over; those that come in the last seconds are refused as after any
    build, and can be sent again. A ranker stays behind: it was made for the other model.
    Raises ShopError, also where the shop is of that model already, and PhotoError.
    """
    old = open_shop(path)
    if towers.identity == old.build_info.model:
        raise ShopError(f"{path} is of this model already. Name another.")
    encoder = TowersEncoder(towers, cache=cache)
    with ExitStack() as until_replaced:

        def catch_up(folder: Path) -> None:
            before = ContentDiff(_contents(old))
            until_replaced.enter_context(write_lock(old))
            old.refresh()
            _take_over(old, before, open_build(old.path, CurrentBuild(SHOP_FORMAT, folder.name, ""), encoder), on_error)

        outline = CatalogueSummary(
            old.catalogue_folder, len(old), old.build_info.attributes, old.build_info.text_fields
        )
        work = EncodingTask(encoder, outline.attributes, on_error, cache)
        encode_shop(outline, work, StoredCatalogue(old), path, True, old.vector_index.target, catch_up, runner)
    return open_shop(path, encoder)


@dataclass(frozen=True)
class StoredCatalogue:
    """The listings of a shop as they are in its table, read chunk by chunk as often as is asked."""

    shop: Shop

    @property
    def folder(self) -> Path:
        """Where the photos of its catalogue lie."""
        return self.shop.catalogue_folder

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """So many listings at a time, at most."""
        rows = cast("LanceEmptyQueryBuilder", self.shop.table.search()).select(listing_columns(self.shop))
        for batch in rows.limit(NO_LIMIT).to_batches(size):
            listings = tuple(row_to_listing(row, self.shop.build_info.attributes) for row in batch.to_pylist())
            yield ShopListings(self.folder, listings, shop=self.shop)

    def read(self) -> Catalogue:
        """All of them."""
        listings = tuple(listing for part in self.chunks(BATCH_SIZE) for listing in part.listings)
        return ShopListings(self.folder, listings, shop=self.shop)


def _contents(shop: Shop) -> Iterator[tuple[str, bytes]]:
    rows = cast("LanceEmptyQueryBuilder", shop.table.search()).select(["id", "content"]).limit(NO_LIMIT)
    for batch in rows.to_batches(BATCH_SIZE):
        yield from zip(batch["id"].to_pylist(), batch["content"].to_pylist(), strict=True)


def _compared(shop: Shop, catalogue: AnyCatalogue) -> ContentDiff:
    """A shop beside its catalogue. Raises CatalogueError where a listing does not go into the shop."""
    stored = ContentDiff(_contents(shop))
    with progress(None, "comparing", total=len(shop), unit="listings") as bar:
        for part in catalogue.chunks(BATCH_SIZE):
            for listing, content in zip(part.listings, content_hashes(part, shop.cache), strict=True):
                if not stored.compare(listing.id, content):
                    shop.build_info.attributes.check(listing)
            bar.update(len(part))
    return stored


def _changed(catalogue: AnyCatalogue, stored: ContentDiff) -> Iterator[Catalogue]:
    """The listings of a catalogue that have changed, in chunks that are full."""
    waiting: deque[tuple[Listing, int]] = deque()
    for part in catalogue.chunks(BATCH_SIZE):
        lines = part.lines or (0,) * len(part)
        waiting.extend(pair for pair in zip(part.listings, lines, strict=True) if stored.is_modified(pair[0].id))
        while len(waiting) >= BATCH_SIZE:
            yield _joined(part, [waiting.popleft() for _ in range(BATCH_SIZE)])
    if waiting:
        yield _joined(part, list(waiting))


def _joined(part: Catalogue, pairs: list[tuple[Listing, int]]) -> Catalogue:
    listings, lines = zip(*pairs, strict=True)
    return replace(part, listings=listings, lines=lines, problems=())


def _take_over(old: Shop, before: ContentDiff, new: Shop, on_error: OnError) -> None:
    """Do to a build what was done to the one before it since that was looked at."""
    for id, content in _contents(old):
        before.compare(id, content)
    for ids in before.modified_ids(BATCH_SIZE):
        listings = tuple(read_listings(old, ids).values())
        rows, _ = encode_rows(new, ShopListings(old.catalogue_folder, listings, shop=old), on_error)
        merge_rows(new.table, rows)
    for ids in before.deleted_ids(BATCH_SIZE):
        new.table.delete(id_condition(ids))
