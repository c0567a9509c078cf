"""Content hashes of listings, and the difference between a table and a catalogue by these hashes.

Under one model, a listing with the same hash has the same embedding.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

from wares.data.digests import photo_digests
from wares.data.views import photo_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from wares.data.listings import Catalogue, Listing


HASH_BYTES = 16
DELETED, UNCHANGED, MODIFIED = range(3)
UNREADABLE_DIGEST = ""  # in place of the digest of a photo that cannot be read


def content_hashes(catalogue: Catalogue, cache: Path | None = None) -> list[bytes]:
    """A 16-byte hash per listing: of all its fields and of the bytes of its photos.

    cache: folder that remembers the digests of photos (wares.core.cache)
    """
    photos = photo_views(catalogue)
    outcomes = photo_digests([catalogue.photo_path(name) for name in photos.items], cache)
    digests = [outcome if isinstance(outcome, str) else UNREADABLE_DIGEST for outcome in outcomes]
    return [
        _hash(listing, digests[start:end])
        for listing, start, end in zip(catalogue.listings, photos.offsets[:-1], photos.offsets[1:], strict=True)
    ]


def _hash(listing: Listing, digests: list[str]) -> bytes:
    fields = [
        listing.id, listing.title, listing.description, listing.tags, listing.images, listing.price, listing.product,
        dict(listing.attributes), dict(listing.texts), digests,
    ]  # fmt: skip
    text = json.dumps(fields, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest()


class ContentDiff:
    """Which listings of a table are deleted, unchanged or modified in a catalogue.

    The hashes are held on disk, so memory does not grow with the catalogue. A listing counts as deleted until
    `compare` or `match` names it.

    rows: ids and content hashes of the table
    """

    def __init__(self, rows: Iterable[tuple[str, bytes]]) -> None:
        self._database = sqlite3.connect("")  # a temporary file that SQLite deletes with the connection
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE stored (id TEXT PRIMARY KEY, content BLOB, status INTEGER) WITHOUT ROWID")
        for id, content in rows:
            self._database.execute("INSERT INTO stored VALUES (?, ?, ?)", (id, content, DELETED))

    def compare(self, id: str, content: bytes) -> bool:
        """Whether the table has this listing with the same content. New listings count as modified."""
        unchanged = self._content(id) == content
        row = (id, content, UNCHANGED if unchanged else MODIFIED)
        self._database.execute("INSERT OR REPLACE INTO stored VALUES (?, ?, ?)", row)
        return unchanged

    def match(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Content hashes of these listings by id, if the table has them. Marks them as unchanged."""
        stored = {id: content for id in ids if (content := self._content(id)) is not None}
        self._database.executemany("UPDATE stored SET status = ? WHERE id = ?", [(UNCHANGED, id) for id in stored])
        return stored

    def is_modified(self, id: str) -> bool:
        """Whether `compare` found a listing to be new or modified."""
        row = self._database.execute("SELECT status FROM stored WHERE id = ?", (id,)).fetchone()
        return row is not None and row[0] == MODIFIED

    @property
    def modified_count(self) -> int:
        """Number of listings that are new or modified."""
        return self._count(MODIFIED)

    @property
    def deleted_count(self) -> int:
        """Number of listings that only the table has."""
        return self._count(DELETED)

    def modified_ids(self, size: int) -> Iterator[list[str]]:
        """Ids of new and modified listings, `size` at a time."""
        return self._ids(MODIFIED, size)

    def deleted_ids(self, size: int) -> Iterator[list[str]]:
        """Ids of deleted listings, `size` at a time."""
        return self._ids(DELETED, size)

    def _content(self, id: str) -> bytes | None:
        row = self._database.execute("SELECT content FROM stored WHERE id = ?", (id,)).fetchone()
        return None if row is None else bytes(row[0])

    def _ids(self, status: int, size: int) -> Iterator[list[str]]:
        cursor = self._database.execute("SELECT id FROM stored WHERE status = ?", (status,))
        while rows := cursor.fetchmany(size):
            yield [id for (id,) in rows]

    def _count(self, status: int) -> int:
        return int(self._database.execute("SELECT count(*) FROM stored WHERE status = ?", (status,)).fetchone()[0])
