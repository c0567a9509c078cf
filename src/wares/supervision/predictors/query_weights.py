"""Query weights from predicted query performance."""

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


# From predictions to weights ----------------------------------------------------------------------------------------


class QueryWeighting(Protocol):
    """Settings of a map from predictions to weights of queries."""

    def __call__(self, predictions: Floats) -> Floats:
        """(Q,) weights >= 0 with mean 1 over all queries, rising with the predictions; 0 where those are NaN.

        Equal predictions have equal weights. Raises SettingsError where all are NaN.
        """


@dataclass(frozen=True)
class RankWeighting:
    """By rank alone: the worst prediction weighs 1, the next 2; equal ones share the mean of their ranks."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _ranks)


@dataclass(frozen=True)
class MinMaxWeighting:
    """By distance from the worst prediction, which weighs nothing; all alike where all predictions are equal."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _from_worst)


@dataclass(frozen=True)
class SoftMaxWeighting:
    """exp(z / temperature) of the predictions standardised over the queries, so that temperature has no unit.

    temperature: > 0; small ones leave weight to few queries, large ones weigh all alike
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        require_between("temperature", self.temperature, 0.0, np.inf)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, lambda known: scaled_exp(_standardised(known) / self.temperature))


@dataclass(frozen=True)
class ThresholdWeighting:
    """Only the best predictions, all alike.

    fraction: of the queries that have a prediction, in (0, 1]; the nearest whole number of them, one at least, and
        whatever is as good as the last of those
    """

    fraction: float = 0.5

    def __post_init__(self) -> None:
        if self.fraction != 1:
            require_between("fraction", self.fraction, 0.0, 1.0)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, self._kept)

    def _kept(self, known: Floats) -> Floats:
        last = np.sort(known)[-max(1, round(self.fraction * len(known)))]
        return np.asarray(known >= last, dtype=np.float64)


QUERY_WEIGHTINGS: dict[str, type[QueryWeighting]] = {
    "rank": RankWeighting,
    "min-max": MinMaxWeighting,
    "soft-max": SoftMaxWeighting,
    "threshold": ThresholdWeighting,
}


def get_query_weighting(name: str) -> QueryWeighting:
    """The map of that name with its settings, as in `threshold(fraction=0.25)`."""
    return parse_spec(name, QUERY_WEIGHTINGS, "weight map")


def _mean_one(predictions: Floats, weigh: Callable[[Floats], Floats]) -> Floats:
    """Weights of the predictions that are known, in whatever unit, brought to mean 1 over all."""
    known = ~np.isnan(predictions)
    if not known.any():
        raise SettingsError("no query's performance can be predicted; weigh all alike, or use another predictor.")
    weights = np.zeros(len(predictions))
    weights[known] = weigh(predictions[known])
    return np.asarray(weights / weights.mean())


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def _from_worst(values: Floats) -> Floats:
    spread = values.max() - values.min()
    return np.asarray((values - values.min()) / spread, dtype=np.float64) if spread > 0 else np.ones_like(values)


def _standardised(values: Floats) -> Floats:
    deviation = values.std()
    return np.asarray((values - values.mean()) / deviation, dtype=np.float64) if deviation > 0 else np.ones_like(values)
