"""Score fusion: one ranking from several, by reciprocal ranks, by z-scores, or by cosines and words.

Reciprocal rank fusion needs ranks only, and the candidates of the rankings may differ. Z-scores need scores of the same
candidates, and keep how far these are apart. The sum of cosines and words is a shop's hybrid search.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from wares.core.errors import SettingsError
from wares.ranking.scoring import Scores

Floats = npt.NDArray[np.float64]
Id = TypeVar("Id", bound=Hashable)


@dataclass(frozen=True)
class RRF:
    """Reciprocal rank fusion: an item's score is the sum of 1 / (k + rank) over the rankings that have it.

    k: above 0; large values make all ranks count alike

    Source: Cormack, Clarke & Büttcher (SIGIR 2009), whose k is the default.

    Example:
        >>> RRF(k=1).fuse([["boots", "mug"], ["mug", "lamp"]])
        {'boots': 0.5, 'mug': 0.8333333333333333, 'lamp': 0.3333333333333333}
    """

    k: int = 60

    def __post_init__(self) -> None:
        if not self.k > 0:
            raise SettingsError(f"k of reciprocal rank fusion must be above 0, not {self.k}.")

    def fuse(self, rankings: Sequence[Sequence[Id]]) -> dict[Id, float]:
        """Scores of all items, in the order of their first appearance. rankings: best first, without repetitions"""
        scores: dict[Id, float] = {}
        for ranking in rankings:
            for rank, item in enumerate(ranking, 1):
                scores[item] = scores.get(item, 0.0) + 1 / (self.k + rank)
        return scores


@dataclass(frozen=True)
class ZScore:
    """Weighted sum of two systems' z-scores. weight: of the second system, in [0, 1]

    Example:
        >>> ZScore(weight=0.25).fuse(np.array([[2, 0]]), np.array([[100, 300]])).tolist()
        [[0.5, -0.5]]
    """

    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise SettingsError(f"weight of z-score fusion must be in [0, 1], not {self.weight}.")

    def fuse(self, first: Scores, second: Scores) -> Floats:
        """(Q, K) fused scores of the same listings; NaN where either system abstains."""
        return (1 - self.weight) * zscores(first) + self.weight * zscores(second)


@dataclass(frozen=True)
class CosineWithWords:
    """The cosine of a query and a listing, plus what the query's words say about the listing.

        score = cosine + weight * bm25 * coverage**2

    BM25 is a sum of log-odds, so its size means the same for every query and collection: it is not normalised. Rare
    words that are found decide, and a query of unknown words is left to its vector. Coverage is the listing's share of
    the query's inverse document frequency: a listing with one of three words may have a high BM25 score, but is rarely
    what was meant.

    weight: of the words, 0 or more, in units of the cosine per unit of BM25 in the form of Lucene (k1 = 1.2)

    Source: our reading; the factor of coverage is the coordination factor of Lucene's classic similarity, weighted by
    inverse document frequency. The default holds on five collections, from .05 to .12 (docs/log.md).

    Example:
        >>> CosineWithWords(weight=0.1).words(np.array([4.0, 4.0]), np.array([1.0, 0.5])).tolist()
        [0.4, 0.1]
    """

    weight: float = 0.08

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise SettingsError(f"weight of words must be 0 or more, not {self.weight}.")

    def words(self, bm25: npt.ArrayLike, coverage: npt.ArrayLike) -> Floats:
        """What the words add to the cosines. bm25: scores, 0 or more; coverage: in [0, 1], of the same shape"""
        return self.weight * np.asarray(bm25, dtype=np.float64) * np.asarray(coverage, dtype=np.float64) ** 2


def mean_centered(scores: Scores) -> Floats:
    """(Q, K) scores minus their mean per query; NaN and infinite scores become NaN."""
    values = np.where(np.isfinite(scores), scores, np.nan).astype(np.float64)
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    return np.asarray(values - np.where(present, values, 0.0).sum(axis=1, keepdims=True) / count)


def zscores(scores: Scores) -> Floats:
    """(Q, K) scores with mean 0 and standard deviation 1 per query.

    NaN and infinite scores become NaN; if all scores of a query are equal, they become 0.
    """
    values = mean_centered(scores)
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    deviation = np.sqrt((np.where(present, values, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    # Differences that are only rounding errors count as none, so that dividing does not make them large.
    largest = np.where(present, np.abs(scores), 0.0).max(axis=1, keepdims=True, initial=0.0)
    is_constant = deviation <= 1e-6 * np.maximum(largest, 1e-30)
    return np.where(is_constant, np.where(present, 0.0, np.nan), values / np.where(is_constant, 1.0, deviation))


def zscore_fusion(scores: Sequence[Scores]) -> Floats:
    """(Q, K) mean z-score of the same listings over several systems, so that their scales do not matter.

    Systems that abstain from a pair, or score it with an infinite number, are left out of its mean; NaN if all are.
    """
    return mean_ignoring_nan([zscores(system_scores) for system_scores in scores])


def mean_ignoring_nan(values: Sequence[Floats]) -> Floats:
    """Element-wise mean of arrays of one shape, without NaN; NaN where all arrays have NaN."""
    stacked = np.stack(values)
    count = (~np.isnan(stacked)).sum(axis=0)
    total = np.where(np.isnan(stacked), 0.0, stacked).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
