"""Paired tests against SciPy, brute force and the closed test; Holm's correction by hand."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wares.core.errors import EvaluationError
from wares.evaluation.significance import holm_correction, paired_tests


def test_holm_by_hand() -> None:
    """Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04, and no p may be below one before it."""
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.9, 0.8]) == [1.0, 1.0]
    assert holm_correction([]) == []


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """The oracle: the largest Bonferroni p-value over all subsets that a test belongs to."""
    expected = [
        max(
            min(1.0, len(others) * min(p_values[i] for i in others))
            for size in range(1, len(p_values) + 1)
            for others in itertools.combinations(range(len(p_values)), size)
            if test in others
        )
        for test in range(len(p_values))
    ]
    assert holm_correction(p_values) == pytest.approx(expected)


def table(values: npt.ArrayLike) -> dict[str, dict[str, float]]:
    return {"AP": {f"q{i}": float(value) for i, value in enumerate(np.asarray(values))}}


def test_paired_t_by_hand() -> None:
    """Differences 1 2 3: mean 2, standard error 1/sqrt(3), t = 2 sqrt(3) with 2 degrees of freedom."""
    (test,) = paired_tests({"ours": table([1, 2, 3]), "base": table([0, 0, 0])}, "base")
    t = 2 * np.sqrt(3)
    assert test.difference == 2.0
    assert test.p == pytest.approx(1 - t / np.sqrt(t * t + 2))  # Student's distribution, two degrees of freedom
    assert test.p_holm == test.p
    assert (test.system, test.baseline, test.measure) == ("ours", "base", "AP")


def test_paired_tests_are_scipys_and_corrected_over_all_systems_and_measures() -> None:
    random = np.random.default_rng(0)
    values = random.random((3, 2, 40)) + np.array([0, 0.1, 0.2])[:, None, None]
    per_query = {
        system: {name: dict(enumerate_as_queries(values[i, j])) for j, name in enumerate(["AP", "RR"])}
        for i, system in enumerate(["base", "ours", "theirs"])
    }
    tests = paired_tests(per_query, "base")
    expected = [stats.ttest_rel(values[i, j], values[0, j]).pvalue for i in (1, 2) for j in (0, 1)]
    assert [test.p for test in tests] == pytest.approx(expected)
    assert [test.p_holm for test in tests] == holm_correction([test.p for test in tests])
    assert [(test.system, test.measure) for test in tests] == [
        ("ours", "AP"),
        ("ours", "RR"),
        ("theirs", "AP"),
        ("theirs", "RR"),
    ]


def enumerate_as_queries(values: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    return [(f"q{i}", float(value)) for i, value in enumerate(values)]


def test_permutation_by_brute_force() -> None:
    difference = np.array([0.3, -0.1, 0.4, 0.2, 0.5, 0.1, -0.2, 0.25])
    flips = np.array(list(itertools.product([1, -1], repeat=len(difference))))
    extreme = np.abs((flips * difference).mean(axis=1)) >= abs(difference.mean()) - 1e-12
    (test,) = paired_tests({"ours": table(difference), "base": table(difference * 0)}, "base", "permutation")
    assert test.p == pytest.approx(extreme.mean())


@pytest.mark.parametrize("method", ["t", "permutation"])
@pytest.mark.filterwarnings("error")
def test_degenerate_differences(method: str) -> None:
    def p(ours: list[float], base: list[float]) -> float:
        (test,) = paired_tests({"ours": table(ours), "base": table(base)}, "base", method)  # type: ignore[arg-type]
        return test.p

    assert p([0.1, 0.7, 0.3], [0.1, 0.7, 0.3]) == 1.0
    assert p([0.5], [0.1]) == 1.0
    assert p([0.6, 0.5, 0.4], [0.5, 0.4, 0.3]) == pytest.approx(2 / 2**3)


def test_tests_need_the_baseline_and_the_same_queries() -> None:
    with pytest.raises(EvaluationError, match="baseline 'bm25' is not among the systems: ours"):
        paired_tests({"ours": table([1.0])}, "bm25")
    with pytest.raises(EvaluationError, match="not measured on the same queries"):
        paired_tests({"ours": table([1.0, 2.0]), "base": table([1.0])}, "base")
