"""Rows as listings: fields, every kind of bad row, long texts, and columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from catalogue_files import BOOT, MUG, skipped_problems, write_lines

from wares.core.errors import CatalogueError
from wares.data.catalogue import read_catalogue
from wares.data.listings import MAX_TEXT_LENGTH, Listing


def test_a_listing_with_all_fields(folder: Path) -> None:
    row = {
        "id": 7,
        "title": "Red boot",
        "description": "Warm.",
        "tags": ["boot", "red", " "],
        "images": ["photos/a.jpg", "photos/b.jpg"],
        "price": 20,
        "attributes": {"size": 38, "new": True, "colours": ["red"], "brand": "Acme", "lost": None},
        "product": 3,
        "care": "Brush.",
    }
    catalogue = read_catalogue(write_lines(folder, row), text_fields=["care"])
    assert catalogue.listings == (
        Listing(
            id="7",
            title="Red boot",
            description="Warm.",
            tags=("boot", "red"),
            images=("photos/a.jpg", "photos/b.jpg"),
            price=20.0,
            attributes={"size": 38.0, "new": True, "colours": ["red"], "brand": "Acme"},
            product="3",
            texts={"care": "Brush."},
        ),
    )
    assert catalogue.listings[0].attributes["new"] is True
    assert (catalogue.problems, catalogue.file_name, catalogue.lines, len(catalogue)) == ((), "listings.jsonl", (1,), 1)
    assert catalogue.photo_path("photos/a.jpg") == folder.resolve() / "photos" / "a.jpg"


def test_id_and_title_suffice_and_null_is_missing(folder: Path) -> None:
    nulls = dict.fromkeys(("description", "tags", "images", "price", "attributes", "product"))
    assert read_catalogue(write_lines(folder, BOOT | nulls)).listings == (Listing("b1", "Red boot"),)


BAD_ROWS = [
    ('{"id": "x", "title": ', "broken JSON (EOF while parsing"),
    ('["x", "title"]', 'this is ["x", "title"], not an object'),
    ('{"id": "x", "title": "\\ud800"}', "broken JSON"),
    (b'{"id": "x", "title": "caf\xe9"}', "broken UTF-8 at byte 26 of the line (0xe9)"),
    ({"title": "no id"}, '"id" is missing; the row has title'),
    ({"id": "x"}, '"title" is missing; the row has id'),
    ({"id": "x", "title": None, "tags": []}, '"title" is missing; the row has id, tags'),
    ({"id": " ", "title": "x"}, '"id" is empty'),
    ({"id": "x", "title": " \t"}, '"title" is empty'),
    ({"id": "x", "title": 5}, '"title" must be text, not 5'),
    ({"id": True, "title": "x"}, '"id" must be text or a whole number, not true'),
    ({"id": 1.5, "title": "x"}, '"id" must be text or a whole number, not 1.5'),
    ({"id": "b1", "title": "x"}, '"id" b1 is already the id of line 1'),
    ('{"id": "x", "title": "x", "price": NaN}', '"price" must be a finite number, 0 or more, not NaN'),
    ({"id": "x", "title": "x", "price": float("inf")}, '"price" must be a finite number, 0 or more, not Infinity'),
    ({"id": "x", "title": "x", "price": -1}, '"price" must be a finite number, 0 or more, not -1'),
    ({"id": "x", "title": "x", "price": 10**400}, '"price" must be a finite number, 0 or more, not 1000'),
    ({"id": "x", "title": "x", "price": "9.50"}, '"price" must be a finite number, 0 or more, not "9.50"'),
    ({"id": "x", "title": "x", "tags": "red"}, '"tags" must be a list of texts, not "red"'),
    ({"id": "x", "title": "x", "tags": ["a", 3]}, 'item 2 of "tags" must be text, not 3'),
    ({"id": "x", "title": "x", "images": {"url": 1}}, '"images" must be a list of paths, not {"url": 1}'),
    ({"id": "x", "title": "x", "images": [None]}, 'item 1 of "images" must be a path, not null'),
    ({"id": "x", "title": "x", "attributes": []}, '"attributes" must be an object, not []'),
    (
        {"id": "x", "title": "x", "attributes": {"size": [38, 39]}},
        '"size" of "attributes" must be text, a finite number, a boolean or a list of texts, not [38, 39]',
    ),
    ({"id": "x", "title": "x", "attributes": {"a": {"b": 1}}}, '"a" of "attributes" must be'),
    ({"id": "x", "title": "x", "product": []}, '"product" must be text or a whole number, not []'),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_raises_or_is_skipped_and_listed(
    folder: Path, row: Mapping[str, object] | str | bytes, message: str
) -> None:
    write_lines(folder, BOOT, row, MUG)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(folder)
    assert str(caught.value).startswith(f"listings.jsonl, line 2: {message}")
    assert str(caught.value).endswith(", or pass --on-error skip.")
    assert "\n" not in str(caught.value)
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["b1", "m1"]
    [problem] = catalogue.problems
    assert problem.line == 2
    assert problem.loses_row
    assert problem.message.startswith(message)


def test_all_problems_of_a_row_are_listed(folder: Path) -> None:
    write_lines(folder, BOOT, {"title": 5, "price": -2, "tags": [1, 2]})
    assert len(skipped_problems(folder)) == 4


def test_a_skipped_row_does_not_claim_its_id(folder: Path) -> None:
    write_lines(folder, {"id": "b1", "title": ""}, BOOT)
    assert [listing.title for listing in read_catalogue(folder, "skip").listings] == ["Red boot"]


def test_long_texts_are_cut_only_with_skip(folder: Path) -> None:
    row = BOOT | {"description": "x" * 100_000, "care": "y" * (MAX_TEXT_LENGTH + 1), "tags": ["t" * 9_000] * 3}
    write_lines(folder, row)
    message = '"description" is 100,000 characters long; the limit is 20,000. Shorten it, or pass --on-error skip'
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(folder)
    catalogue = read_catalogue(folder, "skip", text_fields=["care"])
    [listing] = catalogue.listings
    assert listing.description == "x" * MAX_TEXT_LENGTH
    assert listing.texts == {"care": "y" * MAX_TEXT_LENGTH}
    assert len(listing.tags) == 2
    assert [(p.kind, p.field, p.loses_row) for p in catalogue.problems] == [
        ("long text", "description", False),
        ("long text", "tags", False),
        ("long text", "care", False),
    ]


def test_a_text_of_exactly_the_limit_is_valid(folder: Path) -> None:
    assert read_catalogue(write_lines(folder, BOOT | {"description": "x" * MAX_TEXT_LENGTH})).problems == ()


def test_unknown_columns_are_noted_once_and_do_not_raise(folder: Path) -> None:
    write_lines(folder, BOOT | {"colour": "red", "sku": 1}, MUG | {"colour": "blue"})
    catalogue = read_catalogue(folder)
    assert [str(problem) for problem in catalogue.problems] == [
        'listings.jsonl, line 1: column "colour" is not used (2 rows). '
        "Declare it as a text field if it is a text, or move it into attributes.",
        'listings.jsonl, line 1: column "sku" is not used (1 rows). '
        "Declare it as a text field if it is a text, or move it into attributes.",
    ]
    assert not any(problem.loses_row for problem in catalogue.problems)


def test_declared_text_fields_become_texts(folder: Path) -> None:
    write_lines(folder, BOOT | {"care": "Brush."}, MUG, {"id": "x", "title": "X", "care": ["no", "text"]})
    catalogue = read_catalogue(folder, "skip", text_fields=["care"])
    assert [listing.texts for listing in catalogue.listings] == [{"care": "Brush."}, {}]
    assert [str(p) for p in catalogue.problems] == [
        'listings.jsonl, line 3: "care" must be text, not ["no", "text"]. Correct it.'
    ]
    with pytest.raises(CatalogueError, match=r'No row of .* has the text field "reviews"; other columns: care'):
        read_catalogue(folder, "skip", text_fields=["reviews"])
