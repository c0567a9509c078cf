"""Correlation of predicted with measured query performance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

    from wares.evaluation.measures import PerQuery


@dataclass(frozen=True)
class Correlation:
    """Correlation of a predictor with a measure over queries, as three coefficients in [-1, 1].

    queries: number of queries with both a prediction and a measured value
    kendall: tau-b; spearman: rho; pearson: r. None for fewer than three queries, or if either side is constant
    """

    predictor: str
    measure: str
    queries: int
    kendall: float | None
    spearman: float | None
    pearson: float | None


def correlations(predictions: Mapping[str, Mapping[str, float]], values: PerQuery) -> list[Correlation]:
    """Correlate each predictor with each measure over queries, to report how good the predictors are.

    predictions: predictor -> query id -> prediction, NaN for a query without one
    values: measure -> query id -> value, of the run whose performance was predicted
    """
    return [
        _correlation(predictor, name, [(by_query[query], measured[query]) for query in measured if query in by_query])
        for predictor, by_query in predictions.items()
        for name, measured in values.items()
    ]


def _correlation(predictor: str, name: str, pairs: Sequence[tuple[float, float]]) -> Correlation:
    from scipy import stats

    known = np.array([pair for pair in pairs if not np.isnan(pair[0])], dtype=np.float64).reshape(-1, 2)
    if len(known) < 3 or not np.ptp(known, axis=0).all():
        return Correlation(predictor, name, len(known), None, None, None)
    predicted, measured = known.T
    kendall, spearman, pearson = (
        float(coefficient(predicted, measured).statistic)
        for coefficient in (stats.kendalltau, stats.spearmanr, stats.pearsonr)
    )
    return Correlation(predictor, name, len(known), kendall, spearman, pearson)


def render_correlations(coefficients: Sequence[Correlation], console: Console) -> None:
    """Print a table of the coefficients, a row for each predictor."""
    from rich.table import Table

    measures = list(dict.fromkeys(row.measure for row in coefficients))
    table = Table(title="Correlation of predicted with measured performance of BM25")
    table.add_column("predictor")
    for name in measures:
        for coefficient in ("τ", "ρ", "r"):
            table.add_column(f"{name} {coefficient}", justify="right")
    for predictor in dict.fromkeys(row.predictor for row in coefficients):
        rows = [row for row in coefficients if row.predictor == predictor]
        values = [value for row in rows for value in (row.kendall, row.spearman, row.pearson)]
        table.add_row(predictor, *("–" if value is None else f"{value:.2f}" for value in values))
    console.print(table)
    note = "τ: Kendall, ρ: Spearman, r: Pearson; over judged queries, for reporting only."
    console.print(note, style="dim", markup=False, highlight=False)
