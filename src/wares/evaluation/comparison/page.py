"""The page of a comparison, report.html: a single file without scripts or links, from templates/compare.html."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from wares.evaluation.charts import render_page
from wares.evaluation.comparison.bootstrap import BOOTSTRAP_RESAMPLES
from wares.evaluation.comparison.columns import (
    COST_COLUMNS,
    FUSION_NOTES,
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
    MAIN_MEASURE,
    TRANSPORT_METHODS,
    all_tests,
    main_protocol,
    training_of,
)
from wares.evaluation.comparison.tables import baseline_lines
from wares.evaluation.comparison.validation import FUSIONS
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.evaluation.comparison.results import ComparisonResult, ProtocolTest
    from wares.evaluation.comparison.setup import ExperimentSetup


def render_report(
    result: ComparisonResult, setup: ExperimentSetup, baseline: str | None, charts: Sequence[Path]
) -> str:
    """Return the page as HTML. charts: PNG files, embedded in it"""
    comparison = result.comparison
    tests: defaultdict[tuple[str, str, str], ProtocolTest | None] = defaultdict(lambda: None)
    tests |= {(test.protocol, test.system, test.measure): test for test in all_tests(comparison, baseline)}
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
        baselines=baseline_lines(comparison, baseline),
        comparison=comparison,
        protocols=sorted(comparison.protocols, key=lambda protocol: protocol != main_protocol(comparison)),
        tests=tests,
        main_method=setup.methods[0].method,
        main_measure=MAIN_MEASURE,
        notes={
            "protocols": PROTOCOL_NOTES,
            "systems": SYSTEM_NOTES,
            "measures": MEASURE_NOTES,
            "fusions": FUSION_NOTES,
        },
        fusions=FUSIONS,
        system_columns=SYSTEM_COLUMNS,
        training_of=training_of,
        cost_columns=COST_COLUMNS,
        systems=set(comparison.systems),
        transport=[name for name in TRANSPORT_METHODS if name in result.costs],
        gain_measures=GAIN_MEASURES,
        level=SIGNIFICANCE_LEVEL,
        resamples=BOOTSTRAP_RESAMPLES,
        timed_epochs=TIMED_EPOCHS,
    )
