"""What query performance predictors see of a query: its terms and its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from wares.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.terms import TermCounts


Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What predictors look at: queries, the collection, and one run over it.

    query_terms: Q arrays, the columns of each query's known terms, repeated as in the query (`Terms.term_ids`)
    terms: the collection
    listings: (Q, K) places in the collection, best first; -1 after the last
    scores: (Q, K), falling along each row; NaN after the last
    corpus_scores: (Q,) what the scorer gives the collection as a whole: as if it were one text, or the mean over it
    """

    query_terms: Sequence[Indices]
    terms: TermCounts
    listings: Indices
    scores: npt.NDArray[np.floating]
    corpus_scores: npt.NDArray[np.floating]

    def top_scores(self, k: int) -> Floats:
        """(Q, k) the best scores of each query; fewer columns where the run is not as deep."""
        return self.scores[:, :k].astype(np.float64)

    @property
    def query_lengths(self) -> Floats:
        """(Q,) known terms of each query, repetitions counted; NaN where there are none."""
        lengths = np.array([len(query) for query in self.query_terms], dtype=np.float64)
        return np.where(lengths > 0, lengths, np.nan)


class Predictor(Protocol):
    """Settings of a query performance predictor."""

    def __call__(self, evidence: Evidence) -> Floats:
        """(Q,) predictions, higher for queries answered better; NaN where there is nothing to predict from."""


def scaled_exp(values: Floats) -> Floats:
    """exp, in a unit in which the greatest is 1."""
    return np.asarray(np.exp(values - values.max()))


# Queries as ragged rows of terms ------------------------------------------------------------------------------------


def mean_over_terms(queries: Sequence[Indices], values: Floats) -> Floats:
    """(Q,) mean of the values, shape (V,), of each query's terms; NaN where it has none."""
    columns, owners = _flat(queries)
    counts = np.bincount(owners, minlength=len(queries))
    return ratio_or_nan(np.bincount(owners, values[columns], minlength=len(queries)), counts)


def max_over_terms(queries: Sequence[Indices], values: Floats) -> Floats:
    """(Q,) greatest of the values, shape (V,), of each query's terms; NaN where it has none."""
    columns, owners = _flat(queries)
    greatest = np.full(len(queries), np.nan)
    np.fmax.at(greatest, owners, values[columns])
    return greatest


def _flat(queries: Sequence[Indices]) -> tuple[Indices, Indices]:
    """All terms of all queries, and the query each belongs to."""
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *queries])
    return columns, np.repeat(np.arange(len(queries)), [len(query) for query in queries])


# Scores as rows with NaN where there is none ------------------------------------------------------------------------


def row_mean(values: Floats) -> Floats:
    """(Q,) mean of what is there in each row; NaN where nothing is."""
    present = ~np.isnan(values)
    return ratio_or_nan(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1))


def row_std(values: Floats) -> Floats:
    """(Q,) population standard deviation of what is there in each row; NaN where nothing is."""
    return np.asarray(np.sqrt(row_mean((values - row_mean(values)[:, None]) ** 2)))


def nan_if_single(scores: Floats, predictions: Floats) -> Floats:
    """(Q,) predictions, NaN for queries with a single score: nothing can be said of its spread."""
    return np.where((~np.isnan(scores)).sum(axis=1) >= 2, predictions, np.nan)


def ratio_or_nan(values: npt.NDArray[np.number], units: npt.NDArray[np.number]) -> Floats:
    """The quotient of two arrays of shape (Q,), NaN where the unit is 0."""
    return np.asarray(np.divide(values, units, out=np.full(len(values), np.nan), where=units != 0))


# What is asked of evidence and settings -----------------------------------------------------------------------------


def require_scores(assumption: str, broken: npt.NDArray[np.bool_], scores: Floats) -> None:
    """Name the first score, of shape (Q, K) as `broken` is, that breaks an assumption."""
    if broken.any():
        query, place = np.argwhere(broken)[0]
        found = f"query {query} has {scores[query, place]:.4g}"
        raise SettingsError(f"{assumption}, and {found}; compute it on a lexical run such as bm25.")


def require_count(name: str, value: object, minimum: int = 1) -> None:
    if not isinstance(value, int) or value < minimum:
        raise SettingsError(f"{name} is a whole number of at least {minimum}, not {value!r}.")


def require_between(name: str, value: object, low: float, high: float) -> None:
    """Both ends excluded."""
    if not isinstance(value, int | float) or not low < value < high:
        raise SettingsError(f"{name} is a number between {low:g} and {high:g}, both excluded, not {value!r}.")
