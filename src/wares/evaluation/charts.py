"""Tables and plots: methods by protocols, marks with intervals, curves of one quantity against another.

`evaluate` and `comparison` measure and judge; here results are only shown. Pictures are drawn without a display and
without touching anybody's plotting state. What `wares compare` makes of them is next door, in `compare_report`.
"""

from __future__ import annotations

import math
import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wares.core.errors import EvaluationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

    from wares.evaluation.comparison.results import MeanStd, Results
    from wares.evaluation.evaluator import Evaluation
    from wares.shop.explanation import Hit


Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> (x, y)
# Told apart by readers of every kind of colour vision. Okabe and Ito, "Color Universal Design", 2008.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#000000")
MARKERS = "os^Dv<>P"
TEXT_COLOUR, GRID_COLOUR = "#333333", "#DDDDDD"


def measured_protocols(results: Results, measure: str) -> list[str]:
    """The protocols in which any method has this measure, in order of appearance."""
    found = [
        protocol
        for method in results["methods"].values()
        for protocol, measures in method.items()
        if protocol != "seconds" and measure in measures
    ]
    if not found:
        raise EvaluationError(f"the results hold no {measure}; choose a measure they do hold.")
    return list(dict.fromkeys(found))


def mean_std(results: Results, method: str, protocol: str, measure: str) -> MeanStd | None:
    """One method's measure in one protocol, or None where it was not measured."""
    found: MeanStd | None = results["methods"][method].get(protocol, {}).get(measure)
    return found


def results_table(results: Results, measure: str, title: str | None = None) -> Table:
    """Methods down, protocols across, mean ± standard deviation over seeds; the best mean in bold."""
    from rich.markup import escape
    from rich.table import Table

    columns = measured_protocols(results, measure)
    shown = Table(title=title, caption=f"{measure}, {_seeds(results)}; bold: the best", caption_justify="left")
    shown.add_column("method", no_wrap=True)
    for protocol in columns:
        shown.add_column(escape(_arrow(protocol)), justify="right")
    shown.add_column("seconds", justify="right")
    best = {protocol: _best(results, protocol, measure) for protocol in columns}
    for method, row in results["methods"].items():
        cells = [_cell(mean_std(results, method, protocol, measure), best[protocol]) for protocol in columns]
        shown.add_row(escape(method), *cells, f"{row['seconds']:.1f}" if "seconds" in row else "–")
    return shown


@dataclass(frozen=True)
class Estimate:
    """A point of a chart with its interval."""

    value: float
    low: float
    high: float


Panel = Mapping[str, Mapping[str, Estimate]]  # series -> row -> mark


def draw_dot_chart(
    panels: Mapping[str, Panel], out: Path | str, x_label: str, max_columns: int = 3, zero_line: bool = False
) -> Path:
    """Marks with whiskers in rows, one panel a quantity; a row that a panel has no mark for stays empty.

    panels: title -> series -> row -> mark; the rows of all panels are the same, best of the first panel on top
    out: the picture to write; its suffix (.png, .svg, .pdf) is its format
    max_columns: panels side by side at most; zero_line: draw a line at 0, as for differences

    Returns the path written.
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
    for place, (axis, (title, panel)) in enumerate(zip(axes, panels.items(), strict=False)):
        if zero_line:
            axis.axvline(0, color=TEXT_COLOUR, linewidth=0.8)
        _dots(axis, panel, rows)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_yticks(range(len(rows)), rows if place % max_columns == 0 else [""] * len(rows))
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.set_xlabel(x_label)
        axis.tick_params(axis="y", length=0)
    _legend(figure, axes[0], max(len(panel) for panel in panels.values()))
    return _save(figure, out)


def _dots(axis: Axes, panel: Panel, rows: Sequence[str]) -> None:
    """Every series a little above the next, so that their whiskers do not hide each other."""
    for place, (name, marks) in enumerate(panel.items()):
        offset = 0.26 * ((len(panel) - 1) / 2 - place)
        found = [(rows.index(row) + offset, mark) for row, mark in marks.items()]
        values = [mark.value for _, mark in found]
        axis.errorbar(
            values,
            [height for height, _ in found],
            # A percentile interval may, at worst, leave its mean out by a hair.
            xerr=[
                [max(0.0, mark.value - mark.low) for _, mark in found],
                [max(0.0, mark.high - mark.value) for _, mark in found],
            ],
            fmt=MARKERS[place % len(MARKERS)],
            color=PALETTE[place % len(PALETTE)],
            markersize=5,
            elinewidth=1.4,
            label=name,
        )


def draw_scatter_chart(
    points: Mapping[str, tuple[float, Estimate]], out: Path | str, x_label: str, y_label: str
) -> Path:
    """Named points with vertical whiskers; x is logarithmic. points: name -> x and mark"""
    from matplotlib.ticker import LogLocator

    figure, [axis] = _figure(1, 1, width=7.0, height=4.0)
    for place, (name, (x, mark)) in enumerate(points.items()):
        whisker = [[max(0.0, mark.value - mark.low)], [max(0.0, mark.high - mark.value)]]
        colour = PALETTE[place % len(PALETTE)]
        axis.errorbar(x, mark.value, whisker, fmt=MARKERS[place % len(MARKERS)], color=colour, label=name, capsize=2)
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
    """Systems from worst to best, one panel a measure, with 95 % confidence intervals over the queries."""
    import numpy as np

    figure, axes = _figure(1, len(measures), width=4.8, height=0.9 + 0.34 * len(evaluation.means))
    order = sorted(evaluation.means, key=lambda system: evaluation.means[system][measures[0]])
    for axis, name in zip(axes, measures, strict=True):
        values = [np.array(list(evaluation.per_query[system][name].values())) for system in order]
        errors = [1.96 * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0 for each in values]
        means = [float(each.mean()) for each in values]
        axis.barh(range(len(order)), means, xerr=errors, color=PALETTE[0], ecolor=TEXT_COLOUR, capsize=2, height=0.62)
        for place, mean in enumerate(means):
            axis.text(0.01, place, f"{mean:.3f}", va="center", color="white", fontsize=9)
        axis.set_yticks(range(len(order)), order if axis is axes[0] else [""] * len(order))
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_xlim(0, 1)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"{name} (mean and 95 % interval, {evaluation.query_count} queries)")
    return _save(figure, out)


def draw_hits(
    searches: Sequence[tuple[str, Sequence[Hit]]], photo_path: Callable[[str], Path], out: Path | str
) -> Path:
    """Searches as a shop shows them: each hit by the photo that matched best, with its score and its reason.

    searches: question and hits; photo_path: where a photo of a hit lies
    """
    from matplotlib.image import imread

    columns = max(len(hits) for _, hits in searches)
    figure, axes = _figure(len(searches), columns, width=3.0, height=4.2)
    # room for the captions, in inches, and under the last of them
    figure.set_layout_engine("constrained", h_pad=0.5, w_pad=0.08, rect=(0, 0.035, 1, 0.965))
    for axis in axes:
        axis.axis("off")
        axis.set_anchor("N")
    for row, (question, hits) in enumerate(searches):
        asked = textwrap.shorten(_printable(question), 70, placeholder=" …")
        axes[row * columns].set_title(asked, loc="left", fontsize=11).set_in_layout(False)
        for axis, hit in zip(axes[row * columns :], hits, strict=False):
            if hit.photo is not None:
                axis.imshow(imread(photo_path(hit.photo)))
            title = textwrap.shorten(_printable(hit.title), 40, placeholder=" …")
            reasons = [f"  {why.contribution:+.2f}  {_view_name(hit, why.view)}" for why in hit.why[:3]]
            caption = "\n".join([title, f"{hit.score:.2f}, of which", *reasons])
            axis.text(
                0, -0.02, caption, transform=axis.transAxes, va="top", fontsize=8, color=TEXT_COLOUR, in_layout=False
            )
    return _save(figure, out)


def draw_line_chart(panels: Mapping[str, Series], out: Path | str, x_label: str, y_labels: Sequence[str]) -> Path:
    """Curves, one panel a quantity; x ticks stand at the measured points. Panels of the same curves share one legend.

    panels: title -> name -> (x, y); x_label, y_labels: axis titles with their units, one y label a panel
    """
    columns = len(panels) if len(panels) < 4 else 2
    figure, axes = _figure(-(-len(panels) // columns), columns, width=4.8, height=3.4)
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, y_label, (title, series) in zip(axes[: len(panels)], y_labels, panels.items(), strict=True):
        for place, (name, (x, y)) in enumerate(series.items()):
            axis.plot(x, y, label=name, color=PALETTE[place % len(PALETTE)], marker=MARKERS[place % len(MARKERS)])
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks(sorted({value for x, _ in series.values() for value in x}))
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_ylim(0, 1.08 * max((max(y) for _, y in series.values()), default=1.0) or 1.0)
    names = [list(series) for series in panels.values()]
    if all(each == names[0] for each in names):
        _legend(figure, axes[0], min(len(names[0]), 2 * columns) if columns > 1 else 1)
    else:
        for axis in axes[: len(panels)]:
            axis.legend(frameon=False, fontsize=8)
    return _save(figure, out)


def render_page(
    template: str, filters: Mapping[str, Callable[..., object]], pictures: Sequence[Path], **values: object
) -> str:
    """A page of `templates` that needs nothing beside it. pictures: PNG files, which go into it under their stems"""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("wares.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    inside = {picture.stem: b64encode(picture.read_bytes()).decode() for picture in pictures}
    return environment.get_template(template).render(pictures=inside, **values)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Bare panels in reading order; width and height of one, in inches."""
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
    """What a view is called under a picture of its listing."""
    return "this photo" if view == hit.photo else Path(view).stem


def _printable(text: str) -> str:
    """Without signs that the plotting font has no glyph for, as emoji."""
    return "".join(sign for sign in text if ord(sign) < 0x2500)


def _legend(figure: Figure, axis: Axes, entries: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(entries, 4), frameon=False)


def _save(figure: Figure, out: Path | str) -> Path:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)
    return Path(out)


def _best(results: Results, protocol: str, measure: str) -> float:
    found = [mean_std(results, method, protocol, measure) for method in results["methods"]]
    return max((value["mean"] for value in found if value is not None), default=0.0)


def _cell(value: MeanStd | None, best: float) -> str:
    if value is None:
        return "–"
    text = f"{value['mean']:.3f}±{value['std']:.3f}"
    return f"[bold]{text}[/bold]" if f"{value['mean']:.3f}" == f"{best:.3f}" else text


def _arrow(protocol: str) -> str:
    return protocol.replace("->", " →\n" if len(protocol) > 14 else " → ").replace("-", " ")


def _seeds(results: Results) -> str:
    return "one seed" if results["seeds"] == 1 else f"{results['seeds']} seeds"
