"""Filter expressions, checked against a shop's columns and translated to SQL."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wares.core.errors import FilterError

if TYPE_CHECKING:
    from wares.shop.shop import Shop


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows may be ranked.

    where: the user's filter; excluded_id: id of a listing to leave out

    Raises FilterError where Lance would silently ignore a part of the filter, which is what follows a closing bracket
    or a semicolon too many, and where it would not survive it: at signs that stand for values to come.
    """

    where: str | None = None
    excluded_id: str | None = None

    def __post_init__(self) -> None:
        if self.where is None:
            return
        if not self.where.strip():
            raise FilterError('the filter is empty. Write a condition such as "price < 50", or leave it out.')
        depth = 0
        for sign in re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|::", "", self.where):
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth < 0 or sign in ";$?:":
                raise FilterError(f"filter {_line(self.where)}: there is a stray {sign} in it. Take it out.")

    @property
    def sql(self) -> str:
        """As Lance understands it; empty where every row may be ranked."""
        filters = [f"({self.where}\n)"] if self.where is not None else []
        return " AND ".join(
            filters + ([f"id != {sql_string(self.excluded_id)}"] if self.excluded_id is not None else [])
        )


def check_filter(shop: Shop, where: str, sql: str) -> None:
    """Raise FilterError where the filter itself is at fault. sql: the condition that it is a part of"""
    try:
        shop.table.count_rows(where)
        shop.table.count_rows(sql)
    except (ValueError, RuntimeError, OSError) as error:
        columns = shop.columns
        column = _unknown_column(str(error))
        reason = _mismatch(str(error)) or lance_reason(error)
        if column is not None:
            same = [name for name in columns if name.rpartition(".")[2] == column.rpartition(".")[2]]
            close = same or difflib.get_close_matches(column, columns, 1)
            reason = f"there is no column {column}" + (f"; did you mean {close[0]}?" if close else "")
        joint = "" if reason.endswith("?") else "."
        raise FilterError(f"filter {_line(where)}: {reason}{joint} Columns: {', '.join(columns)}.") from error


def _unknown_column(message: str) -> str | None:
    if nested := re.search(r"Field (.+?) not found in struct", message):
        return f"attributes.{nested[1]}"
    top = re.search(r"No field named (.+?)\.(?: |$)|Column (\S+) does not exist", message)
    return (top[1] or top[2]) if top else None


def _mismatch(message: str) -> str | None:
    """What to write where a value is compared with a column of another type."""
    found = re.search(r"literal \w+\((.*)\) and could not convert to literal of type '(\w+)", message)
    if not found:
        return None
    value, kind = found[1].strip('"'), found[2]
    if kind == "List":
        return f"a list is asked for what it holds: array_has(COLUMN, {sql_string(value)})"
    if kind == "Utf8":
        return f"a text is compared with texts, in quotes: {sql_string(value)}"
    return f"{sql_string(value)} is compared with a column of another type ({kind})"


def lance_reason(error: Exception) -> str:
    """What Lance says, in one line and without its own file names."""
    message = _line(str(error))
    parser = re.search(r"sql parser error: (.*)\)$", message)
    message = parser[1] if parser else re.sub(r",? /\S+\.rs:[\d:]+", "", message)
    return re.sub(r"^(Invalid input, |lance error: )+", "", message).rstrip(".")


def _line(text: str) -> str:
    return " ".join(text.split())


def sql_string(text: str) -> str:
    """A text as Lance reads it in a filter."""
    return "'" + text.replace("'", "''") + "'"
