"""Hybrid retrieval: the listings with the largest sum of cosine and words, exactly.

The words' part of a score is known for every listing, and the cosine for the nearest listings. All others have at most
the cosine of the last of these, so one of them can only be among the best k if its words make up the difference. The
vectors of those few are read. The result does not depend on how many are asked for: a longer list begins with the
shorter one. Over an approximate vector index, the nearest listings are those that the index finds.

Source: the threshold algorithm of Fagin, Lotem & Naor (PODS 2001), with one of two lists known completely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable


BLOCK = 64  # listings whose vectors are read at once, at least
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BestListings:
    """The best listings of a query, best first.

    indices: (K,) of the listings; cosines, words: (K,) the two parts of their scores
    """

    indices: Indices
    cosines: Floats
    words: Floats

    @property
    def scores(self) -> Floats:
        """(K,) sums of both parts."""
        return self.cosines + self.words

    def top(self, k: int) -> BestListings:
        """The k best of them; equal scores by ascending index."""
        order = np.lexsort((self.indices, -self.scores))[:k]
        return BestListings(self.indices[order], self.cosines[order], self.words[order])

    def extend(self, indices: Indices, cosines: Floats, words: Floats) -> BestListings:
        """These and further listings, unsorted."""
        return BestListings(
            np.concatenate([self.indices, indices]),
            np.concatenate([self.cosines, cosines]),
            np.concatenate([self.words, words]),
        )


def best_by_sum(
    nearest: Indices,
    bound: float,
    matches: Indices,
    words: Floats,
    cosines_of: Callable[[Indices], Floats],
    k: int,
) -> BestListings:
    """The k listings with the largest cosine + words; equal sums by ascending index.

    nearest: (D,) listings with the largest cosines; bound: no other listing has a larger cosine
    matches: (M,) listings that share a word with the query, ascending; words: (M,) words' part of their scores, >= 0
    cosines_of: (n,) listings -> (n,) cosines
    """
    best = BestListings(nearest, cosines_of(nearest), words_of(nearest, matches, words)).top(k)
    further = np.flatnonzero(words + bound >= best.scores[-1]) if len(best.indices) == k else np.arange(len(matches))
    further = further[~np.isin(matches[further], nearest)]
    further = further[np.argsort(-words[further], kind="stable")]
    for start in range(0, len(further), max(BLOCK, k)):
        block = further[start : start + max(BLOCK, k)]
        if len(best.indices) == k and words[block[0]] + bound < best.scores[-1]:
            break
        best = best.extend(matches[block], cosines_of(matches[block]), words[block]).top(k)
    return best


def words_of(listings: Indices, matches: Indices, words: Floats) -> Floats:
    """(n,) the words' part of the scores of given listings; 0 if they share no word with the query."""
    if not len(matches):
        return np.zeros(len(listings))
    positions = np.minimum(np.searchsorted(matches, listings), len(matches) - 1)
    return np.where(matches[positions] == listings, words[positions], 0.0)
