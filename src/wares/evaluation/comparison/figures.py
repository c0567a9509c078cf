"""Charts of a comparison: values by protocol, methods by fusions, relative gains, and effectiveness against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.evaluation.charts import Estimate, draw_dot_chart, draw_scatter_chart
from wares.evaluation.comparison.columns import format_protocol
from wares.evaluation.comparison.results import (
    FUSED_PROTOCOLS,
    GAIN_MEASURES,
    MAIN_MEASURE,
    QUERY_PROTOCOL,
    main_protocol,
)
from wares.evaluation.comparison.validation import FUSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wares.evaluation.comparison.results import Comparison, ComparisonResult

    Panels = dict[str, dict[str, dict[str, Estimate]]]  # title -> series -> row -> estimate


def draw_charts(result: ComparisonResult, baseline: str | None, out: Path) -> list[Path]:
    """Draw the charts of a comparison, without the systems fused with BM25, and return their paths."""
    comparison, charts = result.comparison, []
    if QUERY_PROTOCOL in comparison.protocols:
        measures = [name for name in GAIN_MEASURES if name in comparison.measures(QUERY_PROTOCOL)]
        panels = {f"query → listing, {name}": _rows(comparison, QUERY_PROTOCOL, name) for name in measures}
        charts.append(draw_dot_chart(panels, out / "queries.png", "mean and 95 % interval"))
    if cross_view := [protocol for protocol in comparison.protocols if protocol != QUERY_PROTOCOL]:
        panels = {f"{format_protocol(protocol)}, AP": _rows(comparison, protocol, "AP") for protocol in cross_view}
        charts.append(draw_dot_chart(panels, out / "cross-view.png", "mean and 95 % interval", max_columns=2))
    fused = [protocol for protocol in FUSED_PROTOCOLS if protocol in comparison.protocols]
    panels = {f"{format_protocol(protocol)}, {MAIN_MEASURE}": _cells(comparison, protocol) for protocol in fused}
    charts.append(draw_dot_chart(panels, out / "fusions.png", "mean and 95 % interval"))
    if gains := _gains(comparison, baseline):
        charts.append(draw_dot_chart(gains, out / "gains.png", "relative gain, %, and 95 % interval", zero_line=True))
    protocol = main_protocol(comparison)
    points = {
        method: (cost.milliseconds, _estimate(comparison, method, protocol, MAIN_MEASURE))
        for method, cost in result.costs.items()
    }
    y_label = f"{MAIN_MEASURE}, {format_protocol(protocol)}"
    return [*charts, draw_scatter_chart(points, out / "cost.png", "training, ms per listing and epoch", y_label)]


def _rows(comparison: Comparison, protocol: str, measure: str) -> dict[str, dict[str, Estimate]]:
    rows = _without_hybrids(comparison, comparison.rows(protocol))
    return {"epochs and fusion validated": {name: _estimate(comparison, name, protocol, measure) for name in rows}}


def _cells(comparison: Comparison, protocol: str) -> dict[str, dict[str, Estimate]]:
    """Fusion -> method -> estimate."""
    return {
        f"{fusion} fusion": {
            method: _estimate(comparison, row[fusion], protocol, MAIN_MEASURE)
            for method, row in comparison.cells(protocol).items()
            if fusion in row
        }
        for fusion in FUSIONS
    }


def _gains(comparison: Comparison, preferred: str | None) -> Panels:
    """Measure -> baseline -> trained system -> gain in per cent, in the main protocol."""
    protocol = main_protocol(comparison)
    panels: Panels = {}
    for test in comparison.tests(protocol, preferred):
        system = comparison.systems[test.system]
        if test.measure in GAIN_MEASURES and test.gain and system.method and not system.hybrid:
            gain = Estimate(100 * test.gain.relative, 100 * test.gain.low, 100 * test.gain.high)
            panels.setdefault(test.measure, {}).setdefault(f"over {test.baseline}", {})[test.system] = gain
    return panels


def _estimate(comparison: Comparison, system: str, protocol: str, measure: str) -> Estimate:
    interval = comparison.interval(system, protocol, measure)
    return Estimate(comparison.mean(system, protocol, measure), interval.low, interval.high)


def _without_hybrids(comparison: Comparison, names: Iterable[str]) -> list[str]:
    return [name for name in names if not comparison.systems[name].hybrid]
