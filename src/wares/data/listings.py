"""Listings, queries and problems: the plain data that every other package passes around."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import (
    Literal,
    Protocol,
    TypeAlias,
)

from wares.core.errors import PhotoError

MAX_TEXT_LENGTH = 20_000  # characters in one text of a listing
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
    def loses_row(self) -> bool:
        """Whether the whole row is lost."""
        return self.severity == "row"

    @property
    def location(self) -> str:
        return f"{self.file}, {line_reference(self.file, self.line)}" if self.line else self.file

    def __str__(self) -> str:
        return " ".join(f"{part.rstrip('.')}." for part in (f"{self.location}: {self.message}", self.remedy) if part)


def line_reference(file: str, line: int) -> str:
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
    file_name: name of the file in it that was read
    lines: line (row of a Parquet file) of each listing; empty where they come from no file
    """

    folder: Path
    listings: tuple[Listing, ...]
    problems: tuple[Problem, ...] = ()
    file_name: str = "listings.jsonl"
    lines: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.listings)

    def photo_path(self, name: str) -> Path:
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
        return Problem(self.file_name, line, "images", message, kind="unreadable photo")


class AnyCatalogue(Protocol):
    """Listings that can be read chunk by chunk, and as a whole: a `Catalogue`, a `CatalogueFile`, or a shop's own."""

    @property
    def folder(self) -> Path: ...
    def chunks(self, size: int) -> Iterator[Catalogue]: ...
    def read(self) -> Catalogue: ...
