"""Predictors of query performance from the scores of retrieved listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wares.supervision.predictors.evidence import (
    nan_if_single,
    ratio_or_nan,
    require_between,
    require_count,
    require_scores,
    row_mean,
    row_std,
    scaled_exp,
)

if TYPE_CHECKING:
    from wares.data.terms import TermCounts
    from wares.supervision.predictors.evidence import Evidence, Floats, Indices


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
        require_count("k", self.k)
        require_count("terms", self.terms)
        require_between("smoothing", self.smoothing, 0.0, 1.0)

    def __call__(self, evidence: Evidence) -> Floats:
        frequency = evidence.terms.collection_frequency
        collection = frequency / max(1, frequency.sum())
        worded = (evidence.listings >= 0) & (evidence.terms.lengths[evidence.listings] > 0)
        rows = zip(evidence.query_terms, evidence.listings[:, : self.k], worded[:, : self.k], strict=True)
        found = [self._of_one(query, listings[kept], evidence.terms, collection) for query, listings, kept in rows]
        return np.array(found, dtype=np.float64)

    def _of_one(self, query: Indices, listings: Indices, terms: TermCounts, collection: Floats) -> float:
        if not len(query) or not len(listings):
            return np.nan
        counts, unit = terms.counts[listings], (1.0 - self.smoothing) / terms.lengths[listings]
        word_likelihoods = counts[:, query].toarray() * unit[:, None] + self.smoothing * collection[query]
        weights = scaled_exp(np.log(word_likelihoods).sum(axis=1))
        model = (weights / weights.sum() * unit) @ counts + self.smoothing * collection
        likeliest = np.argpartition(-model, min(self.terms, len(model)) - 1)[: self.terms]
        return float(np.sum(model[likeliest] * np.log2(model[likeliest] / collection[likeliest])))


# After retrieval: the scores of the listings ------------------------------------------------------------------------


@dataclass(frozen=True)
class WIG:
    """Weighted information gain: mean over the k best of (s(d) - s(C)) / √|q|.

    k: listings, >= 1; fewer are averaged where there are fewer

    Assumes nothing of signs, but that the score of a listing and of the collection are sums over the query's terms on
    one scale, as log-likelihoods and BM25 are. Source: Zhou & Croft, SIGIR 2007, its unigram form.
    """

    k: int = 5

    def __post_init__(self) -> None:
        require_count("k", self.k)

    def __call__(self, evidence: Evidence) -> Floats:
        return np.asarray(
            (row_mean(evidence.top_scores(self.k)) - evidence.corpus_scores) / np.sqrt(evidence.query_lengths)
        )


@dataclass(frozen=True)
class NQC:
    """Normalised query commitment: standard deviation of the k best scores / |s(C)|.

    k: listings, >= 2; fewer are used where there are fewer

    Assumes that a query's scores and s(C) have one sign: positive as BM25's, or negative as log-likelihoods, the
    paper's case. Cosines have both, so that s(C) is near 0 for no good reason: that is an error. s(C) = 0, a query
    for which no listing has a score, predicts nothing.

    Source: Shtok, Kurland, Carmel, Raiber & Markovits, TOIS 2012. The condition on signs is our reading.
    """

    k: int = 100

    def __post_init__(self) -> None:
        require_count("k", self.k, minimum=2)

    def __call__(self, evidence: Evidence) -> Floats:
        scores, corpus = evidence.top_scores(self.k), evidence.corpus_scores.astype(np.float64)
        side = np.sign(corpus)[:, None]
        require_scores(
            "nqc assumes scores of the same sign as the corpus score", (scores * side <= 0) & (side != 0), scores
        )
        return ratio_or_nan(nan_if_single(scores, row_std(scores)), np.abs(corpus))


@dataclass(frozen=True)
class SMV:
    """Score magnitude and variance: mean over the k best of s(d) |ln(s(d) / mean)| / s(C).

    k: listings, >= 2; fewer are used where there are fewer

    Assumes positive scores and a positive s(C); others are an error, but s(C) = 0, which predicts nothing.
    Source: Tao & Wu, CIKM 2014.
    """

    k: int = 100

    def __post_init__(self) -> None:
        require_count("k", self.k, minimum=2)

    def __call__(self, evidence: Evidence) -> Floats:
        scores, corpus = evidence.top_scores(self.k), evidence.corpus_scores.astype(np.float64)
        require_scores("smv assumes positive scores", scores <= 0, scores)
        require_scores("smv assumes a positive corpus score", corpus[:, None] < 0, corpus[:, None])
        magnitudes = scores * np.abs(np.log(scores / row_mean(scores)[:, None]))
        return ratio_or_nan(nan_if_single(scores, row_mean(magnitudes)), corpus)


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
        centred = np.nan_to_num(scores - row_mean(scores)[:, None])
        depths = np.arange(1, scores.shape[1] + 1)
        variances = np.cumsum(centred**2, axis=1) / depths - (np.cumsum(centred, axis=1) / depths) ** 2
        return nan_if_single(scores, np.sqrt(variances.max(axis=1, initial=0.0)))


@dataclass(frozen=True)
class NSigma:
    """n(σ_x%): standard deviation of the scores of at least x% of the query's top score, / √|q|.

    x: per cent of the top score, in (0, 100). The run has to reach down to there; nothing else limits its depth

    Assumes positive scores; others are an error. A top score that stands alone has a deviation of 0.
    Source: Cummins, Jose & O'Riordan, SIGIR 2011. That "n" is the division by √|q| is our reading.
    """

    x: float = 50

    def __post_init__(self) -> None:
        require_between("x", self.x, 0.0, 100.0)

    def __call__(self, evidence: Evidence) -> Floats:
        scores = evidence.scores.astype(np.float64)
        require_scores("n-sigma assumes positive scores", scores <= 0, scores)
        high = np.where(scores >= self.x / 100.0 * scores[:, :1], scores, np.nan)
        return np.asarray(nan_if_single(scores, row_std(high)) / np.sqrt(evidence.query_lengths))
