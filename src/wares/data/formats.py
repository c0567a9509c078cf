"""Readers of JSON Lines, CSV and Parquet files: rows with their line numbers."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from pydantic_core import from_json

from wares.core.errors import CatalogueError, one_line
from wares.data.listings import OnError, Problem

FILE_SUFFIXES = (".jsonl", ".csv", ".parquet")
T = TypeVar("T")
R = TypeVar("R")
RowIterator: TypeAlias = Iterator[tuple[int, "dict[str, Any] | Problem"]]  # line, and row or its problem


def json_excerpt(value: object) -> str:
    """A value as JSON, cut to 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def display_name(name: str) -> str:
    """An id or a path for a message; as JSON if it is blank, long or has unprintable characters."""
    return name if name.isprintable() and 0 < len(name.strip()) == len(name) <= 200 else json_excerpt(name)


def read_rows(path: Path, required: Sequence[str] = (), keep_empty: Collection[str] = ()) -> RowIterator:
    """Each row of a .jsonl, .csv or .parquet file: line number, and values by name or a problem.

    required: columns that a table must have
    keep_empty: columns of a CSV file in which an empty cell is an empty text, not a missing value

    Raises CatalogueError if the file as a whole is not readable.
    """
    if path.suffix not in FILE_SUFFIXES:
        raise CatalogueError(f"{path} has an unknown format. Name a .jsonl, .csv or .parquet file.")
    if path.suffix == ".jsonl":
        return _jsonl_rows(path)
    return _csv_rows(path, required, keep_empty) if path.suffix == ".csv" else _parquet_rows(path, required)


def collect_valid_rows(
    rows: Iterable[tuple[int, R | Problem]], parse: Callable[[int, R], T | Problem], on_error: OnError
) -> tuple[list[T], list[Problem]]:
    """Parsed values of all valid rows, and the problems of the others.

    parse: returns the value or the problem of a line number and its row

    Raises CatalogueError at the first problem if on_error is "stop".
    """
    values: list[T] = []
    problems: list[Problem] = []
    for line, row in rows:
        value = row if isinstance(row, Problem) else parse(line, row)
        if not isinstance(value, Problem):
            values.append(value)
        elif on_error == "stop":
            raise CatalogueError(f"{value} Or pass --on-error skip.")
        else:
            problems.append(value)
    return values, problems


def _jsonl_rows(path: Path) -> RowIterator:
    """Rows of all lines that are not blank."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if raw.strip():
                yield line, _parse_json_line(path.name, line, raw)


def _parse_json_line(file: str, line: int, raw: bytes) -> dict[str, Any] | Problem:
    """The object of one line without its nulls, or a problem."""
    try:
        row = from_json(raw.rstrip())  # else errors at the end are counted on the next line
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
    """A parser's message, which locates the error by character: the text is a single line."""
    return re.sub(r" at line \d+ column (\d+)$", r" at character \1", str(error))


def _broken_utf8(file: str, line: int, error: UnicodeDecodeError) -> Problem:
    message = f"broken UTF-8 at byte {error.start + 1} of the line (0x{error.object[error.start]:02x})"
    return Problem(file, line, "", message, "Save the file as UTF-8", "broken UTF-8", "row")


class _DecodedLines:
    """Lines of a file as text; problems of lines with broken UTF-8, which are decoded lossily, are in `broken`."""

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


def _csv_rows(path: Path, required: Sequence[str], keep_empty: Collection[str]) -> RowIterator:
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
                yield line, _csv_row(path.name, line, header, cells, keep_empty)


@contextmanager
def _unlimited_cells() -> Iterator[None]:
    """Lift the length limit of CSV cells, so that the check of texts reports a long text."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _check_header(
    path: Path, cells: Iterable[str], required: Sequence[str], broken: Sequence[Problem] = ()
) -> list[str]:
    """Names of the columns. Raises CatalogueError if a required one is missing or one is there twice."""
    if broken:
        raise CatalogueError(str(broken[0]))
    names = [cell.strip() for cell in cells]
    for name in required:
        if name not in names:
            raise CatalogueError(
                f'{path} has no column "{name}"; it has {", ".join(names)}. '
                "Name the columns in the first line, separated by commas."
            )
    if duplicates := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise CatalogueError(f'{path} has column "{duplicates[0]}" more than once. Rename or remove one.')
    return names


def _csv_row(
    file: str, line: int, header: list[str], cells: list[str], keep_empty: Collection[str]
) -> dict[str, Any] | Problem:
    """A row of CSV by column; an empty cell is left out, except in the columns `keep_empty`."""
    if len(cells) != len(header):
        message = f"{len(cells)} cells under {len(header)} columns"
        return Problem(file, line, "", message, "Quote cells that contain commas", "broken CSV", "row")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip() or name in keep_empty}


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
        raise CatalogueError(f"{path} is not a readable Parquet file ({one_line(error)}). Write it again.") from error


def _decimals(type: Any) -> Callable[[Any], Any] | None:
    """A function of values of an Arrow type, or None if the type has no narrow floats.

    It replaces each 32- and 16-bit float by the shortest decimal that it stands for: 19.99, not 19.989999771118164.
    """
    import pyarrow.types as kinds

    if kinds.is_float32(type) or kinds.is_float16(type):
        narrow = np.float32 if kinds.is_float32(type) else np.float16
        return lambda value: float(str(narrow(value)))
    if kinds.is_struct(type):
        fields = {field.name: convert for field in type if (convert := _decimals(field.type))}
        if not fields:
            return None
        return lambda struct: {name: _apply(fields.get(name), value) for name, value in struct.items()}
    if kinds.is_map(type):
        items = _decimals(type.item_type)
        return items and (lambda pairs: {name: _apply(items, value) for name, value in pairs.items()})
    if kinds.is_list(type) or kinds.is_large_list(type) or kinds.is_fixed_size_list(type):
        items = _decimals(type.value_type)
        return items and (lambda values: [_apply(items, value) for value in values])
    return _decimals(type.value_type) if kinds.is_dictionary(type) else None


def _apply(convert: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if convert is None or value is None else convert(value)


def _arrow_rows(file: str, rows_before: int, header: list[str], batch: Any) -> Iterator[dict[str, Any] | Problem]:
    converters = [_decimals(column.type) for column in batch.columns]
    try:
        columns = [column.to_pylist(maps_as_pydicts="strict") for column in batch.columns]
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                cells = [column[index].as_py(maps_as_pydicts="strict") for column in batch.columns]
            except UnicodeDecodeError:
                message, remedy = "broken UTF-8", "Write the file again from UTF-8"
                yield Problem(file, rows_before + index + 1, "", message, remedy, "broken UTF-8", "row")
            else:
                yield _arrow_row(header, map(_apply, converters, cells))
        return
    columns = [
        values if convert is None else [_apply(convert, value) for value in values]
        for convert, values in zip(converters, columns, strict=True)
    ]
    for row in zip(*columns, strict=True):
        yield _arrow_row(header, row)


def _arrow_row(header: list[str], values: Iterable[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(header, values, strict=True) if value is not None}
