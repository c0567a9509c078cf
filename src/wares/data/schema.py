"""Fields of listings and queries, and the validation of rows; messages name the field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Required, TypeVar

from pydantic import BeforeValidator, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict  # pydantic requires this one before Python 3.12

from wares.data.formats import display_name, json_excerpt
from wares.data.listings import MAX_TEXT_LENGTH, Listing, Problem, exact_attribute, line_reference

T = TypeVar("T")


class ListingRow(TypedDict, total=False):
    """Fields of a listing, by type."""

    id: Required[str | int]
    title: Required[str]
    description: str
    tags: list[str]
    images: list[str]
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    attributes: dict[str, Annotated[str | bool | FiniteFloat | list[str] | None, BeforeValidator(exact_attribute)]]
    product: str | int


class QueryRow(TypedDict):
    """Fields of a query, by type."""

    id: str | int
    text: str


LISTING_SCHEMA = TypeAdapter(ListingRow)
QUERY_SCHEMA = TypeAdapter(QueryRow)
REQUIRED_FIELDS = ("id", "title")
LISTING_FIELDS = ("id", "title", "description", "tags", "images", "price", "attributes", "product")
KNOWN_FIELDS = frozenset(LISTING_FIELDS)
EXPECTED_TYPES = {
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
_EXPECTED_ITEM_TYPES = {
    "tags": "text",
    "images": "a path",
    "attributes": "text, a finite number, a boolean or a list of texts",
}


def listing_problems(listing: Listing) -> list[Problem]:
    """Problems of a listing that does not come from a file; photos need not exist."""
    file = f'listing "{listing.id}"'
    values = validate_row(LISTING_SCHEMA, file, 0, listing_to_row(listing), {})
    if isinstance(values, list):
        return values
    return [
        Problem(file, 0, name, message, remedy, kind, "row") for name, message, remedy, kind in _value_problems(listing)
    ]


def _value_problems(listing: Listing) -> Iterator[tuple[str, str, str, str]]:
    """Field, message, remedy and kind of problems that types do not show."""
    if listing.id != listing.id.strip():
        yield "id", '"id" has spaces around it', "Remove them", "wrong type"
    texts = {"title": listing.title, "description": listing.description, "tags": ", ".join(listing.tags)}
    for name, text in [*texts.items(), *listing.texts.items()]:
        if len(text) > MAX_TEXT_LENGTH:
            message = f'"{name}" is {len(text):,} characters long; the limit is {MAX_TEXT_LENGTH:,}'
            yield name, message, "Shorten it", "long text"
    for name, count in Counter(listing.images).items():
        if count > 1:
            yield "images", f'"images" names {display_name(name)} more than once', "Name it once", "duplicate photo"
    try:
        json.dumps(listing_to_row(listing), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "", "it contains a character that UTF-8 cannot encode", "Write it as UTF-8", "broken UTF-8"


def validate_row(
    schema: TypeAdapter[T], file: str, line: int, row: dict[str, Any], line_of_id: Mapping[str, int]
) -> T | list[Problem]:
    """The row with validated types, or its problems: one per field.

    line_of_id: line of each earlier id
    """
    try:
        values = schema.validate_python(row, strict=True)
    except ValidationError as error:
        by_field: dict[str, ErrorDetails] = {}
        for detail in error.errors(include_url=False):
            by_field.setdefault(str(detail["loc"][0]), detail)
        return [_field_problem(file, line, name, detail, row) for name, detail in by_field.items()]
    for name in REQUIRED_FIELDS if schema is LISTING_SCHEMA else ("id", "text"):
        if not str(row[name]).strip():
            remedy = "Fill it in, or remove the row"
            return [Problem(file, line, name, f'"{name}" is empty', remedy, "empty field", "row")]
    if (id := str(row["id"]).strip()) in line_of_id:
        message = f'"id" {display_name(id)} is already the id of {line_reference(file, line_of_id[id])}'
        return [Problem(file, line, "id", message, "Give every row its own id", "duplicate id", "row")]
    return values


def _field_problem(file: str, line: int, name: str, detail: ErrorDetails, row: dict[str, Any]) -> Problem:
    if detail["type"] == "missing":
        message = f'"{name}" is missing; the row has {", ".join(row) or "nothing"}'
        return Problem(file, line, name, message, "Fill it in, or remove the row", "missing field", "row")
    item, value, expected = "", row[name], EXPECTED_TYPES[name]
    if len(detail["loc"]) > 1 and name in _EXPECTED_ITEM_TYPES:
        key = detail["loc"][1]
        item = f"item {key + 1}" if isinstance(key, int) else f'"{key}"'
        value, expected = value[key], _EXPECTED_ITEM_TYPES[name]
    return wrong_type_problem(file, line, name, value, expected, item)


def wrong_type_problem(file: str, line: int, name: str, value: object, expected: str, item: str = "") -> Problem:
    """The problem of a value of the wrong type. item: of a list or an object, as messages name it"""
    kind = "bad price" if name == "price" else "wrong type"
    subject = f'{item} of "{name}"' if item else f'"{name}"'
    return Problem(
        file, line, name, f"{subject} must be {expected}, not {json_excerpt(value)}", "Correct it", kind, "row"
    )


def listing_to_row(listing: Listing) -> dict[str, Any]:
    """A listing as a JSON object without its empty fields."""
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
