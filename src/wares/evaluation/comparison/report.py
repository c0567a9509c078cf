"""Report of a comparison: console tables, compare.json, charts, and the page report.html."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.files import write_json
from wares.evaluation.comparison.figures import draw_charts
from wares.evaluation.comparison.page import render_report
from wares.evaluation.comparison.results import Comparison, ComparisonResult, MeanStd, all_tests
from wares.evaluation.comparison.setup import ExperimentSetup
from wares.evaluation.comparison.tables import print_tables

if TYPE_CHECKING:
    from rich.console import Console


def write_comparison(
    console: Console, result: ComparisonResult, setup: ExperimentSetup, out: Path, baseline: str | None = None
) -> list[Path]:
    """Print the tables, and write compare.json, the charts and report.html.

    baseline: system of the tests and gains, in protocols where it was measured; None for the strongest system without
        transport (`Comparison.baseline`)

    Returns the paths of the files, compare.json first.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_json(comparison_json(result, setup, baseline), out / "compare.json")
    charts = draw_charts(result, baseline, out)
    page = out / "report.html"
    page.write_text(render_report(result, setup, baseline, charts), encoding="utf-8")
    print_tables(console, result, baseline)
    console.print(f"Report with intervals and charts: {page}", soft_wrap=True)
    return [out / "compare.json", *charts, page]


def comparison_json(result: ComparisonResult, setup: ExperimentSetup, baseline: str | None) -> dict[str, Any]:
    """Return the object of compare.json: the results, and the details in further keys."""
    comparison = result.comparison
    return {
        **comparison.results(),
        "fusions": fusion_table(comparison),
        "validation": {
            training: [asdict(validation) for validation in validations]
            for training, validations in result.validations.items()
        },
        "ci": confidence_intervals(comparison),
        "baselines": {protocol: comparison.baseline(protocol, baseline) for protocol in comparison.protocols},
        "tests": [asdict(test) for test in all_tests(comparison, baseline)],
        "trivial": {
            protocol: [f"R@{k}" for k in (10, 100, 500) if comparison.is_trivial(protocol, f"R@{k}")]
            for protocol in comparison.protocols
        },
        "cost": {method: asdict(cost) for method, cost in result.costs.items()},
        "choices": [asdict(weights) for weights in result.selected_weights],
        "vector_bytes": result.vector_bytes,
        "setup": {
            "command": setup.command,
            **setup.facts,
            "settings": [asdict(settings) for settings in setup.methods],
        },
    }


def fusion_table(comparison: Comparison) -> dict[str, dict[str, dict[str, dict[str, MeanStd]]]]:
    """Return protocol -> method -> fusion -> measure -> mean and standard deviation over seeds."""
    return {
        protocol: {
            method: {
                fusion: {name: comparison.spread(system, protocol, name) for name in comparison.measures(protocol)}
                for fusion, system in row.items()
            }
            for method, row in comparison.cells(protocol).items()
        }
        for protocol in comparison.protocols
        if comparison.cells(protocol)
    }


def confidence_intervals(comparison: Comparison) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return system -> protocol -> measure -> [low, high] of the 95 % confidence interval of the mean."""
    intervals: dict[str, dict[str, dict[str, list[float]]]] = {}
    for protocol in comparison.protocols:
        for system in comparison.rows(protocol):
            cells = {name: comparison.interval(system, protocol, name) for name in comparison.measures(protocol)}
            row = {name: [cell.low, cell.high] for name, cell in cells.items()}
            intervals.setdefault(system, {})[protocol] = row
    return intervals
