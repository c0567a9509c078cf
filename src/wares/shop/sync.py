"""Updates a shop from its catalogue, or embeds it again by another model, while it is searched and changed.

An update encodes only listings whose content hash has changed.
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
from wares.shop.content_diff import ContentDiff, content_hashes
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


BATCH_SIZE = 2048  # listings compared, or encoded and committed, at once


def update_shop(
    shop: Shop,
    catalogue: AnyCatalogue,
    *,
    on_error: OnError = "stop",
    target_recall: float | None = None,
    runner: Runner = LOCAL_RUNNER,
) -> UpdateResult:
    """Update a shop from its catalogue: encode new and modified listings, delete those that are gone.

    catalogue: in the folder that the shop was built from
    target_recall: as in `wares.build_shop`; None: as it is
    runner: encodes the listings (wares.core.runners)

    Checks the whole catalogue before it changes anything, and keeps a copy of the build (wares.shop.versions). Batches
    become visible to searches one by one. If an update is killed, the next one continues it.
    Raises CatalogueError, PhotoError and ShopError as `wares.shop.update.upsert` does.

    Example:
        >>> import tempfile
        >>> from dataclasses import replace
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers
        >>> from wares.shop import update_shop
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug")))
        >>> shop = build_shop(catalogue, build_towers("small"), Path(tempfile.mkdtemp()) / "shop")
        >>> changed = replace(catalogue, listings=(Listing("1", "Blue boots"), Listing("3", "Scarf")))
        >>> update_shop(shop, changed)
        UpdateResult(added=1, changed=1, problems=(), deleted=1)
    """
    if catalogue.folder.absolute() != shop.catalogue_folder.absolute():
        raise ShopError(
            f"{shop.path} was built from the catalogue in {shop.catalogue_folder}, not from {catalogue.folder}. Name "
            "that catalogue, or build another shop."
        )
    diff = _compare(shop, catalogue)
    if not diff.modified_count and not diff.deleted_count and target_recall in (None, shop.vector_index.target):
        return UpdateResult(0, 0)
    with write_lock(shop):
        copy_current_build(shop)
    total = UpdateResult(0, 0)
    with progress(None, "encoding what has changed", total=diff.modified_count, unit="listings") as bar:
        task = EncodingTask(shop.encoder, shop.build_info.attributes, on_error, shop.cache)
        for batch in runner.map(task, (ListingBatch(chunk, {}) for chunk in _modified(catalogue, diff))):
            with write_lock(shop) as table:
                merged = UpdateResult(0, 0) if batch.rows is None else merge_rows(table, batch.rows)
            total = UpdateResult(
                total.added + merged.added, total.changed + merged.changed, (*total.problems, *batch.problems)
            )
            bar.update(batch.listings)
    deleted = sum(delete(shop, ids) for ids in diff.deleted_ids(BATCH_SIZE))
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
    """Embed a shop's listings by another model into a new build, which becomes current when it is complete.

    cache: as in `wares.build_shop`
    on_error: "skip" leaves out photos that no longer exist; "stop" raises PhotoError
    runner: encodes the listings (wares.core.runners)

    Updates that arrive meanwhile are applied to the new build. Updates in the last seconds are refused, as after any
    build, and can be sent again. The ranker is not copied: it was trained for the other model.
    Raises ShopError, also if the shop has this model already, and PhotoError.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers
        >>> from wares.shop import reembed_shop
        >>> folder = Path(tempfile.mkdtemp()) / "shop"
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug")))
        >>> _ = build_shop(catalogue, build_towers("small", seed=0), folder)
        >>> len(reembed_shop(folder, build_towers("small", seed=1)))
        2
    """
    old = open_shop(path)
    if towers.identity == old.build_info.model:
        raise ShopError(f"{path} has this model already. Name another model.")
    encoder = TowersEncoder(towers, cache=cache)
    with ExitStack() as until_current:

        def catch_up(folder: Path) -> None:
            before = ContentDiff(_contents(old))
            until_current.enter_context(write_lock(old))
            old.refresh()
            _apply_updates(
                old, before, open_build(old.path, CurrentBuild(SHOP_FORMAT, folder.name, ""), encoder), on_error
            )

        summary = CatalogueSummary(
            old.catalogue_folder, len(old), old.build_info.attributes, old.build_info.text_fields
        )
        task = EncodingTask(encoder, summary.attributes, on_error, cache)
        encode_shop(summary, task, StoredCatalogue(old), path, True, old.vector_index.target, catch_up, runner)
    return open_shop(path, encoder)


@dataclass(frozen=True)
class StoredCatalogue:
    """The catalogue that a shop's table holds, read in chunks."""

    shop: Shop

    @property
    def folder(self) -> Path:
        """The folder of the photos."""
        return self.shop.catalogue_folder

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """The listings, at most `size` at a time."""
        rows = cast("LanceEmptyQueryBuilder", self.shop.table.search()).select(listing_columns(self.shop))
        for batch in rows.limit(NO_LIMIT).to_batches(size):
            listings = tuple(row_to_listing(row, self.shop.build_info.attributes) for row in batch.to_pylist())
            yield ShopListings(self.folder, listings, shop=self.shop)

    def read(self) -> Catalogue:
        """All listings in memory."""
        listings = tuple(listing for chunk in self.chunks(BATCH_SIZE) for listing in chunk.listings)
        return ShopListings(self.folder, listings, shop=self.shop)


def _contents(shop: Shop) -> Iterator[tuple[str, bytes]]:
    rows = cast("LanceEmptyQueryBuilder", shop.table.search()).select(["id", "content"]).limit(NO_LIMIT)
    for batch in rows.to_batches(BATCH_SIZE):
        yield from zip(batch["id"].to_pylist(), batch["content"].to_pylist(), strict=True)


def _compare(shop: Shop, catalogue: AnyCatalogue) -> ContentDiff:
    """Compare a shop with its catalogue. Raises CatalogueError if a listing does not fit the shop's columns."""
    diff = ContentDiff(_contents(shop))
    with progress(None, "comparing", total=len(shop), unit="listings") as bar:
        for chunk in catalogue.chunks(BATCH_SIZE):
            for listing, content in zip(chunk.listings, content_hashes(chunk, shop.cache), strict=True):
                if not diff.compare(listing.id, content):
                    shop.build_info.attributes.check(listing)
            bar.update(len(chunk))
    return diff


def _modified(catalogue: AnyCatalogue, diff: ContentDiff) -> Iterator[Catalogue]:
    """The new and modified listings of a catalogue, in full batches."""
    queue: deque[tuple[Listing, int]] = deque()
    for chunk in catalogue.chunks(BATCH_SIZE):
        lines = chunk.lines or (0,) * len(chunk)
        queue.extend(pair for pair in zip(chunk.listings, lines, strict=True) if diff.is_modified(pair[0].id))
        while len(queue) >= BATCH_SIZE:
            yield _with_listings(chunk, [queue.popleft() for _ in range(BATCH_SIZE)])
    if queue:
        yield _with_listings(chunk, list(queue))


def _with_listings(chunk: Catalogue, pairs: list[tuple[Listing, int]]) -> Catalogue:
    """The catalogue with other listings and their lines."""
    listings, lines = zip(*pairs, strict=True)
    return replace(chunk, listings=listings, lines=lines, problems=())


def _apply_updates(old: Shop, before: ContentDiff, new: Shop, on_error: OnError) -> None:
    """Apply the updates to the old build since `before` to the new build."""
    for id, content in _contents(old):
        before.compare(id, content)
    for ids in before.modified_ids(BATCH_SIZE):
        listings = tuple(read_listings(old, ids).values())
        rows, _ = encode_rows(new, ShopListings(old.catalogue_folder, listings, shop=old), on_error)
        merge_rows(new.table, rows)
    for ids in before.deleted_ids(BATCH_SIZE):
        new.table.delete(id_condition(ids))
