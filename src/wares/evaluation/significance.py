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


# Significance


@dataclass(frozen=True)
class PairedTest:
    """One system against the baseline on one measure.

    difference: mean over queries, system minus baseline
    p: two-sided; p_holm: corrected for all comparisons made together
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
    """Every other system against the baseline, query by query, Holm-corrected over all systems and measures.

    per_query: system -> measure -> query -> value, the same queries throughout
    method: "t" for the paired t-test, "permutation" for the sign-flip test of the mean difference

    Raises EvaluationError where the baseline is not there or systems were measured on different queries.
    """
    if baseline not in per_query:
        raise EvaluationError(f"baseline {baseline!r} is not among the systems: {', '.join(per_query)}.")
    found: list[tuple[str, str, Floats]] = []
    for system in (name for name in per_query if name != baseline):
        for name, values in per_query[system].items():
            base = per_query[baseline].get(name)
            if base is None or base.keys() != values.keys():
                raise EvaluationError(f"{system} and {baseline} were not measured on the same queries ({name}).")
            found.append((system, name, np.array([values[query] - base[query] for query in base])))
    p_values = [_p_value(difference, method) for _, _, difference in found]
    return [
        PairedTest(system, baseline, name, float(difference.mean()), p, p_holm)
        for (system, name, difference), p, p_holm in zip(found, p_values, holm_correction(p_values), strict=True)
    ]


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for having made all of these tests together; p in [0, 1], order kept.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for place, test in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[test]))
        corrected[test] = worst
    return corrected


def _p_value(difference: Floats, method: SignificanceTest) -> float:
    """Two-sided p of a mean difference of 0. difference: (n,) one per query."""
    from scipy import stats

    if np.ptp(difference) < 1e-12:  # no spread, no t: the sign-flip test has this closed form
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
