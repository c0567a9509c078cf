"""Correlations of predictions with measured performance, by eye."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wares.evaluation.correlation import correlations, render_correlations


def test_correlations_by_eye() -> None:
    """Of six pairs of queries one is the wrong way round: (5 - 1) / 6; and a swap of neighbours is Σd² = 2."""
    values = {"AP": {"a": 0.1, "b": 0.2, "c": 0.4, "d": 0.3, "unasked": 0.9}}
    predictions = {"good": dict(zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True))}
    predictions["bad"] = {query: -value for query, value in predictions["good"].items()}
    good, bad = correlations(predictions, values)
    assert (good.predictor, good.measure, good.queries) == ("good", "AP", 4)
    assert (good.kendall, good.spearman, good.pearson) == pytest.approx((2 / 3, 0.8, 0.8))
    assert (bad.kendall, bad.spearman, bad.pearson) == pytest.approx((-2 / 3, -0.8, -0.8))


def test_queries_without_predictions_are_excluded() -> None:
    """With too few or constant values the coefficients are None."""
    values = {"AP": dict(zip("abcd", (0.1, 0.2, 0.4, 0.3), strict=True)), "RR": dict.fromkeys("abcd", 1.0)}
    nan = float("nan")
    predictions = {
        "partly": {"a": 1.0, "b": nan, "c": 3.0, "d": 2.0, "unjudged": 9.0},
        "hardly": {"a": 1.0, "b": 2.0, "c": nan, "d": nan},
        "level": dict.fromkeys("abcd", 5.0),
    }
    by_pair = {(row.predictor, row.measure): row for row in correlations(predictions, values)}
    assert by_pair["partly", "AP"].queries == 3
    assert by_pair["partly", "AP"].kendall == pytest.approx(1)
    for pair in (("hardly", "AP"), ("level", "AP"), ("partly", "RR")):
        assert (by_pair[pair].kendall, by_pair[pair].spearman, by_pair[pair].pearson) == (None, None, None)
    console = Console(file=io.StringIO(), width=100)
    render_correlations(list(by_pair.values()), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "AP τ" in text and "RR r" in text and "–" in text and "partly" in text
