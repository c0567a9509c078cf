"""Checks of a catalogue: counts by eye, and every problem in the report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from wares.core.errors import CatalogueError
from wares.data.listings import Listing
from wares.data.validation import CheckReport, CountSummary, check_catalogue
from wares.data.writers import write_listings


def photo(folder: Path, name: str, colour: str, size: tuple[int, int] = (40, 30)) -> str:
    Image.new("RGB", size, colour).save(folder / name)
    return name


def rendered(report: CheckReport, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    report.render(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Four listings: a logo shared by two, a truncated photo, and a product in two colours."""
    red, blue, logo, again = (
        photo(tmp_path, name, colour)
        for name, colour in (("red.png", "red"), ("blue.png", "blue"), ("logo.png", "white"), ("logo2.png", "white"))
    )
    (tmp_path / "cut.png").write_bytes((tmp_path / "red.png").read_bytes()[:60])
    write_listings(
        [
            Listing("r", "Boot", "Warm.", ("boot",), (red, logo), product="boot"),
            Listing("b", "boot ", "Dry, warm.", images=(blue, again, logo), product="boot"),
            Listing("c", "Mug", images=("cut.png",)),
            Listing("n", "Notebook"),
        ],
        tmp_path / "listings.jsonl",
    )
    return tmp_path


def test_counts_of_a_small_catalogue(shop: Path) -> None:
    report = check_catalogue(shop)
    assert report.listings == 4
    assert report.photos == 4
    assert report.texts == {"title": 4, "description": 2, "tags": 1}
    assert report.lengths["description"] == CountSummary(5, 7.5, 10)
    assert report.photos_per_listing == {0: 2, 2: 1, 3: 1}
    assert report.texts_per_listing == {1: 2, 2: 1, 3: 1}
    assert report.photo_sides == CountSummary(30, 30, 30)
    assert (report.same_title, report.same_product) == (2, 2)
    assert report.shared_photos == {"logo.png": 2}
    assert report.kinds == {"unreadable photo": 1, "duplicate photo": 1}
    assert not report.ok


def test_problems_name_file_and_line(shop: Path) -> None:
    cut, again = check_catalogue(shop).problems
    assert str(cut).startswith("listings.jsonl, line 3: cut.png is truncated or damaged")
    assert str(again) == "listings.jsonl, line 2: logo.png is the same photo as logo2.png. Remove one of them."
    assert again.severity == "note"


def test_stop_raises_at_the_first_bad_photo(shop: Path) -> None:
    with pytest.raises(CatalogueError, match=r"line 3: cut\.png is truncated .* Or pass --on-error skip\."):
        check_catalogue(shop, on_error="stop")


def test_json_has_counts_and_problems(shop: Path) -> None:
    report = json.loads(json.dumps(check_catalogue(shop).to_json()))
    assert (report["without_photos"], report["single_photo"], report["without_description"]) == (2, 0, 2)
    assert report["ok"] is False
    assert report["kinds"] == {"unreadable photo": 1, "duplicate photo": 1}
    assert [problem["line"] for problem in report["problems"]] == [3, 2]
    assert report["problems"][0]["text"].startswith("listings.jsonl, line 3: cut.png")


def test_tables_show_problems_and_the_next_step(shop: Path) -> None:
    text = rendered(check_catalogue(shop))
    assert "unreadable photo" in text
    assert "cut.png is truncated or damaged" in text
    assert text.rstrip().endswith(
        "with --on-error skip in the next commands (it skips 0 listings, and 1 photos or ends of texts)."
    )


def test_tables_count_many_problems_and_show_a_few(tmp_path: Path) -> None:
    rows = [{"id": "good", "title": "Good"}, *({"id": f"bad{i}"} for i in range(20))]
    (tmp_path / "listings.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = rendered(check_catalogue(tmp_path))
    assert "line 4:" in text
    assert "line 5:" not in text
    assert "and 17 more" in text


def test_markup_in_a_catalogue_is_shown_as_text(tmp_path: Path) -> None:
    (tmp_path / "listings.jsonl").write_text('{"id": "a", "title": "A", "images": ["[bold]x[/red].jpg"]}')
    assert "[bold]x[/red].jpg" in rendered(check_catalogue(tmp_path))


def test_a_valid_catalogue_names_the_next_command(tmp_path: Path) -> None:
    listing = Listing("a", "A", images=(photo(tmp_path, "a.png", "red"),))
    write_listings([listing], tmp_path / "listings.jsonl")
    report = check_catalogue(tmp_path)
    assert report.ok
    assert "Problems" not in rendered(report)
    assert f"wares pretrain {tmp_path} --out MODEL" in rendered(report, width=500)


def test_a_catalogue_without_photos_is_valid(tmp_path: Path) -> None:
    write_listings([Listing("a", "A"), Listing("b", "B")], tmp_path / "listings.csv")
    report = check_catalogue(tmp_path)
    assert report.ok
    assert report.photos_per_listing == {0: 2}
    assert "No listing has a photo" in rendered(report)


def test_notes_are_shown_but_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "listings.jsonl").write_text('{"id": "a", "title": "A", "care": "Brush."}')
    report = check_catalogue(tmp_path)
    assert report.ok
    assert 'column "care" is not used' in rendered(report)
    assert check_catalogue(tmp_path, text_fields=["care"]).texts == {"title": 1, "care": 1}


KINDS = ("good", "missing", "cut", "html", "empty")


@given(kinds=st.lists(st.lists(st.sampled_from(KINDS), unique=True, max_size=4), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_photo_is_counted_or_a_problem(tmp_path: Path, kinds: list[list[str]]) -> None:
    photo(tmp_path, "good.png", "red")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
    (tmp_path / "html.png").write_text("<html></html>")
    (tmp_path / "empty.png").touch()
    listings = [Listing(str(i), "A", images=tuple(f"{kind}.png" for kind in row)) for i, row in enumerate(kinds)]
    write_listings(listings, tmp_path / "listings.jsonl")
    report = check_catalogue(tmp_path)
    decoded = sum(number * count for number, count in report.photos_per_listing.items())
    assert decoded == sum(kind == "good" for row in kinds for kind in row)
    assert decoded + len(report.problems) == sum(map(len, kinds))
    assert sum(report.kinds.values()) == len(report.problems)
    assert sum(report.photos_per_listing.values()) == report.listings == len(kinds)


def test_a_real_catalogue(shared_data: Callable[[str], Path]) -> None:
    report = check_catalogue(shared_data("magento"))
    assert report.ok
    assert report.listings == 197
    assert report.photos == 721
    assert report.texts["title"] == 197
