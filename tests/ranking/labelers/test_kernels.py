"""Compiled loops of lexical labelers against dense products, on small numbers with many ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csc_array, csr_array

from wares.ranking.labelers.term_matching import sparse_retrieve, sparse_score
from wares.ranking.scoring import NO_LISTING

TERMS = 4


def small(rows: int, low: int, high: int) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    return arrays(np.float32, (rows, TERMS), elements=st.integers(low, high).map(float))


@settings(deadline=None)  # the first example compiles
@given(
    queries=small(3, 0, 2),
    weights=small(30, 0, 3),
    k=st.integers(1, 3) | st.integers(1, 40),  # small: ties beyond what is wanted
    sign=st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_the_best_are_those_of_a_dense_product(
    queries: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], k: int, sign: float
) -> None:
    """Among listings that share a term with the query; equal scores in the order of the corpus."""
    offsets = (sign * np.arange(30) % 3).astype(np.float32)
    results = sparse_retrieve(csr_array(queries), csc_array(weights), k, offsets)
    dense = queries @ weights.T + queries.sum(axis=1, keepdims=True) * offsets
    shares = (queries > 0) @ (weights > 0).T
    for index in range(len(queries)):
        expected = sorted(np.flatnonzero(shares[index]), key=lambda row: (-dense[index, row], row))[:k]
        assert results.listings[index].tolist() == expected + [NO_LISTING] * (k - len(expected))
        np.testing.assert_array_equal(results.scores[index, : len(expected)], dense[index, expected])
        assert np.isnan(results.scores[index, len(expected) :]).all()


@pytest.mark.parametrize("width", [1, 2_000])
def test_scores_are_those_of_a_dense_product(width: int) -> None:
    """Few listings are looked up one by one, for many all entries are gone through: neither makes a difference."""
    random = np.random.default_rng(0)
    weights = (random.integers(0, 4, (500, TERMS)) * random.integers(0, 2, (500, TERMS))).astype(np.float32)
    queries = np.array([[1, 0, 2, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=np.float32)
    listings = random.integers(-1, 500, (3, width))
    results = sparse_score(csr_array(queries), csc_array(weights), listings)
    expected = np.take_along_axis(queries @ weights.T, np.maximum(listings, 0), axis=1)
    expected[(listings == NO_LISTING) | (queries.sum(axis=1, keepdims=True) == 0)] = np.nan
    np.testing.assert_array_equal(results, expected)


def test_retrieving_and_scoring_say_the_same_to_the_last_bit() -> None:
    random = np.random.default_rng(1)
    weights = csc_array(random.random((3_000, 50)) * (random.random((3_000, 50)) < 0.2)).astype(np.float32)
    queries = csr_array(random.random((20, 50)) * (random.random((20, 50)) < 0.1)).astype(np.float32)
    offsets = random.normal(size=3_000).astype(np.float32)
    results = sparse_retrieve(queries, weights, 100, offsets)
    np.testing.assert_array_equal(sparse_score(queries, weights, results.listings, offsets), results.scores)
    np.testing.assert_array_equal(
        sparse_score(queries, weights, results.listings[:, :1], offsets), results.scores[:, :1]
    )
