"""Charts: pixels show the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from PIL import Image

from wares.evaluation.charts import Estimate, draw_dot_chart, draw_line_chart, draw_scatter_chart


def pixel_count(path: Path, colour: tuple[int, int, int]) -> int:
    """Number of pixels of a colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=2) < 8).sum())


def panels(**values: float) -> dict[str, dict[str, dict[str, Estimate]]]:
    """One series of estimates in two panels."""
    series = {"equal epochs": {name: Estimate(value, value - 0.1, value + 0.1) for name, value in values.items()}}
    return {"title → photos": series, "query → listing": series}


def blue(path: Path) -> npt.NDArray[np.bool_]:
    """Pixels of the first series in the right of two panels, without the legend."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    distance = np.abs(pixels[height // 6 :, 2 * width // 3 :] - np.array((0, 114, 178))).max(axis=2)
    return np.asarray(distance < 8)


def test_a_dot_chart_has_the_best_row_on_top(tmp_path: Path) -> None:
    out = draw_dot_chart(panels(random=0.2, factorized=0.8, single=0.5), tmp_path / "plots" / "dots.png", "nDCG@10")
    rows, columns = np.nonzero(blue(out))
    assert np.corrcoef(rows, columns)[0, 1] < -0.6, "the higher the value, the higher the row"


def test_a_dot_chart_has_an_empty_row_for_a_missing_estimate(tmp_path: Path) -> None:
    def bands(path: Path) -> int:
        return int((np.diff(blue(path).any(axis=1).astype(int)) == 1).sum())

    both = panels(factorized=0.8, single=0.5)
    assert bands(draw_dot_chart(both, tmp_path / "all.png", "AP")) == 2
    both["query → listing"] = {"equal epochs": {"single": Estimate(0.5, 0.4, 0.6)}}
    assert bands(draw_dot_chart(both, tmp_path / "missing.png", "AP")) == 1


def test_a_dot_chart_of_a_mean_outside_its_interval(tmp_path: Path) -> None:
    out = draw_dot_chart(
        {"gain": {"over bm25": {"factorized": Estimate(0.5, 0.51, 0.6)}}}, tmp_path / "one.png", "%", zero_line=True
    )
    assert pixel_count(out, (0, 114, 178)) > 50


def test_a_scatter_chart_draws_all_points(tmp_path: Path) -> None:
    points = {"factorized": (0.2, Estimate(0.6, 0.55, 0.65)), "all-pairs": (2.0, Estimate(0.62, 0.6, 0.64))}
    out = draw_scatter_chart(points, tmp_path / "cost.png", "ms per listing and epoch", "nDCG@10")
    assert pixel_count(out, (0, 114, 178)) > 100
    assert pixel_count(out, (230, 159, 0)) > 100


def test_a_line_chart_draws_all_curves(tmp_path: Path) -> None:
    photos = [2.0, 4.0, 8.0, 16.0]
    panels = {
        "time": {"factorized": (photos, [1.0, 1.0, 1.0, 1.0]), "all-pairs": (photos, [1.0, 2.0, 4.0, 8.0])},
        "memory": {"factorized": (photos, [300.0] * 4), "all-pairs": (photos, [300.0, 400.0, 800.0, 1500.0])},
    }
    out = draw_line_chart(panels, tmp_path / "lines.png", "photos per listing", ["step (s)", "peak memory (MB)"])
    assert pixel_count(out, (0, 114, 178)) > 500
    assert pixel_count(out, (230, 159, 0)) > 500


def test_panels_with_different_curves_have_their_own_legends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared legend would name the curves of the second panel wrongly."""
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
    assert all(axis.get_ylim()[1] > 0.9 for figure in drawn for axis in figure.axes), "no point is cut off"
