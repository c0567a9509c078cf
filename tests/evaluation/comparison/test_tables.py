"""Console tables of a comparison."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wares.core.errors import EvaluationError
from wares.evaluation.comparison.results import Results
from wares.evaluation.comparison.tables import measured_protocols, results_table

PROTOCOLS = ["title->photos", "description->photos", "photo->title", "photo->primary-photo", "query->listing"]
METHODS = ["factorized", "single-view", "random-view", "all-pairs", "full-transport"]


def comparison_results(height: float = 1.0, seeds: int = 3) -> Results:
    return {
        "methods": {
            method: {
                **{
                    protocol: {"AP": {"mean": height * (0.9 - 0.1 * i - 0.05 * j), "std": 0.02}}
                    for j, protocol in enumerate(PROTOCOLS)
                },
                "seconds": 10.0 * (i + 1),
            }
            for i, method in enumerate(METHODS)
        },
        "seeds": seeds,
    }


def rendered(results: Results, measure: str = "AP") -> str:
    console = Console(file=io.StringIO(), width=160, record=True, color_system="standard", force_terminal=True)
    console.print(results_table(results, measure))
    return console.export_text(styles=True)


def test_a_table_has_means_deviations_and_the_best_in_bold() -> None:
    text = rendered(comparison_results())
    assert "\x1b[1m0.900±0.020" in text, "the best is bold"
    assert "0.600±0.020" in text
    assert "\x1b[1m0.600±0.020" not in text, "the second best is not bold"
    assert "title → photos" in text
    assert "10.0" in text
    assert "AP, 3 seeds" in text


def test_a_missing_value_is_a_dash() -> None:
    results = comparison_results()
    del results["methods"]["random-view"]["query->listing"]  # type: ignore[attr-defined]
    (line,) = (line for line in rendered(results).splitlines() if "random-view" in line)
    assert "–" in line


def test_an_unknown_measure_is_an_error() -> None:
    assert measured_protocols(comparison_results(), "AP") == PROTOCOLS
    with pytest.raises(EvaluationError, match="have no RR"):
        results_table(comparison_results(), "RR")
