"""Console tables of a comparison: values, tests, relative gains, and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.core.errors import EvaluationError
from wares.evaluation.comparison.columns import (
    COST_COLUMNS,
    format_percent,
    format_protocol,
    join_names,
    significance_mark,
)
from wares.evaluation.comparison.results import GAIN_MEASURES, all_tests, main_protocol, without_hybrids
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from wares.evaluation.comparison.results import Comparison, ComparisonResult, MeanStd, Results


def print_tables(console: Console, result: ComparisonResult, baseline: str) -> None:
    """Print the main tables: nDCG@10, without the systems fused with BM25, which are on the page."""
    for budget, comparison in result.budgets.items():
        results = comparison.results()
        methods = {name: results["methods"][name] for name in without_hybrids(results["methods"])}
        console.print(results_table({**results, "methods": methods}, "nDCG@10", f"{budget}, nDCG@10"))
    budget, first = next(iter(result.budgets.items()))
    protocol = main_protocol(first)
    console.print(tests_table(first, "nDCG@10", baseline, f"{budget}, nDCG@10: difference from the baseline"))
    console.print(gains_table(first, protocol, baseline, f"{budget}, {format_protocol(protocol)}: relative gain"))
    console.print(cost_table(result))


# Values


def results_table(results: Results, measure: str, title: str | None = None) -> Table:
    """Return a table of mean ± standard deviation over seeds: methods by protocols, the best mean in bold."""
    from rich.markup import escape
    from rich.table import Table

    columns = measured_protocols(results, measure)
    seeds = "one seed" if results["seeds"] == 1 else f"{results['seeds']} seeds"
    table = Table(title=title, caption=f"{measure}, {seeds}; bold: the best", caption_justify="left")
    table.add_column("method", no_wrap=True)
    for protocol in columns:
        table.add_column(escape(_header(protocol)), justify="right")
    table.add_column("seconds", justify="right")
    best = {protocol: _best_mean(results, protocol, measure) for protocol in columns}
    for method, row in results["methods"].items():
        cells = [_cell(mean_std(results, method, protocol, measure), best[protocol]) for protocol in columns]
        table.add_row(escape(method), *cells, f"{row['seconds']:.1f}" if "seconds" in row else "–")
    return table


def measured_protocols(results: Results, measure: str) -> list[str]:
    """Return the protocols in which any method has the measure, in order of appearance."""
    protocols = [
        protocol
        for method in results["methods"].values()
        for protocol, measures in method.items()
        if protocol != "seconds" and measure in measures
    ]
    if not protocols:
        raise EvaluationError(f"the results have no {measure}. Choose a measure of theirs.")
    return list(dict.fromkeys(protocols))


def mean_std(results: Results, method: str, protocol: str, measure: str) -> MeanStd | None:
    """Return the mean and standard deviation of a measure, or None if it was not measured."""
    value: MeanStd | None = results["methods"][method].get(protocol, {}).get(measure)
    return value


def _best_mean(results: Results, protocol: str, measure: str) -> float:
    values = [mean_std(results, method, protocol, measure) for method in results["methods"]]
    return max((value["mean"] for value in values if value is not None), default=0.0)


def _cell(value: MeanStd | None, best: float) -> str:
    if value is None:
        return "–"
    text = f"{value['mean']:.3f}±{value['std']:.3f}"
    return f"[bold]{text}[/bold]" if f"{value['mean']:.3f}" == f"{best:.3f}" else text


def _header(protocol: str) -> str:
    """The name of a protocol, on two lines if it is long."""
    return protocol.replace("->", " →\n" if len(protocol) > 14 else " → ").replace("-", " ")


# Tests, gains, costs


def tests_table(comparison: Comparison, measure: str, baseline: str, title: str) -> Table:
    """Return a table of differences from the baseline of each protocol, with their significance."""
    from rich.markup import escape
    from rich.table import Table

    columns = {protocol: comparison.baseline(protocol, baseline) for protocol in comparison.protocols}
    tests = {(test.protocol, test.system): test for test in all_tests(comparison, baseline) if test.measure == measure}
    note = (
        f"▲ better, ▼ worse: paired t-test, p < {SIGNIFICANCE_LEVEL} after Holm's correction for all comparisons of a "
        "protocol"
    )
    table = Table(title=title, caption=note, caption_justify="left")
    table.add_column("system", no_wrap=True)
    for protocol, base in columns.items():
        table.add_column(f"{format_protocol(protocol)}\n− {base}", justify="right")
    for system in without_hybrids(comparison.seed_values[0]):
        row = [tests.get((protocol, system)) for protocol in columns]
        cells = [f"{test.difference:+.3f} {significance_mark(test)}" if test else "–  " for test in row]
        table.add_row(escape(system), *cells)
    return table


def gains_table(comparison: Comparison, protocol: str, baseline: str, title: str) -> Table:
    """Return a table of relative gains of the trained systems: over the baseline, and over the strongest one."""
    from rich.markup import escape
    from rich.table import Table

    base = comparison.baseline(protocol, baseline)
    measures = [name for name in GAIN_MEASURES if name in comparison.measures(protocol)]
    table = Table(title=title, caption=gains_note(comparison, protocol), caption_justify="left")
    table.add_column("system", no_wrap=True)
    columns = []
    for gains in (comparison.gains(protocol, base), comparison.gains(protocol)):
        by_cell = {(gain.system, gain.measure): format_percent(gain.relative) for gain in gains}
        columns += [(by_cell, name) for name in measures]
    strongest = [comparison.strongest_without_transport(protocol, name) for name in measures]
    for over, (_, name) in zip([base] * len(measures) + strongest, columns, strict=True):
        table.add_column(f"{name}\nover {over}", justify="right")
    for system in without_hybrids(name for name in comparison.systems(protocol) if comparison.epochs.get(name)):
        table.add_row(escape(system), *(by_cell.get((system, name), "–") for by_cell, name in columns))
    return table


def gains_note(comparison: Comparison, protocol: str) -> str:
    """Return the caption of the gains: over which systems they are, and which measures are left out."""
    trivial = [f"R@{k}" for k in (10, 100, 500) if comparison.is_trivial(protocol, f"R@{k}")]
    note = "over the baseline, and over the strongest system without transport"
    if trivial:
        count = comparison.candidate_counts[protocol]
        note += f"; {join_names(trivial)} left out: only {count:,} listings are ranked, so it is 1 for any full ranking"
    return note


def cost_table(result: ComparisonResult) -> Table:
    """Return a table of the costs, a row for each method."""
    from rich.table import Table

    note = f"an embedding takes {result.vector_bytes:,} bytes and a query costs the same, with any method of training"
    table = Table(title="cost", caption=note, caption_justify="left")
    table.add_column("method")
    for name in COST_COLUMNS:
        table.add_column(name, justify="right")
    for method, cost in result.costs.items():
        table.add_row(method, *(cell(cost) for cell in COST_COLUMNS.values()))
    return table
