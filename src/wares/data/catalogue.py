"""Catalogues read from files, as a whole or in chunks.

A catalogue is a folder with `listings.jsonl`, `.csv` or `.parquet` (or a text corpus, `corpus.jsonl`), or such a file
itself. Photo paths are relative to its folder. Nothing is dropped silently: an unusable row or photo stops the reading
or is listed as a `Problem`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import FILE_SUFFIXES
from wares.data.listing_reader import ListingReader
from wares.data.listings import Catalogue, Listing, OnError
from wares.data.schema import LISTING_FIELDS


def read_catalogue(path: str | Path, on_error: OnError = "stop", text_fields: Sequence[str] = ()) -> Catalogue:
    """Read and check a whole catalogue; photos must exist, but are not decoded.

    path: a folder, or a .jsonl, .csv or .parquet file
    on_error: "stop" raises at the first problem; "skip" leaves out the row or photo, or cuts the long text, and lists
        it in `problems`. Both list unknown columns
    text_fields: further columns that are texts of a listing

    Spaces around an id are removed. Raises CatalogueError at a problem, or if no listing is left.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("listings.jsonl").write_text('{"id": "1", "title": "Red boots", "price": 80}')
        >>> read_catalogue("listings.jsonl").listings[0].title
        'Red boots'
    """
    return open_catalogue(path, on_error, text_fields).read()


@dataclass(frozen=True)
class CatalogueFile:
    """A catalogue on disk that can be read repeatedly, as a whole or in chunks; see `open_catalogue`."""

    path: Path
    on_error: OnError
    text_fields: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Absolute path of the folder that photo paths are relative to."""
        return self.path.parent.resolve()

    def read(self) -> Catalogue:
        """The whole catalogue. Raises as `read_catalogue` does."""
        [catalogue] = self._chunks(None, {})
        return catalogue

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """Catalogues of `size` listings, each with the problems found since the last; memory stays constant.

        Raises as `read_catalogue` does.
        """
        return self._chunks(size, _LinesOnDisk())

    def _chunks(self, size: int | None, lines: MutableMapping[str, int]) -> Iterator[Catalogue]:
        reader = ListingReader(self.path, self.on_error, self.text_fields, lines)
        chunk: list[tuple[int, Listing]] = []
        try:
            for row in reader.read():
                if len(chunk) == size:
                    yield self._catalogue(chunk, reader)
                    chunk = []
                chunk.append(row)
        except OSError as error:
            reason = error.strerror or str(error).partition("\n")[0]
            raise CatalogueError(f"{self.path} cannot be read: {reason.rstrip('.')}.") from error
        yield self._catalogue(chunk, reader)

    def _catalogue(self, chunk: Sequence[tuple[int, Listing]], reader: ListingReader) -> Catalogue:
        lines, listings = tuple(line for line, _ in chunk), tuple(listing for _, listing in chunk)
        return Catalogue(self.folder, listings, reader.take_problems(), self.path.name, lines)


def open_catalogue(path: str | Path, on_error: OnError = "stop", text_fields: Sequence[str] = ()) -> CatalogueFile:
    r"""Find a catalogue's file without reading it; arguments and errors are those of `read_catalogue`.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("listings.csv").write_text("id,title\n1,Red boots\n2,Blue mug\n3,Lamp\n")
        >>> [len(chunk) for chunk in open_catalogue("listings.csv").chunks(2)]
        [2, 1]
    """
    if on_error not in ("stop", "skip"):
        raise SettingsError(f'on_error must be "stop" or "skip", not "{on_error}".')
    for name in text_fields:
        if name in LISTING_FIELDS:
            raise SettingsError(f'"{name}" is a field of every listing. Declare only other columns as text fields.')
    return CatalogueFile(_find_file(Path(path)), on_error, tuple(text_fields))


def _find_file(path: Path) -> Path:
    """The path itself, or the listings (or corpus) file of a folder."""
    if path.is_dir():
        candidates = [path / f"{stem}{suffix}" for stem in ("listings", "corpus") for suffix in FILE_SUFFIXES]
        files = [file for file in candidates if file.is_file()]
        if not files:
            raise CatalogueError(f"{path} has no listings.jsonl, .csv or .parquet, and no corpus.jsonl. Add one.")
        if len(files) > 1:
            raise CatalogueError(f"{path} has {' and '.join(file.name for file in files)}. Name one of them.")
        return files[0]
    if not path.exists():
        raise CatalogueError(f"{path} does not exist. Name a catalogue's folder or its listings file.")
    if path.suffix not in FILE_SUFFIXES:
        raise CatalogueError(f"{path} is not a catalogue. Name a folder, or a .jsonl, .csv or .parquet file.")
    return path


class _LinesOnDisk(MutableMapping[str, int]):
    """The line of each id, in a temporary database, so that memory does not grow with the catalogue."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a temporary file, which SQLite deletes with the connection
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE lines (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def __getitem__(self, id: str) -> int:
        row = self._database.execute("SELECT line FROM lines WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise KeyError(id)
        return int(row[0])

    def __setitem__(self, id: str, line: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO lines VALUES (?, ?)", (id, line))

    def __delitem__(self, id: str) -> None:
        self._database.execute("DELETE FROM lines WHERE id = ?", (id,))

    def __iter__(self) -> Iterator[str]:
        return (id for (id,) in self._database.execute("SELECT id FROM lines"))

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM lines").fetchone()[0])
