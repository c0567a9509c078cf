"""Tables and plots of comparisons: methods by protocols, and curves of one quantity against another.

`evaluate` measures and judges; here results are only shown. Pictures are drawn without a display and without
touching anybody's plotting state.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.errors import EvaluationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

    from wares.compare import Comparison, Results, Spread
    from wares.evaluate import Evaluation, PairedTest
    from wares.search import Hit


Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> (x, y)

# Told apart by readers of every kind of colour vision. Okabe and Ito, "Color Universal Design", 2008.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#000000")
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
    shown.add_column("method", no_wrap=True)
    for protocol in columns:
        shown.add_column(escape(_arrow(protocol)), justify="right")
    shown.add_column("seconds", justify="right")
    best = {protocol: _best(results, protocol, measure) for protocol in columns}
    for method, row in results["methods"].items():
        cells = [_cell(spread(results, method, protocol, measure), best[protocol]) for protocol in columns]
        shown.add_row(escape(method), *cells, f"{row['seconds']:.1f}" if "seconds" in row else "–")
    return shown


def write_comparison(console: Console, comparisons: Mapping[str, Comparison], out: Path) -> list[Path]:
    """Print the tables of `wares compare`, and write compare.json and one plot a measure.

    comparisons: budget -> comparison; the first is what compare.json has under "methods", the others stand under
        "budgets" in the same shape

    Returns the files written, compare.json first.
    """
    from wares.compare import QUERIES

    out.mkdir(parents=True, exist_ok=True)
    results = {budget: comparison.results() for budget, comparison in comparisons.items()}
    first = next(iter(comparisons))
    tests = {budget: comparison.tests() for budget, comparison in comparisons.items() if comparison.has(QUERIES)}
    about: dict[str, Any] = {**results[first], "budgets": results}
    about["tests"] = {budget: [asdict(test) for test in found] for budget, found in tests.items()}
    shown = {budget: without_hybrids(result) for budget, result in results.items()}
    files = [out / "compare.json"]
    files[0].write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    for measure in ("nDCG@10", "AP", "R@10"):
        for budget in comparisons:
            console.print(table(results[budget], measure, f"{budget}, {measure}"))
        files.append(bar_chart(shown, out / f"{measure.replace('@', '-').lower()}.png", measure))
    if tests.get(first):
        console.print(significance(tests[first], ("nDCG@10", "R@10"), f"{QUERIES}, {first}"))
    console.print(f"Written: {', '.join(map(str, files))}")
    return files


def significance(tests: Sequence[PairedTest], measures: Sequence[str], title: str) -> Table:
    """Differences from the baseline and Holm-corrected p of some measures, one system a row."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title=title, caption=f"difference from {tests[0].baseline} (p: paired t-test, Holm)")
    shown.add_column("system", no_wrap=True)
    for name in measures:
        shown.add_column(name, justify="right")
    for system in dict.fromkeys(test.system for test in tests):
        found = {test.measure: test for test in tests if test.system == system}
        shown.add_row(escape(system), *(f"{found[m].difference:+.3f} (p = {found[m].p_holm:.1g})" for m in measures))
    return shown


def without_hybrids(results: Results) -> Results:
    """The results without each method's fusion with BM25, which would crowd a picture."""
    methods = {name: row for name, row in results["methods"].items() if not name.endswith(" + bm25")}
    return {"methods": methods, "seeds": results["seeds"]}


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
                _bars(axis, results, columns, measure, method, PALETTE[place % len(PALETTE)])
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xticks(range(len(columns)), [_arrow(protocol) for protocol in columns])
        axis.tick_params(axis="x", length=0)
        axis.set_xlim(-0.55, len(columns) - 0.45)
        axis.set_ylabel(f"{measure} (mean, {_seeds(results)})")
        axis.set_ylim(0, top)
    axes[-1].set_xlabel("query view → what is ranked")
    _legend(figure, axes[0], len(methods))
    return _save(figure, out)


def system_chart(evaluation: Evaluation, measures: Sequence[str], out: Path | str) -> Path:
    """Systems from worst to best, one panel a measure, with 95 % confidence intervals over the queries."""
    import numpy as np

    figure, axes = _figure(1, len(measures), width=4.8, height=0.9 + 0.34 * len(evaluation.systems))
    order = sorted(evaluation.systems, key=lambda system: evaluation.systems[system][measures[0]])
    for axis, name in zip(axes, measures, strict=True):
        values = [np.array(list(evaluation.per_query[system][name].values())) for system in order]
        errors = [1.96 * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0 for each in values]
        means = [float(each.mean()) for each in values]
        axis.barh(range(len(order)), means, xerr=errors, color=PALETTE[0], ecolor=INK, capsize=2, height=0.62)
        for place, mean in enumerate(means):
            axis.text(0.01, place, f"{mean:.3f}", va="center", color="white", fontsize=9)
        axis.set_yticks(range(len(order)), order if axis is axes[0] else [""] * len(order))
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_xlim(0, 1)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"{name} (mean and 95 % interval, {evaluation.queries} queries)")
    return _save(figure, out)


def hits_picture(answers: Sequence[tuple[str, Sequence[Hit]]], photo: Callable[[str], Path], out: Path | str) -> Path:
    """Searches as a shop shows them: each hit by the photo that matched best, with its score and its reason.

    answers: question and hits; photo: where a photo of a hit lies
    """
    from matplotlib.image import imread

    columns = max(len(hits) for _, hits in answers)
    figure, axes = _figure(len(answers), columns, width=3.0, height=4.2)
    # room for the captions, in inches, and under the last of them
    figure.set_layout_engine("constrained", h_pad=0.5, w_pad=0.08, rect=(0, 0.035, 1, 0.965))
    for axis in axes:
        axis.axis("off")
    for row, (question, hits) in enumerate(answers):
        asked = textwrap.shorten(_printable(question), 70, placeholder=" …")
        axes[row * columns].set_title(asked, loc="left", fontsize=11).set_in_layout(False)
        for axis, hit in zip(axes[row * columns :], hits, strict=False):
            if hit.photo is not None:
                axis.imshow(imread(photo(hit.photo)))
            title = textwrap.shorten(_printable(hit.title), 40, placeholder=" …")
            reasons = [f"  {why.share:+.2f}  {_view_name(hit, why.view)}" for why in hit.why[:3]]
            caption = "\n".join([title, f"{hit.score:.2f}, of which", *reasons])
            axis.text(0, -0.02, caption, transform=axis.transAxes, va="top", fontsize=8, color=INK, in_layout=False)
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


def _bars(axis: Axes, results: Results, columns: Sequence[str], measure: str, method: str, colour: str) -> None:
    """One method's bars; in every protocol the bars of the methods measured there stand together."""
    width = 0.84 / len(results["methods"])
    places, values = [], []
    for column, protocol in enumerate(columns):
        there = [name for name in results["methods"] if spread(results, name, protocol, measure) is not None]
        if method in there:
            places.append(column + (there.index(method) - (len(there) - 1) / 2) * width)
            values.append(results["methods"][method][protocol][measure])
    axis.bar(
        places,
        [value["mean"] for value in values],
        width * 0.92,
        yerr=[value["std"] for value in values],
        label=method,
        color=colour,
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
    found = [spread(results, method, protocol, measure) for method in results["methods"]]
    return max((value["mean"] for value in found if value is not None), default=0.0)


def _cell(value: Spread | None, best: float) -> str:
    if value is None:
        return "–"
    text = f"{value['mean']:.3f}±{value['std']:.3f}"
    return f"[bold]{text}[/bold]" if f"{value['mean']:.3f}" == f"{best:.3f}" else text


def _arrow(protocol: str) -> str:
    return protocol.replace("->", " →\n" if len(protocol) > 14 else " → ").replace("-", " ")


def _seeds(results: Results) -> str:
    return "one seed" if results["seeds"] == 1 else f"{results['seeds']} seeds"
