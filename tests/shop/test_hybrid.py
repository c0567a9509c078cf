"""Hybrid retrieval: the best sums of cosine and words are exact, and longer lists begin with shorter ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.shop.hybrid import best_by_sum, words_of

Case = tuple[np.ndarray, np.ndarray]  # cosines and words of all listings; 0 words: no match


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few values, so that there are many ties."""
    size = draw(st.integers(1, 60))
    cosines = draw(st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0]), min_size=size, max_size=size))
    words = draw(st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 2.0]), min_size=size, max_size=size))
    return np.array(cosines), np.array(words)


def exhaustive(case: Case, k: int) -> list[int]:
    """The k best of all listings, equal scores by index."""
    cosines, words = case
    return sorted(range(len(cosines)), key=lambda index: (-(cosines[index] + words[index]), index))[:k]


def best(case: Case, depth: int, k: int) -> tuple[list[int], list[float], int]:
    """The k best by `best_by_sum`, their scores, and how many vectors were read beyond the nearest listings."""
    cosines, words = case
    read: list[int] = []

    def cosines_of(indices: np.ndarray) -> np.ndarray:
        read.extend(indices.tolist())
        return np.asarray(cosines[indices])

    nearest = np.lexsort((np.arange(len(cosines)), -cosines))[:depth]
    bound = -np.inf if depth >= len(cosines) else float(cosines[nearest[-1]])
    matches = np.flatnonzero(words > 0)
    found = best_by_sum(nearest, bound, matches, words[matches], cosines_of, k)
    return found.indices.tolist(), found.scores.tolist(), len(read) - len(nearest)


@given(cases(), st.integers(1, 60), st.integers(1, 30))
def test_equals_the_best_of_all_listings(case: Case, depth: int, k: int) -> None:
    indices, scores, _ = best(case, max(depth, k), k)
    assert indices == exhaustive(case, k)
    assert scores == [case[0][index] + case[1][index] for index in indices]


@given(cases(), st.integers(1, 60), st.integers(1, 30), st.integers(1, 30))
def test_a_longer_list_begins_with_the_shorter_one(case: Case, depth: int, k: int, more: int) -> None:
    shorter, longer = best(case, max(depth, k), k)[0], best(case, max(depth, k + more), k + more)[0]
    assert longer[:k] == shorter


def test_vectors_are_read_only_of_listings_that_words_can_lift() -> None:
    cosines = np.linspace(1.0, 0.0, 1000)
    words = np.where(np.arange(1000) % 2 == 0, 0.001, 0.0)
    words[900] = 2.0
    indices, scores, read = best((cosines, words), depth=100, k=10)
    assert indices[0] == 900
    assert scores[0] == pytest.approx(2.0 + cosines[900])
    assert read <= 128


def test_words_of_listings_without_a_match_are_zero() -> None:
    matches, words = np.array([2, 5]), np.array([0.5, 0.25])
    assert words_of(np.array([5, 0, 2, 9]), matches, words).tolist() == [0.25, 0.0, 0.5, 0.0]
    assert words_of(np.array([1]), np.zeros(0, np.int64), np.zeros(0)).tolist() == [0.0]
