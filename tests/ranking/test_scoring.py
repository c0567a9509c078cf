"""Labels: order, padding and lookup."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from odd_queries import check

from wares.ranking.scoring import NO_LISTING, Labels


def test_labels_are_sorted() -> None:
    """Equal scores in the order of the corpus; a listing without a score is none, and a score without a listing."""
    nan = math.nan
    listings = np.array([[4, 2, 9, 7], [1, NO_LISTING, 3, 5]])
    scores = np.array([[1.0, 1.0, nan, 2.0], [-1.0, 8.0, nan, 0.0]], dtype=np.float32)
    labels = Labels.from_scores(listings, scores)
    assert labels.listings.tolist() == [[7, 2, 4, NO_LISTING], [5, 1, NO_LISTING, NO_LISTING]]
    np.testing.assert_array_equal(labels.scores, [[2, 1, 1, nan], [0, -1, nan, nan]])
    assert labels.top(2).listings.tolist() == [[7, 2], [5, 1]]
    assert labels.select(np.array([1])).listings.tolist() == [[5, 1, NO_LISTING, NO_LISTING]]


@given(
    st.lists(
        st.tuples(st.one_of(st.integers(0, 20), st.just(NO_LISTING)), st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.nan])),
        max_size=8,
        unique_by=lambda pair: pair[0],
    )
)
def test_labels_are_sorted_as_by_python(pairs: list[tuple[int, float]]) -> None:
    listings = np.array([[listing for listing, _ in pairs]], dtype=np.int64)
    labels = Labels.from_scores(listings, np.array([[score for _, score in pairs]], dtype=np.float32))
    check(labels, 1, len(pairs), 21)
    expected = [(-score, listing) for listing, score in pairs if listing != NO_LISTING and not math.isnan(score)]
    present = labels.present[0]
    assert labels.listings[0, present].tolist() == [listing for _, listing in sorted(expected)]
    assert (-labels.scores[0, present]).tolist() == [score for score, _ in sorted(expected)]


@given(
    known=st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 5), max_size=4), min_size=1, max_size=3),
    wanted=st.lists(st.integers(-1, 12), min_size=1, max_size=8),
)
def test_known_scores_are_looked_up_by_listing(known: list[dict[int, int]], wanted: list[int]) -> None:
    """NaN of others, and where no listing is asked for."""
    listings = np.array([[*row, *[NO_LISTING] * (4 - len(row))] for row in known], dtype=np.int64)
    scores = np.array([[*row.values(), *[np.nan] * (4 - len(row))] for row in known], dtype=np.float32)
    looked_up = Labels(listings, scores).scores_of(np.array([wanted] * len(known), dtype=np.int64))
    expected = np.array([[row.get(index, np.nan) for index in wanted] for row in known], dtype=np.float32)
    np.testing.assert_array_equal(looked_up, expected)
