"""Rows of a shop's table, encoded in batches by any runner and written to one table.

    writer = RowWriter(location, task)
    for batch in writer.write(runner.map(task, writer.batches(catalogue))):
        ...

Rows are committed as they arrive. A writer at the same location finds the rows that an earlier one committed, and
encodes only listings that are new or modified. Several processes may write to one location.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from wares.core.errors import ShopError
from wares.shop.content_diff import ContentDiff, content_hashes
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
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table

    from wares.data.listings import AnyCatalogue, Catalogue, Listing, OnError
    from wares.shop.attributes import AttributeColumns
    from wares.shop.encoder import Encoder


BATCH_SIZE = 1024  # listings encoded at once
COMMIT_ROWS = 16_384  # commit after this many rows,
COMMIT_SECONDS = 60  # or after this many seconds
MAX_REASON_LENGTH = 200  # characters of an error of Lance, which may be pages long
METADATA_KEY = b"wares"  # in the schema: the model and the attributes of the rows


@dataclass(frozen=True)
class ListingBatch:
    """Listings of a catalogue. known_fingerprints: of the rows that they already have (`_fingerprint`), by id"""

    catalogue: Catalogue
    known_fingerprints: Mapping[str, bytes]


@dataclass(frozen=True)
class EncodedBatch:
    """The rows of a batch of listings.

    rows: of new and modified listings; None if there are none
    listings, photos: number of listings in the batch, and of their usable photos
    problems: photos that could not be used, one line each
    """

    rows: pa.RecordBatch | None
    listings: int
    photos: int
    problems: list[str]

    @classmethod
    def from_embedded(cls, embedded: EmbeddedListings, attributes: AttributeColumns, schema: pa.Schema) -> EncodedBatch:
        """Rows of all these listings."""
        photos = len(embedded.embeddings.photo_views.items)
        return cls(listings_to_rows(embedded, attributes, schema), len(embedded.catalogue), photos, embedded.problems)


@dataclass(frozen=True)
class EncodingTask:
    """Encodes a batch of listings to rows. It can be pickled if its encoder can.

    on_error: as in `wares.build_shop`; cache: folder of cached digests of photos (wares.core.cache)
    """

    encoder: Encoder
    attributes: AttributeColumns
    on_error: OnError = "stop"
    cache: Path | None = None

    def __call__(self, batch: ListingBatch) -> EncodedBatch:
        """The rows of new and modified listings. Raises PhotoError."""
        listings = batch.catalogue.listings
        hashes = content_hashes(batch.catalogue, self.cache)
        outdated = [
            index
            for index, listing in enumerate(listings)
            if batch.known_fingerprints.get(listing.id) != _fingerprint(hashes[index], len(listing.images))
        ]
        catalogue = batch.catalogue.subset(outdated)
        kept_photos = _photo_count(listings) - _photo_count(catalogue.listings)
        if not outdated:
            problems = [" ".join(str(problem).split()) for problem in catalogue.problems]
            return EncodedBatch(None, len(listings), kept_photos, problems)
        embeddings, fused = self.encoder.encode_listings(catalogue, self.on_error)
        embedded = EmbeddedListings(catalogue, embeddings, fused, [hashes[index] for index in outdated])
        encoded = EncodedBatch.from_embedded(embedded, self.attributes, self.schema)
        return replace(encoded, listings=len(listings), photos=encoded.photos + kept_photos)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the rows. Its metadata names the model and the attributes that the rows depend on."""
        metadata = {"model": self.encoder.identity, "attributes": asdict(self.attributes)}
        return table_schema(self.encoder.dimension, self.attributes).with_metadata({METADATA_KEY: json.dumps(metadata)})


class RowWriter:
    """Writes the rows of a catalogue to a table.

    location: a Path is a folder of this process alone; a text is a folder or a URL that other processes may share

    Rows of another model or with other attributes are deleted in a folder of its own. In a shared location they raise
    ShopError.
    """

    def __init__(self, location: Path | str, task: EncodingTask) -> None:
        self._shared = isinstance(location, str)
        self.table = _open_or_create(location, task.schema, self._shared)
        self._diff = ContentDiff(_fingerprints(self.table))
        self._empty = self.table.count_rows() == 0

    def batches(self, catalogue: AnyCatalogue) -> Iterator[ListingBatch]:
        """The catalogue in batches, with fingerprints of the rows that the table already has."""
        for chunk in catalogue.chunks(BATCH_SIZE):
            yield ListingBatch(chunk, self._diff.match([listing.id for listing in chunk.listings]))

    def write(self, encoded: Iterable[EncodedBatch]) -> Iterator[EncodedBatch]:
        """Commit rows in the order of the batches, then delete the rows of listings that no batch had."""
        uncommitted: list[pa.RecordBatch] = []
        last_commit = time.monotonic()
        for batch in encoded:
            if batch.rows is not None:
                uncommitted.append(batch.rows)
            row_count = sum(rows.num_rows for rows in uncommitted)
            if row_count >= COMMIT_ROWS or (row_count and time.monotonic() - last_commit >= COMMIT_SECONDS):
                self._commit(uncommitted)
                uncommitted, last_commit = [], time.monotonic()
            yield batch
        if uncommitted:
            self._commit(uncommitted)
        for ids in self._diff.deleted_ids(BATCH_SIZE):
            self.table.delete(id_condition(ids))

    def copy_to(self, folder: Path) -> Table:
        """A copy of the table in another folder."""
        import pyarrow as pa

        rows = cast("LanceEmptyQueryBuilder", self.table.search()).limit(NO_LIMIT).to_batches(COMMIT_ROWS)
        reader = pa.RecordBatchReader.from_batches(self.table.schema, rows)
        return connect(folder).create_table(TABLE_NAME, data=reader, schema=self.table.schema)

    def _commit(self, batches: list[pa.RecordBatch]) -> None:
        import pyarrow as pa

        rows = pa.Table.from_batches(batches)
        if self._empty and not self._shared:
            self.table.add(rows)
            return
        try:
            self._merge(rows)
        except RuntimeError as error:
            if "concurrent transaction Overwrite" not in str(error):
                raise
            # Another process created the table at the same time: Lance lets the second creation replace the first.
            self.table.checkout_latest()
            self._merge(rows)

    def _merge(self, rows: pa.Table) -> None:
        # By the primary key, Lance detects that another process inserted the same rows meanwhile, and merges again.
        self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)


def _open_or_create(location: Path | str, schema: pa.Schema, shared: bool) -> Table:
    try:
        database = connect(location)
        if TABLE_NAME in database.list_tables().tables:
            table = database.open_table(TABLE_NAME)
        else:
            table = database.create_table(TABLE_NAME, schema=schema, exist_ok=True)
        metadata = table.schema.metadata or {}
        compatible = table.schema.equals(schema) and metadata.get(METADATA_KEY) == schema.metadata[METADATA_KEY]
    except (ValueError, OSError, RuntimeError) as error:
        if shared:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:MAX_REASON_LENGTH]
            raise ShopError(f"{location}: {reason}… Check the URL, and the credentials in the environment.") from error
        compatible = False
    if compatible:
        return table
    if shared:
        raise ShopError(f"{location} has rows of another model or with other attributes. Choose another --staging.")
    shutil.rmtree(f"{location}/{TABLE_NAME}.lance", ignore_errors=True)
    return connect(location).create_table(TABLE_NAME, schema=schema)


def _fingerprints(table: Table) -> Iterator[tuple[str, bytes]]:
    rows = cast("LanceEmptyQueryBuilder", table.search()).select(["id", "content", "images"]).limit(NO_LIMIT)
    for batch in rows.to_batches(COMMIT_ROWS):
        photo_counts = np.diff(batch["images"].offsets.to_numpy())
        for id, content, photos in zip(
            batch["id"].to_pylist(), batch["content"].to_pylist(), photo_counts, strict=True
        ):
            yield id, _fingerprint(content, int(photos))


def _fingerprint(content: bytes, photos: int) -> bytes:
    """A content hash with the number of photos in the row.

    If photos could not be used, their number differs from the listing's: it is encoded and reported again.
    """
    return content + photos.to_bytes(4)


def _photo_count(listings: Sequence[Listing]) -> int:
    return sum(len(listing.images) for listing in listings)
