"""Statistics of a comparison by eye: means, intervals, Holm's correction, gains over known baselines."""

from __future__ import annotations

import numpy as np
import pytest

from wares.evaluation.comparison.results import (
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    Comparison,
    ProtocolValues,
    RelativeGain,
    System,
)
from wares.evaluation.significance import holm_correction, paired_tests
from wares.training.settings import METHODS

PHOTOS = "title->photos"


def measured(values: dict[str, float], protocol: str = QUERY_PROTOCOL) -> ProtocolValues:
    """The same values for every measure of gains."""
    return {protocol: {name: dict(values) for name in ("nDCG@10", "R@10", "R@100", "R@500")}}


def comparison_of(*seeds: dict[str, ProtocolValues], **candidates: int) -> Comparison:
    systems = {name: system_of(name) for name in seeds[0]}
    return Comparison(list(seeds), systems, {QUERY_PROTOCOL: 1000} | candidates)


def system_of(name: str) -> System:
    """A system by its name: "METHOD", "METHOD + bm25", "METHOD, FUSION fusion", or an untrained one."""
    method, _, fusion = name.removesuffix(HYBRID_SUFFIX).partition(", ")
    trained = method in METHODS
    return System(method if trained else None, fusion.removesuffix(" fusion") or None, HYBRID_SUFFIX in name, 1.0)


def four(base: float, step: float = 0.02) -> dict[str, float]:
    return {f"q{i}": base + step * i for i in range(4)}


SHOP = {
    "factorized": measured(four(0.57)),  # 0.60 in the mean
    "factorized + bm25": measured(four(0.47)),
    "single-view": measured(four(0.37)),  # 0.40
    "bm25": measured(four(0.45)),  # 0.48
    "dense": measured(four(0.47)),  # 0.50
    "all-pairs": measured(four(0.67)),
}


def test_results_are_means_and_deviations_over_seeds() -> None:
    comparison = comparison_of({"factorized": measured(four(0.4))}, {"factorized": measured(four(0.5))})
    [row] = comparison.results()["methods"].values()
    assert row[QUERY_PROTOCOL]["R@10"] == pytest.approx({"mean": 0.48, "std": 0.1 / np.sqrt(2)})
    assert row["seconds"] == 1.0 and comparison.results()["seeds"] == 2
    assert comparison.mean("factorized", QUERY_PROTOCOL, "R@10") == pytest.approx(0.48)


def gains(comparison: Comparison, baseline: str | None = None) -> dict[tuple[str, str], RelativeGain | None]:
    return {(test.system, test.measure): test.gain for test in comparison.tests(QUERY_PROTOCOL, baseline)}


def test_gains_over_single_view() -> None:
    found = gains(comparison_of(SHOP), "single-view")
    gain = found["factorized", "R@10"]
    assert gain is not None and gain.relative == pytest.approx(0.6 / 0.4 - 1)
    assert gain.low < gain.relative < gain.high
    other = found["bm25", "R@500"]
    assert other is not None and other.relative == pytest.approx(0.2)
    assert not any(system == "single-view" for system, _ in found)


def test_the_strongest_baseline_has_no_transport() -> None:
    comparison = comparison_of(SHOP)
    assert comparison.strongest_baseline(QUERY_PROTOCOL) == "dense", (
        "all-pairs couples views, and factorized + bm25 does"
    )
    gain = gains(comparison)["factorized", "R@10"]
    assert gain is not None and gain.relative == pytest.approx(0.2)
    assert comparison.best(QUERY_PROTOCOL, "R@10") == "all-pairs"
    alone = comparison_of({"factorized": SHOP["factorized"]})
    assert alone.strongest_baseline(QUERY_PROTOCOL) is None and alone.tests(QUERY_PROTOCOL) == []


def test_a_baseline_has_the_best_fusion() -> None:
    """Every method takes part with every fusion; cells are no rows, and no tests."""
    cells = {
        "single-view, uniform fusion": measured(four(0.55)),
        "single-view, primary fusion": measured(four(0.37)),
        "factorized, uniform fusion": measured(four(0.9)),
    }
    comparison = comparison_of(SHOP | cells)
    assert comparison.strongest_baseline(QUERY_PROTOCOL) == "single-view, uniform fusion"
    assert comparison.rows(QUERY_PROTOCOL) == list(SHOP)
    assert {test.baseline for test in comparison.tests(QUERY_PROTOCOL)} == {"single-view, uniform fusion"}
    assert {test.system for test in comparison.tests(QUERY_PROTOCOL)} == set(SHOP)
    assert comparison.cells(QUERY_PROTOCOL) == {
        "single-view": {"uniform": "single-view, uniform fusion", "primary": "single-view, primary fusion"},
        "factorized": {"uniform": "factorized, uniform fusion"},
    }


def test_only_systems_fused_with_bm25_are_compared_with_trained_ones_fused_with_bm25() -> None:
    comparison = comparison_of(SHOP | {"single-view" + HYBRID_SUFFIX: measured(four(0.6))})
    baselines = {test.system: test.baseline for test in comparison.tests(QUERY_PROTOCOL)}
    assert baselines["factorized"] == "dense"
    assert baselines["factorized + bm25"] == "single-view + bm25"
    assert "single-view + bm25" not in baselines, "it is its own baseline"


def test_no_gain_over_a_mean_of_zero() -> None:
    nothing = measured({"q0": 0.0, "q1": 0.0, "q2": 0.0, "q3": 0.0})
    comparison = comparison_of({"factorized": SHOP["factorized"], "single-view": nothing})
    assert set(gains(comparison).values()) == {None}


def test_recall_is_trivial_if_at_most_k_listings_are_ranked() -> None:
    comparison = comparison_of(SHOP, **{QUERY_PROTOCOL: 100})
    assert [comparison.is_trivial(QUERY_PROTOCOL, name) for name in ("R@10", "R@100", "R@500", "nDCG@10")] == [
        False,
        True,
        True,
        False,
    ]
    assert comparison.measures(QUERY_PROTOCOL) == ["nDCG@10", "R@10"]
    assert {test.measure for test in comparison.tests(QUERY_PROTOCOL)} == {"nDCG@10", "R@10"}
    assert "R@500" in comparison.results()["methods"]["bm25"][QUERY_PROTOCOL], "the documented shape has all measures"
    unknown = Comparison([SHOP], comparison.systems)
    assert not unknown.is_trivial(QUERY_PROTOCOL, "R@500"), "the number of candidates is unknown"


def test_intervals_contain_the_mean_and_narrow_with_queries() -> None:
    random = np.random.default_rng(1)
    few, many = (
        comparison_of(
            *({"single-view": measured({f"q{i}": float(random.random()) for i in range(n)})} for _ in range(3))
        )
        for n in (20, 2000)
    )
    widths = []
    for comparison in (few, many):
        interval, mean = (
            comparison.interval("single-view", QUERY_PROTOCOL, "R@10"),
            comparison.mean("single-view", QUERY_PROTOCOL, "R@10"),
        )
        assert interval.low < mean < interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 3


def test_intervals_of_differences_are_paired() -> None:
    """Queries vary, but one system is always exactly .1 better, so the interval has no width."""
    random = np.random.default_rng(2)
    values = {f"q{i}": float(random.random()) * 0.8 for i in range(30)}
    comparison = comparison_of(
        {"factorized": measured({q: v + 0.1 for q, v in values.items()}), "single-view": measured(values)}
    )
    [test] = [test for test in comparison.tests(QUERY_PROTOCOL) if test.measure == "R@10"]
    assert (test.difference, test.low, test.high) == pytest.approx((0.1, 0.1, 0.1))
    interval = comparison.interval("single-view", QUERY_PROTOCOL, "R@10")
    assert interval.high - interval.low > 0.1


def test_tests_are_corrected_within_a_protocol() -> None:
    random = np.random.default_rng(3)

    def noisy(level: float) -> ProtocolValues:
        values = {f"l{i}": level + float(random.normal(0, 0.2)) for i in range(40)}
        return measured(values) | measured(values, PHOTOS)

    table = {"factorized": noisy(0.6), "all-pairs": noisy(0.55), "single-view": noisy(0.45)}
    comparison = comparison_of(table | {"bm25": {QUERY_PROTOCOL: table["factorized"][QUERY_PROTOCOL]}})
    for protocol, count in ((PHOTOS, 2 * 4), (QUERY_PROTOCOL, 3 * 4)):
        tests = comparison.tests(protocol, "single-view")
        assert {(test.protocol, test.baseline) for test in tests} == {(protocol, "single-view")}
        assert len(tests) == count
        assert [test.p_holm for test in tests] == holm_correction([test.p for test in tests])
    plain = paired_tests({name: row[PHOTOS] for name, row in table.items()}, "single-view")
    assert [test.p for test in plain] == [test.p for test in comparison.tests(PHOTOS, "single-view")]


def test_the_preferred_baseline_is_used_if_it_was_measured() -> None:
    views = {"factorized": measured(four(0.6), PHOTOS), "single-view": measured(four(0.4), PHOTOS)}
    comparison = comparison_of({name: row | views.get(name, {}) for name, row in SHOP.items()})
    assert comparison.protocols == [QUERY_PROTOCOL, PHOTOS]
    assert [comparison.baseline(protocol, "bm25") for protocol in (QUERY_PROTOCOL, PHOTOS)] == ["bm25", "single-view"]
    assert comparison_of({"all-pairs": SHOP["all-pairs"]}).baseline(QUERY_PROTOCOL) == "all-pairs"
    assert {test.baseline for test in comparison.tests(QUERY_PROTOCOL, "bm25")} == {"bm25"}


def test_measures_of_pooled_judgments_are_not_tested() -> None:
    table = {
        name: {QUERY_PROTOCOL: {**row[QUERY_PROTOCOL], "Judged@10": dict.fromkeys(four(0.0), 1.0)}}
        for name, row in SHOP.items()
    }
    comparison = comparison_of(table)
    assert "Judged@10" in comparison.measures(QUERY_PROTOCOL)
    assert {test.measure for test in comparison.tests(QUERY_PROTOCOL)} == {"nDCG@10", "R@10", "R@100", "R@500"}


def test_a_query_is_averaged_over_the_seeds_that_measured_it() -> None:
    seeds = [
        {"factorized": measured(one, PHOTOS), "single-view": measured(dict.fromkeys(one, 0.0), PHOTOS)}
        for one in ({"a": 0.2, "b": 0.4}, {"b": 0.8, "c": 0.6})
    ]
    comparison = comparison_of(*seeds)
    [test] = [test for test in comparison.tests(PHOTOS) if test.measure == "R@10"]
    assert test.difference == pytest.approx(np.mean([0.2, 0.6, 0.6]))
    assert comparison.mean("factorized", PHOTOS, "R@10") == test.difference, "a mean and its tests have one unit"
    [spread] = [comparison.results()["methods"]["factorized"][PHOTOS]["R@10"]]
    assert spread == pytest.approx({"mean": test.difference, "std": np.std([0.3, 0.7], ddof=1)})
    interval = comparison.interval("factorized", PHOTOS, "R@10")
    assert (interval.low, interval.high) == pytest.approx((0.2, 0.6)), "resamples of 0.2, 0.6 and 0.6"


def test_seeds_are_averaged_before_queries_are_resampled() -> None:
    """One seed is always .4 better than the other: intervals are over queries, the deviation is over seeds."""
    one, other = ({"factorized": measured(four(base))} for base in (0.2, 0.6))
    both, middle = comparison_of(one, other), comparison_of({"factorized": measured(four(0.4))})
    intervals = [each.interval("factorized", QUERY_PROTOCOL, "R@10") for each in (both, middle)]
    assert intervals[0].low == pytest.approx(intervals[1].low) and intervals[0].high == pytest.approx(intervals[1].high)
    assert both.results()["methods"]["factorized"][QUERY_PROTOCOL]["R@10"]["std"] == pytest.approx(0.4 / np.sqrt(2))
