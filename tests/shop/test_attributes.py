"""Attributes as columns: types, names and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy_shop

from wares.data.listings import Attribute, Listing
from wares.shop.attributes import infer_attribute_columns
from wares.shop.searching import search
from wares.shop.shop import Shop


def rows(shop: Shop) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.table.to_arrow().to_pylist()}


def test_attributes_of_several_types_become_text() -> None:
    listings = [
        Listing("a", "a", attributes={"size": 4.0, "new": True, "fits": ["x", "y"]}),
        Listing("b", "b", attributes={"size": "XL", "new": 0.5, "fits": "z"}),
    ]
    columns = infer_attribute_columns(listings)
    assert columns.to_row(listings[0]) == {"size": "4", "new": "true", "fits": "x, y"}
    assert columns.to_row(listings[1]) == {"size": "XL", "new": "0.5", "fits": "z"}
    assert [note.split()[1] for note in columns.notes] == ['"fits"', '"new"', '"size"']


def test_integers_that_a_float_cannot_hold_stay_apart(tmp_path: Path) -> None:
    codes = {"x": 2**53 + 1, "y": 2**53 + 2, "z": -(2**60) - 1}
    shop = toy_shop(tmp_path, [Listing(id, "y", attributes={"code": code}) for id, code in codes.items()])
    for id, code in codes.items():
        assert [hit.id for hit in search(shop, "y", where=f"attributes.code = '{code}'")] == [id]


def test_attribute_names_that_no_filter_could_spell(tmp_path: Path) -> None:
    names = ["a.b", "a_b", "", "`", "fit type", "größe", "Size", "size", 'say "x"', "vector"]
    listings = [Listing("yes", "y", attributes=dict.fromkeys(names, True)), Listing("no", "n")]
    shop = toy_shop(tmp_path, listings)
    columns = [column for column in shop.columns if column.startswith("attributes.")]
    assert len(columns) == len(names)
    assert {"attributes.a_b", "attributes.a_b_", "attributes.`fit type`"} <= set(columns)
    assert len(shop.build_info.notes) == 3
    for column in columns:
        assert [hit.id for hit in search(shop, "y", where=column)] == ["yes"], column


values: st.SearchStrategy[Attribute] = st.one_of(
    st.text(max_size=4),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(max_size=4), max_size=2),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["p", "q", "r.s"]), values, max_size=3), min_size=1, max_size=4))
def test_any_attributes_can_be_stored(tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]]) -> None:
    listings = [Listing(str(i), "t", attributes=attributes) for i, attributes in enumerate(drawn)]
    stored = rows(toy_shop(tmp_path_factory.mktemp("any"), listings))
    columns = infer_attribute_columns(listings)
    for listing in listings:
        found = {key: value for key, value in stored[listing.id].get("attributes", {}).items() if value is not None}
        assert found == columns.to_row(listing)
