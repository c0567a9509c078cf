"""Correlation of query performance predictions with measured performance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console

    from wares.evaluation.measures import PerQuery


# Predicted performance


@dataclass(frozen=True)
class Correlation:
    """How well a query performance predictor orders queries by a measure, in [-1, 1] by each of three coefficients.

    queries: that have both a prediction and a value
    kendall: tau-b; spearman: rho; pearson: r. None where queries are fewer than three, or all alike in either
    """

    predictor: str
    measure: str
    queries: int
    kendall: float | None
    spearman: float | None
    pearson: float | None


def correlations(predictions: Mapping[str, Mapping[str, float]], values: PerQuery) -> list[Correlation]:
    """Each predictor against each measure, query by query. It says how good predictors are; nothing is chosen by it.

    predictions: predictor -> query id -> prediction, NaN where there is none; values: of the run that was predicted
    """
    return [
        _correlation(predictor, name, [(by_query[query], each[query]) for query in each if query in by_query])
        for predictor, by_query in predictions.items()
        for name, each in values.items()
    ]


def _correlation(predictor: str, name: str, pairs: Sequence[tuple[float, float]]) -> Correlation:
    from scipy import stats

    known = np.array([pair for pair in pairs if not np.isnan(pair[0])], dtype=np.float64).reshape(-1, 2)
    if len(known) < 3 or not np.ptp(known, axis=0).all():
        return Correlation(predictor, name, len(known), None, None, None)
    predicted, found = known.T
    coefficients = (stats.kendalltau, stats.spearmanr, stats.pearsonr)
    kendall, spearman, pearson = (float(each(predicted, found).statistic) for each in coefficients)
    return Correlation(predictor, name, len(known), kendall, spearman, pearson)


def render_correlations(found: Sequence[Correlation], console: Console) -> None:
    """Print them, a row for each predictor."""
    from rich.table import Table

    measures = list(dict.fromkeys(each.measure for each in found))
    table = Table(title="Predictions of how well BM25 answers a query, against how well it does")
    table.add_column("predictor")
    for name in measures:
        for coefficient in ("τ", "ρ", "r"):
            table.add_column(f"{name} {coefficient}", justify="right")
    for predictor in dict.fromkeys(each.predictor for each in found):
        rows = [each for each in found if each.predictor == predictor]
        values = [value for each in rows for value in (each.kendall, each.spearman, each.pearson)]
        table.add_row(predictor, *("–" if value is None else f"{value:.2f}" for value in values))
    console.print(table)
    about = "τ: Kendall, ρ: Spearman, r: Pearson; over judged queries, for reporting only."
    console.print(about, style="dim", markup=False, highlight=False)
