"""Filters of requests: parsed against a shop's columns and written anew as SQL, never passed through.

    price<=50    attributes.gender=men    attributes.colors!=red

A filter is a column, an operator and a value. Several `=` on one column mean any of the values; everything else has
to hold together. On a column of lists, `=` asks whether the list contains the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wares.core.errors import FilterError
from wares.shop.filters import sql_string

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
    """A column that filters may name. name: as in a request; sql: as Lance spells it"""

    name: str
    sql: str
    kind: ColumnKind


@dataclass(frozen=True)
class ColumnFilter:
    """One condition. value: as it stood in the request"""

    column: Column
    operator: str
    value: str

    @property
    def sql(self) -> str:
        """Raises FilterError where the value or the operator does not go with the column."""
        name, kind = self.column.sql, self.column.kind
        if kind == "number":
            return f"{name} {self.operator} {self._number()}" if self.operator != "!=" else self._other(self._number())
        if self.operator not in ("=", "!="):
            raise FilterError(f'filter "{self}": {self.column.name} is no number, so only = and != go with it.')
        if kind == "bool":
            if self.value not in ("true", "false"):
                raise FilterError(f'filter "{self}": {self.column.name} is true or false.')
            return f"{name} = {self.value}" if self.operator == "=" else self._other(self.value)
        value = sql_string(self.value)
        if kind == "list":
            contains = f"array_has({name}, {value})"
            return contains if self.operator == "=" else f"({name} IS NULL OR NOT {contains})"
        return f"{name} = {value}" if self.operator == "=" else self._other(value)

    def _other(self, value: str) -> str:
        """A listing that says nothing is not this value either."""
        return f"({self.column.sql} IS NULL OR {self.column.sql} != {value})"

    def _number(self) -> str:
        try:
            number = float(self.value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise FilterError(f'filter "{self}": {self.column.name} is a number, and "{self.value}" is none.')
        return repr(number)

    def __str__(self) -> str:
        return f"{self.column.name}{self.operator}{self.value}"


def filterable_columns(schema: pa.Schema) -> dict[str, Column]:
    """The columns of a shop's table that filters may name."""
    import pyarrow.types as types

    from wares.shop.attributes import quote_column

    found = {name: Column(name, name, kind) for name, kind in STANDARD_COLUMNS.items() if name in schema.names}
    for field in schema.field("attributes").type if "attributes" in schema.names else ():
        kind: ColumnKind = "string"
        if types.is_list(field.type):
            kind = "list"
        elif types.is_boolean(field.type) or types.is_floating(field.type):
            kind = "bool" if types.is_boolean(field.type) else "number"
        name = f"attributes.{field.name}"
        found[name] = Column(name, f"attributes.{quote_column(field.name)}", kind)
    return found


def parse_filter(text: str, columns: Mapping[str, Column]) -> ColumnFilter:
    """Raises FilterError where it is no filter, or names a column that is not there."""
    for name in sorted(columns, key=len, reverse=True):  # a name may contain an operator
        rest = text.removeprefix(name).lstrip() if text.startswith(name) else ""
        operator = next((each for each in OPERATORS if rest.startswith(each)), None)
        if operator is not None:
            parsed = ColumnFilter(columns[name], operator, rest.removeprefix(operator).strip())
            _ = parsed.sql
            return parsed
    shown = text if len(text) <= 80 else text[:80] + "…"
    if not re.search(r"[<>=]", text):
        raise FilterError(f'filter "{shown}" has no operator. Write COLUMN, one of {" ".join(OPERATORS)}, VALUE.')
    raise FilterError(f'filter "{shown}" names no column of this shop. There are {", ".join(columns)}.')


def sql_condition(filters: Sequence[ColumnFilter], excluded_column: str | None = None) -> str | None:
    """All filters as one SQL condition; None without filters. excluded_column: its filters are left out"""
    used = [each for each in filters if each.column.name != excluded_column]
    any_of: dict[str, list[str]] = {}
    for each in used:
        any_of.setdefault(each.column.name if each.operator == "=" else str(each), []).append(each.sql)
    return " AND ".join(f"({' OR '.join(parts)})" for parts in any_of.values()) or None
