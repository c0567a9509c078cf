"""How well a ranking will answer its query, predicted without judgments; and from predictions, weights of queries.

    predictions = get_predictor("nqc(k=50)")(evidence)
    weights = get_weight_map("soft-max(temperature=0.5)")(predictions)

Arrays in, arrays out. A predictor looks at the query's words in the collection (IDF, SCQ, VAR), at the words of the
listings retrieved (Clarity), or at their scores (WIG, NQC, SMV, σ_max, n(σ_x%)). What a predictor assumes of the signs
of scores stands in its docstring, and evidence that breaks it is an error. Where the papers leave a choice it says
"our reading". Predictions of one predictor can be compared between queries, those of two predictors cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from wares.errors import SettingsError
from wares.naming import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wares.terms import Terms

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What predictors look at: queries, the collection, and one run over it.

    queries: Q arrays, the columns of each query's known terms, repeated as in the query (`Terms.ids`)
    terms: the collection
    listings: (Q, K) places in the collection, best first; -1 after the last
    scores: (Q, K), falling along each row; NaN after the last
    corpus_scores: (Q,) what the scorer gives the collection as a whole: as if it were one text, or the mean over it
    """

    queries: Sequence[Places]
    terms: Terms
    listings: Places
    scores: npt.NDArray[np.floating]
    corpus_scores: npt.NDArray[np.floating]

    def top(self, k: int) -> Floats:
        """(Q, k) the best scores of each query; fewer columns where the run is not as deep."""
        return self.scores[:, :k].astype(np.float64)

    @property
    def lengths(self) -> Floats:
        """(Q,) known terms of each query, repetitions counted; NaN where there are none."""
        lengths = np.array([len(query) for query in self.queries], dtype=np.float64)
        return np.where(lengths > 0, lengths, np.nan)


class Predictor(Protocol):
    """Settings of a query performance predictor."""

    def __call__(self, evidence: Evidence) -> Floats:
        """(Q,) predictions, higher for queries answered better; NaN where there is nothing to predict from."""


# Before retrieval: the query's words in the collection --------------------------------------------------------------


def idf(terms: Terms) -> Floats:
    """(V,) ln(N / df), how few texts hold each term.

    Source: Cronen-Townsend, Zhou & Croft, SIGIR 2002 (mean over the query); He & Ounis, SPIRE 2004.
    """
    return np.asarray(np.log(len(terms) / terms.document_frequency))


def scq(terms: Terms) -> Floats:
    """(V,) (1 + ln cf) · ln(1 + N / df), how similar each term as a query is to the collection.

    Source: Zhao, Scholer & Tsegay, ECIR 2008.
    """
    rarity = np.log1p(len(terms) / terms.document_frequency)
    return np.asarray((1.0 + np.log(terms.collection_frequency)) * rarity)


def var(terms: Terms) -> Floats:
    """(V,) standard deviation of w(d, t) = 1 + ln tf · ln(1 + N / df) over the texts that hold each term.

    Source: Zhao, Scholer & Tsegay, ECIR 2008. Computed as ln(1 + N / df) times the deviation of ln tf, which is
    the same wherever one puts brackets around the sum.
    """
    columns, frequency = terms.counts.indices, terms.document_frequency
    logs = np.log(terms.counts.data)
    means = np.bincount(columns, logs, minlength=len(frequency)) / frequency
    squares = np.bincount(columns, (logs - means[columns]) ** 2, minlength=len(frequency))
    return np.asarray(np.sqrt(squares / frequency) * np.log1p(len(terms) / frequency))


@dataclass(frozen=True)
class AverageIdf:
    """Mean of `idf` over the query's terms. Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _average(evidence.queries, idf(evidence.terms))


@dataclass(frozen=True)
class MaximumIdf:
    """Greatest `idf` of the query's terms (Scholer, Williams & Turpin, JASIST 2004). Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _maximum(evidence.queries, idf(evidence.terms))


@dataclass(frozen=True)
class AverageScq:
    """Mean of `scq` over the query's terms (NSCQ in the paper). Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _average(evidence.queries, scq(evidence.terms))


@dataclass(frozen=True)
class MaximumScq:
    """Greatest `scq` of the query's terms. Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _maximum(evidence.queries, scq(evidence.terms))


@dataclass(frozen=True)
class AverageVar:
    """Mean of `var` over the query's terms. Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _average(evidence.queries, var(evidence.terms))


@dataclass(frozen=True)
class MaximumVar:
    """Greatest `var` of the query's terms. Assumes nothing of scores."""

    def __call__(self, evidence: Evidence) -> Floats:
        return _maximum(evidence.queries, var(evidence.terms))


# After retrieval: the words of the listings -------------------------------------------------------------------------


@dataclass(frozen=True)
class Clarity:
    """Σ_w P(w|q) log2(P(w|q) / P(w|C)): how far the words of the best listings are from the collection's, in bits.

    P(w|q) = Σ_d P(w|d) P(d|q) over the k best listings, with P(d|q) ∝ Π_{t in q} P(t|d) and
    P(w|d) = (1 - smoothing) tf / |d| + smoothing P(w|C). Only the `terms` likeliest words are summed.

    k: listings, >= 1. The paper takes 500, which is most of a small shop
    terms: words, >= 1; from the size of the vocabulary on it is the paper's sum over all words
    smoothing: share of the collection in a listing's model, in (0, 1); the paper's λ is 1 - smoothing

    Assumes nothing of scores: listings are weighed by query likelihood whatever retrieved them, so that it reads
    dense runs too. A listing without words takes no part.

    Source: Cronen-Townsend, Zhou & Croft, SIGIR 2002. Our reading: likeliest words keep their P(w|q), for scaling it
    up to sum to 1 would make a model no different from the collection look clear.
    """

    k: int = 100
    terms: int = 100
    smoothing: float = 0.4

    def __post_init__(self) -> None:
        _require_count("k", self.k)
        _require_count("terms", self.terms)
        _require_between("smoothing", self.smoothing, 0.0, 1.0)

    def __call__(self, evidence: Evidence) -> Floats:
        frequency = evidence.terms.collection_frequency
        collection = frequency / max(1, frequency.sum())
        worded = (evidence.listings >= 0) & (evidence.terms.lengths[evidence.listings] > 0)
        rows = zip(evidence.queries, evidence.listings[:, : self.k], worded[:, : self.k], strict=True)
        found = [self._of_one(query, listings[kept], evidence.terms, collection) for query, listings, kept in rows]
        return np.array(found, dtype=np.float64)

    def _of_one(self, query: Places, listings: Places, terms: Terms, collection: Floats) -> float:
        if not len(query) or not len(listings):
            return np.nan
        counts, unit = terms.counts[listings], (1.0 - self.smoothing) / terms.lengths[listings]
        word_likelihoods = counts[:, query].toarray() * unit[:, None] + self.smoothing * collection[query]
        weights = _soft_max(np.log(word_likelihoods).sum(axis=1))
        model = (weights / weights.sum() * unit) @ counts + self.smoothing * collection
        likeliest = np.argpartition(-model, min(self.terms, len(model)) - 1)[: self.terms]
        return float(np.sum(model[likeliest] * np.log2(model[likeliest] / collection[likeliest])))


# After retrieval: the scores of the listings ------------------------------------------------------------------------


@dataclass(frozen=True)
class Wig:
    """Weighted information gain: mean over the k best of (s(d) - s(C)) / √|q|.

    k: listings, >= 1; fewer are averaged where there are fewer

    Assumes nothing of signs, but that the score of a listing and of the collection are sums over the query's terms on
    one scale, as log-likelihoods and BM25 are. Source: Zhou & Croft, SIGIR 2007, its unigram form.
    """

    k: int = 5

    def __post_init__(self) -> None:
        _require_count("k", self.k)

    def __call__(self, evidence: Evidence) -> Floats:
        return np.asarray((_row_mean(evidence.top(self.k)) - evidence.corpus_scores) / np.sqrt(evidence.lengths))


@dataclass(frozen=True)
class Nqc:
    """Normalised query commitment: standard deviation of the k best scores / |s(C)|.

    k: listings, >= 2; fewer are used where there are fewer

    Assumes that a query's scores and s(C) have one sign: positive as BM25's, or negative as log-likelihoods, the
    paper's case. Cosines have both, so that s(C) is near 0 for no good reason: that is an error. s(C) = 0, a query
    for which no listing has a score, predicts nothing.

    Source: Shtok, Kurland, Carmel, Raiber & Markovits, TOIS 2012. The condition on signs is our reading.
    """

    k: int = 100

    def __post_init__(self) -> None:
        _require_count("k", self.k, least=2)

    def __call__(self, evidence: Evidence) -> Floats:
        scores, corpus = evidence.top(self.k), evidence.corpus_scores.astype(np.float64)
        side = np.sign(corpus)[:, None]
        _require("nqc assumes scores of the same sign as the corpus score", (scores * side <= 0) & (side != 0), scores)
        return _ratio(_where_two(scores, _row_deviation(scores)), np.abs(corpus))


@dataclass(frozen=True)
class Smv:
    """Score magnitude and variance: mean over the k best of s(d) |ln(s(d) / mean)| / s(C).

    k: listings, >= 2; fewer are used where there are fewer

    Assumes positive scores and a positive s(C); others are an error, but s(C) = 0, which predicts nothing.
    Source: Tao & Wu, CIKM 2014.
    """

    k: int = 100

    def __post_init__(self) -> None:
        _require_count("k", self.k, least=2)

    def __call__(self, evidence: Evidence) -> Floats:
        scores, corpus = evidence.top(self.k), evidence.corpus_scores.astype(np.float64)
        _require("smv assumes positive scores", scores <= 0, scores)
        _require("smv assumes a positive corpus score", corpus[:, None] < 0, corpus[:, None])
        magnitudes = scores * np.abs(np.log(scores / _row_mean(scores)[:, None]))
        return _ratio(_where_two(scores, _row_mean(magnitudes)), corpus)


@dataclass(frozen=True)
class SigmaMax:
    """Greatest standard deviation of the k best scores, whatever k >= 2 that takes.

    Assumes nothing of signs: a constant added to all scores changes nothing. Twice the scores are twice the
    prediction, so that they must be on one scale for all queries.
    Source: Pérez-Iglesias & Araujo, SPIRE 2010.
    """

    def __call__(self, evidence: Evidence) -> Floats:
        scores = evidence.scores.astype(np.float64)
        # Around the mean, the squares of large scores do not drown their spread, and 0 after the last only lowers it.
        centred = np.nan_to_num(scores - _row_mean(scores)[:, None])
        depths = np.arange(1, scores.shape[1] + 1)
        variances = np.cumsum(centred**2, axis=1) / depths - (np.cumsum(centred, axis=1) / depths) ** 2
        return _where_two(scores, np.sqrt(variances.max(axis=1, initial=0.0)))


@dataclass(frozen=True)
class NSigma:
    """n(σ_x%): standard deviation of the scores of at least x% of the query's top score, / √|q|.

    x: per cent of the top score, in (0, 100). The run has to reach down to there; nothing else limits its depth

    Assumes positive scores; others are an error. A top score that stands alone has a deviation of 0.
    Source: Cummins, Jose & O'Riordan, SIGIR 2011. That "n" is the division by √|q| is our reading.
    """

    x: float = 50

    def __post_init__(self) -> None:
        _require_between("x", self.x, 0.0, 100.0)

    def __call__(self, evidence: Evidence) -> Floats:
        scores = evidence.scores.astype(np.float64)
        _require("n-sigma assumes positive scores", scores <= 0, scores)
        high = np.where(scores >= self.x / 100.0 * scores[:, :1], scores, np.nan)
        return np.asarray(_where_two(scores, _row_deviation(high)) / np.sqrt(evidence.lengths))


PREDICTORS: dict[str, type[Predictor]] = {
    "clarity": Clarity,
    "wig": Wig,
    "nqc": Nqc,
    "smv": Smv,
    "sigma-max": SigmaMax,
    "n-sigma": NSigma,
    "avg-idf": AverageIdf,
    "max-idf": MaximumIdf,
    "avg-scq": AverageScq,
    "max-scq": MaximumScq,
    "avg-var": AverageVar,
    "max-var": MaximumVar,
}


def get_predictor(name: str) -> Predictor:
    """The predictor of that name with its settings, as in `nqc(k=50)`."""
    return parse(name, PREDICTORS, "predictor")


# From predictions to weights ----------------------------------------------------------------------------------------


class WeightMap(Protocol):
    """Settings of a map from predictions to weights of queries."""

    def __call__(self, predictions: Floats) -> Floats:
        """(Q,) weights >= 0 with mean 1 over all queries, rising with the predictions; 0 where those are NaN.

        Equal predictions have equal weights. Raises SettingsError where all are NaN.
        """


@dataclass(frozen=True)
class Rank:
    """By rank alone: the worst prediction weighs 1, the next 2; equal ones share the mean of their ranks."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _ranks)


@dataclass(frozen=True)
class MinMax:
    """By distance from the worst prediction, which weighs nothing; all alike where all predictions are equal."""

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, _from_worst)


@dataclass(frozen=True)
class SoftMax:
    """exp(z / temperature) of the predictions standardised over the queries, so that temperature has no unit.

    temperature: > 0; small ones leave weight to few queries, large ones weigh all alike
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        _require_between("temperature", self.temperature, 0.0, np.inf)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, lambda known: _soft_max(_standardised(known) / self.temperature))


@dataclass(frozen=True)
class Threshold:
    """Only the best predictions, all alike.

    share: of the queries that have a prediction, in (0, 1]; the nearest whole number of them, one at least, and
        whatever is as good as the last of those
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if self.share != 1:
            _require_between("share", self.share, 0.0, 1.0)

    def __call__(self, predictions: Floats) -> Floats:
        return _mean_one(predictions, self._kept)

    def _kept(self, known: Floats) -> Floats:
        last = np.sort(known)[-max(1, round(self.share * len(known)))]
        return np.asarray(known >= last, dtype=np.float64)


WEIGHT_MAPS: dict[str, type[WeightMap]] = {
    "rank": Rank,
    "min-max": MinMax,
    "soft-max": SoftMax,
    "threshold": Threshold,
}


def get_weight_map(name: str) -> WeightMap:
    """The map of that name with its settings, as in `threshold(share=0.25)`."""
    return parse(name, WEIGHT_MAPS, "weight map")


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


def _soft_max(values: Floats) -> Floats:
    """exp, in a unit in which the greatest is 1."""
    return np.asarray(np.exp(values - values.max()))


# Queries as ragged rows of terms ------------------------------------------------------------------------------------


def _average(queries: Sequence[Places], values: Floats) -> Floats:
    """(Q,) mean of the values, shape (V,), of each query's terms; NaN where it has none."""
    columns, owners = _flat(queries)
    counts = np.bincount(owners, minlength=len(queries))
    return _ratio(np.bincount(owners, values[columns], minlength=len(queries)), counts)


def _maximum(queries: Sequence[Places], values: Floats) -> Floats:
    """(Q,) greatest of the values, shape (V,), of each query's terms; NaN where it has none."""
    columns, owners = _flat(queries)
    greatest = np.full(len(queries), np.nan)
    np.fmax.at(greatest, owners, values[columns])
    return greatest


def _flat(queries: Sequence[Places]) -> tuple[Places, Places]:
    """All terms of all queries, and the query each belongs to."""
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *queries])
    return columns, np.repeat(np.arange(len(queries)), [len(query) for query in queries])


# Scores as rows with NaN where there is none ------------------------------------------------------------------------


def _row_mean(values: Floats) -> Floats:
    """(Q,) mean of what is there in each row; NaN where nothing is."""
    present = ~np.isnan(values)
    return _ratio(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1))


def _row_deviation(values: Floats) -> Floats:
    """(Q,) population standard deviation of what is there in each row; NaN where nothing is."""
    return np.asarray(np.sqrt(_row_mean((values - _row_mean(values)[:, None]) ** 2)))


def _where_two(scores: Floats, predictions: Floats) -> Floats:
    """(Q,) predictions, NaN for queries with a single score: nothing can be said of its spread."""
    return np.where((~np.isnan(scores)).sum(axis=1) >= 2, predictions, np.nan)


def _ratio(values: npt.NDArray[np.number], units: npt.NDArray[np.number]) -> Floats:
    """The quotient of two arrays of shape (Q,), NaN where the unit is 0."""
    return np.asarray(np.divide(values, units, out=np.full(len(values), np.nan), where=units != 0))


# What is asked of evidence and settings -----------------------------------------------------------------------------


def _require(assumption: str, broken: npt.NDArray[np.bool_], scores: Floats) -> None:
    """Name the first score, of shape (Q, K) as `broken` is, that breaks an assumption."""
    if broken.any():
        query, place = np.argwhere(broken)[0]
        found = f"query {query} has {scores[query, place]:.4g}"
        raise SettingsError(f"{assumption}, and {found}; compute it on a lexical run such as bm25.")


def _require_count(name: str, value: object, least: int = 1) -> None:
    if not isinstance(value, int) or value < least:
        raise SettingsError(f"{name} is a whole number of at least {least}, not {value!r}.")


def _require_between(name: str, value: object, low: float, high: float) -> None:
    """Both ends excluded."""
    if not isinstance(value, int | float) or not low < value < high:
        raise SettingsError(f"{name} is a number between {low:g} and {high:g}, both excluded, not {value!r}.")
