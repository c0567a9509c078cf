"""Rows of JSON Lines, CSV and Parquet files, each with its line number."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import (
    Any,
    TypeAlias,
    TypeVar,
)

from pydantic_core import from_json

from wares.core.errors import CatalogueError
from wares.data.listings import OnError, Problem

FILE_SUFFIXES = (".jsonl", ".csv", ".parquet")
T = TypeVar("T")
RowIterator: TypeAlias = Iterator[tuple[int, "dict[str, Any] | Problem"]]  # line, and the row or what is wrong with it


def json_excerpt(value: object) -> str:
    """A value as JSON would have it, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def display_name(name: str) -> str:
    """An id or a path as it is, or as JSON where it could not be told from the sentence around it."""
    return name if name.isprintable() and 0 < len(name.strip()) == len(name) <= 200 else json_excerpt(name)


def read_rows(path: Path, required: Sequence[str] = (), keep_empty: Collection[str] = ()) -> RowIterator:
    """Every row of a .jsonl, .csv or .parquet file: its number, and its values by name or what is wrong with it.

    required: columns that a table has to have; keep_empty: columns of CSV in which an empty cell is an empty text, and not
    no value. Raises CatalogueError where the file as a whole cannot be read.
    """
    if path.suffix not in FILE_SUFFIXES:
        raise CatalogueError(f"{path} is none of {', '.join(FILE_SUFFIXES)}. Name such a file.")
    if path.suffix == ".jsonl":
        return _jsonl_rows(path)
    return _csv_rows(path, required, keep_empty) if path.suffix == ".csv" else _parquet_rows(path, required)


def collect_valid_rows(
    rows: RowIterator, parse: Callable[[int, dict[str, Any]], T | Problem], on_error: OnError
) -> tuple[list[T], list[Problem]]:
    """What rows say, and the problems of those that cannot be used.

    parse: what a row says, by its number and its values. Raises CatalogueError at the first problem where on_error is
    "stop".
    """
    said: list[T] = []
    problems: list[Problem] = []
    for line, row in rows:
        found = row if isinstance(row, Problem) else parse(line, row)
        if not isinstance(found, Problem):
            said.append(found)
        elif on_error == "stop":
            raise CatalogueError(f"{found} Or pass --on-error skip.")
        else:
            problems.append(found)
    return said, problems


def _jsonl_rows(path: Path) -> RowIterator:
    """Every line that is not empty, without nulls."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if raw.strip():
                yield line, _parse_json_line(path.name, line, raw)


def _parse_json_line(file: str, line: int, raw: bytes) -> dict[str, Any] | Problem:
    """One line of JSON, without its nulls."""
    try:
        row = from_json(raw.rstrip())  # so that where it ends is counted on its line
    except ValueError as error:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as broken:
            return _broken_utf8(file, line, broken)
        message = f"broken JSON ({json_error_reason(error)})"
        return Problem(file, line, "", message, "Write one JSON object a line", "broken JSON", "row")
    if not isinstance(row, dict):
        message = f"this is {json_excerpt(row)}, not an object"
        return Problem(file, line, "", message, "Write one JSON object a line", "broken JSON", "row")
    return {name: value for name, value in row.items() if value is not None} if None in row.values() else row


def json_error_reason(error: ValueError) -> str:
    return re.sub(r" at line \d+ column (\d+)$", r" at character \1", str(error))


def _broken_utf8(file: str, line: int, error: UnicodeDecodeError) -> Problem:
    message = f"broken UTF-8 at byte {error.start + 1} of the line (0x{error.object[error.start]:02x})"
    return Problem(file, line, "", message, "Save the file as UTF-8", "broken UTF-8", "row")


class _DecodedLines:
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


def _csv_rows(path: Path, required: Sequence[str], filled: Collection[str]) -> RowIterator:
    with path.open("rb") as file, _unlimited_cells():
        lines = _DecodedLines(path.name, file)
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
                header = _check_header(path, cells, required, broken) if cells else None
            elif broken:
                yield line, broken[0]
            elif cells:
                yield line, _csv_row(path.name, line, header, cells, filled)


@contextmanager
def _unlimited_cells() -> Iterator[None]:
    """Let CSV cells be as long as they are, so that a long text is reported as a long text."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _check_header(
    path: Path, cells: Iterable[str], required: Sequence[str], broken: Sequence[Problem] = ()
) -> list[str]:
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


def _csv_row(
    file: str, line: int, header: list[str], cells: list[str], filled: Collection[str]
) -> dict[str, Any] | Problem:
    """A row of CSV; an empty cell is no value, save in a column that is to be filled."""
    if len(cells) != len(header):
        message = f"{len(cells)} cells under {len(header)} columns"
        return Problem(file, line, "", message, "Quote cells that hold commas", "broken CSV", "row")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip() or name in filled}


def _parquet_rows(path: Path, required: Sequence[str]) -> RowIterator:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        header = _check_header(path, file.schema_arrow.names, required)
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
