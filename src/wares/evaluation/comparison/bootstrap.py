"""Bootstrap over seeds and queries: resampled means, and confidence intervals from their percentiles."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from wares.evaluation.cross_view import Floats

    Indices = npt.NDArray[np.int64]

BOOTSTRAP_RESAMPLES = 9999


@dataclass(frozen=True)
class ConfidenceInterval:
    """A 95 % confidence interval over queries and seeds."""

    low: float
    high: float

    @classmethod
    def from_bootstrap(cls, means: Floats) -> ConfidenceInterval:
        """Return the percentile interval. means: (BOOTSTRAP_RESAMPLES,) of `bootstrap_means`, NaN ignored"""
        low, high = np.nanpercentile(means, (2.5, 97.5))
        return cls(float(low), float(high))


def bootstrap_means(values: Floats) -> Floats:
    """Return means under bootstrap resamples of seeds crossed with resamples of queries.

    values: (K, S, Q) of K pairs of system and measure, S seeds, Q queries; NaN if a seed did not measure a query, at
        the same indices for all K

    Returns (K, BOOTSTRAP_RESAMPLES): for each resample the mean over its seeds of their means over its queries, NaN if
    none of its seeds measured any of its queries. All K have the same resamples, so percentiles of a difference or a
    ratio of rows are a paired interval.
    Source: Owen, "The pigeonhole bootstrap", 2007; resamples drawn by scipy.stats.bootstrap.
    """
    from scipy import stats

    measured = ~np.isnan(values[0])
    known = np.where(measured, values, 0.0)

    def means(seeds: Indices, queries: Indices, axis: int = -1) -> Floats:
        query_counts = _draw_counts(queries, values.shape[2])
        sizes = measured @ query_counts.T  # (S, resamples)
        weights = _draw_counts(seeds, values.shape[1]).T * (sizes > 0)
        total = weights.sum(axis=0)
        sums = (known @ query_counts.T / np.maximum(sizes, 1) * weights).sum(axis=1)
        return np.where(total > 0, sums / np.maximum(total, 1), np.nan)

    # SciPy needs two or more observations, so a single one is repeated.
    data = [np.resize(np.arange(size), max(2, size)) for size in values.shape[1:]]
    settings: dict[str, Any] = {
        "n_resamples": BOOTSTRAP_RESAMPLES,
        "batch": 500,
        "method": "percentile",
        "vectorized": True,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # SciPy warns of NaN
        bootstrap = stats.bootstrap(data, means, rng=np.random.default_rng(0), **settings)
    distribution: Floats = bootstrap.bootstrap_distribution
    return distribution


def _draw_counts(draws: Indices, size: int) -> Floats:
    """(resamples, size) how often each index is drawn. draws: (resamples, n) indices, or (n,) of one resample"""
    return np.stack([np.bincount(row, minlength=size) for row in np.atleast_2d(draws)]).astype(np.float64)
