"""Rows of a catalogue's file turned into listings and problems."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from wares.core.errors import CatalogueError
from wares.data.formats import json_error_reason, json_excerpt, read_rows
from wares.data.listings import MAX_TEXT_LENGTH, Listing, OnError, Problem
from wares.data.photo_paths import PhotoPathChecker, PhotoPathProblem
from wares.data.schema import (
    EXPECTED_TYPES,
    KNOWN_FIELDS,
    LISTING_SCHEMA,
    REQUIRED_FIELDS,
    ListingRow,
    validate_row,
    wrong_type_problem,
)


class ListingReader:
    """Reads the rows of one file as listings, and collects or raises their problems.

    line_of_id: filled with the line of each id
    """

    def __init__(
        self, path: Path, on_error: OnError, text_fields: tuple[str, ...], line_of_id: MutableMapping[str, int]
    ) -> None:
        self._path, self._on_error, self._text_fields = path, on_error, text_fields
        self._file, self._is_corpus = path.name, path.stem == "corpus"
        self._is_table = path.suffix != ".jsonl"  # cells hold lists and numbers as text
        self._problems: list[Problem] = []
        self._photo_paths = PhotoPathChecker(path.parent)
        self._line_of_id = line_of_id
        self._other_columns: dict[str, list[int]] = {}  # columns that are no fields: [first line, rows]
        self._ids_with_spaces: tuple[int, str, int] | None = None  # first line, its id, rows

    def read(self) -> Iterator[tuple[int, Listing]]:
        """Line and listing of each usable row. Raises CatalogueError if no row is usable."""
        rows = listings = 0
        for line, row in read_rows(self._path, REQUIRED_FIELDS, REQUIRED_FIELDS):
            rows += 1
            if self._is_table and not isinstance(row, Problem):
                row = _parse_cells(self._file, line, row)
            if isinstance(row, Problem):
                self._report(row)
            elif (listing := self._listing(line, row)) is not None:
                listings += 1
                self._line_of_id[listing.id] = line
                yield line, listing
        if not rows:
            raise CatalogueError(f"{self._path} is empty: no listings. A listing needs at least an id and a title.")
        self._report_notes()
        if not listings:
            raise CatalogueError(f"{self._path}: none of its {rows:,} rows is usable. The first: {self._problems[0]}")

    def take_problems(self) -> tuple[Problem, ...]:
        """The problems since the last call."""
        problems, self._problems = tuple(self._problems), []
        return problems

    def _report(self, problem: Problem) -> None:
        if self._on_error == "stop" and problem.severity != "note":
            remedy = problem.remedy.rstrip(".") or "Correct it"
            raise CatalogueError(str(replace(problem, remedy=f"{remedy}, or pass --on-error skip")))
        self._problems.append(problem)

    def _listing(self, line: int, row: dict[str, Any]) -> Listing | None:
        """The row as a listing, or None after reporting why not."""
        if self._is_corpus and "text" in row:
            row["description"] = row.pop("text")
        if not row.keys() <= KNOWN_FIELDS:
            self._count_other_columns(line, row)
        values = validate_row(LISTING_SCHEMA, self._file, line, row, self._line_of_id)
        problems = [*(values if isinstance(values, list) else ()), *self._text_field_problems(line, row)]
        for problem in problems:
            self._report(problem)
        return None if problems or isinstance(values, list) else self._build(line, values, row)

    def _build(self, line: int, values: ListingRow, row: dict[str, Any]) -> Listing:
        attributes, id = values.get("attributes", {}), str(values["id"]).strip()
        if id.split() != [id]:
            first_line, first_id, rows = self._ids_with_spaces or (line, id, 0)
            self._ids_with_spaces = (first_line, first_id, rows + 1)
        return Listing(
            id=id,
            title=self._truncate(line, "title", values["title"]),
            description=self._truncate(line, "description", values.get("description", "")),
            tags=self._truncate_tags(line, values.get("tags", [])),
            images=self._valid_photos(line, values.get("images", [])),
            price=values.get("price"),
            attributes={name: value for name, value in attributes.items() if value is not None},
            product=str(values.get("product", "")).strip() or None,
            texts={name: self._truncate(line, name, row[name]) for name in self._text_fields if row.get(name)},
        )

    def _count_other_columns(self, line: int, row: dict[str, Any]) -> None:
        for name in row.keys() - KNOWN_FIELDS:
            self._other_columns.setdefault(name, [line, 0])[1] += 1

    def _report_notes(self) -> None:
        """Report unknown columns and ids with spaces; raise if a declared text field is in no row."""
        if self._ids_with_spaces is not None:
            line, id, rows = self._ids_with_spaces
            message = f'"id" {json_excerpt(id)} contains spaces, which TREC files cannot represent ({rows:,} rows)'
            self._report(Problem(self._file, line, "id", message, "Write ids without spaces", "id with spaces", "note"))
        for name in self._text_fields:
            if name not in self._other_columns:
                known = ", ".join(sorted(self._other_columns)) or "none"
                raise CatalogueError(f'No row of {self._path} has the text field "{name}"; other columns: {known}.')
        for name, (line, rows) in sorted(self._other_columns.items()):
            if name not in self._text_fields:
                message = f'column "{name}" is not used ({rows:,} rows)'
                remedy = "Declare it as a text field if it is a text, or move it into attributes"
                self._report(Problem(self._file, line, name, message, remedy, "unknown column", "note"))

    def _text_field_problems(self, line: int, row: dict[str, Any]) -> Iterator[Problem]:
        for name in self._text_fields:
            if not isinstance(row.get(name, ""), str):
                yield wrong_type_problem(self._file, line, name, row[name], "text")

    def _truncate(self, line: int, name: str, text: str) -> str:
        if len(text) <= MAX_TEXT_LENGTH:
            return text
        message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT_LENGTH:,}'
        self._report(Problem(self._file, line, name, message, "Shorten it", "long text"))
        return text[:MAX_TEXT_LENGTH]

    def _truncate_tags(self, line: int, tags: list[str]) -> tuple[str, ...]:
        """Tags that are not blank, up to the length limit of a text."""
        tags = [tag for tag in tags if tag.strip()]
        ends = list(accumulate(len(tag) + 2 for tag in tags))
        if not tags or ends[-1] <= MAX_TEXT_LENGTH:
            return tuple(tags)
        self._truncate(line, "tags", ", ".join(tags))
        return tuple(tag for tag, end in zip(tags, ends, strict=True) if end <= MAX_TEXT_LENGTH)

    def _valid_photos(self, line: int, names: list[str]) -> tuple[str, ...]:
        """Names of photos that exist, without duplicates."""
        valid: dict[str, str] = {}
        for name in names:
            path = os.path.normpath(name) if "./" in name or "//" in name else name
            problem = self._photo_paths.check(name)
            if problem is None and path in valid:
                problem = PhotoPathProblem("duplicate photo", f"{name} more than once", "Name it once")
            if problem is None:
                valid[path] = name
            else:
                message = f'"images" names {problem.message}'
                self._report(Problem(self._file, line, "images", message, problem.remedy, problem.kind))
        return tuple(valid.values())


def _parse_cells(file: str, line: int, row: dict[str, Any]) -> dict[str, Any] | Problem:
    """The row of a table with numbers, lists and objects parsed from text: JSON, or parts separated by |."""
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
