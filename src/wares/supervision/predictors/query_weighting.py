"""Weights of queries from their predicted performance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wares.core.errors import SettingsError
from wares.core.specs import parse_spec
from wares.supervision.predictors.evidence import require_between, scaled_exp

if TYPE_CHECKING:
    from collections.abc import Callable

    from wares.supervision.predictors.evidence import Floats


class QueryWeighting(Protocol):
    """Settings of a map from predictions to weights of queries."""

    def __call__(self, predictions: Floats) -> Floats:
        """(Q,) weights >= 0 with mean 1 over all queries, rising with the predictions; 0 for a NaN.

        Equal predictions have equal weights. Raises SettingsError if all are NaN.
        """


@dataclass(frozen=True)
class RankWeighting:
    """Weights by rank: 1 for the worst prediction, 2 for the next; equal predictions get the mean of their ranks."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _ranks)


@dataclass(frozen=True)
class MinMaxWeighting:
    """Weights by distance from the worst prediction, which weighs 0; equal weights if all predictions are equal."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _min_max)


@dataclass(frozen=True)
class SoftMaxWeighting:
    """Weights exp(z / temperature) of the predictions' z-scores over all queries.

    temperature: > 0, without unit; small ones leave weight to few queries, large ones weight all alike
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        require_between("temperature", self.temperature, 0.0, np.inf)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, lambda known: scaled_exp(_zscores(known) / self.temperature))


@dataclass(frozen=True)
class ThresholdWeighting:
    """Equal weights for the queries with the best predictions, 0 for the others.

    fraction: of the queries that have a prediction, in (0, 1]; rounded to a whole number of at least one, and extended
        by predictions that equal the last one
    """

    fraction: float = 0.5

    def __post_init__(self) -> None:
        if self.fraction != 1:
            require_between("fraction", self.fraction, 0.0, 1.0)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, self._select)

    def _select(self, known: Floats) -> Floats:
        last = np.sort(known)[-max(1, round(self.fraction * len(known)))]
        return np.asarray(known >= last, dtype=np.float64)


QUERY_WEIGHTINGS: dict[str, type[QueryWeighting]] = {
    "rank": RankWeighting,
    "min-max": MinMaxWeighting,
    "soft-max": SoftMaxWeighting,
    "threshold": ThresholdWeighting,
}


def get_query_weighting(name: str) -> QueryWeighting:
    """The query weighting of a spec, as in `threshold(fraction=0.25)`."""
    return parse_spec(name, QUERY_WEIGHTINGS, "query weighting")


def _mean_one(predictions: Floats, weigh: Callable[[Floats], Floats]) -> Floats:
    """Weights of the known predictions, scaled to mean 1 over all queries. weigh: known predictions to weights"""
    known = ~np.isnan(predictions)
    if not known.any():
        raise SettingsError("no query has a predicted performance. Leave out --query-predictor, or use another one.")
    weights = np.zeros(len(predictions))
    weights[known] = weigh(predictions[known])
    return np.asarray(weights / weights.mean())


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def _min_max(values: Floats) -> Floats:
    spread = values.max() - values.min()
    return np.asarray((values - values.min()) / spread, dtype=np.float64) if spread > 0 else np.ones_like(values)


def _zscores(values: Floats) -> Floats:
    deviation = values.std()
    return np.asarray((values - values.mean()) / deviation, dtype=np.float64) if deviation > 0 else np.ones_like(values)
