"""Fields of listings and queries, validated, with messages that name the field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import (
    Annotated,
    Any,
    Required,  # pydantic asks for these before Python 3.12
    TypeVar,
)

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from wares.data.formats import _plain, _shown
from wares.data.listings import MAX_TEXT, Listing, Problem, _place

T = TypeVar("T")


# What one row may hold -------------------------------------------------------------------------------------------


class _Row(TypedDict, total=False):
    id: Required[str | int]
    title: Required[str]
    description: str
    tags: list[str]
    images: list[str]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    attributes: dict[str, str | bool | FiniteFloat | list[str] | None]
    product: str | int


class _QueryRow(TypedDict):
    id: str | int
    text: str


_ROW = TypeAdapter(_Row)
_QUERY = TypeAdapter(_QueryRow)
_REQUIRED = ("id", "title")
_FIELDS = ("id", "title", "description", "tags", "images", "price", "attributes", "product")
_KNOWN = frozenset(_FIELDS)
_EXPECTED = {
    "id": "text or a whole number",
    "title": "text",
    "text": "text",
    "description": "text",
    "tags": "a list of texts",
    "images": "a list of paths",
    "price": "a finite number, 0 or more",
    "attributes": "an object",
    "product": "text or a whole number",
}
_INNER = {"tags": "text", "images": "a path", "attributes": "text, a finite number, a boolean or a list of texts"}


def listing_problems(listing: Listing) -> list[Problem]:
    """What keeps a listing that comes from no file out of a catalogue; whether its photos are there is not asked."""
    where = f'listing "{listing.id}"'
    checked = _validated(_ROW, where, 0, _as_row(listing), {})
    if isinstance(checked, list):
        return checked
    return [Problem(where, 0, name, message, remedy, kind, "row") for name, message, remedy, kind in _unfit(listing)]


def _unfit(listing: Listing) -> Iterator[tuple[str, str, str, str]]:
    """Field, message, remedy and kind of what types do not tell."""
    if listing.id != listing.id.strip():
        yield "id", '"id" has spaces around it', "Remove them", "wrong type"
    texts = {"title": listing.title, "description": listing.description, "tags": ", ".join(listing.tags)}
    for name, text in [*texts.items(), *listing.texts.items()]:
        if len(text) > MAX_TEXT:
            message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT:,}'
            yield name, message, "Shorten it", "long text"
    for name, count in Counter(listing.images).items():
        if count > 1:
            yield "images", f'"images" names {_plain(name)} more than once', "Name it once", "repeated photo"
    try:
        json.dumps(_as_row(listing), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "", "it holds a letter that UTF-8 does not have", "Write it as UTF-8", "broken UTF-8"


def _validated(
    kind: TypeAdapter[T], file: str, line: int, row: dict[str, Any], first: Mapping[str, int]
) -> T | list[Problem]:
    """The row with its types checked, or what is wrong with it, one problem a field.

    first: the line of every id so far
    """
    try:
        values = kind.validate_python(row, strict=True)
    except ValidationError as error:
        by_field: dict[str, ErrorDetails] = {}
        for detail in error.errors(include_url=False):
            by_field.setdefault(str(detail["loc"][0]), detail)
        return [_fault(file, line, name, detail, row) for name, detail in by_field.items()]
    for name in _REQUIRED if kind is _ROW else ("id", "text"):
        if not str(row[name]).strip():
            remedy = "Fill it in, or remove the row"
            return [Problem(file, line, name, f'"{name}" is empty', remedy, "empty field", "row")]
    if (id := str(row["id"]).strip()) in first:
        message = f'"id" {_plain(id)} is already the id of {_place(file, first[id])}'
        return [Problem(file, line, "id", message, "Give every row an id of its own", "repeated id", "row")]
    return values


def _fault(file: str, line: int, name: str, detail: ErrorDetails, row: dict[str, Any]) -> Problem:
    if detail["type"] == "missing":
        message = f'"{name}" is missing; the row has {", ".join(row) or "nothing"}'
        return Problem(file, line, name, message, "Fill it in, or remove the row", "missing field", "row")
    inner, value, expected = "", row[name], _EXPECTED[name]
    if len(detail["loc"]) > 1 and name in _INNER:
        key = detail["loc"][1]
        inner, value, expected = (f"item {key + 1}" if isinstance(key, int) else f'"{key}"'), value[key], _INNER[name]
    return _wrong_type(file, line, name, value, expected, inner)


def _wrong_type(file: str, line: int, name: str, value: object, expected: str, inner: str = "") -> Problem:
    kind = "bad price" if name == "price" else "wrong type"
    what = f'{inner} of "{name}"' if inner else f'"{name}"'
    return Problem(file, line, name, f"{what} must be {expected}, not {_shown(value)}", "Correct it", kind, "row")


def _as_row(listing: Listing) -> dict[str, Any]:
    """Only what the listing has."""
    row = {
        "id": listing.id,
        "title": listing.title,
        "description": listing.description,
        "tags": list(listing.tags),
        "images": list(listing.images),
        "price": listing.price,
        "attributes": dict(listing.attributes),
        "product": listing.product,
        **listing.texts,
    }
    return {name: value for name, value in row.items() if value not in (None, "", [], {})}
