"""Measures of hits: cases by eye, and measures that are equal if one listing is relevant."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wares.core.hits import average_precision, reciprocal_rank


def test_measures_of_hits_at_ranks_one_and_three() -> None:
    hits = np.array([[True, False, True], [False, True, False]])
    assert average_precision(hits).tolist() == [(1 + 2 / 3) / 2, 1 / 2]
    assert reciprocal_rank(hits).tolist() == [1.0, 1 / 2]


def test_the_reciprocal_rank_without_a_hit_is_zero() -> None:
    assert reciprocal_rank(np.array([[False, False]])).tolist() == [0.0]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_both_measures_are_equal_for_one_relevant_listing(ranks: list[int]) -> None:
    hits = np.arange(10) == np.array(ranks)[:, None]
    np.testing.assert_allclose(average_precision(hits), reciprocal_rank(hits))
