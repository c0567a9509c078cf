"""Catalogues: what a reader promises, every way a file can be wrong, and round trips through every format."""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import write_rows

from wares.core.errors import CatalogueError, PhotoError, SettingsError
from wares.data.catalogue import open_catalogue, read_catalogue
from wares.data.formats import FILE_SUFFIXES
from wares.data.listings import MAX_TEXT_LENGTH, Catalogue, Listing, OnError, Problem, Query
from wares.data.queries import read_queries, write_queries
from wares.data.writers import write_listings

BOOT = {"id": "b1", "title": "Red boot"}
MUG = {"id": "m1", "title": "Blue mug"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue's folder with three photos in it."""
    (tmp_path / "shop" / "photos").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "shop" / "photos" / name).write_bytes(b"photo")
    return tmp_path / "shop"


def put(folder: Path, *rows: Mapping[str, object] | str | bytes, name: str = "listings.jsonl") -> Path:
    """Write rows as given, one a line."""
    texts = [row if isinstance(row, str | bytes) else json.dumps(row) for row in rows]
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    (folder / name).write_bytes(b"\n".join(raw) + b"\n")
    return folder


def problems(folder: Path, on_error: OnError = "skip") -> list[str]:
    return [str(problem) for problem in read_catalogue(folder, on_error).problems]


# Shapes and contracts --------------------------------------------------------------------------------------------


def test_a_full_listing(folder: Path) -> None:
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
    catalogue = read_catalogue(put(folder, row), text_fields=["care"])
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


def test_id_and_title_are_enough_and_null_is_nothing(folder: Path) -> None:
    nulls = dict.fromkeys(("description", "tags", "images", "price", "attributes", "product"))
    assert read_catalogue(put(folder, BOOT | nulls)).listings == (Listing("b1", "Red boot"),)


def test_a_file_may_be_named_instead_of_its_folder(folder: Path) -> None:
    put(folder, BOOT | {"images": ["photos/a.jpg"]}, name="other.jsonl")
    catalogue = read_catalogue(folder / "other.jsonl")
    assert (catalogue.file_name, catalogue.folder) == ("other.jsonl", folder.resolve())


def test_a_corpus_is_a_catalogue_whose_texts_are_descriptions(folder: Path) -> None:
    put(folder, {"id": "1", "title": "Wings", "text": "In a slipstream."}, name="corpus.jsonl")
    assert read_catalogue(folder).listings == (Listing("1", "Wings", "In a slipstream."),)


def test_subset_keeps_order_and_lines(folder: Path) -> None:
    catalogue = read_catalogue(put(folder, BOOT, "", MUG, {"id": "x", "title": "X"}))
    part = catalogue.subset([2, 0])
    assert [listing.id for listing in part.listings] == ["x", "b1"]
    assert part.lines == (4, 1)
    assert part.folder == catalogue.folder


def test_a_photo_that_does_not_decode_is_reported_with_its_line(folder: Path) -> None:
    catalogue = read_catalogue(put(folder, BOOT, MUG | {"images": ["photos/a.jpg"]}))
    error = PhotoError(f"{catalogue.photo_path('photos/a.jpg')} is not a photo. Replace it.")
    problem = catalogue.photo_problem(1, error)
    assert str(problem) == "listings.jsonl, line 2: photos/a.jpg is not a photo. Replace it."
    assert not problem.loses_row


def test_a_problem_reads_as_one_line() -> None:
    problem = Problem("listings.jsonl", 1203, "images", "a.jpg does not exist", "Restore the file")
    assert str(problem) == "listings.jsonl, line 1203: a.jpg does not exist. Restore the file."
    assert str(Problem("l.parquet", 3, "id", "wrong.")) == "l.parquet, row 3: wrong."
    assert str(Problem("l.csv", 0, "id", "wrong")) == "l.csv: wrong."


def test_settings_are_checked(folder: Path) -> None:
    put(folder, BOOT)
    with pytest.raises(SettingsError, match='on_error must be "stop" or "skip"'):
        read_catalogue(folder, "ignore")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match='"title" is a field of every listing'):
        read_catalogue(folder, text_fields=["title"])
    with pytest.raises(SettingsError, match="has an unknown format"):
        write_listings([], folder / "listings.xlsx")


# Rows that are wrong ---------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize(("row", "says"), BAD_ROWS)
def test_a_bad_row_stops_or_is_skipped_and_listed(
    folder: Path, row: Mapping[str, object] | str | bytes, says: str
) -> None:
    put(folder, BOOT, row, MUG)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(folder)
    assert str(caught.value).startswith(f"listings.jsonl, line 2: {says}")
    assert str(caught.value).endswith(", or pass --on-error skip.")
    assert "\n" not in str(caught.value)
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["b1", "m1"]
    [problem] = catalogue.problems
    assert problem.line == 2
    assert problem.loses_row
    assert problem.message.startswith(says)


def test_every_fault_of_a_row_is_listed(folder: Path) -> None:
    put(folder, BOOT, {"title": 5, "price": -2, "tags": [1, 2]})
    assert len(problems(folder)) == 4


def test_a_skipped_row_does_not_claim_its_id(folder: Path) -> None:
    put(folder, {"id": "b1", "title": ""}, BOOT)
    assert [listing.title for listing in read_catalogue(folder, "skip").listings] == ["Red boot"]


def test_bom_crlf_and_blank_lines(folder: Path) -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(BOOT).encode() + b"\r\n\r\n  \n" + json.dumps(MUG).encode()
    (folder / "listings.jsonl").write_bytes(raw)
    catalogue = read_catalogue(folder)
    assert [listing.id for listing in catalogue.listings] == ["b1", "m1"]
    assert catalogue.lines == (1, 4)


def test_long_texts_are_cut_only_when_skipping(folder: Path) -> None:
    row = BOOT | {"description": "x" * 100_000, "care": "y" * (MAX_TEXT_LENGTH + 1), "tags": ["t" * 9_000] * 3}
    put(folder, row)
    says = '"description" is 100,000 characters long; the limit is 20,000. Shorten it, or pass --on-error skip'
    with pytest.raises(CatalogueError, match=says):
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


def test_a_text_of_just_the_limit_is_fine(folder: Path) -> None:
    assert read_catalogue(put(folder, BOOT | {"description": "x" * MAX_TEXT_LENGTH})).problems == ()


# Photos by path --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("photos/none.jpg", "photos/none.jpg, which does not exist. Restore the file"),
        ("photos\\a.jpg", "which does not exist. Restore the file; write folders with /"),
        ("photos/a.jpg/b.jpg", "which does not exist"),
        ("", "an empty path"),
        ("  ", "an empty path"),
        ("/etc/hostname", "/etc/hostname, which is an absolute path"),
        ("C:\\photos\\a.jpg", "which is an absolute path"),
        ("../secret.jpg", "../secret.jpg, which leaves the catalogue's folder"),
        ("photos/../../secret.jpg", "which leaves the catalogue's folder"),
        ("..", "which leaves the catalogue's folder"),
        ("photos", "photos, which is a folder"),
        ("photos/", "which is a folder"),
        (".", "which is a folder"),
        ("empty.jpg", "empty.jpg, which is empty (0 bytes)"),
        ("https://example.com/a.jpg", "which is a URL. Download it first"),
        ("//example.com/a.jpg", "which is a URL"),
        ("data:image/png;base64,AAAA", "which is a URL"),
        ("out.jpg", "out.jpg, which leaves the catalogue's folder"),
        ("outside/secret.jpg", "which leaves the catalogue's folder"),
        ("loop.jpg", "is not accessible"),
        ("dangling.jpg", "which does not exist"),
        ("a\0.jpg", '"a\\u0000.jpg", which is not accessible'),
        ("x" * 300, "is not accessible"),
        ("new\nline.jpg", '"new\\nline.jpg", which does not exist'),
    ],
)
def test_a_bad_photo_is_left_out_and_the_listing_stays(folder: Path, name: str, says: str) -> None:
    (folder.parent / "secret.jpg").write_bytes(b"secret")
    (folder / "empty.jpg").touch()
    (folder / "out.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "dangling.jpg").symlink_to(folder / "gone.jpg")
    put(folder, BOOT | {"images": ["photos/a.jpg", name, "photos/b.jpg"]})
    with pytest.raises(CatalogueError, match="or pass --on-error skip") as caught:
        read_catalogue(folder)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    catalogue = read_catalogue(folder, "skip")
    assert catalogue.listings[0].images == ("photos/a.jpg", "photos/b.jpg")
    [problem] = catalogue.problems
    assert (problem.line, problem.field, problem.loses_row) == (1, "images", False)


def test_the_error_of_the_guide(folder: Path) -> None:
    put(folder, MUG, BOOT | {"images": ["photos/881.jpg"]})
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(folder)
    assert str(caught.value) == (
        'listings.jsonl, line 2: "images" names photos/881.jpg, which does not exist. '
        "Restore the file, or pass --on-error skip."
    )


@pytest.mark.parametrize("again", ["photos/a.jpg", "./photos/a.jpg", "photos//a.jpg", "photos/../photos/a.jpg"])
def test_the_same_photo_twice(folder: Path, again: str) -> None:
    put(folder, BOOT | {"images": ["photos/a.jpg", again]})
    catalogue = read_catalogue(folder, "skip")
    assert catalogue.listings[0].images == ("photos/a.jpg",)
    assert [problem.kind for problem in catalogue.problems] == ["duplicate photo"]


def test_two_listings_may_share_a_photo(folder: Path) -> None:
    put(folder, BOOT | {"images": ["photos/a.jpg"]}, MUG | {"images": ["photos/a.jpg"]})
    assert problems(folder) == []


def test_links_that_stay_inside_are_followed(folder: Path) -> None:
    (folder / "link.jpg").symlink_to(folder / "photos" / "a.jpg")
    (folder / "more").symlink_to(folder / "photos")
    images = ["link.jpg", "more/b.jpg", "photos/../photos/c.jpg"]
    assert read_catalogue(put(folder, BOOT | {"images": images})).listings[0].images == tuple(images)


def test_a_catalogue_may_itself_be_reached_by_a_link(folder: Path) -> None:
    put(folder, BOOT | {"images": ["photos/a.jpg"]})
    (folder.parent / "link").symlink_to(folder)
    catalogue = read_catalogue(folder.parent / "link")
    assert catalogue.photo_path(catalogue.listings[0].images[0]).is_file()


def test_a_neighbour_with_a_longer_name_is_outside(folder: Path) -> None:
    (folder.parent / "shop-secret").mkdir()
    (folder.parent / "shop-secret" / "a.jpg").write_bytes(b"x")
    put(folder, BOOT | {"images": ["../shop-secret/a.jpg"]})
    assert "leaves the catalogue's folder" in problems(folder)[0]


# Columns ---------------------------------------------------------------------------------------------------------


def test_unknown_columns_are_noted_once_and_stop_nothing(folder: Path) -> None:
    put(folder, BOOT | {"colour": "red", "sku": 1}, MUG | {"colour": "blue"})
    catalogue = read_catalogue(folder)
    assert [str(problem) for problem in catalogue.problems] == [
        'listings.jsonl, line 1: column "colour" is not used (2 rows). '
        "Declare it as a text field if it is a text, or move it into attributes.",
        'listings.jsonl, line 1: column "sku" is not used (1 rows). '
        "Declare it as a text field if it is a text, or move it into attributes.",
    ]
    assert not any(problem.loses_row for problem in catalogue.problems)


def test_declared_text_fields(folder: Path) -> None:
    put(folder, BOOT | {"care": "Brush."}, MUG, {"id": "x", "title": "X", "care": ["no", "text"]})
    catalogue = read_catalogue(folder, "skip", text_fields=["care"])
    assert [listing.texts for listing in catalogue.listings] == [{"care": "Brush."}, {}]
    assert [str(p) for p in catalogue.problems] == [
        'listings.jsonl, line 3: "care" must be text, not ["no", "text"]. Correct it.'
    ]
    with pytest.raises(CatalogueError, match=r'No row of .* has the text field "reviews"; other columns: care'):
        read_catalogue(folder, "skip", text_fields=["reviews"])


# Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["listings.jsonl", "listings.csv"])
def test_an_empty_file(folder: Path, content: bytes, name: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CatalogueError, match="is empty: no listings"):
        read_catalogue(folder, "skip")


def test_no_listing_left(folder: Path) -> None:
    put(folder, {"id": "x"}, {"id": "y"})
    with pytest.raises(CatalogueError, match=r'none of its 2 rows is usable. The first: .*"title" is missing'):
        read_catalogue(folder, "skip")


def test_nothing_there(folder: Path) -> None:
    with pytest.raises(CatalogueError, match=r"has no listings\.jsonl"):
        read_catalogue(folder)
    with pytest.raises(CatalogueError, match="does not exist"):
        read_catalogue(folder / "none")
    (folder / "listings.xlsx").touch()
    with pytest.raises(CatalogueError, match="is not a catalogue"):
        read_catalogue(folder / "listings.xlsx")


def test_two_catalogues_in_a_folder(folder: Path) -> None:
    put(folder, BOOT)
    put(folder, "id,title", "a,b", name="listings.csv")
    with pytest.raises(CatalogueError, match=r"has listings\.jsonl and listings\.csv\. Name one of them"):
        read_catalogue(folder)
    assert len(read_catalogue(folder / "listings.csv")) == 1


def test_a_file_that_may_not_be_read(folder: Path) -> None:
    put(folder, BOOT)
    (folder / "listings.jsonl").chmod(0)
    if os.access(folder / "listings.jsonl", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(CatalogueError, match="Permission denied"):
        read_catalogue(folder)


# CSV -------------------------------------------------------------------------------------------------------------


def csv(folder: Path, text: str | bytes) -> Path:
    (folder / "listings.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_csv_by_eye(folder: Path) -> None:
    csv(
        folder,
        "\ufeffid, title ,description,tags,images,price,attributes\r\n"
        'b1,"Red, boot","Warm.\r\nDry.",red|boot,photos/a.jpg | photos/b.jpg,20,"{""size"": 38}"\r\n'
        "\r\n"
        'm1,Blue mug,,"[""blue, dark"", ""a|b""]",,,\r\n',
    )
    catalogue = read_catalogue(folder)
    assert catalogue.listings == (
        Listing(
            "b1",
            "Red, boot",
            "Warm.\r\nDry.",
            ("red", "boot"),
            ("photos/a.jpg", "photos/b.jpg"),
            20.0,
            {"size": 38.0},
        ),
        Listing("m1", "Blue mug", "", ("blue, dark", "a|b")),
    )
    assert catalogue.lines == (2, 5)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"x,X,cheap,,", '"price" must be a finite number, 0 or more, not "cheap"'),
        (b"x,X,nan,,", '"price" must be a finite number, 0 or more, not NaN'),
        (b"x,,5,,", '"title" is empty'),
        (b",X,5,,", '"id" is empty'),
        (b"x,X,5", "3 cells under 5 columns"),
        (b"x,X,5,,,,", "7 cells under 5 columns"),
        (b"x,X,5,[1,", "broken"),
        (b'x,X,5,"[1, 2]",', 'item 1 of "tags" must be text, not 1'),
        (b'x,X,5,"[""a""",', '"tags" is broken JSON'),
        (b"x,X,5,,size=38", '"attributes" must be an object, not "size=38"'),
        (b'x,X,5,,"{""size"": ["', '"attributes" is broken JSON'),
        (b"x,caf\xe9,5,,", "broken UTF-8 at byte 6 of the line (0xe9)"),
        (b'x,"caf\n\xe9",5,,', "broken UTF-8 at byte 1 of the line (0xe9)"),
        (b'x,"X"y,5,,', "broken CSV up to line 3"),
        (b"x,X\ry,5,,", "broken CSV up to line 3"),
    ],
)
def test_a_bad_row_of_csv(folder: Path, row: bytes, says: str) -> None:
    csv(folder, b"id,title,price,tags,attributes\na,A,1,,\n" + row + b"\nb,B,2,,\n")
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["a", "b"]
    [problem] = catalogue.problems
    if says != "broken":
        assert problem.message.startswith(says)
    assert problem.line in (3, 4 if b"\n" in row else 3)
    assert problem.loses_row


def test_an_unclosed_quote_says_how_far_it_reaches(folder: Path) -> None:
    csv(folder, 'id,title\na,A\nb,"B\nc,C\nd,D\n')
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["a"]
    assert "line 3: broken CSV up to line 5" in str(catalogue.problems[0])


def test_a_csv_cell_may_be_long(folder: Path) -> None:
    csv(folder, f"id,title,description\na,A,{'x' * 200_000}\n")
    assert [problem.kind for problem in read_catalogue(folder, "skip").problems] == ["long text"]


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,name,price", 'has no column "title"; it has id, name, price'),
        ("id;title", 'has no column "id"; it has id;title. Name the columns in the first line, separated by commas'),
        ("id,title,id", 'has column "id" more than once'),
        ('id,"title', "line 1: broken CSV"),
    ],
)
def test_a_bad_header(folder: Path, header: str, says: str, on_error: OnError) -> None:
    csv(folder, f"{header}\na,b,c\n")
    with pytest.raises(CatalogueError, match=says):
        read_catalogue(folder, on_error)


def test_a_header_without_rows(folder: Path) -> None:
    with pytest.raises(CatalogueError, match="is empty"):
        read_catalogue(csv(folder, "id,title\n"))


# Parquet ---------------------------------------------------------------------------------------------------------


def parquet(folder: Path, **columns: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), folder / "listings.parquet")
    return folder


def test_parquet_by_eye(folder: Path) -> None:
    import pyarrow as pa

    parquet(
        folder,
        id=pa.array([1, 2]),
        title=["Boot", "Mug"],
        tags=[["red"], None],
        images=['["photos/a.jpg"]', "photos/b.jpg|photos/c.jpg"],
        price=pa.array([None, 3], pa.decimal128(5, 2)),
        attributes=pa.array([{"size": 38, "material": None}, {"size": None, "material": "clay"}]),
    )
    catalogue = read_catalogue(folder)
    assert catalogue.listings == (
        Listing("1", "Boot", "", ("red",), ("photos/a.jpg",), None, {"size": 38.0}),
        Listing("2", "Mug", "", (), ("photos/b.jpg", "photos/c.jpg"), 3.0, {"material": "clay"}),
    )


def test_parquet_maps_are_attributes(folder: Path) -> None:
    import pyarrow as pa

    maps = pa.array([[("size", "38")]], pa.map_(pa.string(), pa.string()))
    assert read_catalogue(parquet(folder, id=["a"], title=["A"], attributes=maps)).listings[0].attributes == {
        "size": "38"
    }


def test_bad_rows_of_parquet_are_counted_as_rows(folder: Path) -> None:
    parquet(folder, id=["a", "a", "c"], title=["A", "B", None])
    assert problems(folder) == [
        'listings.parquet, row 2: "id" a is already the id of row 1. Give every row its own id.',
        'listings.parquet, row 3: "title" is missing; the row has id. Fill it in, or remove the row.',
    ]


def test_broken_utf8_in_parquet(folder: Path) -> None:
    import pyarrow as pa

    raw = pa.array([b"Boot", b"caf\xe9", b"Mug"], pa.binary())
    titles = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    catalogue = read_catalogue(parquet(folder, id=["a", "b", "c"], title=titles), "skip")
    assert [listing.title for listing in catalogue.listings] == ["Boot", "Mug"]
    assert [str(p) for p in catalogue.problems] == [
        "listings.parquet, row 2: broken UTF-8. Write the file again from UTF-8."
    ]


def test_bad_parquet_files(folder: Path) -> None:
    (folder / "listings.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(CatalogueError, match="is not a readable Parquet file"):
        read_catalogue(folder)
    (folder / "listings.parquet").write_bytes(b"")
    with pytest.raises(CatalogueError, match="is not a readable Parquet file"):
        read_catalogue(folder)
    with pytest.raises(CatalogueError, match='has no column "title"; it has id, name'):
        read_catalogue(parquet(folder, id=["a"], name=["b"]))
    with pytest.raises(CatalogueError, match="is empty"):
        read_catalogue(parquet(folder, id=[], title=[]))


# Queries ---------------------------------------------------------------------------------------------------------


def test_queries(folder: Path) -> None:
    put(folder, {"id": 1, "text": "red boots"}, {"id": "2", "text": "mug", "count": 4}, name="queries.jsonl")
    assert (
        read_queries(folder) == read_queries(folder / "queries.jsonl") == [Query("1", "red boots"), Query("2", "mug")]
    )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": "1", "text": "again"}, 'line 2: "id" 1 is already the id of line 1'),
        ({"id": "2", "text": " "}, 'line 2: "text" is empty'),
        ({"id": "2"}, 'line 2: "text" is missing; the row has id'),
        ({"text": "x"}, 'line 2: "id" is missing'),
        ({"id": "2", "text": 3}, 'line 2: "text" must be text, not 3'),
        ("{", "line 2: broken JSON"),
    ],
)
def test_bad_queries(folder: Path, row: Mapping[str, object] | str, says: str) -> None:
    put(folder, {"id": "1", "text": "red boots"}, row, name="queries.jsonl")
    with pytest.raises(CatalogueError, match=says):
        read_queries(folder)


def test_no_queries(folder: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        read_queries(folder)
    with pytest.raises(CatalogueError, match="has no queries"):
        read_queries(put(folder, "", name="queries.jsonl"))


# Properties ------------------------------------------------------------------------------------------------------

texts = st.text(max_size=40).filter(lambda text: text == "" or bool(text.strip()))
words = st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
keys = words.map(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)
attributes = st.dictionaries(st.text(max_size=10), st.one_of(texts, st.booleans(), numbers, st.lists(texts)))
photos = st.lists(st.sampled_from(["photos/a.jpg", "photos/b.jpg", "photos/c.jpg"]), unique=True)


@st.composite
def catalogues(draw: st.DrawFn) -> list[Listing]:
    """Listings with every field at its most inconvenient, over photos that are there."""
    return [
        Listing(
            id=id,
            title=draw(words),
            description=draw(texts),
            tags=tuple(draw(st.lists(words, max_size=3))),
            images=tuple(draw(photos)),
            price=draw(st.none() | st.floats(0, allow_nan=False, allow_infinity=False)),
            attributes=draw(attributes),
            product=draw(st.none() | keys),
            texts=draw(st.dictionaries(st.sampled_from(["care", "reviews"]), words, max_size=2)),
        )
        for id in draw(st.lists(keys, min_size=1, max_size=5, unique=True))
    ]


@given(listings=catalogues(), suffix=st.sampled_from(FILE_SUFFIXES))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(folder: Path, listings: list[Listing], suffix: str) -> None:
    path = folder / f"listings{suffix}"
    write_listings(listings, path)
    fields = sorted({name for listing in listings for name in listing.texts})
    catalogue = read_catalogue(path, text_fields=fields)
    assert catalogue.listings == tuple(listings)
    spaced = [listing.id for listing in listings if listing.id.split() != [listing.id]]
    noted = [(problem.kind, problem.severity) for problem in catalogue.problems]
    assert noted == [("id with spaces", "note")][: len(spaced)]
    assert [found.name for found in folder.iterdir() if found.name.endswith(".part")] == []


@given(queries=st.lists(st.builds(Query, keys, words), min_size=1, unique_by=lambda query: query.id))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_queries_are_read_as_they_were_written(folder: Path, queries: list[Query]) -> None:
    write_queries(queries, folder / "queries.jsonl")
    assert read_queries(folder / "queries.jsonl") == queries


def test_a_line_that_ends_too_early_says_where(tmp_path: Path) -> None:
    (tmp_path / "listings.jsonl").write_text('{"id": "1", "title": "a"}\n{"id": "2", "title": \n')
    with pytest.raises(CatalogueError, match=r"line 2: broken JSON .* at character 20"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_queries_are_read_from_tables(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"asked{suffix}"
    rows = [{"id": "1", "text": "red, wool", "when": "x"}, {"id": "2", "text": "mug", "when": "y"}]
    write_rows(rows, path)
    assert read_queries(path) == [Query("1", "red, wool"), Query("2", "mug")]
    write_rows([{"id": "1", "text": ""}], path)
    with pytest.raises(CatalogueError, match='"text" is empty'):
        read_queries(path)


nearly_good = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdef"), "title": texts},
    optional={"price": st.floats(), "tags": st.lists(st.integers()), "images": st.lists(texts)},
)
any_fields = st.dictionaries(
    st.sampled_from(["id", "title", "images", "x"]), st.one_of(st.none(), texts, st.integers()), max_size=4
)
no_json = st.text(string.printable, min_size=1).filter(lambda text: bool(text.strip()) and "\n" not in text)
no_text = st.binary(min_size=1).filter(lambda raw: bool(raw.strip()) and b"\n" not in raw)
rows = st.one_of(nearly_good, any_fields, no_json, no_text)


@given(rows=st.lists(rows, max_size=12))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_vanishes(folder: Path, rows: list[dict[str, object] | str | bytes]) -> None:
    """Every row of the file is a listing or has a problem that says why not."""
    put(folder, BOOT, *rows)
    catalogue = read_catalogue(folder, "skip")
    lost = {problem.line for problem in catalogue.problems if problem.loses_row}
    assert len(catalogue) + len(lost) == 1 + len(rows)
    assert lost.isdisjoint(catalogue.lines)
    assert len(set(catalogue.lines)) == len(catalogue.lines)


@given(cells=st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=8))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_vanishes_from_csv(folder: Path, cells: list[list[str]]) -> None:
    import csv as standard

    with (folder / "listings.csv").open("w", encoding="utf-8", newline="") as file:
        standard.writer(file).writerows([["id", "title"], ["first", "First"], *cells])
    catalogue = read_catalogue(folder / "listings.csv", "skip")
    lost = {problem.line for problem in catalogue.problems if problem.loses_row}
    assert len(catalogue) + len(lost) == 1 + len(cells)


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.1, 1),
    suffix=st.sampled_from(FILE_SUFFIXES),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_a_catalogue_or_a_catalogue_error(
    folder: Path, flips: list[tuple[float, int]], kept: float, suffix: str
) -> None:
    """Whatever is overwritten or cut off, nothing but a CatalogueError comes out."""
    path = folder / f"listings{suffix}"
    listings = [Listing(str(i), "Café", "Warm.", ("a", "b"), price=1.5, attributes={"n": 2.0}) for i in range(9)]
    write_listings(listings, path)
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[int(place * len(content))] = value
    path.write_bytes(content[: int(len(content) * kept)])
    with suppress(CatalogueError):
        assert len(read_catalogue(path, "skip")) > 0


@given(rows=st.lists(rows, max_size=12), size=st.integers(1, 5), on_error=st.sampled_from(["stop", "skip"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_are_the_whole(
    folder: Path, rows: list[dict[str, object] | str | bytes], size: int, on_error: OnError
) -> None:
    """Listings, lines and problems in order, or the same error; twice, because a file can be read again."""
    put(folder, BOOT, *rows)
    for _ in range(2):
        try:
            whole = read_catalogue(folder, on_error)
        except CatalogueError as error:
            with pytest.raises(CatalogueError, match=f"^{re.escape(str(error))}$"):
                list(open_catalogue(folder, on_error).chunks(size))
            continue
        parts = list(open_catalogue(folder, on_error).chunks(size))
        assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
        assert [row for part in parts for row in part.listings] == list(whole.listings)
        assert [line for part in parts for line in part.lines] == list(whole.lines)
        assert [problem for part in parts for problem in part.problems] == list(whole.problems)
        again = list(whole.chunks(size))
        assert [replace(part, problems=()) for part in again] == [replace(part, problems=()) for part in parts]
        assert [problem for part in again for problem in part.problems] == list(whole.problems)


# Real data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "listings", "on_error", "lost"),
    [
        ("magento", 197, "stop", 0),
        ("grocery", 729, "stop", 0),
        ("vaswani", 11_429, "stop", 0),
        ("cranfield", 1_398, "skip", 2),
    ],
)
def test_real_catalogues(
    shared_data: Callable[[str], Path], name: str, listings: int, on_error: OnError, lost: int
) -> None:
    catalogue: Catalogue = read_catalogue(shared_data(name), on_error)
    assert (len(catalogue), len(catalogue.problems)) == (listings, lost)
