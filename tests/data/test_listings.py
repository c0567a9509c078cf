"""Catalogues in memory: subsets, and problems as sentences."""

from __future__ import annotations

from pathlib import Path

from catalogue_files import BOOT, MUG, write_lines

from wares.core.errors import PhotoError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Problem


def test_subset_keeps_order_and_lines(folder: Path) -> None:
    catalogue = read_catalogue(write_lines(folder, BOOT, "", MUG, {"id": "x", "title": "X"}))
    part = catalogue.subset([2, 0])
    assert [listing.id for listing in part.listings] == ["x", "b1"]
    assert part.lines == (4, 1)
    assert part.folder == catalogue.folder


def test_a_photo_that_does_not_decode_is_reported_with_its_line(folder: Path) -> None:
    catalogue = read_catalogue(write_lines(folder, BOOT, MUG | {"images": ["photos/a.jpg"]}))
    error = PhotoError(f"{catalogue.photo_path('photos/a.jpg')} is not a photo. Replace it.")
    problem = catalogue.photo_problem(1, error)
    assert str(problem) == "listings.jsonl, line 2: photos/a.jpg is not a photo. Replace it."
    assert not problem.loses_row


def test_a_problem_prints_as_one_line() -> None:
    problem = Problem("listings.jsonl", 1203, "images", "a.jpg does not exist", "Restore the file")
    assert str(problem) == "listings.jsonl, line 1203: a.jpg does not exist. Restore the file."
    assert str(Problem("l.parquet", 3, "id", "wrong.")) == "l.parquet, row 3: wrong."
    assert str(Problem("l.csv", 0, "id", "wrong")) == "l.csv: wrong."
