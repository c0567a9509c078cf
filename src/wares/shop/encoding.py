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
from wares.shop.content import Stored, content_hashes
from wares.shop.table import ALL, TABLE, Chunk, connect, rows_of, table_schema, with_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table

    from wares.data.listings import AnyCatalogue, Catalogue, OnError
    from wares.shop.attributes import AttributeColumns
    from wares.shop.encoder import Encoder


CHUNK = 1024  # listings encoded at once
WRITTEN = 16_384  # rows that are committed at once, at least,
SECONDS = 60  # unless so much time has passed since the last commit
LONGEST = 200  # letters of what Lance says of an error, which may be pages
ABOUT = b"wares"  # what a table says of its rows, besides their columns


@dataclass(frozen=True)
class Part:
    """Some listings of a catalogue, and marks (`_mark`) of the rows that there are of them, by id."""

    catalogue: Catalogue
    known: Mapping[str, bytes]


@dataclass(frozen=True)
class Made:
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
    def of(cls, chunk: Chunk, attributes: AttributeColumns, schema: pa.Schema) -> Made:
        """Rows of a chunk, all of them."""
        photos = len(chunk.embeddings.photo_views.items)
        return cls(rows_of(chunk, attributes, schema), len(chunk.catalogue), photos, chunk.problems)


@dataclass(frozen=True)
class Encoding:
    """The work that makes rows of listings; it can be sent elsewhere where its encoder can.

    on_error: as of `wares.build_shop`; cache: of digests of photos (wares.core.cache)
    """

    encoder: Encoder
    attributes: AttributeColumns
    on_error: OnError = "stop"
    cache: Path | None = None

    def __call__(self, part: Part) -> Made:
        """Raises PhotoError."""
        contents = content_hashes(part.catalogue, self.cache)
        marks = [_mark(*pair) for pair in zip(contents, map(_images, part.catalogue.listings), strict=True)]
        ids = [listing.id for listing in part.catalogue.listings]
        new = [i for i, id in enumerate(ids) if part.known.get(id) != marks[i]]
        catalogue = part.catalogue.subset(new)
        kept = sum(map(_images, part.catalogue.listings)) - sum(map(_images, catalogue.listings))
        if not new:
            return Made(None, len(part.catalogue), kept, [" ".join(str(each).split()) for each in catalogue.problems])
        chunk = Chunk(catalogue, *self.encoder.embed(catalogue, self.on_error), [contents[i] for i in new])
        made = Made.of(chunk, self.attributes, self.schema)
        return replace(made, listings=len(part.catalogue), photos=made.photos + kept)

    @property
    def schema(self) -> pa.Schema:
        """Of the rows, with what decides them besides the listings."""
        about = {"model": self.encoder.identity, "attributes": asdict(self.attributes)}
        return table_schema(self.encoder.dimension, self.attributes).with_metadata({ABOUT: json.dumps(about)})


class Gathered:
    """Rows at a place.

    place: a folder that is this process's alone; or, as a text, one or a URL where others may gather the same rows
    Raises ShopError where others may, and there are rows of another model or with other attributes; in a folder of its
    own it clears them.
    """

    def __init__(self, place: Path | str, work: Encoding) -> None:
        self._shared = isinstance(place, str)
        self.table = _opened(place, work.schema, self._shared)
        self._stored = Stored(_marks(self.table))
        self._empty = self.table.count_rows() == 0

    def parts(self, catalogue: AnyCatalogue) -> Iterator[Part]:
        """A catalogue in chunks, with what there is of each."""
        for part in catalogue.chunks(CHUNK):
            yield Part(part, self._stored.meet([listing.id for listing in part.listings]))

    def take(self, made: Iterable[Made]) -> Iterator[Made]:
        """Commit rows, in the order that they come in; afterwards drop those of listings that were not met."""
        waiting: list[pa.RecordBatch] = []
        committed = time.monotonic()
        for each in made:
            if each.rows is not None:
                waiting.append(each.rows)
            many = sum(rows.num_rows for rows in waiting)
            if many >= WRITTEN or (many and time.monotonic() - committed >= SECONDS):
                self._commit(waiting)
                waiting, committed = [], time.monotonic()
            yield each
        if waiting:
            self._commit(waiting)
        for ids in self._stored.ids_gone(CHUNK):
            self.table.delete(with_ids(ids))

    def copy(self, folder: Path) -> Table:
        """All rows in a table in a folder."""
        import pyarrow as pa

        rows = cast("LanceEmptyQueryBuilder", self.table.search()).limit(ALL).to_batches(WRITTEN)
        reader = pa.RecordBatchReader.from_batches(self.table.schema, rows)
        return connect(folder).create_table(TABLE, data=reader, schema=self.table.schema)

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
        there = TABLE in database.list_tables().tables
        table = database.open_table(TABLE) if there else database.create_table(TABLE, schema=schema, exist_ok=True)
        same = table.schema.equals(schema) and (table.schema.metadata or {}).get(ABOUT) == schema.metadata[ABOUT]
    except (ValueError, OSError, RuntimeError) as error:
        if shared:
            said = f"{type(error).__name__}: {error}".splitlines()[0][:LONGEST]
            raise ShopError(f"{place}: {said}… Check the place, and the credentials in the environment.") from error
        same = False
    if same:
        return table
    if shared:
        raise ShopError(f"{place} has rows of another model, or of other attributes. Name another place for rows.")
    shutil.rmtree(f"{place}/{TABLE}.lance", ignore_errors=True)
    return connect(place).create_table(TABLE, schema=schema)


def _marks(table: Table) -> Iterator[tuple[str, bytes]]:
    rows = cast("LanceEmptyQueryBuilder", table.search()).select(["id", "content", "images"]).limit(ALL)
    for batch in rows.to_batches(WRITTEN):
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
