"""Reports: what a table says, and that a picture shows its numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from wares.compare import Results
from wares.errors import EvaluationError
from wares.report import bar_chart, line_chart, protocols, table

PROTOCOLS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo", "query->listing"]
METHODS = ["factorized", "single-view", "random-view", "all-pairs", "full-transport"]


def results(height: float = 1.0, seeds: int = 3) -> Results:
    return {
        "methods": {
            method: {
                **{
                    protocol: {"AP": {"mean": height * (0.9 - 0.1 * i - 0.05 * j), "std": 0.02}}
                    for j, protocol in enumerate(PROTOCOLS)
                },
                "seconds": 10.0 * (i + 1),
            }
            for i, method in enumerate(METHODS)
        },
        "seeds": seeds,
    }


def rendered(found: Results, measure: str = "AP") -> str:
    console = Console(file=io.StringIO(), width=160, record=True, color_system="standard", force_terminal=True)
    console.print(table(found, measure))
    return console.export_text(styles=True)


def test_table_says_what_was_measured() -> None:
    text = rendered(results())
    assert "\x1b[1m0.900±0.020" in text, "the best is bold"
    assert "0.600±0.020" in text
    assert "\x1b[1m0.600±0.020" not in text, "it is nowhere the best"
    assert "title → photos" in text
    assert "10.0" in text
    assert "AP, 3 seeds" in text


def test_what_was_not_measured_shows_as_a_dash() -> None:
    found = results()
    del found["methods"]["random-view"]["query->listing"]  # type: ignore[attr-defined]
    (line,) = (line for line in rendered(found).splitlines() if "random-view" in line)
    assert "–" in line


def test_a_measure_that_is_not_there() -> None:
    assert protocols(results(), "AP") == PROTOCOLS
    with pytest.raises(EvaluationError, match="hold no RR"):
        table(results(), "RR")


def ink(path: Path, colour: tuple[int, int, int]) -> int:
    """How many pixels have this colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=2) < 8).sum())


def test_bar_chart_draws_every_method(tmp_path: Path) -> None:
    out = bar_chart({"equal epochs": results(), "equal wall-clock": results()}, tmp_path / "plots" / "bars.png", "AP")
    with Image.open(out) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    palette = [(0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233)]
    areas = [ink(out, colour) for colour in palette]
    assert min(areas) > 10_000
    assert areas == sorted(areas, reverse=True), "better methods have higher bars"


def test_bar_chart_skips_what_was_not_measured(tmp_path: Path) -> None:
    found = results()
    whole = ink(bar_chart({"": found}, tmp_path / "whole.png", "AP"), (0, 114, 178))
    del found["methods"]["factorized"]["title->photos"]  # type: ignore[attr-defined]
    assert 0 < ink(bar_chart({"": found}, tmp_path / "part.png", "AP"), (0, 114, 178)) < whole


def test_line_chart(tmp_path: Path) -> None:
    photos = [2.0, 4.0, 8.0, 16.0]
    panels = {
        "time": {"factorized": (photos, [1.0, 1.0, 1.0, 1.0]), "all-pairs": (photos, [1.0, 2.0, 4.0, 8.0])},
        "memory": {"factorized": (photos, [300.0] * 4), "all-pairs": (photos, [300.0, 400.0, 800.0, 1500.0])},
    }
    out = line_chart(panels, tmp_path / "lines.png", "photos per listing", ["step (s)", "peak memory (MB)"])
    assert ink(out, (0, 114, 178)) > 500
    assert ink(out, (230, 159, 0)) > 500
