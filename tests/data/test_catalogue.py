"""Catalogues of files: sources, chunks, and settings; every row is a listing or has a problem."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from catalogue_files import BOOT, TEXTS, write_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wares.core.errors import CatalogueError, SettingsError
from wares.data.catalogue import open_catalogue, read_catalogue
from wares.data.listings import Catalogue, Listing, OnError
from wares.data.writers import write_listings


def test_the_path_may_name_the_file(folder: Path) -> None:
    write_lines(folder, BOOT | {"images": ["photos/a.jpg"]}, name="other.jsonl")
    catalogue = read_catalogue(folder / "other.jsonl")
    assert (catalogue.file_name, catalogue.folder) == ("other.jsonl", folder.resolve())


def test_texts_of_a_corpus_are_descriptions(folder: Path) -> None:
    write_lines(folder, {"id": "1", "title": "Wings", "text": "In a slipstream."}, name="corpus.jsonl")
    assert read_catalogue(folder).listings == (Listing("1", "Wings", "In a slipstream."),)


def test_settings_are_checked(folder: Path) -> None:
    write_lines(folder, BOOT)
    with pytest.raises(SettingsError, match='on_error must be "stop" or "skip"'):
        read_catalogue(folder, "ignore")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match='"title" is a field of every listing'):
        read_catalogue(folder, text_fields=["title"])
    with pytest.raises(SettingsError, match="has an unknown format"):
        write_listings([], folder / "listings.xlsx")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["listings.jsonl", "listings.csv"])
def test_an_empty_file_is_an_error(folder: Path, content: bytes, name: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CatalogueError, match="is empty: no listings"):
        read_catalogue(folder, "skip")


def test_a_file_without_usable_rows_is_an_error(folder: Path) -> None:
    write_lines(folder, {"id": "x"}, {"id": "y"})
    with pytest.raises(CatalogueError, match=r'none of its 2 rows is usable. The first: .*"title" is missing'):
        read_catalogue(folder, "skip")


def test_a_missing_catalogue_is_an_error(folder: Path) -> None:
    with pytest.raises(CatalogueError, match=r"has no listings\.jsonl"):
        read_catalogue(folder)
    with pytest.raises(CatalogueError, match="does not exist"):
        read_catalogue(folder / "none")
    (folder / "listings.xlsx").touch()
    with pytest.raises(CatalogueError, match="is not a catalogue"):
        read_catalogue(folder / "listings.xlsx")


def test_two_listings_files_in_a_folder_are_an_error(folder: Path) -> None:
    write_lines(folder, BOOT)
    write_lines(folder, "id,title", "a,b", name="listings.csv")
    with pytest.raises(CatalogueError, match=r"has listings\.jsonl and listings\.csv\. Name one of them"):
        read_catalogue(folder)
    assert len(read_catalogue(folder / "listings.csv")) == 1


def test_an_unreadable_file_is_an_error(folder: Path) -> None:
    write_lines(folder, BOOT)
    (folder / "listings.jsonl").chmod(0)
    if os.access(folder / "listings.jsonl", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(CatalogueError, match="Permission denied"):
        read_catalogue(folder)


nearly_good = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdef"), "title": TEXTS},
    optional={"price": st.floats(), "tags": st.lists(st.integers()), "images": st.lists(TEXTS)},
)
any_fields = st.dictionaries(
    st.sampled_from(["id", "title", "images", "x"]), st.one_of(st.none(), TEXTS, st.integers()), max_size=4
)
no_json = st.text(string.printable, min_size=1).filter(lambda text: bool(text.strip()) and "\n" not in text)
no_text = st.binary(min_size=1).filter(lambda raw: bool(raw.strip()) and b"\n" not in raw)
rows = st.one_of(nearly_good, any_fields, no_json, no_text)


@given(rows=st.lists(rows, max_size=12))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_row_vanishes(folder: Path, rows: list[dict[str, object] | str | bytes]) -> None:
    """Every row of the file is a listing or has a problem that says why not."""
    write_lines(folder, BOOT, *rows)
    catalogue = read_catalogue(folder, "skip")
    lost = {problem.line for problem in catalogue.problems if problem.loses_row}
    assert len(catalogue) + len(lost) == 1 + len(rows)
    assert lost.isdisjoint(catalogue.lines)
    assert len(set(catalogue.lines)) == len(catalogue.lines)


@given(rows=st.lists(rows, max_size=12), size=st.integers(1, 5), on_error=st.sampled_from(["stop", "skip"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_equal_the_whole_catalogue(
    folder: Path, rows: list[dict[str, object] | str | bytes], size: int, on_error: OnError
) -> None:
    """Listings, lines and problems in order, or the same error; twice, because a file can be read again."""
    write_lines(folder, BOOT, *rows)
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


@pytest.mark.parametrize(
    ("name", "listings", "on_error", "lost"),
    [
        ("magento", 197, "stop", 0),
        ("grocery", 729, "stop", 0),
        ("vaswani", 11_429, "stop", 0),
        ("cranfield", 1_398, "skip", 2),
    ],
)
def test_real_catalogues_are_read(
    shared_data: Callable[[str], Path], name: str, listings: int, on_error: OnError, lost: int
) -> None:
    catalogue: Catalogue = read_catalogue(shared_data(name), on_error)
    assert (len(catalogue), len(catalogue.problems)) == (listings, lost)
