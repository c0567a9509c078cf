"""The shop's goods: read a catalogue, check every row of it, and write one. Decoding photos is next door.

A catalogue is a folder with `listings.jsonl`, `.csv` or `.parquet` (or a text corpus, `corpus.jsonl`), or such a
file itself; photos are named by paths relative to its folder. Nothing is dropped silently: what cannot be used
either stops the reading or is listed as a `Problem`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import (
    Any,
)

from pydantic_core import from_json

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import FILE_SUFFIXES, json_error_reason, json_excerpt, read_rows
from wares.data.listings import MAX_TEXT_LENGTH, Catalogue, Listing, OnError, Problem
from wares.data.photo_paths import PhotoPathChecker, PhotoPathProblem
from wares.data.schema import (
    EXPECTED_TYPES,
    KNOWN_FIELDS,
    LISTING_FIELDS,
    LISTING_SCHEMA,
    REQUIRED_FIELDS,
    ListingRow,
    validate_row,
    wrong_type_problem,
)

# Reading ---------------------------------------------------------------------------------------------------------


def read_catalogue(path: str | Path, on_error: OnError = "stop", text_fields: Sequence[str] = ()) -> Catalogue:
    """Read and check a catalogue as a whole; photos are looked for, not decoded.

    path: a folder, or one .jsonl, .csv or .parquet file
    on_error: "stop" raises at the first problem; "skip" leaves out the bad row or photo, or cuts the long
        text, and lists it in `problems`. Columns that mean nothing to wares are noted in both
    text_fields: other columns that are texts of a listing

    Spaces around an id are not part of it. Raises CatalogueError, also where no listing is left.
    """
    return open_catalogue(path, on_error, text_fields).read()


@dataclass(frozen=True)
class CatalogueFile:
    """A catalogue that stays on disk, and is read chunk by chunk as often as is asked. Made by `open_catalogue`."""

    path: Path
    on_error: OnError
    text_fields: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Absolute; photo paths are relative to it."""
        return self.path.parent.resolve()

    def read(self) -> Catalogue:
        """The whole of it. Raises as `read_catalogue` does."""
        [whole] = self._chunks(None, {})
        return whole

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """So many listings at a time, each chunk with the problems that were met on the way.

        Memory does not grow with the catalogue. Raises as `read_catalogue` does.
        """
        return self._chunks(size, _SpilledLines())

    def _chunks(self, size: int | None, lines: MutableMapping[str, int]) -> Iterator[Catalogue]:
        reader = _Reader(self.path, self.on_error, self.text_fields, lines)
        part: list[tuple[int, Listing]] = []
        try:
            for row in reader.read():
                if len(part) == size:
                    yield self._chunk(part, reader)
                    part = []
                part.append(row)
        except OSError as error:
            reason = error.strerror or str(error).partition("\n")[0]
            raise CatalogueError(f"{self.path} cannot be read: {reason.rstrip('.')}.") from error
        yield self._chunk(part, reader)

    def _chunk(self, part: Sequence[tuple[int, Listing]], reader: _Reader) -> Catalogue:
        lines, listings = tuple(line for line, _ in part), tuple(listing for _, listing in part)
        return Catalogue(self.folder, listings, reader.taken_problems(), self.path.name, lines)


def open_catalogue(path: str | Path, on_error: OnError = "stop", text_fields: Sequence[str] = ()) -> CatalogueFile:
    """Find a catalogue's file, to read it chunk by chunk. Arguments, and what is raised, as of `read_catalogue`."""
    if on_error not in ("stop", "skip"):
        raise SettingsError(f'on_error is "stop" or "skip", not "{on_error}".')
    for name in text_fields:
        if name in LISTING_FIELDS:
            raise SettingsError(f'"{name}" is a field of every listing; declare only other columns as text fields.')
    return CatalogueFile(_source(Path(path)), on_error, tuple(text_fields))


class _Reader:
    """Turns the rows of one file into listings and problems."""

    def __init__(
        self, source: Path, on_error: OnError, text_fields: tuple[str, ...], first: MutableMapping[str, int]
    ) -> None:
        self.source, self.on_error, self.text_fields = source, on_error, text_fields
        self.file, self.is_corpus = source.name, source.stem == "corpus"
        self.packed = source.suffix != ".jsonl"  # a cell may hold what JSON has lists and numbers for
        self.problems: list[Problem] = []
        self.photos = PhotoPathChecker(source.parent)
        self.first = first
        self.columns: dict[str, list[int]] = {}  # every column that is not a field: [first line, rows]
        self.spaced: tuple[int, str, int] | None = None  # ids with spaces: first line, id, rows

    def read(self) -> Iterator[tuple[int, Listing]]:
        rows = listings = 0
        for line, row in read_rows(self.source, REQUIRED_FIELDS, REQUIRED_FIELDS):
            rows += 1
            if self.packed and not isinstance(row, Problem):
                row = _unpacked(self.file, line, row)
            if isinstance(row, Problem):
                self.report(row)
            elif (listing := self.listing(line, row)) is not None:
                listings += 1
                self.first[listing.id] = line
                yield line, listing
        if not rows:
            raise CatalogueError(f"{self.source} is empty: no listings. A listing needs at least an id and a title.")
        self.note_columns()
        if not listings:
            raise CatalogueError(f"{self.source}: none of its {rows:,} rows can be used. The first: {self.problems[0]}")

    def taken_problems(self) -> tuple[Problem, ...]:
        """Those that were met since this was last asked."""
        taken, self.problems = tuple(self.problems), []
        return taken

    def report(self, problem: Problem) -> None:
        if self.on_error == "stop" and problem.severity != "note":
            cure = problem.remedy.rstrip(".") or "Correct it"
            raise CatalogueError(str(replace(problem, remedy=f"{cure}, or pass --on-error skip")))
        self.problems.append(problem)

    def listing(self, line: int, row: dict[str, Any]) -> Listing | None:
        """The row as a listing, or None where it is reported as unusable."""
        if self.is_corpus and "text" in row:
            row["description"] = row.pop("text")
        if not row.keys() <= KNOWN_FIELDS:
            self.count_columns(line, row)
        values = validate_row(LISTING_SCHEMA, self.file, line, row, self.first)
        faults = [*(values if isinstance(values, list) else ()), *self.text_faults(line, row)]
        for fault in faults:
            self.report(fault)
        return None if faults or isinstance(values, list) else self.checked(line, values, row)

    def checked(self, line: int, values: ListingRow, row: dict[str, Any]) -> Listing:
        attributes, id = values.get("attributes", {}), str(values["id"]).strip()
        if id.split() != [id]:
            self.spaced = (line, id, 1) if self.spaced is None else (*self.spaced[:2], self.spaced[2] + 1)
        return Listing(
            id=id,
            title=self.cut(line, "title", values["title"]),
            description=self.cut(line, "description", values.get("description", "")),
            tags=self.cut_tags(line, values.get("tags", [])),
            images=self.usable(line, values.get("images", [])),
            price=values.get("price"),
            attributes={name: value for name, value in attributes.items() if value is not None},
            product=str(values.get("product", "")).strip() or None,
            texts={name: self.cut(line, name, row[name]) for name in self.text_fields if row.get(name)},
        )

    def count_columns(self, line: int, row: dict[str, Any]) -> None:
        for name in row.keys() - KNOWN_FIELDS:
            self.columns.setdefault(name, [line, 0])[1] += 1

    def note_columns(self) -> None:
        """List what nobody can use: columns, and ids that no TREC file can name; raise for declared columns that nobody
        has.
        """
        if self.spaced is not None:
            line, id, rows = self.spaced
            message = f'"id" {json_excerpt(id)} has spaces in it, so that no TREC file can name it ({rows:,} rows)'
            self.report(Problem(self.file, line, "id", message, "Write ids without spaces", "spaced id", "note"))
        for name in self.text_fields:
            if name not in self.columns:
                known = ", ".join(sorted(self.columns)) or "none"
                raise CatalogueError(f'No row of {self.source} has the text field "{name}"; other columns: {known}.')
        for name, (line, rows) in sorted(self.columns.items()):
            if name not in self.text_fields:
                message = f'column "{name}" is not used ({rows:,} rows)'
                remedy = "Declare it as a text field if it is a text, or move it into attributes"
                self.report(Problem(self.file, line, name, message, remedy, "unknown column", "note"))

    def text_faults(self, line: int, row: dict[str, Any]) -> Iterator[Problem]:
        for name in self.text_fields:
            if not isinstance(row.get(name, ""), str):
                yield wrong_type_problem(self.file, line, name, row[name], "text")

    def cut(self, line: int, name: str, text: str) -> str:
        if len(text) <= MAX_TEXT_LENGTH:
            return text
        message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT_LENGTH:,}'
        self.report(Problem(self.file, line, name, message, "Shorten it", "long text"))
        return text[:MAX_TEXT_LENGTH]

    def cut_tags(self, line: int, tags: list[str]) -> tuple[str, ...]:
        """Tags that say something, as many as fit into one text."""
        tags = [tag for tag in tags if tag.strip()]
        ends = list(accumulate(len(tag) + 2 for tag in tags))
        if not tags or ends[-1] <= MAX_TEXT_LENGTH:
            return tuple(tags)
        self.cut(line, "tags", ", ".join(tags))
        return tuple(tag for tag, end in zip(tags, ends, strict=True) if end <= MAX_TEXT_LENGTH)

    def usable(self, line: int, names: list[str]) -> tuple[str, ...]:
        """The photos that are there, each once."""
        kept: dict[str, str] = {}
        for name in names:
            place = os.path.normpath(name) if "./" in name or "//" in name else name
            fault = self.photos.check(name)
            if fault is None and place in kept:
                fault = PhotoPathProblem("repeated photo", f"{name} more than once", "Name it once")
            if fault is None:
                kept[place] = name
            else:
                message = f'"images" names {fault.message}'
                self.report(Problem(self.file, line, "images", message, fault.remedy, fault.kind))
        return tuple(kept.values())


class _SpilledLines(MutableMapping[str, int]):
    """The line of every id so far, on disk, so that memory does not grow with a catalogue."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # a file of its own that goes with the connection
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE lines (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def __getitem__(self, id: str) -> int:
        found = self._database.execute("SELECT line FROM lines WHERE id = ?", (id,)).fetchone()
        if found is None:
            raise KeyError(id)
        return int(found[0])

    def __setitem__(self, id: str, line: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO lines VALUES (?, ?)", (id, line))

    def __delitem__(self, id: str) -> None:
        self._database.execute("DELETE FROM lines WHERE id = ?", (id,))

    def __iter__(self) -> Iterator[str]:
        return (id for (id,) in self._database.execute("SELECT id FROM lines"))

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM lines").fetchone()[0])


# File formats ----------------------------------------------------------------------------------------------------


def _source(path: Path) -> Path:
    """The file to read: the path itself, or the listings (or corpus) of a folder."""
    if path.is_dir():
        found = [path / f"{stem}{suffix}" for stem in ("listings", "corpus") for suffix in FILE_SUFFIXES]
        found = [file for file in found if file.is_file()]
        if not found:
            raise CatalogueError(f"{path} has no listings.jsonl, .csv or .parquet, and no corpus.jsonl. Add one.")
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            raise CatalogueError(f"{path} has {names}. Name the file that you mean.")
        return found[0]
    if not path.exists():
        raise CatalogueError(f"{path} does not exist. Name a catalogue's folder or its listings file.")
    if path.suffix not in FILE_SUFFIXES:
        raise CatalogueError(f"{path} is no catalogue: name a folder, or a .jsonl, .csv or .parquet file.")
    return path


def _unpacked(file: str, line: int, row: dict[str, Any]) -> dict[str, Any] | Problem:
    """A listing's numbers, lists and objects out of cells: JSON, or parts separated by |."""
    if isinstance(row.get("price"), str | Decimal):
        try:
            row["price"] = float(row["price"])
        except ValueError:
            return wrong_type_problem(file, line, "price", row["price"], EXPECTED_TYPES["price"])
    for name, opening in (("tags", "["), ("images", "["), ("attributes", "{")):
        cell = row.get(name)
        if not isinstance(cell, str):
            continue
        if cell.lstrip().startswith(opening):
            try:
                row[name] = from_json(cell)
            except ValueError as error:
                message = f'"{name}" is broken JSON ({json_error_reason(error)})'
                return Problem(file, line, name, message, "Correct it", "broken JSON", "row")
        elif opening == "[":
            row[name] = [part.strip() for part in cell.split("|") if part.strip()]
    return row
