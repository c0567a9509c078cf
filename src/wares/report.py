"""Tables and plots of comparisons: methods by protocols, and curves of one quantity against another.

`evaluate` measures and judges; here results are only shown. Pictures are drawn without a display and without
touching anybody's plotting state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from wares.errors import EvaluationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table


class Spread(TypedDict):
    """A measure over seeds: its mean and standard deviation."""

    mean: float
    std: float


class Results(TypedDict):
    """What `wares compare --json` writes: method -> protocol -> measure -> spread, and under "seconds" the time."""

    methods: Mapping[str, Mapping[str, Any]]
    seeds: int


Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> (x, y)

# Told apart by readers of every kind of colour vision. Okabe and Ito, "Color Universal Design", 2008.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
MARKERS = "os^Dv<>P"
INK, GRID = "#333333", "#DDDDDD"


def protocols(results: Results, measure: str) -> list[str]:
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


def spread(results: Results, method: str, protocol: str, measure: str) -> Spread | None:
    """One method's measure in one protocol, or None where it was not measured."""
    found: Spread | None = results["methods"][method].get(protocol, {}).get(measure)
    return found


def table(results: Results, measure: str, title: str | None = None) -> Table:
    """Methods down, protocols across, mean ± standard deviation over seeds; the best mean in bold."""
    from rich.markup import escape
    from rich.table import Table

    columns = protocols(results, measure)
    shown = Table(title=title, caption=f"{measure}, {_seeds(results)}; bold: the best", caption_justify="left")
    shown.add_column("method")
    for protocol in columns:
        shown.add_column(escape(_arrow(protocol)), justify="right")
    shown.add_column("seconds", justify="right")
    best = {protocol: _best(results, protocol, measure) for protocol in columns}
    for method, row in results["methods"].items():
        cells = [_cell(spread(results, method, protocol, measure), best[protocol]) for protocol in columns]
        shown.add_row(escape(method), *cells, f"{row['seconds']:.1f}" if "seconds" in row else "–")
    return shown


def bar_chart(panels: Mapping[str, Results], out: Path | str, measure: str) -> Path:
    """Methods side by side in every protocol, one panel a setting; whiskers are standard deviations over seeds.

    panels: title -> results, for example {"equal epochs": ..., "equal wall-clock": ...}; the same methods throughout
    out: the picture to write; its suffix (.png, .svg, .pdf) is its format

    Returns the path written. Raises EvaluationError where the results do not hold the measure.
    """
    columns = list(dict.fromkeys(protocol for results in panels.values() for protocol in protocols(results, measure)))
    methods = list(dict.fromkeys(method for results in panels.values() for method in results["methods"]))
    figure, axes = _figure(len(panels), 1, width=max(6.0, 1.5 + 1.7 * len(columns)), height=3.0)
    cells = [spread(results, m, p, measure) for results in panels.values() for m in results["methods"] for p in columns]
    top = 1.05 * max(cell["mean"] + cell["std"] for cell in cells if cell is not None)
    for axis, (title, results) in zip(axes, panels.items(), strict=True):
        for place, method in enumerate(methods):
            if method in results["methods"]:
                _bars(axis, results, columns, measure, place, methods)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks(range(len(columns)), [_arrow(protocol) for protocol in columns])
        axis.tick_params(axis="x", length=0)
        axis.set_xlim(-0.55, len(columns) - 0.45)
        axis.set_ylabel(f"{measure} (mean, {_seeds(results)})")
        axis.set_ylim(0, top)
    axes[-1].set_xlabel("query view → what is ranked")
    _legend(figure, axes[0], len(methods))
    return _save(figure, out)


def line_chart(panels: Mapping[str, Series], out: Path | str, x_label: str, y_labels: Sequence[str]) -> Path:
    """Curves, one panel a quantity; x ticks stand at the measured points.

    panels: title -> name -> (x, y); x_label, y_labels: axis titles with their units, one y label a panel
    """
    figure, axes = _figure(1, len(panels), width=4.8, height=3.4)
    for axis, y_label, (title, series) in zip(axes, y_labels, panels.items(), strict=True):
        for place, (name, (x, y)) in enumerate(series.items()):
            axis.plot(x, y, label=name, color=PALETTE[place % len(PALETTE)], marker=MARKERS[place % len(MARKERS)])
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks(sorted({value for x, _ in series.values() for value in x}))
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_ylim(0, None)
    _legend(figure, axes[0], max(len(series) for series in panels.values()))
    return _save(figure, out)


def _bars(
    axis: Axes, results: Results, columns: Sequence[str], measure: str, place: int, methods: Sequence[str]
) -> None:
    width = 0.84 / len(methods)
    found = [spread(results, methods[place], protocol, measure) for protocol in columns]
    there = [(x, value) for x, value in enumerate(found) if value is not None]
    axis.bar(
        [x + (place - (len(methods) - 1) / 2) * width for x, _ in there],
        [value["mean"] for _, value in there],
        width * 0.92,
        yerr=[value["std"] for _, value in there],
        label=methods[place],
        color=PALETTE[place % len(PALETTE)],
        error_kw={"elinewidth": 1, "ecolor": INK, "capsize": 2},
    )


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Bare panels in reading order; width and height of one, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, 0.6 + height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(INK)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(colors=INK)
    return figure, axes


def _legend(figure: Figure, axis: Axes, entries: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(entries, 5), frameon=False)


def _save(figure: Figure, out: Path | str) -> Path:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)
    return Path(out)


def _best(results: Results, protocol: str, measure: str) -> float:
    found = [spread(results, method, protocol, measure) for method in results["methods"]]
    return max((value["mean"] for value in found if value is not None), default=0.0)


def _cell(value: Spread | None, best: float) -> str:
    if value is None:
        return "–"
    text = f"{value['mean']:.3f} ± {value['std']:.3f}"
    return f"[bold]{text}[/bold]" if f"{value['mean']:.3f}" == f"{best:.3f}" else text


def _arrow(protocol: str) -> str:
    return protocol.replace("->", " →\n" if len(protocol) > 14 else " → ").replace("-", " ")


def _seeds(results: Results) -> str:
    return "one seed" if results["seeds"] == 1 else f"{results['seeds']} seeds"
