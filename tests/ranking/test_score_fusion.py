"""Score fusion: reciprocal ranks by eye, z-scores as properties."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import score_tables

from wares.core.errors import SettingsError
from wares.ranking.score_fusion import RRF, CosineWithWords, ZScore, zscore_fusion, zscores

NAN, INF = math.nan, math.inf


def scores(*rows: Sequence[float]) -> npt.NDArray[np.float32]:
    return np.array(rows, dtype=np.float32)


# Reciprocal ranks


def test_reciprocal_ranks_by_eye() -> None:
    fused = RRF(k=1).fuse([["a", "b"], ["b", "c"], []])
    assert list(fused.items()) == [("a", 1 / 2), ("b", 1 / 3 + 1 / 2), ("c", 1 / 3)]


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_above_0(k: int) -> None:
    with pytest.raises(SettingsError, match=f"k of reciprocal rank fusion must be above 0, not {k}"):
        RRF(k)


# Z-scores


def test_zscores_by_eye() -> None:
    standardised = zscores(scores([1, 3], [0, NAN], [7, 7], [NAN, NAN], [INF, 2], [-INF, -5]))
    np.testing.assert_array_equal(standardised, scores([-1, 1], [0, NAN], [0, 0], [NAN, NAN], [NAN, 0], [NAN, 0]))


def test_rounding_errors_are_no_differences() -> None:
    near = np.nextafter(np.float32(0.7), np.float32(1))
    np.testing.assert_array_equal(zscores(scores([0.7, near, 0.7])), [[0, 0, 0]])


@given(score_tables)
def test_zscores_have_mean_0_and_deviation_1(rows: list[list[float]]) -> None:
    standardised = zscores(scores(*rows))
    np.testing.assert_array_equal(np.isnan(standardised), ~np.isfinite(np.array(rows)))
    for row, given_row in zip(standardised, rows, strict=True):
        finite = [value for value in given_row if math.isfinite(value)]
        present = row[~np.isnan(row)]
        if len(set(finite)) > 1:
            assert present.mean() == pytest.approx(0, abs=1e-9)
            assert present.std() == pytest.approx(1)
            assert np.array_equal(np.argsort(present, kind="stable"), np.argsort(finite, kind="stable"))
        else:
            assert not present.any()


@given(score_tables, st.sampled_from([1e6, 3.0, 1e-3, 1e-6]), st.integers(-100, 100))
def test_zscores_ignore_scale_and_shift(rows: list[list[float]], scale: float, shift: int) -> None:
    given_scores = scores(*rows)
    moved = ((given_scores.astype(np.float64) + shift) * scale).astype(np.float32)
    np.testing.assert_allclose(zscores(moved), zscores(given_scores), atol=1e-4)


@given(score_tables)
def test_negated_scores_have_negated_zscores(rows: list[list[float]]) -> None:
    np.testing.assert_allclose(zscores(-scores(*rows)), -zscores(scores(*rows)), atol=1e-9)


def test_fusion_of_one_system_is_its_zscores() -> None:
    single = scores([3, 1, NAN], [2, 2, 2])
    np.testing.assert_array_equal(zscore_fusion([single]), zscores(single))


def test_systems_on_different_scales_have_equal_weight() -> None:
    """One ranks the first listing best, the other the second; scores in millions do not win."""
    large, small = scores([3e6, 1e6, 2e6]), scores([1e-3, 3e-3, 2e-3])
    np.testing.assert_allclose(zscore_fusion([large, small]), [[0, 0, 0]], atol=1e-5)
    np.testing.assert_allclose(zscore_fusion([large, large, small]), zscores(large) / 3, atol=1e-5)


def test_systems_that_abstain_are_left_out() -> None:
    """From a pair or from a whole query; NaN if all systems abstain."""
    first = scores([2, 0, NAN, NAN], [NAN, NAN, NAN, NAN], [NAN, NAN, NAN, NAN])
    second = scores([NAN, 4, 2, NAN], [5, 1, NAN, NAN], [NAN, INF, -INF, NAN])
    np.testing.assert_allclose(zscore_fusion([first, second]), [[1, 0, -1, NAN], [1, -1, NAN, NAN], [NAN] * 4])


@given(st.lists(score_tables, min_size=1, max_size=3))
def test_fused_scores_are_means_of_zscores(tables: list[list[list[float]]]) -> None:
    queries, width = min(map(len, tables)), min(len(rows[0]) for rows in tables)
    systems = [scores(*(row[:width] for row in rows[:queries])) for rows in tables]
    fused = zscore_fusion(systems)
    standardised = [zscores(system) for system in systems]
    for index in np.ndindex(queries, width):
        values = [float(system[index]) for system in standardised if not math.isnan(system[index])]
        assert fused[index] == pytest.approx(sum(values) / len(values) if values else NAN, nan_ok=True)


# Weighted sums of two systems


@pytest.mark.parametrize(("weight", "expected"), [(0, [1, -1]), (0.25, [0.5, -0.5]), (1, [-1, 1])])
def test_weighted_sums_by_eye(weight: float, expected: list[float]) -> None:
    np.testing.assert_allclose(ZScore(weight).fuse(scores([2, 0]), scores([100, 300])), [expected])


def test_a_sum_needs_both_scores() -> None:
    fused = ZScore().fuse(scores([2, 0, NAN, 5]), scores([100, 300, 7, NAN]))
    assert np.isnan(fused).tolist() == [[False, False, True, True]]


@given(score_tables, st.data())
def test_equal_weights_rank_as_the_plain_sum(rows: list[list[float]], data: st.DataObject) -> None:
    first = scores(*rows)
    second = first[:, data.draw(st.permutations(range(first.shape[1])))]
    np.testing.assert_array_equal(2 * ZScore().fuse(first, second), zscores(first) + zscores(second))


@pytest.mark.parametrize("weight", [-0.1, 1.1, NAN])
def test_a_weight_is_a_fraction(weight: float) -> None:
    with pytest.raises(SettingsError, match=r"weight of z-score fusion must be in \[0, 1\]"):
        ZScore(weight)


# Cosines and words


def test_words_count_by_their_score_and_by_what_they_cover() -> None:
    words = CosineWithWords(weight=0.5).words([4.0, 4.0, 0.0], [1.0, 0.5, 0.0])
    assert words.tolist() == [2.0, 0.5, 0.0]
    assert CosineWithWords(weight=0).words([4.0], [1.0]).tolist() == [0.0]


@pytest.mark.parametrize("weight", [-0.1, INF, NAN])
def test_a_weight_of_words_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(SettingsError, match="weight of words"):
        CosineWithWords(weight=weight)
