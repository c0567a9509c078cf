"""The shop's goods: read a catalogue, check every row of it, and write one. Decoding photos is next door.

A catalogue is a folder with `listings.jsonl`, `.csv` or `.parquet` (or a text corpus, `corpus.jsonl`), or such a
file itself; photos are named by paths relative to its folder. Nothing is dropped silently: what cannot be used
either stops the reading or is listed as a `Problem`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    Required,  # pydantic asks for these before Python 3.12
    TypeAlias,
    TypeVar,
)

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict

from wares.errors import CatalogueError, PhotoError, SettingsError

FORMATS = (".jsonl", ".csv", ".parquet")
MAX_TEXT = 20_000  # characters in one text of a listing
FOLDERS = 10_000  # of photos that are remembered to be inside the catalogue's

T = TypeVar("T")
Attribute: TypeAlias = str | float | bool | list[str]
OnError = Literal["stop", "skip"]
Severity = Literal["row", "view", "note"]


@dataclass(frozen=True, slots=True)
class Listing:
    """One item for sale: several photos (paths inside the catalogue), several texts, price and attributes.

    product: what listings of the same product share; None where unknown
    texts: further text fields, by name
    """

    id: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    price: float | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    product: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a catalogue that cannot be used as it is: where, what, and what to do.

    line: 1-based line (row of a Parquet file); 0 for the file as a whole
    kind: a short name shared by problems of the same sort
    severity: what skipping costs: the "row", one "view" of it (a photo, the end of a text), or nothing ("note")
    """

    file: str
    line: int
    field: str
    message: str
    remedy: str = ""
    kind: str = "other"
    severity: Severity = "view"

    @property
    def fatal(self) -> bool:
        """Whether the whole row is lost."""
        return self.severity == "row"

    @property
    def where(self) -> str:
        return f"{self.file}, {_place(self.file, self.line)}" if self.line else self.file

    def __str__(self) -> str:
        return " ".join(f"{part.rstrip('.')}." for part in (f"{self.where}: {self.message}", self.remedy) if part)


def _place(file: str, line: int) -> str:
    return f"{'row' if file.endswith('.parquet') else 'line'} {line}"


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody types into the search box."""

    id: str
    text: str


@dataclass(frozen=True)
class Catalogue:
    """Listings that passed every check, and the problems of those that did not.

    folder: absolute; photo paths are relative to it
    source: name of the file in it that was read
    lines: line (row of a Parquet file) of each listing; empty where they come from no file
    """

    folder: Path
    listings: tuple[Listing, ...]
    problems: tuple[Problem, ...] = ()
    source: str = "listings.jsonl"
    lines: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.listings)

    def photo(self, name: str) -> Path:
        """Absolute path of a listing's photo; reading has checked that it stays inside the folder."""
        return self.folder / name

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """So many listings at a time; all problems come with the first."""
        for start in range(0, len(self), size):
            part = self.subset(range(start, min(start + size, len(self))))
            yield part if start == 0 else replace(part, problems=())

    def read(self) -> Catalogue:
        """Itself: it has been read."""
        return self

    def subset(self, indices: Iterable[int]) -> Catalogue:
        """The listings at these places, in this order."""
        places = [int(i) for i in indices]
        lines = tuple(self.lines[i] for i in places) if self.lines else ()
        return replace(self, listings=tuple(self.listings[i] for i in places), lines=lines)

    def photo_problem(self, index: int, error: PhotoError) -> Problem:
        """What to report where a photo of listing `index` does not decode."""
        line = self.lines[index] if self.lines else 0
        message = str(error).replace(f"{self.folder}{os.sep}", "")
        return Problem(self.source, line, "images", message, kind="unreadable photo")


# What one row may hold -------------------------------------------------------------------------------------------


class _Row(TypedDict, total=False):
    id: Required[str | int]
    title: Required[str]
    description: str
    tags: list[str]
    images: list[str]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    attributes: dict[str, str | bool | FiniteFloat | list[str] | None]
    product: str | int


class _QueryRow(TypedDict):
    id: str | int
    text: str


_ROW = TypeAdapter(_Row)
_QUERY = TypeAdapter(_QueryRow)
_REQUIRED = ("id", "title")
_FIELDS = ("id", "title", "description", "tags", "images", "price", "attributes", "product")
_KNOWN = frozenset(_FIELDS)
_EXPECTED = {
    "id": "text or a whole number",
    "title": "text",
    "text": "text",
    "description": "text",
    "tags": "a list of texts",
    "images": "a list of paths",
    "price": "a finite number, 0 or more",
    "attributes": "an object",
    "product": "text or a whole number",
}
_INNER = {"tags": "text", "images": "a path", "attributes": "text, a finite number, a boolean or a list of texts"}


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

    source: Path
    on_error: OnError
    text_fields: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Absolute; photo paths are relative to it."""
        return self.source.parent.resolve()

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
        reader = _Reader(self.source, self.on_error, self.text_fields, lines)
        part: list[tuple[int, Listing]] = []
        try:
            for row in reader.read():
                if len(part) == size:
                    yield self._chunk(part, reader)
                    part = []
                part.append(row)
        except OSError as error:
            reason = error.strerror or str(error).partition("\n")[0]
            raise CatalogueError(f"{self.source} cannot be read: {reason.rstrip('.')}.") from error
        yield self._chunk(part, reader)

    def _chunk(self, part: Sequence[tuple[int, Listing]], reader: _Reader) -> Catalogue:
        lines, listings = tuple(line for line, _ in part), tuple(listing for _, listing in part)
        return Catalogue(self.folder, listings, reader.taken_problems(), self.source.name, lines)


class AnyCatalogue(Protocol):
    """Listings that can be read chunk by chunk, and as a whole: a `Catalogue`, a `CatalogueFile`, or a shop's own."""

    @property
    def folder(self) -> Path: ...
    def chunks(self, size: int) -> Iterator[Catalogue]: ...
    def read(self) -> Catalogue: ...


def open_catalogue(path: str | Path, on_error: OnError = "stop", text_fields: Sequence[str] = ()) -> CatalogueFile:
    """Find a catalogue's file, to read it chunk by chunk. Arguments, and what is raised, as of `read_catalogue`."""
    if on_error not in ("stop", "skip"):
        raise SettingsError(f'on_error is "stop" or "skip", not "{on_error}".')
    for name in text_fields:
        if name in _FIELDS:
            raise SettingsError(f'"{name}" is a field of every listing; declare only other columns as text fields.')
    return CatalogueFile(_source(Path(path)), on_error, tuple(text_fields))


def read_queries(path: str | Path) -> list[Query]:
    """Read queries, one {"id", "text"} a row; further columns are not looked at.

    path: a .jsonl, .csv or .parquet file, or a folder with queries.jsonl

    Raises CatalogueError at the first broken, empty or repeated query, or where there is none.
    """
    source = Path(path) / "queries.jsonl" if Path(path).is_dir() else Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Queries are lines of {{"id": ..., "text": ...}}.')
    first: dict[str, int] = {}
    queries: list[Query] = []
    for line, row in rows_of(source, ("id", "text"), ("id", "text")):
        if isinstance(row, Problem):
            raise CatalogueError(str(row))
        values = _validated(_QUERY, source.name, line, row, first)
        if isinstance(values, list):
            raise CatalogueError(str(values[0]))
        queries.append(Query(str(values["id"]).strip(), values["text"]))
        first[queries[-1].id] = line
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one {{"id": ..., "text": ...}} a line.')
    return queries


Rows: TypeAlias = Iterator[tuple[int, "dict[str, Any] | Problem"]]  # line, and the row or what is wrong with it


class _Reader:
    """Turns the rows of one file into listings and problems."""

    def __init__(
        self, source: Path, on_error: OnError, text_fields: tuple[str, ...], first: MutableMapping[str, int]
    ) -> None:
        self.source, self.on_error, self.text_fields = source, on_error, text_fields
        self.file, self.is_corpus = source.name, source.stem == "corpus"
        self.packed = source.suffix != ".jsonl"  # a cell may hold what JSON has lists and numbers for
        self.problems: list[Problem] = []
        self.photos = _PhotoFinder(source.parent)
        self.first = first
        self.columns: dict[str, list[int]] = {}  # every column that is not a field: [first line, rows]
        self.spaced: tuple[int, str, int] | None = None  # ids with spaces: first line, id, rows

    def read(self) -> Iterator[tuple[int, Listing]]:
        rows = listings = 0
        for line, row in rows_of(self.source, _REQUIRED, _REQUIRED):
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
        if not row.keys() <= _KNOWN:
            self.count_columns(line, row)
        values = _validated(_ROW, self.file, line, row, self.first)
        faults = [*(values if isinstance(values, list) else ()), *self.text_faults(line, row)]
        for fault in faults:
            self.report(fault)
        return None if faults or isinstance(values, list) else self.checked(line, values, row)

    def checked(self, line: int, values: _Row, row: dict[str, Any]) -> Listing:
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
        for name in row.keys() - _KNOWN:
            self.columns.setdefault(name, [line, 0])[1] += 1

    def note_columns(self) -> None:
        """List what nobody can use: columns, and ids that no TREC file can name; raise for declared columns that nobody
        has.
        """
        if self.spaced is not None:
            line, id, rows = self.spaced
            message = f'"id" {_shown(id)} has spaces in it, so that no TREC file can name it ({rows:,} rows)'
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
                yield _wrong_type(self.file, line, name, row[name], "text")

    def cut(self, line: int, name: str, text: str) -> str:
        if len(text) <= MAX_TEXT:
            return text
        message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT:,}'
        self.report(Problem(self.file, line, name, message, "Shorten it", "long text"))
        return text[:MAX_TEXT]

    def cut_tags(self, line: int, tags: list[str]) -> tuple[str, ...]:
        """Tags that say something, as many as fit into one text."""
        tags = [tag for tag in tags if tag.strip()]
        ends = list(accumulate(len(tag) + 2 for tag in tags))
        if not tags or ends[-1] <= MAX_TEXT:
            return tuple(tags)
        self.cut(line, "tags", ", ".join(tags))
        return tuple(tag for tag, end in zip(tags, ends, strict=True) if end <= MAX_TEXT)

    def usable(self, line: int, names: list[str]) -> tuple[str, ...]:
        """The photos that are there, each once."""
        kept: dict[str, str] = {}
        for name in names:
            place = os.path.normpath(name) if "./" in name or "//" in name else name
            fault = self.photos.fault(name)
            if fault is None and place in kept:
                fault = _PhotoFault("repeated photo", f"{name} more than once", "Name it once")
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


def listing_problems(listing: Listing) -> list[Problem]:
    """What keeps a listing that comes from no file out of a catalogue; whether its photos are there is not asked."""
    where = f'listing "{listing.id}"'
    checked = _validated(_ROW, where, 0, _as_row(listing), {})
    if isinstance(checked, list):
        return checked
    return [Problem(where, 0, name, message, remedy, kind, "row") for name, message, remedy, kind in _unfit(listing)]


def _unfit(listing: Listing) -> Iterator[tuple[str, str, str, str]]:
    """Field, message, remedy and kind of what types do not tell."""
    if listing.id != listing.id.strip():
        yield "id", '"id" has spaces around it', "Remove them", "wrong type"
    texts = {"title": listing.title, "description": listing.description, "tags": ", ".join(listing.tags)}
    for name, text in [*texts.items(), *listing.texts.items()]:
        if len(text) > MAX_TEXT:
            message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT:,}'
            yield name, message, "Shorten it", "long text"
    for name, count in Counter(listing.images).items():
        if count > 1:
            yield "images", f'"images" names {_plain(name)} more than once', "Name it once", "repeated photo"
    try:
        json.dumps(_as_row(listing), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "", "it holds a letter that UTF-8 does not have", "Write it as UTF-8", "broken UTF-8"


def _validated(
    kind: TypeAdapter[T], file: str, line: int, row: dict[str, Any], first: Mapping[str, int]
) -> T | list[Problem]:
    """The row with its types checked, or what is wrong with it, one problem a field.

    first: the line of every id so far
    """
    try:
        values = kind.validate_python(row, strict=True)
    except ValidationError as error:
        by_field: dict[str, ErrorDetails] = {}
        for detail in error.errors(include_url=False):
            by_field.setdefault(str(detail["loc"][0]), detail)
        return [_fault(file, line, name, detail, row) for name, detail in by_field.items()]
    for name in _REQUIRED if kind is _ROW else ("id", "text"):
        if not str(row[name]).strip():
            remedy = "Fill it in, or remove the row"
            return [Problem(file, line, name, f'"{name}" is empty', remedy, "empty field", "row")]
    if (id := str(row["id"]).strip()) in first:
        message = f'"id" {_plain(id)} is already the id of {_place(file, first[id])}'
        return [Problem(file, line, "id", message, "Give every row an id of its own", "repeated id", "row")]
    return values


def _fault(file: str, line: int, name: str, detail: ErrorDetails, row: dict[str, Any]) -> Problem:
    if detail["type"] == "missing":
        message = f'"{name}" is missing; the row has {", ".join(row) or "nothing"}'
        return Problem(file, line, name, message, "Fill it in, or remove the row", "missing field", "row")
    inner, value, expected = "", row[name], _EXPECTED[name]
    if len(detail["loc"]) > 1 and name in _INNER:
        key = detail["loc"][1]
        inner, value, expected = (f"item {key + 1}" if isinstance(key, int) else f'"{key}"'), value[key], _INNER[name]
    return _wrong_type(file, line, name, value, expected, inner)


def _wrong_type(file: str, line: int, name: str, value: object, expected: str, inner: str = "") -> Problem:
    kind = "bad price" if name == "price" else "wrong type"
    what = f'{inner} of "{name}"' if inner else f'"{name}"'
    return Problem(file, line, name, f"{what} must be {expected}, not {_shown(value)}", "Correct it", kind, "row")


def _shown(value: object) -> str:
    """A value as JSON would have it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(name: str) -> str:
    """An id or a path as it is, or as JSON where it could not be told from the sentence around it."""
    return name if name.isprintable() and 0 < len(name.strip()) == len(name) <= 200 else _shown(name)


# Photos by path --------------------------------------------------------------------------------------------------


class _PhotoFault(NamedTuple):
    kind: str
    message: str
    remedy: str


_URL = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)
_RESTORE = "Restore the file"
_INSIDE = "Put the photo into the catalogue's folder and name it relative to that"


class _PhotoFinder:
    """Says what is wrong with a photo's path, short of decoding it."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.root = os.path.realpath(folder)
        self.inside: dict[str, bool] = {}  # by folder: whether, resolved, it is in the catalogue's

    def fault(self, name: str) -> _PhotoFault | None:
        if self.is_plain_file(name):
            return None
        if not name.strip():
            return _PhotoFault("bad photo path", "an empty path", "Remove it")
        kind, what, remedy = self.explained(name)
        return _PhotoFault(kind, f"{_plain(name)}, which {what}", remedy) if what else None

    def is_plain_file(self, name: str) -> bool:
        """Whether this is a file with something in it, and no link: what nearly every photo is, at one look."""
        parent, _, last = name.rpartition("/")
        if last in ("", ".", "..") or name[0] == "/":
            return False
        try:
            found = os.lstat(f"{self.folder}/{name}")
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size > 0 and self.contains(parent)

    def contains(self, name: str) -> bool:
        if name not in self.inside:
            if len(self.inside) == FOLDERS:
                self.inside.clear()
            resolved = os.path.realpath(os.path.join(self.folder, name))
            self.inside[name] = resolved == self.root or resolved.startswith(self.root.rstrip(os.sep) + os.sep)
        return self.inside[name]

    def explained(self, name: str) -> tuple[str, str, str]:
        """Kind of the fault, what is wrong and what to do; empty for a link to a photo inside the folder."""
        if _DRIVE.match(name) or (name.startswith("/") and not name.startswith("//")):
            return "bad photo path", "is an absolute path", _INSIDE
        if _URL.match(name):
            return "photo URL", "is a URL", "Download it first and name the file"
        try:
            if not self.contains(name):
                return "photo outside the folder", "leaves the catalogue's folder", _INSIDE
            found = os.stat(f"{self.folder}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            hint = "; write folders with /" if "\\" in name else ""
            return "missing photo", "does not exist", f"{_RESTORE}{hint}"
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return "bad photo path", f"cannot be looked at ({reason})", "Correct it"
        if not stat.S_ISREG(found.st_mode):
            return "bad photo path", f"is {'a folder' if stat.S_ISDIR(found.st_mode) else 'no file'}", "Name a photo"
        return ("empty photo", "is empty (0 bytes)", _RESTORE) if found.st_size == 0 else ("", "", "")


# File formats ----------------------------------------------------------------------------------------------------


def _source(path: Path) -> Path:
    """The file to read: the path itself, or the listings (or corpus) of a folder."""
    if path.is_dir():
        found = [path / f"{stem}{suffix}" for stem in ("listings", "corpus") for suffix in FORMATS]
        found = [file for file in found if file.is_file()]
        if not found:
            raise CatalogueError(f"{path} has no listings.jsonl, .csv or .parquet, and no corpus.jsonl. Add one.")
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            raise CatalogueError(f"{path} has {names}. Name the file that you mean.")
        return found[0]
    if not path.exists():
        raise CatalogueError(f"{path} does not exist. Name a catalogue's folder or its listings file.")
    if path.suffix not in FORMATS:
        raise CatalogueError(f"{path} is no catalogue: name a folder, or a .jsonl, .csv or .parquet file.")
    return path


def rows_of(path: Path, required: Sequence[str] = (), filled: Collection[str] = ()) -> Rows:
    """Every row of a .jsonl, .csv or .parquet file: its number, and its values by name or what is wrong with it.

    required: columns that a table has to have; filled: columns of CSV in which an empty cell is an empty text, and not
    no value. Raises CatalogueError where the file as a whole cannot be read.
    """
    if path.suffix not in FORMATS:
        raise CatalogueError(f"{path} is none of {', '.join(FORMATS)}. Name such a file.")
    if path.suffix == ".jsonl":
        return _jsonl_rows(path)
    return _csv_rows(path, required, filled) if path.suffix == ".csv" else _parquet_rows(path, required)


def usable(
    rows: Rows, read: Callable[[int, dict[str, Any]], T | Problem], on_error: OnError
) -> tuple[list[T], list[Problem]]:
    """What rows say, and the problems of those that cannot be used.

    read: what a row says, by its number and its values. Raises CatalogueError at the first problem where on_error is
    "stop".
    """
    said: list[T] = []
    problems: list[Problem] = []
    for line, row in rows:
        found = row if isinstance(row, Problem) else read(line, row)
        if not isinstance(found, Problem):
            said.append(found)
        elif on_error == "stop":
            raise CatalogueError(f"{found} Or pass --on-error skip.")
        else:
            problems.append(found)
    return said, problems


def _jsonl_rows(path: Path) -> Rows:
    """Every line that is not empty, without nulls."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if raw.strip():
                yield line, _object(path.name, line, raw)


def _object(file: str, line: int, raw: bytes) -> dict[str, Any] | Problem:
    """One line of JSON, without its nulls."""
    try:
        row = from_json(raw.rstrip())  # so that where it ends is counted on its line
    except ValueError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as broken:
            return _broken_utf8(file, line, broken)
        message = f"broken JSON ({_reason(error)})"
        return Problem(file, line, "", message, "Write one JSON object a line", "broken JSON", "row")
    if not isinstance(row, dict):
        message = f"this is {_shown(row)}, not an object"
        return Problem(file, line, "", message, "Write one JSON object a line", "broken JSON", "row")
    return {name: value for name, value in row.items() if value is not None} if None in row.values() else row


def _reason(error: ValueError) -> str:
    return re.sub(r" at line \d+ column (\d+)$", r" at character \1", str(error))


def _broken_utf8(file: str, line: int, error: UnicodeDecodeError) -> Problem:
    message = f"broken UTF-8 at byte {error.start + 1} of the line (0x{error.object[error.start]:02x})"
    return Problem(file, line, "", message, "Save the file as UTF-8", "broken UTF-8", "row")


class _Lines:
    """Lines of a file as text; a line of broken UTF-8 is noted in `broken` and decoded as well as can be."""

    def __init__(self, name: str, file: Iterable[bytes]) -> None:
        self.name, self.file = name, file
        self.broken: dict[int, Problem] = {}

    def __iter__(self) -> Iterator[str]:
        for line, raw in enumerate(self.file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                self.broken[line] = _broken_utf8(self.name, line, error)
                yield raw.decode("utf-8", errors="replace")


def _csv_rows(path: Path, required: Sequence[str], filled: Collection[str]) -> Rows:
    with path.open("rb") as file, _long_cells():
        lines = _Lines(path.name, file)
        reader = csv.reader(iter(lines), strict=True)
        header: list[str] | None = None
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                message = f"broken CSV up to line {reader.line_num} ({error})"
                remedy = "Close every quote, and double the quotes inside a cell"
                problem = Problem(path.name, line, "", message, remedy, "broken CSV", "row")
                if header is None:
                    raise CatalogueError(str(problem)) from error
                yield line, problem
                continue
            broken = [lines.broken.pop(i) for i in list(lines.broken)] if lines.broken else []
            if cells is None:
                return
            if header is None:
                header = _header(path, cells, required, broken) if cells else None
            elif broken:
                yield line, broken[0]
            elif cells:
                yield line, _cells(path.name, line, header, cells, filled)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let CSV cells be as long as they are, so that a long text is reported as a long text."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _header(path: Path, cells: Iterable[str], required: Sequence[str], broken: Sequence[Problem] = ()) -> list[str]:
    """The columns, checked for the required ones."""
    if broken:
        raise CatalogueError(str(broken[0]))
    names = [cell.strip() for cell in cells]
    for name in required:
        if name not in names:
            raise CatalogueError(
                f'{path} has no column "{name}"; it has {", ".join(names)}. '
                "Name the columns in the first line, separated by commas."
            )
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise CatalogueError(f'{path} has column "{repeated[0]}" more than once. Rename or remove one.')
    return names


def _cells(
    file: str, line: int, header: list[str], cells: list[str], filled: Collection[str]
) -> dict[str, Any] | Problem:
    """A row of CSV; an empty cell is no value, save in a column that is to be filled."""
    if len(cells) != len(header):
        message = f"{len(cells)} cells under {len(header)} columns"
        return Problem(file, line, "", message, "Quote cells that hold commas", "broken CSV", "row")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip() or name in filled}


def _unpacked(file: str, line: int, row: dict[str, Any]) -> dict[str, Any] | Problem:
    """A listing's numbers, lists and objects out of cells: JSON, or parts separated by |."""
    if isinstance(row.get("price"), str | Decimal):
        try:
            row["price"] = float(row["price"])
        except ValueError:
            return _wrong_type(file, line, "price", row["price"], _EXPECTED["price"])
    for name, opening in (("tags", "["), ("images", "["), ("attributes", "{")):
        cell = row.get(name)
        if not isinstance(cell, str):
            continue
        if cell.lstrip().startswith(opening):
            try:
                row[name] = from_json(cell)
            except ValueError as error:
                message = f'"{name}" is broken JSON ({_reason(error)})'
                return Problem(file, line, name, message, "Correct it", "broken JSON", "row")
        elif opening == "[":
            row[name] = [part.strip() for part in cell.split("|") if part.strip()]
    return row


def _parquet_rows(path: Path, required: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        header = _header(path, file.schema_arrow.names, required)
        line = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in _arrow_rows(path.name, line, header, batch):
                line += 1
                yield line, row
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise CatalogueError(f"{path} is no readable Parquet file ({reason}). Write it again.") from error


def _arrow_rows(file: str, done: int, header: list[str], batch: Any) -> Iterator[dict[str, Any] | Problem]:
    try:
        columns = [column.to_pylist(maps_as_pydicts="strict") for column in batch.columns]
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                values = [column[place].as_py(maps_as_pydicts="strict") for column in batch.columns]
            except UnicodeDecodeError:
                message, remedy = "broken UTF-8", "Write the file again from UTF-8"
                yield Problem(file, done + place + 1, "", message, remedy, "broken UTF-8", "row")
            else:
                yield _arrow_row(header, values)
        return
    for cells in zip(*columns, strict=True):
        yield _arrow_row(header, cells)


def _arrow_row(header: list[str], values: Sequence[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(header, values, strict=True) if value is not None}


# Writing ---------------------------------------------------------------------------------------------------------


def write_listings(listings: Iterable[Listing], path: str | Path) -> None:
    """Write listings as .jsonl, .csv or .parquet; photos stay where they are."""
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise SettingsError(f"{path}: listings are written as .jsonl, .csv or .parquet.")
    with replaced(path) as part:
        _WRITERS[path.suffix](part, listings)


def write_queries(queries: Iterable[Query], path: str | Path) -> None:
    """Write queries, one {"id", "text"} a line."""
    with replaced(Path(path)) as part:
        _write_jsonl(part, ({"id": query.id, "text": query.text} for query in queries))


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which it replaces only when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.filename == str(part):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        part.unlink(missing_ok=True)


def _as_row(listing: Listing) -> dict[str, Any]:
    """Only what the listing has."""
    row = {
        "id": listing.id,
        "title": listing.title,
        "description": listing.description,
        "tags": list(listing.tags),
        "images": list(listing.images),
        "price": listing.price,
        "attributes": dict(listing.attributes),
        "product": listing.product,
        **listing.texts,
    }
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _flat(listings: Iterable[Listing], pack: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows for a table; the columns in `pack` as JSON."""
    rows = [_as_row(listing) for listing in listings]
    for row in rows:
        row.update({name: json.dumps(row[name], ensure_ascii=False) for name in pack if name in row})
    return list(dict.fromkeys([*_FIELDS, *(name for row in rows for name in row)])), rows


def _write_csv(path: Path, listings: Iterable[Listing]) -> None:
    columns, rows = _flat(listings, pack=("tags", "images", "attributes"))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, listings: Iterable[Listing]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, rows = _flat(listings, pack=("attributes",))
    types = {"tags": pa.list_(pa.string()), "images": pa.list_(pa.string()), "price": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


_WRITERS: dict[str, Callable[[Path, Iterable[Listing]], None]] = {
    ".jsonl": lambda path, listings: _write_jsonl(path, map(_as_row, listings)),
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
