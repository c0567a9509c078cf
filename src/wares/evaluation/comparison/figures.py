"""Charts of a comparison: values by protocol, relative gains, and effectiveness against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.evaluation.charts import Estimate, draw_dot_chart, draw_scatter_chart
from wares.evaluation.comparison.columns import format_protocol
from wares.evaluation.comparison.results import (
    GAIN_MEASURES,
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    first_budget,
    main_protocol,
    without_hybrids,
)

if TYPE_CHECKING:
    from pathlib import Path

    from wares.evaluation.comparison.results import Comparison, ComparisonResult


def draw_charts(result: ComparisonResult, baseline: str, out: Path) -> list[Path]:
    """Draw the charts of a comparison, without the systems fused with BM25, and return their paths."""
    first = first_budget(result)
    seeds = len(first.seed_values)
    label = f"mean and 95 % interval, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    charts = []
    if QUERY_PROTOCOL in first.protocols:
        measures = [name for name in GAIN_MEASURES if name in first.measures(QUERY_PROTOCOL)]
        panels = {f"query → listing, {name}": _estimates(result, QUERY_PROTOCOL, name) for name in measures}
        charts.append(draw_dot_chart(panels, out / "queries.png", label))
    if cross_view := [protocol for protocol in first.protocols if protocol != QUERY_PROTOCOL]:
        panels = {f"{format_protocol(protocol)}, AP": _estimates(result, protocol, "AP") for protocol in cross_view}
        charts.append(draw_dot_chart(panels, out / "cross-view.png", label, max_columns=2))
    if gains := _gain_estimates(first, baseline):
        charts.append(draw_dot_chart(gains, out / "gains.png", "relative gain, %, and 95 % interval", zero_line=True))
    protocol = main_protocol(first)
    last = list(result.budgets)[-1]
    points = {
        method: (cost.milliseconds, _estimate(result.budgets[last], method, protocol, "nDCG@10"))
        for method, cost in result.costs.items()
    }
    y_label = f"nDCG@10, {format_protocol(protocol)},\n{last}"
    return [*charts, draw_scatter_chart(points, out / "cost.png", "training, ms per listing and epoch", y_label)]


def _estimates(result: ComparisonResult, protocol: str, measure: str) -> dict[str, dict[str, Estimate]]:
    return {
        budget: {
            system: _estimate(comparison, system, protocol, measure)
            for system in without_hybrids(comparison.systems(protocol))
        }
        for budget, comparison in result.budgets.items()
    }


def _estimate(comparison: Comparison, system: str, protocol: str, measure: str) -> Estimate:
    interval = comparison.interval(system, protocol, measure)
    return Estimate(comparison.mean(system, protocol, measure), interval.low, interval.high)


def _gain_estimates(comparison: Comparison, baseline: str) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Measure -> baseline -> trained system -> gain in per cent, in the main protocol."""
    protocol = main_protocol(comparison)
    base = comparison.baseline(protocol, baseline)
    panels: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, over in ((f"over {base}", base), ("over the strongest without transport", None)):
        for gain in comparison.gains(protocol, over):
            if not gain.system.endswith(HYBRID_SUFFIX) and comparison.epochs.get(gain.system):
                estimate = Estimate(100 * gain.relative, 100 * gain.low, 100 * gain.high)
                strongest = comparison.strongest_without_transport(protocol, gain.measure)
                panel = panels.setdefault(f"{gain.measure} (strongest: {strongest})", {})
                panel.setdefault(name, {})[gain.system] = estimate
    return panels
