"""SHA-256 digests of photo files, cached by path, size, inode and times."""

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


MIN_AGE_NS = 2_000_000_000  # a younger file may change again without changing its times


def photo_digests(paths: Sequence[Path], cache: Path | None = None) -> list[str | PhotoError]:
    """SHA-256 digest of each photo's bytes, or its PhotoError; unchanged files are not read again.

    cache: folder; None is `default_cache()`

    A file is unchanged if its size, inode and times are the same and its times are at least two seconds old.
    """
    folder = cache or default_cache()
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "photos.sqlite", timeout=60.0)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT)")
        names = [os.fsencode(os.path.abspath(path)) for path in paths]
        stamps = [_stamp(name) for name in names]
        digests: list[str | PhotoError | None] = [
            None if stamp is None else _cached_digest(database, name, stamp)
            for name, stamp in zip(names, stamps, strict=True)
        ]
        unknown = [index for index, digest in enumerate(digests) if digest is None]
        for index, digest in zip(unknown, file_digests([paths[index] for index in unknown]), strict=True):
            digests[index] = digest
        rows = [
            (names[i], stamps[i], digests[i]) for i in unknown if stamps[i] is not None and isinstance(digests[i], str)
        ]
        with database:
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
    return [digest for digest in digests if digest is not None]


def _cached_digest(database: sqlite3.Connection, name: bytes, stamp: str) -> str | None:
    row = database.execute("SELECT digest FROM digests WHERE path = ? AND stamp = ?", (name, stamp)).fetchone()
    return None if row is None else str(row[0])


def _stamp(name: bytes) -> str | None:
    """Size, inode and times of a file; None if the file is missing, or too young for them to show a change."""
    try:
        status = os.stat(name)
    except (OSError, ValueError):
        return None
    is_young = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < MIN_AGE_NS
    return None if is_young else f"{status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


PhotoPath: TypeAlias = str | os.PathLike[str]


def file_digest(path: PhotoPath) -> str:
    """SHA-256 digest of a file in hex. Raises PhotoError if the file is unreadable."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable_photo(path, error) from error


def file_digests(paths: Iterable[PhotoPath], workers: int | None = None) -> Iterator[str | PhotoError]:
    """Digests of many files in order, computed by threads: hashing releases the GIL."""
    with ThreadPoolExecutor(number_of_workers(workers)) as pool:
        for chunk in pool.map(lambda chunk: [_digest_or_error(path) for path in chunk], batched(paths, CHUNK)):
            yield from chunk


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
