"""Reports: what a table says, and that a picture shows its numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from wares.core.errors import EvaluationError
from wares.evaluation.charts import (
    Estimate,
    draw_dot_chart,
    draw_line_chart,
    draw_scatter_chart,
    measured_protocols,
    results_table,
)
from wares.evaluation.comparison.results import Results

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
    console.print(results_table(found, measure))
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
    assert measured_protocols(results(), "AP") == PROTOCOLS
    with pytest.raises(EvaluationError, match="hold no RR"):
        results_table(results(), "RR")


def ink(path: Path, colour: tuple[int, int, int]) -> int:
    """How many pixels have this colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=2) < 8).sum())


def panels(**values: float) -> dict[str, dict[str, dict[str, Estimate]]]:
    """One series of marks in two panels."""
    series = {"equal epochs": {name: Estimate(value, value - 0.1, value + 0.1) for name, value in values.items()}}
    return {"title → photos": series, "query → listing": series}


def blue(path: Path) -> npt.NDArray[np.bool_]:
    """Where the first series has its marks, in the right of two panels, away from the left one and the legend."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    distance = np.abs(pixels[height // 6 :, 2 * width // 3 :] - np.array((0, 114, 178))).max(axis=2)
    return np.asarray(distance < 8)


def test_dot_chart_draws_every_row_best_on_top(tmp_path: Path) -> None:
    out = draw_dot_chart(panels(random=0.2, factorized=0.8, single=0.5), tmp_path / "plots" / "dots.png", "nDCG@10")
    rows, columns = np.nonzero(blue(out))
    assert np.corrcoef(rows, columns)[0, 1] < -0.6, "the higher the value, the higher the row"


def test_dot_chart_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    def bands(path: Path) -> int:
        return int((np.diff(blue(path).any(axis=1).astype(int)) == 1).sum())

    both = panels(factorized=0.8, single=0.5)
    assert bands(draw_dot_chart(both, tmp_path / "whole.png", "AP")) == 2
    both["query → listing"] = {"equal epochs": {"single": Estimate(0.5, 0.4, 0.6)}}
    assert bands(draw_dot_chart(both, tmp_path / "part.png", "AP")) == 1


def test_dot_chart_of_one_row_with_a_mean_outside_its_interval(tmp_path: Path) -> None:
    out = draw_dot_chart(
        {"gain": {"over bm25": {"factorized": Estimate(0.5, 0.51, 0.6)}}}, tmp_path / "one.png", "%", zero_line=True
    )
    assert ink(out, (0, 114, 178)) > 50


def test_scatter_chart(tmp_path: Path) -> None:
    points = {"factorized": (0.2, Estimate(0.6, 0.55, 0.65)), "all-pairs": (2.0, Estimate(0.62, 0.6, 0.64))}
    out = draw_scatter_chart(points, tmp_path / "cost.png", "ms per listing and epoch", "nDCG@10")
    assert ink(out, (0, 114, 178)) > 100
    assert ink(out, (230, 159, 0)) > 100


def test_line_chart(tmp_path: Path) -> None:
    photos = [2.0, 4.0, 8.0, 16.0]
    panels = {
        "time": {"factorized": (photos, [1.0, 1.0, 1.0, 1.0]), "all-pairs": (photos, [1.0, 2.0, 4.0, 8.0])},
        "memory": {"factorized": (photos, [300.0] * 4), "all-pairs": (photos, [300.0, 400.0, 800.0, 1500.0])},
    }
    out = draw_line_chart(panels, tmp_path / "lines.png", "photos per listing", ["step (s)", "peak memory (MB)"])
    assert ink(out, (0, 114, 178)) > 500
    assert ink(out, (230, 159, 0)) > 500


def test_panels_of_other_curves_have_legends_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One legend would give the second panel's curves the first one's names."""
    drawn: list[Figure] = []
    monkeypatch.setattr("wares.evaluation.charts._save", lambda figure, _: drawn.append(figure))
    curve = ([1.0, 2.0], [0.5, 0.9])
    draw_line_chart({"one": {"ours": curve}, "two": {"ours": curve, "bm25": curve}}, tmp_path, "round", ["a", "b"])
    draw_line_chart({"one": {"ours": curve}, "two": {"ours": curve}}, tmp_path, "round", ["a", "b"])
    apart, shared = drawn
    legends = [axis.get_legend() for axis in apart.axes]
    assert [[text.get_text() for text in legend.get_texts()] for legend in legends if legend] == [
        ["ours"],
        ["ours", "bm25"],
    ]
    assert [text.get_text() for text in shared.legends[0].get_texts()] == ["ours"]
    assert all(axis.get_ylim()[1] > 0.9 for figure in drawn for axis in figure.axes), "no mark is cut"
