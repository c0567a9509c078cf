"""Filters: parsing, SQL, and attempts at SQL injection."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_client import search_json
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from toys import opened

from wares.core.errors import FilterError
from wares.serve.filters import Column, filterable_columns, parse_filter, sql_condition


@pytest.mark.parametrize(
    "attempt",
    [
        "attributes.gender=men' OR '1'='1",
        "attributes.gender=x') OR (1=1",
        "attributes.gender=men; DROP TABLE listings",
        "attributes.gender=men' -- ",
        "title=\\' OR 1=1",
        'title=" OR ""="',
        "title=`id`",
        "attributes.gender=\x00",
    ],
)
def test_sql_injection_matches_nothing(client: TestClient, attempt: str) -> None:
    assert search_json(client, q="mug", filter=attempt)["total"] == 0


COLUMNS = {
    "price": Column("price", "price", "number"),
    "title": Column("title", "title", "string"),
    "attributes.a=b": Column("attributes.a=b", "attributes.`a=b`", "string"),
}


@given(st.text(max_size=30))
def test_a_text_filter_quotes_its_value(text: str) -> None:
    sql = parse_filter(f"title={text}", COLUMNS).sql
    assert sql == "title = '" + text.strip().replace("'", "''") + "'"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_filter_keeps_its_number(number: float) -> None:
    sql = parse_filter(f"price >= {number}", COLUMNS).sql
    assert float(sql.removeprefix("price >= ")) == number


def test_a_column_name_may_contain_an_operator() -> None:
    assert parse_filter("attributes.a=b=c", COLUMNS).sql == "attributes.`a=b` = 'c'"


def test_filters_become_one_sql_condition() -> None:
    filters = [parse_filter(text, COLUMNS) for text in ("title=a", "price<3", "title=b", "title!=c", "price>1")]
    assert sql_condition(filters) == (
        "(title = 'a' OR title = 'b') AND (price < 3.0) AND ((title IS NULL OR title != 'c')) AND (price > 1.0)"
    )
    assert sql_condition(filters, excluded_column="title") == "(price < 3.0) AND (price > 1.0)"
    assert sql_condition([]) is None


@pytest.mark.parametrize("text", ["", "=", "price", "price ~ 3", "nothing=1", "price=", "price=1e999"])
def test_invalid_filters_are_rejected(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text, COLUMNS)


def test_kinds_of_the_filterable_columns(shops: dict[str, Path]) -> None:
    kinds = {name: column.kind for name, column in filterable_columns(opened(shops["three"]).table.schema).items()}
    assert kinds == {
        "id": "string",
        "title": "string",
        "description": "string",
        "product": "string",
        "tags": "list",
        "price": "number",
        "attributes.colors": "list",
        "attributes.gender": "string",
        "attributes.new": "bool",
        "attributes.size": "number",
    }
