"""Listings, queries and problems: the plain data that every other package passes around."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from wares.core.errors import PhotoError

MAX_TEXT_LENGTH = 20_000  # characters of one text of a listing
Attribute: TypeAlias = str | float | bool | list[str]
MAX_EXACT_INTEGER = 2**53  # larger integers share 64-bit floats with others
OnError = Literal["stop", "skip"]
Severity = Literal["row", "view", "note"]


@dataclass(frozen=True, slots=True)
class Listing:
    """An item for sale: photos (paths inside the catalogue), texts, price and attributes.

    product: shared by listings of the same product; None if unknown
    texts: further text fields, by name

    Example:
        >>> Listing("7", "Red boots", "Warm.", images=("photos/boots.jpg",), price=80.0).title
        'Red boots'
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
    """An unusable part of a catalogue: where it is, what is wrong, and what to do.

    line: 1-based line (row of a Parquet file); 0 for the file as a whole
    kind: a short name that problems of the same kind share
    severity: what skipping loses: the "row", one "view" (a photo, the end of a text), or nothing ("note")
    """

    file: str
    line: int
    field: str
    message: str
    remedy: str = ""
    kind: str = "other"
    severity: Severity = "view"

    @property
    def loses_row(self) -> bool:
        """Whether skipping the problem loses the whole row."""
        return self.severity == "row"

    @property
    def location(self) -> str:
        """File and line, for messages."""
        return f"{self.file}, {line_reference(self.file, self.line)}" if self.line else self.file

    def __str__(self) -> str:
        return " ".join(f"{part.rstrip('.')}." for part in (f"{self.location}: {self.message}", self.remedy) if part)


def line_reference(file: str, line: int) -> str:
    """A line as messages name it: "line 3", or "row 3" in a Parquet file."""
    return f"{'row' if file.endswith('.parquet') else 'line'} {line}"


def exact_attribute(value: Any) -> Any:
    """An integer beyond ±2**53 as text, which keeps it apart from others; another value unchanged."""
    is_inexact = isinstance(value, int) and abs(value) > MAX_EXACT_INTEGER
    return str(value) if is_inexact else value


@dataclass(frozen=True, slots=True)
class Query:
    """A search query.

    Example:
        >>> Query("q1", "red boots")
        Query(id='q1', text='red boots')
    """

    id: str
    text: str


@dataclass(frozen=True)
class Catalogue:
    """Valid listings of a catalogue, and the problems of the others.

    folder: absolute; photo paths are relative to it
    file_name: of the file in that folder
    lines: line (row of a Parquet file) of each listing; empty if the listings come from no file

    Example:
        >>> from pathlib import Path
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue mug")))
        >>> [listing.id for listing in catalogue.subset([1]).listings]
        ['2']
    """

    folder: Path
    listings: tuple[Listing, ...]
    problems: tuple[Problem, ...] = ()
    file_name: str = "listings.jsonl"
    lines: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.listings)

    def photo_path(self, name: str) -> Path:
        """Absolute path of a listing's photo; the reader has checked that it is inside the folder."""
        return self.folder / name

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """Catalogues of `size` listings; the first has all problems."""
        for start in range(0, len(self), size):
            chunk = self.subset(range(start, min(start + size, len(self))))
            yield chunk if start == 0 else replace(chunk, problems=())

    def read(self) -> Catalogue:
        """The catalogue itself: it is in memory already."""
        return self

    def subset(self, indices: Iterable[int]) -> Catalogue:
        """The listings at some indices, in the given order."""
        chosen = [int(i) for i in indices]
        lines = tuple(self.lines[i] for i in chosen) if self.lines else ()
        return replace(self, listings=tuple(self.listings[i] for i in chosen), lines=lines)

    def photo_problem(self, index: int, error: PhotoError) -> Problem:
        """The problem to report if a photo of listing `index` does not decode."""
        line = self.lines[index] if self.lines else 0
        message = str(error).replace(f"{self.folder}{os.sep}", "")
        return Problem(self.file_name, line, "images", message, kind="unreadable photo")


class AnyCatalogue(Protocol):
    """A catalogue that is read as a whole or in chunks: `Catalogue`, `CatalogueFile`, or the listings of a shop."""

    @property
    def folder(self) -> Path: ...
    def chunks(self, size: int) -> Iterator[Catalogue]: ...
    def read(self) -> Catalogue: ...
