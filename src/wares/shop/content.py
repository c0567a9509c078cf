"""What a listing is made of, as a hash: a listing whose hash is the same has the same embedding by the same model.

What is compared lies on disk, so that memory does not grow with the catalogue.
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
UNREADABLE_DIGEST = ""  # in place of the digest of a photo that is not there


def content_hashes(catalogue: Catalogue, cache: Path | None = None) -> list[bytes]:
    """16 bytes for each listing: of all its fields, and of the content of its photos.

    cache: where digests of photos are kept (wares.core.cache)
    """
    photos = photo_views(catalogue)
    found = photo_digests([catalogue.photo_path(name) for name in photos.items], cache)
    digests = [digest if isinstance(digest, str) else UNREADABLE_DIGEST for digest in found]
    bounds = zip(photos.offsets[:-1], photos.offsets[1:], strict=True)
    parts = [digests[start:end] for start, end in bounds]
    return [_hash(listing, of) for listing, of in zip(catalogue.listings, parts, strict=True)]


def _hash(listing: Listing, digests: list[str]) -> bytes:
    fields = [
        listing.id, listing.title, listing.description, listing.tags, listing.images, listing.price, listing.product,
        dict(listing.attributes), dict(listing.texts), digests,
    ]  # fmt: skip
    written = json.dumps(fields, sort_keys=True, default=list)
    return hashlib.blake2b(written.encode(), digest_size=HASH_BYTES).digest()


class ContentDiff:
    """The content of each listing in a table, on disk, and what has become of it elsewhere. rows: ids and contents"""

    def __init__(self, rows: Iterable[tuple[str, bytes]]) -> None:
        self._database = sqlite3.connect("")  # a file of its own that goes with the connection
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE stored (id TEXT PRIMARY KEY, content BLOB, met INTEGER) WITHOUT ROWID")
        for id, content in rows:
            self._database.execute("INSERT INTO stored VALUES (?, ?, ?)", (id, content, DELETED))

    def compare(self, id: str, content: bytes) -> bool:
        """Whether a listing that is met elsewhere is here just so."""
        found = self._content(id)
        row = (id, content, UNCHANGED if found == content else MODIFIED)
        self._database.execute("INSERT OR REPLACE INTO stored VALUES (?, ?, ?)", row)
        return found == content

    def match(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """The contents of those that are here, of listings that are met elsewhere and were not compared yet."""
        found = {id: content for id in ids if (content := self._content(id)) is not None}
        self._database.executemany("UPDATE stored SET met = ? WHERE id = ?", [(UNCHANGED, id) for id in found])
        return found

    def is_modified(self, id: str) -> bool:
        """Whether a listing was compared, and is not here, or not so."""
        found = self._database.execute("SELECT met FROM stored WHERE id = ?", (id,)).fetchone()
        return found is not None and found[0] == MODIFIED

    @property
    def modified_count(self) -> int:
        """Listings that are not here, or not so."""
        return self._count(MODIFIED)

    @property
    def deleted_count(self) -> int:
        """Listings that are here and were not met elsewhere."""
        return self._count(DELETED)

    def modified_ids(self, size: int) -> Iterator[list[str]]:
        """So many at a time."""
        return self._ids(MODIFIED, size)

    def deleted_ids(self, size: int) -> Iterator[list[str]]:
        """So many at a time."""
        return self._ids(DELETED, size)

    def _content(self, id: str) -> bytes | None:
        found = self._database.execute("SELECT content FROM stored WHERE id = ?", (id,)).fetchone()
        return None if found is None else bytes(found[0])

    def _ids(self, met: int, size: int) -> Iterator[list[str]]:
        found = self._database.execute("SELECT id FROM stored WHERE met = ?", (met,))
        while rows := found.fetchmany(size):
            yield [id for (id,) in rows]

    def _count(self, met: int) -> int:
        return int(self._database.execute("SELECT count(*) FROM stored WHERE met = ?", (met,)).fetchone()[0])
