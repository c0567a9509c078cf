"""JSON Lines, CSV and Parquet: cases by eye, and damaged files of each format."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogue_files import BOOT, MUG, skipped_problems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wares.core.errors import CatalogueError
from wares.data.catalogue import read_catalogue
from wares.data.formats import FILE_SUFFIXES, _decimals, read_rows
from wares.data.listings import Listing, OnError
from wares.data.writers import write_listings


def test_bom_crlf_and_blank_lines_are_accepted(folder: Path) -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(BOOT).encode() + b"\r\n\r\n  \n" + json.dumps(MUG).encode()
    (folder / "listings.jsonl").write_bytes(raw)
    catalogue = read_catalogue(folder)
    assert [listing.id for listing in catalogue.listings] == ["b1", "m1"]
    assert catalogue.lines == (1, 4)


def test_a_truncated_line_of_json_is_located(tmp_path: Path) -> None:
    (tmp_path / "listings.jsonl").write_text('{"id": "1", "title": "a"}\n{"id": "2", "title": \n')
    with pytest.raises(CatalogueError, match=r"line 2: broken JSON .* at character 20"):
        read_catalogue(tmp_path)


def write_csv(folder: Path, text: str | bytes) -> Path:
    (folder / "listings.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_cells_of_csv_become_fields(folder: Path) -> None:
    write_csv(
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
    ("row", "message"),
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
def test_a_bad_row_of_csv_is_skipped_and_listed(folder: Path, row: bytes, message: str) -> None:
    write_csv(folder, b"id,title,price,tags,attributes\na,A,1,,\n" + row + b"\nb,B,2,,\n")
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["a", "b"]
    [problem] = catalogue.problems
    if message != "broken":
        assert problem.message.startswith(message)
    assert problem.line in (3, 4 if b"\n" in row else 3)
    assert problem.loses_row


def test_an_unclosed_quote_is_reported_with_its_extent(folder: Path) -> None:
    write_csv(folder, 'id,title\na,A\nb,"B\nc,C\nd,D\n')
    catalogue = read_catalogue(folder, "skip")
    assert [listing.id for listing in catalogue.listings] == ["a"]
    assert "line 3: broken CSV up to line 5" in str(catalogue.problems[0])


def test_a_long_cell_of_csv_is_a_long_text(folder: Path) -> None:
    write_csv(folder, f"id,title,description\na,A,{'x' * 200_000}\n")
    assert [problem.kind for problem in read_catalogue(folder, "skip").problems] == ["long text"]


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,name,price", 'has no column "title"; it has id, name, price'),
        ("id;title", 'has no column "id"; it has id;title. Name the columns in the first line, separated by commas'),
        ("id,title,id", 'has column "id" more than once'),
        ('id,"title', "line 1: broken CSV"),
    ],
)
def test_a_bad_header_is_an_error(folder: Path, header: str, message: str, on_error: OnError) -> None:
    write_csv(folder, f"{header}\na,b,c\n")
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(folder, on_error)


def test_a_header_without_rows_is_an_error(folder: Path) -> None:
    with pytest.raises(CatalogueError, match="is empty"):
        read_catalogue(write_csv(folder, "id,title\n"))


def write_parquet(folder: Path, **columns: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), folder / "listings.parquet")
    return folder


def test_cells_of_parquet_become_fields(folder: Path) -> None:
    import pyarrow as pa

    write_parquet(
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
    assert read_catalogue(write_parquet(folder, id=["a"], title=["A"], attributes=maps)).listings[0].attributes == {
        "size": "38"
    }


def test_bad_rows_of_parquet_are_located_by_row(folder: Path) -> None:
    write_parquet(folder, id=["a", "a", "c"], title=["A", "B", None])
    assert skipped_problems(folder) == [
        'listings.parquet, row 2: "id" a is already the id of row 1. Give every row its own id.',
        'listings.parquet, row 3: "title" is missing; the row has id. Fill it in, or remove the row.',
    ]


def test_broken_utf8_in_parquet_is_skipped_and_listed(folder: Path) -> None:
    import pyarrow as pa

    raw = pa.array([b"Boot", b"caf\xe9", b"Mug"], pa.binary())
    titles = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    catalogue = read_catalogue(write_parquet(folder, id=["a", "b", "c"], title=titles), "skip")
    assert [listing.title for listing in catalogue.listings] == ["Boot", "Mug"]
    assert [str(p) for p in catalogue.problems] == [
        "listings.parquet, row 2: broken UTF-8. Write the file again from UTF-8."
    ]


def test_damaged_parquet_files_are_errors(folder: Path) -> None:
    (folder / "listings.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(CatalogueError, match="is not a readable Parquet file"):
        read_catalogue(folder)
    (folder / "listings.parquet").write_bytes(b"")
    with pytest.raises(CatalogueError, match="is not a readable Parquet file"):
        read_catalogue(folder)
    with pytest.raises(CatalogueError, match='has no column "title"; it has id, name'):
        read_catalogue(write_parquet(folder, id=["a"], name=["b"]))
    with pytest.raises(CatalogueError, match="is empty"):
        read_catalogue(write_parquet(folder, id=[], title=[]))


@given(cells=st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=8))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_row_of_csv_vanishes(folder: Path, cells: list[list[str]]) -> None:
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
def test_a_damaged_file_is_read_or_raises_a_catalogue_error(
    folder: Path, flips: list[tuple[float, int]], kept: float, suffix: str
) -> None:
    """Whatever is overwritten or cut off, nothing but a CatalogueError comes out."""
    path = folder / f"listings{suffix}"
    listings = [Listing(str(i), "Café", "Warm.", ("a", "b"), price=1.5, attributes={"n": 2.0}) for i in range(9)]
    write_listings(listings, path)
    content = bytearray(path.read_bytes())
    for position, value in flips:
        content[int(position * len(content))] = value
    path.write_bytes(content[: int(len(content) * kept)])
    with suppress(CatalogueError):
        assert len(read_catalogue(path, "skip")) > 0


@pytest.mark.parametrize("narrow", [pa.float32(), pa.float16()])
def test_narrow_floats_of_parquet_are_the_decimals_that_they_stand_for(tmp_path: Path, narrow: pa.DataType) -> None:
    """In columns and inside of structs, lists and maps; nulls stay absent."""
    prices = [19.98, 0.1, None]
    array = pa.array(prices, pa.float64()).cast(narrow)
    columns = {
        "price": array,
        "struct": pa.StructArray.from_arrays([array, pa.array(["a", "b", "c"])], ["width", "name"]),
        "list": pa.ListArray.from_arrays([0, 3, 3, 3], array),
        "map": pa.MapArray.from_arrays([0, 0, 2, 3], ["x", "y", "z"], array),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert [row for _, row in read_rows(tmp_path / "rows.parquet")] == [
        {"price": 19.98, "struct": {"width": 19.98, "name": "a"}, "list": prices, "map": {}},
        {"price": 0.1, "struct": {"width": 0.1, "name": "b"}, "list": [], "map": {"x": 19.98, "y": 0.1}},
        {"struct": {"width": None, "name": "c"}, "list": [], "map": {"z": None}},
    ]


@given(st.floats(0, 1e9).map(lambda value: round(value, 2)))
def test_a_price_of_two_decimals_survives_float32_if_it_has_seven_digits(price: float) -> None:
    price = float(f"{price:.6g}")
    convert = _decimals(pa.float32())
    assert convert is not None and convert(float(np.float32(price))) == price


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_integers_that_a_float_cannot_hold_stay_apart_as_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"listings{suffix}"
    write_listings([Listing(str(i), "a", attributes={"code": 2**53 + i}) for i in range(3)], path)
    codes = [listing.attributes["code"] for listing in read_catalogue(path).listings]
    assert codes == [9007199254740992.0, "9007199254740993", "9007199254740994"]
