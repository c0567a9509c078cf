"""Bootstrap over what varies: resampled means of queries or groups, and intervals from their percentiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from wares.evaluation.cross_view import Floats

BOOTSTRAP_RESAMPLES = 9999
RESAMPLES_AT_ONCE = 500


@dataclass(frozen=True)
class ConfidenceInterval:
    """A 95 % confidence interval over queries, or over groups of listings."""

    low: float
    high: float

    @classmethod
    def from_bootstrap(cls, means: Floats) -> ConfidenceInterval:
        """Return the percentile interval. means: (BOOTSTRAP_RESAMPLES,) of `bootstrap_means`"""
        low, high = np.percentile(means, (2.5, 97.5))
        return cls(float(low), float(high))


def bootstrap_means(values: Floats) -> Floats:
    """Return means under bootstrap resamples of units.

    values: (K, U) of K pairs of system and measure, and U units: queries, or groups of listings

    Returns (K, BOOTSTRAP_RESAMPLES). All K have the same resamples, so percentiles of a difference or a ratio of rows
    are a paired interval. Source: Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    random, units = np.random.default_rng(0), values.shape[1]
    means = np.empty((len(values), BOOTSTRAP_RESAMPLES))
    for start in range(0, BOOTSTRAP_RESAMPLES, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, BOOTSTRAP_RESAMPLES - start)
        draws = random.multinomial(units, np.full(units, 1 / units), size=size)  # how often each unit is drawn
        means[:, start : start + size] = values @ draws.T / units
    return means
