"""Filters of requests, parsed against a shop's columns and converted to SQL; their text is never passed through.

    price<=50    attributes.gender=men    attributes.colors!=red

A filter is a column, an operator and a value. Several `=` filters on one column match any of their values; all other
filters must match. On a column of lists, `=` matches lists that contain the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wares.core.errors import FilterError
from wares.serve.errors import MAX_SHOWN_LENGTH
from wares.shop.attributes import sql_string

if TYPE_CHECKING:
    import pyarrow as pa


ColumnKind = Literal["string", "number", "bool", "list"]
OPERATORS = ("<=", ">=", "!=", "=", "<", ">")
STANDARD_COLUMNS: Mapping[str, ColumnKind] = {
    "id": "string",
    "title": "string",
    "description": "string",
    "product": "string",
    "tags": "list",
    "price": "number",
}


@dataclass(frozen=True)
class Column:
    """A column that filters may name. name: as in a request; sql: as in an SQL expression of Lance"""

    name: str
    sql: str
    kind: ColumnKind


@dataclass(frozen=True)
class ColumnFilter:
    """One filter. value: text from the request"""

    column: Column
    operator: str
    value: str

    @property
    def sql(self) -> str:
        """The filter as an SQL expression. Raises FilterError if the value or operator does not suit the column."""
        name, kind = self.column.sql, self.column.kind
        if kind == "number":
            number = self._number()
            return self._differs(number) if self.operator == "!=" else f"{name} {self.operator} {number}"
        if self.operator not in ("=", "!="):
            raise FilterError(f'filter "{self}": {self.column.name} is not a column of numbers. Use = or !=.')
        if kind == "bool":
            if self.value not in ("true", "false"):
                raise FilterError(f'filter "{self}": {self.column.name} is a column of booleans. Write true or false.')
            return f"{name} = {self.value}" if self.operator == "=" else self._differs(self.value)
        value = sql_string(self.value)
        if kind == "list":
            contains = f"array_has({name}, {value})"
            return contains if self.operator == "=" else f"({name} IS NULL OR NOT {contains})"
        return f"{name} = {value}" if self.operator == "=" else self._differs(value)

    def _differs(self, value: str) -> str:
        """SQL for !=: a listing without a value differs from every value."""
        return f"({self.column.sql} IS NULL OR {self.column.sql} != {value})"

    def _number(self) -> str:
        try:
            number = float(self.value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise FilterError(f'filter "{self}": "{self.value}" is not a number. Write a finite number.')
        return repr(number)

    def __str__(self) -> str:
        return f"{self.column.name}{self.operator}{self.value}"


def filterable_columns(schema: pa.Schema) -> dict[str, Column]:
    """The columns of a shop's table that filters may name, by name."""
    import pyarrow.types as types

    from wares.shop.attributes import quote_column

    columns = {name: Column(name, name, kind) for name, kind in STANDARD_COLUMNS.items() if name in schema.names}
    for field in schema.field("attributes").type if "attributes" in schema.names else ():
        kind: ColumnKind = "string"
        if types.is_list(field.type):
            kind = "list"
        elif types.is_boolean(field.type) or types.is_floating(field.type):
            kind = "bool" if types.is_boolean(field.type) else "number"
        name = f"attributes.{field.name}"
        columns[name] = Column(name, f"attributes.{quote_column(field.name)}", kind)
    return columns


def parse_filter(text: str, columns: Mapping[str, Column]) -> ColumnFilter:
    """The filter that a request's text describes. Raises FilterError if it is not valid for these columns."""
    for name in sorted(columns, key=len, reverse=True):  # longest first: a name may contain an operator
        rest = text.removeprefix(name).lstrip() if text.startswith(name) else ""
        operator = next((operator for operator in OPERATORS if rest.startswith(operator)), None)
        if operator is not None:
            parsed = ColumnFilter(columns[name], operator, rest.removeprefix(operator).strip())
            _ = parsed.sql  # raises FilterError
            return parsed
    shown = text if len(text) <= MAX_SHOWN_LENGTH else text[:MAX_SHOWN_LENGTH] + "…"
    if not re.search(r"[<>=]", text):
        raise FilterError(f'filter "{shown}" has no operator. Write COLUMN, one of {" ".join(OPERATORS)}, VALUE.')
    raise FilterError(f'filter "{shown}" names no column of this shop. Use one of {", ".join(columns)}.')


def sql_condition(filters: Sequence[ColumnFilter], excluded_column: str | None = None) -> str | None:
    """All filters as one SQL condition; None without filters. excluded_column: its filters are left out"""
    alternatives: dict[str, list[str]] = {}
    for column_filter in filters:
        name = column_filter.column.name
        if name != excluded_column:
            group = name if column_filter.operator == "=" else str(column_filter)
            alternatives.setdefault(group, []).append(column_filter.sql)
    return " AND ".join(f"({' OR '.join(group)})" for group in alternatives.values()) or None
