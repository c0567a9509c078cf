"""Filters of a search: SQL conditions, checked against the columns of a shop."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wares.core.errors import FilterError
from wares.shop.attributes import sql_string

if TYPE_CHECKING:
    from wares.shop.shop import Shop


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows that a search ranks.

    where: an SQL condition of the user; excluded_id: id of a listing to leave out

    Raises FilterError for a stray closing bracket or semicolon, after which Lance silently ignores the rest, and for
    placeholders (`?`, `$`, `:`), on which it crashes.
    """

    where: str | None = None
    excluded_id: str | None = None

    def __post_init__(self) -> None:
        if self.where is None:
            return
        if not self.where.strip():
            raise FilterError('the filter is empty. Write a condition such as "price < 50", or leave it out.')
        depth = 0
        for character in re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|::", "", self.where):
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0 or character in ";$?:":
                raise FilterError(f"filter {_line(self.where)}: stray {character}. Remove it.")

    @property
    def sql(self) -> str:
        """The condition as Lance reads it; empty if all rows are ranked."""
        filters = [f"({self.where}\n)"] if self.where is not None else []
        return " AND ".join(
            filters + ([f"id != {sql_string(self.excluded_id)}"] if self.excluded_id is not None else [])
        )


def check_filter(shop: Shop, where: str, sql: str) -> None:
    """Raise FilterError if Lance rejects the filter. sql: the whole condition that `where` is part of"""
    try:
        shop.table.count_rows(where)
        shop.table.count_rows(sql)
    except (ValueError, RuntimeError, OSError) as error:
        columns = shop.columns
        column = _unknown_column(str(error))
        reason = _mismatch(str(error)) or lance_reason(error)
        if column is not None:
            same_name = [name for name in columns if name.rpartition(".")[2] == column.rpartition(".")[2]]
            close = same_name or difflib.get_close_matches(column, columns, 1)
            reason = f"there is no column {column}" + (f"; did you mean {close[0]}?" if close else "")
        period = "" if reason.endswith("?") else "."
        raise FilterError(f"filter {_line(where)}: {reason}{period} Columns: {', '.join(columns)}.") from error


def _unknown_column(message: str) -> str | None:
    if nested := re.search(r"Field (.+?) not found in struct", message):
        return f"attributes.{nested[1]}"
    top = re.search(r"No field named (.+?)\.(?: |$)|Column (\S+) does not exist", message)
    return (top[1] or top[2]) if top else None


def _mismatch(message: str) -> str | None:
    """What is wrong if a value is compared with a column of another type."""
    match = re.search(r"literal \w+\((.*)\) and could not convert to literal of type '(\w+)", message)
    if not match:
        return None
    value, kind = match[1].strip('"'), match[2]
    if kind == "List":
        return f"a list is compared with a value; write array_has(COLUMN, {sql_string(value)})"
    if kind == "Utf8":
        return f"a text column is compared with another type; write {sql_string(value)}"
    return f"{sql_string(value)} is compared with a column of another type ({kind})"


def lance_reason(error: Exception) -> str:
    """The message of an error of Lance, in one line and without its source files."""
    message = _line(str(error))
    parser = re.search(r"sql parser error: (.*)\)$", message)
    message = parser[1] if parser else re.sub(r",? /\S+\.rs:[\d:]+", "", message)
    return re.sub(r"^(Invalid input, |lance error: )+", "", message).rstrip(".")


def _line(text: str) -> str:
    return " ".join(text.split())
