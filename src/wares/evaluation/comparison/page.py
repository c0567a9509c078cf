"""The page of a comparison, report.html: a single file without scripts or links, from templates/compare.html."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.evaluation.charts import render_page
from wares.evaluation.comparison.bootstrap import BOOTSTRAP_RESAMPLES
from wares.evaluation.comparison.columns import (
    COST_COLUMNS,
    MEASURE_NOTES,
    PROTOCOL_NOTES,
    SYSTEM_COLUMNS,
    SYSTEM_NOTES,
    format_p_value,
    format_percent,
    format_protocol,
    format_value,
    join_names,
    significance_mark,
)
from wares.evaluation.comparison.experiment import TIMED_EPOCHS
from wares.evaluation.comparison.results import (
    GAIN_MEASURES,
    TRANSPORT_METHODS,
    Comparison,
    ProtocolTest,
    RelativeGain,
    all_gains,
    all_tests,
    first_budget,
    main_protocol,
)
from wares.evaluation.measures import DEFAULT_MEASURES
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from wares.evaluation.comparison.results import ComparisonResult
    from wares.evaluation.comparison.setup import ExperimentSetup

Cell = tuple[str, str, str]  # protocol, system, measure


@dataclass(frozen=True)
class BudgetSection:
    """The comparison under one budget, with tests and gains by protocol, system and measure; None without one."""

    name: str
    comparison: Comparison
    tests: Mapping[Cell, ProtocolTest | None]
    gains: Mapping[Cell, RelativeGain | None]
    strongest: Mapping[Cell, RelativeGain | None]

    @classmethod
    def from_comparison(cls, name: str, comparison: Comparison, baseline: str) -> BudgetSection:
        """Return the section with all tests and gains of a comparison."""
        return cls(
            name,
            comparison,
            _by_cell(all_tests(comparison, baseline)),
            _by_cell(all_gains(comparison, baseline)),
            _by_cell(all_gains(comparison, None)),
        )


def render_report(result: ComparisonResult, setup: ExperimentSetup, baseline: str, charts: Sequence[Path]) -> str:
    """Return the page as HTML. charts: PNG files, embedded in it"""
    first = first_budget(result)
    return render_page(
        "compare.html",
        {
            "protocol": format_protocol,
            "three": format_value,
            "percent": format_percent,
            "p": format_p_value,
            "mark": significance_mark,
            "enumerated": join_names,
        },
        charts,
        result=result,
        setup=setup,
        baseline=baseline,
        protocols=sorted(first.protocols, key=lambda protocol: protocol != main_protocol(first)),
        main_method=setup.methods[0].method,
        budgets=[
            BudgetSection.from_comparison(name, comparison, baseline) for name, comparison in result.budgets.items()
        ],
        notes={"protocols": PROTOCOL_NOTES, "systems": SYSTEM_NOTES, "measures": MEASURE_NOTES},
        system_columns=SYSTEM_COLUMNS,
        cost_columns=COST_COLUMNS,
        systems=set(first.seed_values[0]),
        transport=[name for name in TRANSPORT_METHODS if name in result.costs],
        measures=DEFAULT_MEASURES,
        gain_measures=GAIN_MEASURES,
        level=SIGNIFICANCE_LEVEL,
        resamples=BOOTSTRAP_RESAMPLES,
        timed_epochs=TIMED_EPOCHS,
    )


def _by_cell(rows: Iterable[Any]) -> defaultdict[Cell, Any]:
    cells: defaultdict[Cell, Any] = defaultdict(lambda: None)
    return cells | {(row.protocol, row.system, row.measure): row for row in rows}
