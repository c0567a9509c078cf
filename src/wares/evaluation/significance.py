"""Paired tests between systems, with Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from wares.core.errors import EvaluationError

if TYPE_CHECKING:
    from wares.evaluation.cross_view import Floats


SignificanceTest = Literal["t", "permutation"]
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Test of one system against the baseline on one measure.

    difference: mean over queries, system minus baseline
    p: two-sided p-value; p_holm: after Holm's correction for all tests of the call
    """

    system: str
    baseline: str
    measure: str
    difference: float
    p: float
    p_holm: float


def paired_tests(
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]], baseline: str, method: SignificanceTest = "t"
) -> list[PairedTest]:
    """Test every other system against the baseline, paired by query, with Holm's correction over all tests.

    per_query: system -> measure -> query -> value, with the same queries everywhere
    method: "t" for the paired t-test, "permutation" for the sign-flip test of the mean difference

    Raises EvaluationError for an unknown baseline, and if systems were measured on different queries.

    Example:
        >>> from wares.evaluation import paired_tests
        >>> values = {"ours": {"RR": {"q1": 1.0, "q2": 0.5}}, "bm25": {"RR": {"q1": 0.5, "q2": 0.25}}}
        >>> [test] = paired_tests(values, "bm25")
        >>> test.difference, round(test.p, 3)
        (0.375, 0.205)
    """
    if baseline not in per_query:
        raise EvaluationError(f"baseline {baseline!r} is not among the systems: {', '.join(per_query)}. Choose one.")
    differences: list[tuple[str, str, Floats]] = []
    for system in (name for name in per_query if name != baseline):
        for name, values in per_query[system].items():
            base = per_query[baseline].get(name)
            if base is None or base.keys() != values.keys():
                raise EvaluationError(
                    f"{system} and {baseline} were not measured on the same queries ({name}). Use the same judgments."
                )
            differences.append((system, name, np.array([values[query] - base[query] for query in base])))
    p_values = [_p_value(difference, method) for _, _, difference in differences]
    return [
        PairedTest(system, baseline, name, float(difference.mean()), p, p_holm)
        for (system, name, difference), p, p_holm in zip(differences, p_values, holm_correction(p_values), strict=True)
    ]


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's correction for all of them, in the same order.

    p_values: in [0, 1]

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _p_value(difference: Floats, method: SignificanceTest) -> float:
    """Two-sided p-value of the hypothesis that the mean difference is 0. difference: (n,), one for each query"""
    from scipy import stats

    if np.ptp(difference) < 1e-12:  # without variance t is undefined; the sign-flip test has this closed form
        return 1.0 if abs(difference[0]) < 1e-12 else 2.0 ** (1 - len(difference))
    if method == "t":
        return float(stats.ttest_1samp(difference, 0.0).pvalue)
    flipped = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    return float(flipped.pvalue)
