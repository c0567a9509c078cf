"""Score fusion: standardised scores and their weighted sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wares.ranking.scoring import Scores

Floats = npt.NDArray[np.float64]


def mean_centered(scores: Scores) -> Floats:
    """(Q, K) scores with mean 0 for each query; NaN stays, and what is not finite becomes NaN."""
    values = np.where(np.isfinite(scores), scores, np.nan).astype(np.float64)
    there = ~np.isnan(values)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    return np.asarray(values - np.where(there, values, 0.0).sum(axis=1, keepdims=True) / count)


def zscores(scores: Scores) -> Floats:
    """(Q, K) scores with mean 0 and deviation 1 for each query; NaN stays, and scores that are all alike become 0."""
    values = mean_centered(scores)
    there = ~np.isnan(values)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    deviation = np.sqrt((np.where(there, values, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    # What differs by rounding only says nothing, and is not blown up to say something.
    largest = np.where(there, np.abs(scores), 0.0).max(axis=1, keepdims=True, initial=0.0)
    level = deviation <= 1e-6 * np.maximum(largest, 1e-30)
    return np.where(level, np.where(there, 0.0, np.nan), values / np.where(level, 1.0, deviation))


def zscore_fusion(scores: Sequence[Scores]) -> Floats:
    """(Q, K) mean over systems of their standardised scores of the same listings, so that scales do not matter.

    A system that abstains from a pair has no part in it; NaN where all do. Scores that are not finite count as
    abstaining.
    """
    return mean_ignoring_nan([zscores(each) for each in scores])


def mean_ignoring_nan(values: Sequence[Floats]) -> Floats:
    stacked = np.stack(values)
    said = (~np.isnan(stacked)).sum(axis=0)
    total = np.where(np.isnan(stacked), 0.0, stacked).sum(axis=0)
    return np.where(said > 0, total / np.maximum(said, 1), np.nan)
