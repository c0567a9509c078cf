"""Rows of a shop's table: made of listings, chunk by chunk and anywhere (wares.core.runners), and gathered in one place.

    gathered = Gathered(place, work)
    for made in gathered.take(runner.map(work, gathered.parts(catalogue))):
        ...

Rows are committed as they come. Whoever gathers them at the same place again finds those that there are, and only what
is missing or has changed since is encoded. The place is a folder or object storage; there, several may gather at once.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from wares.core.errors import ShopError
from wares.shop.content import ContentDiff, content_hashes
from wares.shop.table import (
    NO_LIMIT,
    TABLE_NAME,
    EmbeddedListings,
    connect,
    id_condition,
    listings_to_rows,
    table_schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table

    from wares.data.listings import AnyCatalogue, Catalogue, OnError
    from wares.shop.attributes import AttributeColumns
    from wares.shop.encoder import Encoder


BATCH_SIZE = 1024  # listings encoded at once
COMMIT_ROWS = 16_384  # rows that are committed at once, at least,
COMMIT_SECONDS = 60  # unless so much time has passed since the last commit
MAX_REASON_LENGTH = 200  # letters of what Lance says of an error, which may be pages
METADATA_KEY = b"wares"  # what a table says of its rows, besides their columns


@dataclass(frozen=True)
class ListingBatch:
    """Some listings of a catalogue, and marks (`_mark`) of the rows that there are of them, by id."""

    catalogue: Catalogue
    known_fingerprints: Mapping[str, bytes]


@dataclass(frozen=True)
class EncodedBatch:
    """What was made of some listings.

    rows: of those that were not known, or not so; None where all were
    listings, photos: how many all of them are, and have that can be used
    problems: what could not be used, one line each
    """

    rows: pa.RecordBatch | None
    listings: int
    photos: int
    problems: list[str]

    @classmethod
    def from_embedded(cls, embedded: EmbeddedListings, attributes: AttributeColumns, schema: pa.Schema) -> EncodedBatch:
        """Rows of a chunk, all of them."""
        photos = len(embedded.embeddings.photo_views.items)
        return cls(listings_to_rows(embedded, attributes, schema), len(embedded.catalogue), photos, embedded.problems)


@dataclass(frozen=True)
class EncodingTask:
    """The work that makes rows of listings; it can be sent elsewhere where its encoder can.

    on_error: as of `wares.build_shop`; cache: of digests of photos (wares.core.cache)
    """

    encoder: Encoder
    attributes: AttributeColumns
    on_error: OnError = "stop"
    cache: Path | None = None

    def __call__(self, batch: ListingBatch) -> EncodedBatch:
        """Raises PhotoError."""
        contents = content_hashes(batch.catalogue, self.cache)
        marks = [_mark(*pair) for pair in zip(contents, map(_images, batch.catalogue.listings), strict=True)]
        ids = [listing.id for listing in batch.catalogue.listings]
        new = [i for i, id in enumerate(ids) if batch.known_fingerprints.get(id) != marks[i]]
        catalogue = batch.catalogue.subset(new)
        kept = sum(map(_images, batch.catalogue.listings)) - sum(map(_images, catalogue.listings))
        if not new:
            return EncodedBatch(
                None, len(batch.catalogue), kept, [" ".join(str(each).split()) for each in catalogue.problems]
            )
        chunk = EmbeddedListings(
            catalogue, *self.encoder.encode_listings(catalogue, self.on_error), [contents[i] for i in new]
        )
        made = EncodedBatch.from_embedded(chunk, self.attributes, self.schema)
        return replace(made, listings=len(batch.catalogue), photos=made.photos + kept)

    @property
    def schema(self) -> pa.Schema:
        """Of the rows, with what decides them besides the listings."""
        about = {"model": self.encoder.identity, "attributes": asdict(self.attributes)}
        return table_schema(self.encoder.dimension, self.attributes).with_metadata({METADATA_KEY: json.dumps(about)})


class RowWriter:
    """Rows at a place.

    place: a folder that is this process's alone; or, as a text, one or a URL where others may gather the same rows
    Raises ShopError where others may, and there are rows of another model or with other attributes; in a folder of its
    own it clears them.
    """

    def __init__(self, location: Path | str, task: EncodingTask) -> None:
        self._shared = isinstance(location, str)
        self.table = _opened(location, task.schema, self._shared)
        self._stored = ContentDiff(_marks(self.table))
        self._empty = self.table.count_rows() == 0

    def batches(self, catalogue: AnyCatalogue) -> Iterator[ListingBatch]:
        """A catalogue in chunks, with what there is of each."""
        for part in catalogue.chunks(BATCH_SIZE):
            yield ListingBatch(part, self._stored.match([listing.id for listing in part.listings]))

    def write(self, encoded: Iterable[EncodedBatch]) -> Iterator[EncodedBatch]:
        """Commit rows, in the order that they come in; afterwards drop those of listings that were not met."""
        waiting: list[pa.RecordBatch] = []
        committed = time.monotonic()
        for each in encoded:
            if each.rows is not None:
                waiting.append(each.rows)
            many = sum(rows.num_rows for rows in waiting)
            if many >= COMMIT_ROWS or (many and time.monotonic() - committed >= COMMIT_SECONDS):
                self._commit(waiting)
                waiting, committed = [], time.monotonic()
            yield each
        if waiting:
            self._commit(waiting)
        for ids in self._stored.deleted_ids(BATCH_SIZE):
            self.table.delete(id_condition(ids))

    def copy_to(self, folder: Path) -> Table:
        """All rows in a table in a folder."""
        import pyarrow as pa

        rows = cast("LanceEmptyQueryBuilder", self.table.search()).limit(NO_LIMIT).to_batches(COMMIT_ROWS)
        reader = pa.RecordBatchReader.from_batches(self.table.schema, rows)
        return connect(folder).create_table(TABLE_NAME, data=reader, schema=self.table.schema)

    def _commit(self, waiting: list[pa.RecordBatch]) -> None:
        import pyarrow as pa

        rows = pa.Table.from_batches(waiting)
        if self._empty and not self._shared:
            self.table.add(rows)
            return
        # Lance sees by the primary key where another has put in the same rows meanwhile, and merges again.
        self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)


def _opened(place: Path | str, schema: pa.Schema, shared: bool) -> Table:
    try:
        database = connect(place)
        there = TABLE_NAME in database.list_tables().tables
        table = (
            database.open_table(TABLE_NAME)
            if there
            else database.create_table(TABLE_NAME, schema=schema, exist_ok=True)
        )
        same = (
            table.schema.equals(schema)
            and (table.schema.metadata or {}).get(METADATA_KEY) == schema.metadata[METADATA_KEY]
        )
    except (ValueError, OSError, RuntimeError) as error:
        if shared:
            said = f"{type(error).__name__}: {error}".splitlines()[0][:MAX_REASON_LENGTH]
            raise ShopError(f"{place}: {said}… Check the place, and the credentials in the environment.") from error
        same = False
    if same:
        return table
    if shared:
        raise ShopError(f"{place} has rows of another model, or of other attributes. Name another place for rows.")
    shutil.rmtree(f"{place}/{TABLE_NAME}.lance", ignore_errors=True)
    return connect(place).create_table(TABLE_NAME, schema=schema)


def _marks(table: Table) -> Iterator[tuple[str, bytes]]:
    rows = cast("LanceEmptyQueryBuilder", table.search()).select(["id", "content", "images"]).limit(NO_LIMIT)
    for batch in rows.to_batches(COMMIT_ROWS):
        images = np.diff(batch["images"].offsets.to_numpy())
        for id, content, many in zip(batch["id"].to_pylist(), batch["content"].to_pylist(), images, strict=True):
            yield id, _mark(content, int(many))


def _mark(content: bytes, photos: int) -> bytes:
    """Tells a row whose listing has just this content, and so many photos: where some cannot be used it is made again,
    so that whoever makes it is told of them.
    """
    return content + photos.to_bytes(4)


def _images(listing: Any) -> int:
    return len(listing.images)
