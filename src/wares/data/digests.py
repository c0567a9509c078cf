"""SHA-256 digests of photo files, cached by size, inode and times."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from wares.core.cache import batched, default_cache
from wares.core.errors import PhotoError
from wares.core.processes import CHUNK, number_of_workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


MIN_AGE_NS = 2_000_000_000  # nanoseconds after which another change of a file has another time


def photo_digests(paths: Sequence[Path], cache: Path | None = None) -> list[str | PhotoError]:
    """SHA-256 of each photo's bytes, or why it cannot be read; a file that has not changed is not read again.

    cache: folder, `default_cache()` where None

    What has not changed: a file of the same size, inode and times, none of them so young that a further change could
    have left them as they are.
    """
    folder = cache or default_cache()
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "photos.sqlite", timeout=60.0)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT)")
        names = [os.fsencode(os.path.abspath(path)) for path in paths]
        stamps = [_stamp(name) for name in names]
        found: list[str | PhotoError | None] = [
            None if stamp is None else _cached_digest(database, name, stamp)
            for name, stamp in zip(names, stamps, strict=True)
        ]
        new = [place for place, digest in enumerate(found) if digest is None]
        for place, digest in zip(new, file_digests([paths[place] for place in new]), strict=True):
            found[place] = digest
        rows = [(names[i], stamps[i], found[i]) for i in new if stamps[i] is not None and isinstance(found[i], str)]
        with database:
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
    return [digest for digest in found if digest is not None]


def _cached_digest(database: sqlite3.Connection, name: bytes, stamp: str) -> str | None:
    row = database.execute("SELECT digest FROM digests WHERE path = ? AND stamp = ?", (name, stamp)).fetchone()
    return None if row is None else str(row[0])


def _stamp(name: bytes) -> str | None:
    """What another change of a file would change; None where it might not, or there is no such file."""
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    young = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < MIN_AGE_NS
    return None if young else f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


PhotoPath: TypeAlias = str | os.PathLike[str]


def file_digest(path: PhotoPath) -> str:
    """SHA-256 of the file's bytes, in hex. Raises PhotoError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable_photo(path, error) from error


def file_digests(paths: Iterable[PhotoPath], workers: int | None = None) -> Iterator[str | PhotoError]:
    """Digests of many photos, in order, computed in threads (hashing does not hold the interpreter)."""
    with ThreadPoolExecutor(number_of_workers(workers)) as pool:
        for part in pool.map(lambda part: [_digest_or_error(path) for path in part], batched(paths, CHUNK)):
            yield from part


def path_text(path: PhotoPath) -> str:
    return os.fspath(path)


def unreadable_photo(path: PhotoPath, error: Exception) -> PhotoError:
    if isinstance(error, FileNotFoundError):
        return PhotoError(f"{path_text(path)} does not exist. Restore the file.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return PhotoError(f"{path_text(path)!r} cannot be read: {reason}.")


def _digest_or_error(path: PhotoPath) -> str | PhotoError:
    try:
        return file_digest(path)
    except PhotoError as error:
        return error
