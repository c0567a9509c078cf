"""Photo paths: every way a path can be wrong, links, and duplicates."""

from __future__ import annotations

from pathlib import Path

import pytest
from catalogue_files import BOOT, MUG, skipped_problems, write_lines

from wares.core.errors import CatalogueError
from wares.data.catalogue import read_catalogue


@pytest.mark.parametrize(
    ("name", "message"),
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
def test_a_bad_photo_is_left_out_of_its_listing(folder: Path, name: str, message: str) -> None:
    (folder.parent / "secret.jpg").write_bytes(b"secret")
    (folder / "empty.jpg").touch()
    (folder / "out.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "outside").symlink_to(folder.parent)
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "dangling.jpg").symlink_to(folder / "gone.jpg")
    write_lines(folder, BOOT | {"images": ["photos/a.jpg", name, "photos/b.jpg"]})
    with pytest.raises(CatalogueError, match="or pass --on-error skip") as caught:
        read_catalogue(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    catalogue = read_catalogue(folder, "skip")
    assert catalogue.listings[0].images == ("photos/a.jpg", "photos/b.jpg")
    [problem] = catalogue.problems
    assert (problem.line, problem.field, problem.loses_row) == (1, "images", False)


def test_the_error_of_a_missing_photo(folder: Path) -> None:
    write_lines(folder, MUG, BOOT | {"images": ["photos/881.jpg"]})
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(folder)
    assert str(caught.value) == (
        'listings.jsonl, line 2: "images" names photos/881.jpg, which does not exist. '
        "Restore the file, or pass --on-error skip."
    )


@pytest.mark.parametrize("again", ["photos/a.jpg", "./photos/a.jpg", "photos//a.jpg", "photos/../photos/a.jpg"])
def test_a_duplicate_photo_is_left_out(folder: Path, again: str) -> None:
    write_lines(folder, BOOT | {"images": ["photos/a.jpg", again]})
    catalogue = read_catalogue(folder, "skip")
    assert catalogue.listings[0].images == ("photos/a.jpg",)
    assert [problem.kind for problem in catalogue.problems] == ["duplicate photo"]


def test_two_listings_may_share_a_photo(folder: Path) -> None:
    write_lines(folder, BOOT | {"images": ["photos/a.jpg"]}, MUG | {"images": ["photos/a.jpg"]})
    assert skipped_problems(folder) == []


def test_links_inside_the_folder_are_followed(folder: Path) -> None:
    (folder / "link.jpg").symlink_to(folder / "photos" / "a.jpg")
    (folder / "more").symlink_to(folder / "photos")
    images = ["link.jpg", "more/b.jpg", "photos/../photos/c.jpg"]
    assert read_catalogue(write_lines(folder, BOOT | {"images": images})).listings[0].images == tuple(images)


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    write_lines(folder, BOOT | {"images": ["photos/a.jpg"]})
    (folder.parent / "link").symlink_to(folder)
    catalogue = read_catalogue(folder.parent / "link")
    assert catalogue.photo_path(catalogue.listings[0].images[0]).is_file()


def test_a_sibling_folder_with_the_same_prefix_is_outside(folder: Path) -> None:
    (folder.parent / "shop-secret").mkdir()
    (folder.parent / "shop-secret" / "a.jpg").write_bytes(b"x")
    write_lines(folder, BOOT | {"images": ["../shop-secret/a.jpg"]})
    assert "leaves the catalogue's folder" in skipped_problems(folder)[0]
