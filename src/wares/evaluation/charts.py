"""Charts drawn with matplotlib without a display, and HTML pages that embed them.

Drawing does not change the global state of matplotlib. `comparison` and `supervision_report` decide what is drawn.
"""

from __future__ import annotations

import math
import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wares.evaluation.evaluator import Evaluation
    from wares.shop.explanation import Hit


Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> (x, y)
# Distinct with every kind of colour vision. Okabe and Ito, "Color Universal Design", 2008.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#000000")
MARKERS = "os^Dv<>P"
TEXT_COLOUR, GRID_COLOUR = "#333333", "#DDDDDD"


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


Panel = Mapping[str, Mapping[str, Estimate]]  # series -> row -> estimate


def draw_dot_chart(
    panels: Mapping[str, Panel], out: Path | str, x_label: str, max_columns: int = 3, zero_line: bool = False
) -> Path:
    """Draw a dot plot with error bars, a panel for each quantity, and return its path.

    panels: title -> series -> row -> estimate; all panels have the same rows, the best of the first series on top; a
        row without an estimate is empty
    out: path of the chart; the suffix (.png, .svg, .pdf) is its format
    max_columns: panels side by side; zero_line: draw a line at 0, as for differences
    """
    marks = [series for panel in panels.values() for series in panel.values()]
    rows = list(dict.fromkeys(row for series in marks for row in series))
    order = {row: next(series[row].value for series in marks if row in series) for row in rows}
    rows.sort(key=order.__getitem__)
    max_columns = min(max_columns, len(panels))
    height = 0.7 + 0.36 * len(rows)
    figure, axes = _figure(
        math.ceil(len(panels) / max_columns), max_columns, width=3.4 + 2 / max_columns, height=height
    )
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for index, (axis, (title, panel)) in enumerate(zip(axes, panels.items(), strict=False)):
        if zero_line:
            axis.axvline(0, color=TEXT_COLOUR, linewidth=0.8)
        _dots(axis, panel, rows)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_yticks(range(len(rows)), rows if index % max_columns == 0 else [""] * len(rows))
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.set_xlabel(x_label)
        axis.tick_params(axis="y", length=0)
    _legend(figure, axes[0], max(len(panel) for panel in panels.values()))
    return _save(figure, out)


def _dots(axis: Axes, panel: Panel, rows: Sequence[str]) -> None:
    """Draw each series a little above the next, so that error bars do not overlap."""
    for index, (name, estimates) in enumerate(panel.items()):
        offset = 0.26 * ((len(panel) - 1) / 2 - index)
        points = [(rows.index(row) + offset, estimate) for row, estimate in estimates.items()]
        values = [estimate.value for _, estimate in points]
        axis.errorbar(
            values,
            [height for height, _ in points],
            # The mean may lie just outside of a percentile interval.
            xerr=[
                [max(0.0, estimate.value - estimate.low) for _, estimate in points],
                [max(0.0, estimate.high - estimate.value) for _, estimate in points],
            ],
            fmt=MARKERS[index % len(MARKERS)],
            color=PALETTE[index % len(PALETTE)],
            markersize=5,
            elinewidth=1.4,
            label=name,
        )


def draw_scatter_chart(
    points: Mapping[str, tuple[float, Estimate]], out: Path | str, x_label: str, y_label: str
) -> Path:
    """Draw named points with vertical error bars over a logarithmic x. points: name -> (x, estimate)"""
    from matplotlib.ticker import LogLocator

    figure, [axis] = _figure(1, 1, width=7.0, height=4.0)
    for index, (name, (x, estimate)) in enumerate(points.items()):
        bar = [[max(0.0, estimate.value - estimate.low)], [max(0.0, estimate.high - estimate.value)]]
        colour = PALETTE[index % len(PALETTE)]
        axis.errorbar(x, estimate.value, bar, fmt=MARKERS[index % len(MARKERS)], color=colour, label=name, capsize=2)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(axis="x", color=GRID_COLOUR, linewidth=0.8)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _save(figure, out)


def draw_system_chart(evaluation: Evaluation, measures: Sequence[str], out: Path | str) -> Path:
    """Draw a bar for each system with its 95 % confidence interval over queries, and a panel for each measure."""
    import numpy as np

    figure, axes = _figure(1, len(measures), width=4.8, height=0.9 + 0.34 * len(evaluation.means))
    order = sorted(evaluation.means, key=lambda system: evaluation.means[system][measures[0]])
    for axis, name in zip(axes, measures, strict=True):
        values = [np.array(list(evaluation.per_query[system][name].values())) for system in order]
        errors = [1.96 * row.std(ddof=1) / np.sqrt(len(row)) if len(row) > 1 else 0.0 for row in values]
        means = [float(row.mean()) for row in values]
        axis.barh(range(len(order)), means, xerr=errors, color=PALETTE[0], ecolor=TEXT_COLOUR, capsize=2, height=0.62)
        for height, mean in enumerate(means):
            axis.text(0.01, height, f"{mean:.3f}", va="center", color="white", fontsize=9)
        axis.set_yticks(range(len(order)), order if axis is axes[0] else [""] * len(order))
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_xlim(0, 1)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"{name} (mean and 95 % interval, {evaluation.query_count} queries)")
    return _save(figure, out)


def draw_hits(
    searches: Sequence[tuple[str, Sequence[Hit]]], photo_path: Callable[[str], Path], out: Path | str
) -> Path:
    """Draw search results: for each hit the photo most similar to the query, the score, and the explanation.

    searches: (query, hits); photo_path: function from the name of a photo to its path
    """
    from matplotlib.image import imread

    columns = max(len(hits) for _, hits in searches)
    figure, axes = _figure(len(searches), columns, width=3.0, height=4.2)
    # margins in inches for the captions, and below the last of them
    figure.set_layout_engine("constrained", h_pad=0.5, w_pad=0.08, rect=(0, 0.035, 1, 0.965))
    for axis in axes:
        axis.axis("off")
        axis.set_anchor("N")
    for row, (query, hits) in enumerate(searches):
        heading = textwrap.shorten(_printable(query), 70, placeholder=" …")
        axes[row * columns].set_title(heading, loc="left", fontsize=11).set_in_layout(False)
        for axis, hit in zip(axes[row * columns :], hits, strict=False):
            if hit.photo is not None:
                axis.imshow(imread(photo_path(hit.photo)))
            title = textwrap.shorten(_printable(hit.title), 40, placeholder=" …")
            reasons = [f"  {item.contribution:+.2f}  {_view_name(hit, item.view)}" for item in hit.why[:3]]
            caption = "\n".join([title, f"{hit.score:.2f}, of which", *reasons])
            axis.text(
                0, -0.02, caption, transform=axis.transAxes, va="top", fontsize=8, color=TEXT_COLOUR, in_layout=False
            )
    return _save(figure, out)


def draw_line_chart(panels: Mapping[str, Series], out: Path | str, x_label: str, y_labels: Sequence[str]) -> Path:
    """Draw curves, a panel for each quantity, with x ticks at the measured points, and return the path of the chart.

    panels: title -> name -> (x, y); panels with the same names have one legend
    x_label, y_labels: axis titles with units, a y label for each panel
    """
    columns = len(panels) if len(panels) < 4 else 2
    figure, axes = _figure(-(-len(panels) // columns), columns, width=4.8, height=3.4)
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, y_label, (title, series) in zip(axes[: len(panels)], y_labels, panels.items(), strict=True):
        for index, (name, (x, y)) in enumerate(series.items()):
            axis.plot(x, y, label=name, color=PALETTE[index % len(PALETTE)], marker=MARKERS[index % len(MARKERS)])
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks(sorted({value for x, _ in series.values() for value in x}))
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_ylim(0, 1.08 * max((max(y) for _, y in series.values()), default=1.0) or 1.0)
    names = [list(series) for series in panels.values()]
    if all(others == names[0] for others in names):
        _legend(figure, axes[0], min(len(names[0]), 2 * columns) if columns > 1 else 1)
    else:
        for axis in axes[: len(panels)]:
            axis.legend(frameon=False, fontsize=8)
    return _save(figure, out)


def render_page(
    template: str, filters: Mapping[str, Callable[..., object]], pictures: Sequence[Path], **values: object
) -> str:
    """Return a page of `templates` as HTML. pictures: PNG files, embedded; templates find them by stem"""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("wares.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    embedded = {picture.stem: b64encode(picture.read_bytes()).decode() for picture in pictures}
    return environment.get_template(template).render(pictures=embedded, **values)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure and its panels in reading order. width, height: of a panel, in inches"""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, 0.6 + height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(TEXT_COLOUR)
        axis.grid(axis="y", color=GRID_COLOUR, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(colors=TEXT_COLOUR)
    return figure, axes


def _view_name(hit: Hit, view: str) -> str:
    """The name of a view in the caption of a photo of its listing."""
    return "this photo" if view == hit.photo else Path(view).stem


def _printable(text: str) -> str:
    """The text without characters that the font has no glyph for, such as emoji."""
    return "".join(character for character in text if ord(character) < 0x2500)


def _legend(figure: Figure, axis: Axes, entries: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(entries, 4), frameon=False)


def _save(figure: Figure, out: Path | str) -> Path:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)
    return Path(out)
