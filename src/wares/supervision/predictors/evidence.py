"""The input of query performance predictors, and helpers that they share."""

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
    """Queries, the collection, and one ranking of it for each query.

    query_terms: Q arrays, the columns of each query's known terms, repeated as in the query (`TermCounts.term_ids`)
    terms: counts of the collection
    listings: (Q, K) indices in the collection, best first; -1 after the last
    scores: (Q, K), falling along each row; NaN after the last
    corpus_scores: (Q,) score of the collection as a whole: as one text, or the mean over its texts
    """

    query_terms: Sequence[Indices]
    terms: TermCounts
    listings: Indices
    scores: npt.NDArray[np.floating]
    corpus_scores: npt.NDArray[np.floating]

    def top_scores(self, k: int) -> Floats:
        """(Q, k) best scores of each query; fewer columns if fewer listings were retrieved."""
        return self.scores[:, :k].astype(np.float64)

    @property
    def query_lengths(self) -> Floats:
        """(Q,) number of known terms of each query, repetitions counted; NaN if there are none."""
        lengths = np.array([len(query) for query in self.query_terms], dtype=np.float64)
        return np.where(lengths > 0, lengths, np.nan)


class Predictor(Protocol):
    """Settings of a query performance predictor; class variables `requires` and `source` describe it in lists."""

    def __call__(self, evidence: Evidence) -> Floats:
        """(Q,) predictions, higher for queries answered better; NaN if there is nothing to predict from."""


def scaled_exp(values: Floats) -> Floats:
    """Exponentials, scaled so that the largest is 1."""
    return np.asarray(np.exp(values - values.max()))


# Queries as ragged rows of terms ------------------------------------------------------------------------------------


def mean_over_terms(queries: Sequence[Indices], values: Floats) -> Floats:
    """(Q,) mean of the values, shape (V,), of each query's terms; NaN without terms."""
    columns, owners = _flatten(queries)
    counts = np.bincount(owners, minlength=len(queries))
    return ratio_or_nan(np.bincount(owners, values[columns], minlength=len(queries)), counts)


def max_over_terms(queries: Sequence[Indices], values: Floats) -> Floats:
    """(Q,) largest of the values, shape (V,), of each query's terms; NaN without terms."""
    columns, owners = _flatten(queries)
    largest = np.full(len(queries), np.nan)
    np.fmax.at(largest, owners, values[columns])
    return largest


def _flatten(queries: Sequence[Indices]) -> tuple[Indices, Indices]:
    """The terms of all queries, and the index of the query that each belongs to."""
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *queries])
    return columns, np.repeat(np.arange(len(queries)), [len(query) for query in queries])


# Scores as rows, NaN after the last ---------------------------------------------------------------------------------


def row_mean(values: Floats) -> Floats:
    """(Q,) mean of each row, NaN ignored; NaN if nothing else is there."""
    present = ~np.isnan(values)
    return ratio_or_nan(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1))


def row_std(values: Floats) -> Floats:
    """(Q,) population standard deviation of each row, NaN ignored; NaN if nothing else is there."""
    return np.asarray(np.sqrt(row_mean((values - row_mean(values)[:, None]) ** 2)))


def nan_if_single(scores: Floats, predictions: Floats) -> Floats:
    """(Q,) predictions, NaN for queries with a single score, which has no spread."""
    return np.where((~np.isnan(scores)).sum(axis=1) >= 2, predictions, np.nan)


def ratio_or_nan(values: npt.NDArray[np.number], units: npt.NDArray[np.number]) -> Floats:
    """(Q,) quotients; NaN if the unit is 0."""
    return np.asarray(np.divide(values, units, out=np.full(len(values), np.nan), where=units != 0))


# Checks of evidence and settings -----------------------------------------------------------------------------------


def require_scores(assumption: str, broken: npt.NDArray[np.bool_], scores: Floats) -> None:
    """Raise SettingsError with the first score that breaks an assumption. broken, scores: (Q, K)"""
    if broken.any():
        query, rank = np.argwhere(broken)[0]
        raise SettingsError(
            f"{assumption}, but query {query} has {scores[query, rank]:.4g}. Compute it on a lexical run such as bm25."
        )


def require_count(name: str, value: object, minimum: int = 1) -> None:
    """Raise SettingsError unless a setting is a whole number of at least `minimum`."""
    if not isinstance(value, int) or value < minimum:
        raise SettingsError(f"{name} must be a whole number of at least {minimum}, not {value!r}.")


def require_between(name: str, value: object, low: float, high: float) -> None:
    """Raise SettingsError unless a setting is a number between `low` and `high`, both excluded."""
    if not isinstance(value, int | float) or not low < value < high:
        raise SettingsError(f"{name} must be a number between {low:g} and {high:g}, both excluded, not {value!r}.")
