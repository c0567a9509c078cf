"""Attributes of listings as typed columns of a shop's table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wares.core.errors import CatalogueError
from wares.data.listings import Listing, exact_attribute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wares.data.listings import Attribute


def sql_string(text: str) -> str:
    """A text as a literal in SQL."""
    return "'" + text.replace("'", "''") + "'"


def quote_column(name: str) -> str:
    """The name of a column as a filter spells it, in backticks if need be."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"


AttributeKind = Literal["string", "number", "bool", "list", "mixed"]
KIND_DESCRIPTIONS: dict[AttributeKind, str] = {
    "string": "text",
    "number": "a number",
    "bool": "true or false",
    "list": "a list of texts",
}


@dataclass(frozen=True)
class AttributeColumns:
    """The column and the type of each attribute.

    names: attribute -> column; kinds: attribute -> type; "mixed" for several types, which are stored as text
    notes: attributes that are stored under another name or type, one line each
    """

    names: Mapping[str, str]
    kinds: Mapping[str, AttributeKind]
    notes: list[str]

    def to_row(self, listing: Listing) -> dict[str, Attribute]:
        """The attributes of a listing by column."""
        return {
            self.names[key]: _as_text(value) if self.kinds[key] == "mixed" else exact_attribute(value)
            for key, value in listing.attributes.items()
        }

    def check(self, listing: Listing) -> None:
        """Raise CatalogueError if an attribute has no column, or has another type than its column."""
        for key, value in listing.attributes.items():
            where, kind = f'listing "{listing.id}": attribute "{key}"', self.kinds.get(key)
            if kind is None:
                known = ", ".join(self.kinds) or "none"
                raise CatalogueError(
                    f"{where} has no column in this shop (columns: {known}). Remove it, or rebuild the shop from a "
                    "catalogue that has it."
                )
            if kind not in ("mixed", _kind(value)):
                raise CatalogueError(
                    f"{where} is {KIND_DESCRIPTIONS[_kind(value)]}; its column in this shop holds "
                    f"{KIND_DESCRIPTIONS[kind]}. Correct it, or rebuild the shop from a catalogue with this type."
                )

    def from_row(self, row: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
        """The attributes of a row by their names in the catalogue."""
        return {key: value for key, name in self.names.items() if (value := row[name]) is not None}


def infer_attribute_columns(listings: Iterable[Listing]) -> AttributeColumns:
    """A column for every attribute that any listing has.

    An attribute with values of several types is stored as text. A name that a filter cannot spell (empty, or with a
    dot or a backtick) is stored with underscores.
    """
    kinds_seen: dict[str, set[AttributeKind]] = {}
    for listing in listings:
        for key, value in listing.attributes.items():
            kinds_seen.setdefault(key, set()).add(_kind(value))
    names: dict[str, str] = {}
    kinds: dict[str, AttributeKind] = {}
    notes = []
    for key, seen in sorted(kinds_seen.items()):
        name = re.sub(r"[.`]", "_", key) or "_"
        while name != key and (name in kinds_seen or name in names.values()):
            name += "_"
        names[key], kinds[key] = name, seen.pop() if len(seen) == 1 else "mixed"
        if seen:
            notes.append(f'attribute "{key}" has values of several types, which are stored as text.')
        if name != key:
            notes.append(f'attribute "{key}" is stored as "{name}", because a filter cannot spell its name.')
    return AttributeColumns(names, kinds, notes)


def _kind(value: Attribute) -> AttributeKind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(exact_attribute(value), str):
        return "string"
    return "list" if isinstance(value, list | tuple) else "number"


def _as_text(value: Attribute) -> str:
    value = exact_attribute(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(value)
    return str(int(value)) if float(value).is_integer() else repr(value)
