"""Console tables of a comparison: values, methods by fusions, tests with relative gains, and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.core.errors import EvaluationError
from wares.evaluation.comparison.columns import (
    COST_COLUMNS,
    format_gain,
    format_protocol,
    join_names,
    join_seeds,
    significance_mark,
)
from wares.evaluation.comparison.results import (
    FUSED_PROTOCOLS,
    GAIN_MEASURES,
    MAIN_MEASURE,
    all_tests,
    main_protocol,
    training_of,
)
from wares.evaluation.comparison.validation import FUSIONS
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from wares.evaluation.comparison.results import Comparison, ComparisonResult, MeanStd, Results


def print_tables(console: Console, result: ComparisonResult, baseline: str | None) -> None:
    """Print the main tables: nDCG@10 of every system, methods by fusions, and differences from the baseline."""
    comparison = result.comparison
    protocol = main_protocol(comparison)
    console.print(results_table(comparison.results(), MAIN_MEASURE, f"{MAIN_MEASURE}, epochs and fusion validated"))
    for name in (name for name in FUSED_PROTOCOLS if name in comparison.protocols):
        console.print(fusions_table(result, name, MAIN_MEASURE))
    console.print(tests_table(comparison, MAIN_MEASURE, baseline, f"{MAIN_MEASURE}: difference from the baseline"))
    console.print(gains_table(comparison, protocol, baseline))
    console.print(cost_table(result))
    for line in baseline_lines(comparison, baseline):
        console.print(line, markup=False)


# Values


def results_table(results: Results, measure: str, title: str | None = None) -> Table:
    """Return a table of mean ± standard deviation over seeds: methods by protocols, the best mean in bold."""
    from rich.markup import escape
    from rich.table import Table

    columns = measured_protocols(results, measure)
    seeds = "one seed" if results["seeds"] == 1 else f"{results['seeds']} seeds"
    note = f"{measure}, {seeds}: mean ± deviation over seeds; bold: the best"
    table = Table(title=title, caption=note, caption_justify="left")
    table.add_column("method", no_wrap=True)
    for protocol in columns:
        table.add_column(escape(_header(protocol)), justify="right")
    table.add_column("seconds", justify="right")
    best = {protocol: _best_mean(results, protocol, measure) for protocol in columns}
    for method, row in results["methods"].items():
        cells = [_cell(mean_std(results, method, protocol, measure), best[protocol]) for protocol in columns]
        table.add_row(escape(method), *cells, f"{row['seconds']:.1f}" if row.get("seconds") else "–")
    return table


def fusions_table(result: ComparisonResult, protocol: str, measure: str) -> Table:
    """Return a table of mean ± standard deviation over seeds: methods by fusions, the best mean in bold."""
    from rich.table import Table

    comparison = result.comparison
    cells = comparison.cells(protocol)
    values = {
        method: {fusion: comparison.spread(name, protocol, measure) for fusion, name in row.items()}
        for method, row in cells.items()
    }
    best = max(value["mean"] for row in values.values() for value in row.values())
    title = f"{measure}, {format_protocol(protocol)}: methods by fusions"
    note = "training and fusion as two factors; bold: the best; validated: what the seeds select, without labels"
    table = Table(title=title, caption=note, caption_justify="left")
    table.add_column("trained as", no_wrap=True)
    for fusion in FUSIONS:
        table.add_column(f"{fusion} fusion", justify="right")
    table.add_column("validated")
    for method, row in values.items():
        validated = join_seeds([each.fusion for each in result.validations_of(method, training_of(protocol))])
        table.add_row(method, *(_cell(row.get(fusion), best) for fusion in FUSIONS), validated)
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


# Baselines, tests, gains


def baseline_lines(comparison: Comparison, preferred: str | None) -> list[str]:
    """Return a line for each protocol that names the system that the others are compared with."""
    lines = []
    for protocol in comparison.protocols:
        names = [comparison.baseline(protocol, preferred, hybrid) for hybrid in (False, True)]
        first, second = (f"{name} ({comparison.mean(name, protocol, MAIN_MEASURE):.3f})" for name in names)
        strongest = ", the strongest system without transport" if preferred != names[0] else ""
        hybrid = f"; of systems fused with BM25: {second}" if names[1] != names[0] else ""
        lines.append(f"Baseline in {format_protocol(protocol)}: {first}{strongest}{hybrid}.")
    return lines


def tests_table(comparison: Comparison, measure: str, baseline: str | None, title: str) -> Table:
    """Return a table of differences from the baseline of each protocol, with their significance."""
    from rich.markup import escape
    from rich.table import Table

    tests = {(test.protocol, test.system): test for test in all_tests(comparison, baseline) if test.measure == measure}
    note = (
        f"▲ better, ▼ worse: paired t-test, p < {SIGNIFICANCE_LEVEL} after Holm's correction for all comparisons of a "
        "protocol"
    )
    table = Table(title=title, caption=note, caption_justify="left")
    table.add_column("system", no_wrap=True)
    for protocol in comparison.protocols:
        table.add_column(f"{format_protocol(protocol)}\n− {comparison.baseline(protocol, baseline)}", justify="right")
    systems = dict.fromkeys(name for protocol in comparison.protocols for name in comparison.rows(protocol))
    for system in systems:
        row = [tests.get((protocol, system)) for protocol in comparison.protocols]
        if not comparison.systems[system].hybrid and any(row):
            cells = [f"{test.difference:+.3f} {significance_mark(test)}" if test else "–  " for test in row]
            table.add_row(escape(system), *cells)
    return table


def gains_table(comparison: Comparison, protocol: str, baseline: str | None) -> Table:
    """Return a table of the relative gains of trained systems over the baseline, by measure."""
    from rich.markup import escape
    from rich.table import Table

    measures = [name for name in GAIN_MEASURES if name in comparison.measures(protocol)]
    base = comparison.baseline(protocol, baseline)
    title = f"{format_protocol(protocol)}: relative gain over {base}"
    table = Table(title=title, caption=gains_note(comparison, protocol), caption_justify="left")
    table.add_column("system", no_wrap=True)
    for name in measures:
        table.add_column(name, justify="right")
    gains = {(test.system, test.measure): test.gain for test in comparison.tests(protocol, baseline)}
    for system in comparison.rows(protocol):
        about = comparison.systems[system]
        if about.method is not None and not about.hybrid and system != base:
            table.add_row(escape(system), *(format_gain(gains.get((system, name))) for name in measures))
    return table


def gains_note(comparison: Comparison, protocol: str) -> str | None:
    """Return the caption of the gains: which measures are left out; None if none are."""
    trivial = [f"R@{k}" for k in (10, 100, 500) if comparison.is_trivial(protocol, f"R@{k}")]
    if not trivial:
        return None
    count = comparison.candidate_counts[protocol]
    return f"{join_names(trivial)} left out: only {count:,} listings are ranked, so it is 1 for any full ranking"


# Costs


def cost_table(result: ComparisonResult) -> Table:
    """Return a table of the costs, a row for each method."""
    from rich.table import Table

    note = (
        f"ms: of an epoch; epochs: of each seed, by validation ({' / '.join(result.validations)}); seconds: "
        f"validation and training of a seed; an embedding takes {result.vector_bytes:,} bytes and a query costs the "
        "same, with any method of training"
    )
    table = Table(title="cost", caption=note, caption_justify="left")
    table.add_column("method")
    for name in COST_COLUMNS:
        table.add_column(name, justify="right")
    for method in result.costs:
        table.add_row(method, *(cell(method, result) for cell in COST_COLUMNS.values()))
    return table
