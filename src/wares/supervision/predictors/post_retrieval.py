"""Predictors of query performance from the words or the scores of retrieved listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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


@dataclass(frozen=True)
class Clarity:
    """Divergence of the best listings' words from the collection's, in bits.

    Σ_w P(w|q) log2(P(w|q) / P(w|C)) with P(w|q) = Σ_d P(w|d) P(d|q) over the k best listings,
    P(d|q) ∝ Π_{t in q} P(t|d) and P(w|d) = (1 - smoothing) tf / |d| + smoothing P(w|C). Only the `terms` likeliest
    words are summed.

    k: listings, >= 1. The paper takes 500, which is most of a small shop
    terms: words, >= 1; the size of the vocabulary or more gives the paper's sum over all words
    smoothing: weight of the collection in a listing's model, in (0, 1); the paper's λ is 1 - smoothing

    Clarity does not read scores: query likelihood weights the listings, so any ranking will do, dense ones included.
    Listings without words are ignored.

    Source: Cronen-Townsend, Zhou & Croft, SIGIR 2002. Our reading: likeliest words keep their P(w|q), because scaling
    it up to sum to 1 would make a model that equals the collection look clear.
    """

    source: ClassVar[str] = "Cronen-Townsend, Zhou & Croft, SIGIR 2002"

    k: int = 100
    terms: int = 100
    smoothing: float = 0.4

    def __post_init__(self) -> None:
        require_count("k", self.k)
        require_count("terms", self.terms)
        require_between("smoothing", self.smoothing, 0.0, 1.0)

    def __call__(self, evidence: Evidence) -> Floats:
        frequency = evidence.terms.collection_frequency
        collection = frequency / max(1, evidence.terms.lengths.sum())
        has_words = (evidence.listings >= 0) & (evidence.terms.lengths[evidence.listings] > 0)
        rows = zip(evidence.query_terms, evidence.listings[:, : self.k], has_words[:, : self.k], strict=True)
        values = [self._clarity(query, listings[mask], evidence.terms, collection) for query, listings, mask in rows]
        return np.array(values, dtype=np.float64)

    def _clarity(self, query: Indices, listings: Indices, terms: TermCounts, collection: Floats) -> float:
        if not len(query) or not len(listings):
            return np.nan
        counts, unit = terms.counts[listings], (1.0 - self.smoothing) / terms.lengths[listings]
        word_likelihoods = counts[:, query].toarray() * unit[:, None] + self.smoothing * collection[query]
        weights = scaled_exp(np.log(word_likelihoods).sum(axis=1))
        model = (weights / weights.sum() * unit) @ counts + self.smoothing * collection
        words = np.flatnonzero(~terms.is_stop_word)
        likeliest = words[np.argpartition(-model[words], min(self.terms, len(words)) - 1)[: self.terms]]
        return float(np.sum(model[likeliest] * np.log2(model[likeliest] / collection[likeliest])))


@dataclass(frozen=True)
class WIG:
    """Weighted information gain: mean over the k best of (s(d) - s(C)) / √|q|.

    k: listings, >= 1

    It assumes that the scores of a listing and of the collection are sums over the query's terms on one scale, as
    log-likelihoods and BM25 are; they may be negative. Source: Zhou & Croft, SIGIR 2007, its unigram form.
    """

    requires: ClassVar[str] = "scores that are sums over the query's terms"
    source: ClassVar[str] = "Zhou & Croft, SIGIR 2007"

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

    k: listings, >= 2

    It assumes that a query's scores and s(C) have one sign: positive as BM25's, or negative as log-likelihoods, the
    paper's case. Cosines have both signs, which would make s(C) near 0: SettingsError. If s(C) is 0, because no listing
    has a score, the prediction is NaN.

    Source: Shtok, Kurland, Carmel, Raiber & Markovits, TOIS 2012. The condition on signs is our reading.
    """

    requires: ClassVar[str] = "scores of one sign"
    source: ClassVar[str] = "Shtok, Kurland, Carmel, Raiber & Markovits, TOIS 2012"

    k: int = 100

    def __post_init__(self) -> None:
        require_count("k", self.k, minimum=2)

    def __call__(self, evidence: Evidence) -> Floats:
        scores, corpus = evidence.top_scores(self.k), evidence.corpus_scores.astype(np.float64)
        sign = np.sign(corpus)[:, None]
        broken = (scores * sign <= 0) & (sign != 0)
        require_scores("nqc assumes scores of the same sign as the corpus score", broken, scores)
        return ratio_or_nan(nan_if_single(scores, row_std(scores)), np.abs(corpus))


@dataclass(frozen=True)
class SMV:
    """Score magnitude and variance: mean over the k best of s(d) |ln(s(d) / mean)| / s(C).

    k: listings, >= 2

    It assumes positive scores and a positive s(C); negative ones raise SettingsError, and s(C) = 0 gives NaN.
    Source: Tao & Wu, CIKM 2014.
    """

    requires: ClassVar[str] = "positive scores"
    source: ClassVar[str] = "Tao & Wu, CIKM 2014"

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
    """Largest standard deviation of the k best scores over all k >= 2.

    Scores may have any sign: adding a constant changes nothing. Doubling the scores doubles the prediction, so they
    must be on one scale for all queries.
    Source: Pérez-Iglesias & Araujo, SPIRE 2010.
    """

    requires: ClassVar[str] = "scores on one scale for all queries"
    source: ClassVar[str] = "Pérez-Iglesias & Araujo, SPIRE 2010"

    def __call__(self, evidence: Evidence) -> Floats:
        scores = evidence.scores.astype(np.float64)
        # Centred scores keep a small spread of large scores exact, and the 0 after the last only lowers it.
        centred = np.nan_to_num(scores - row_mean(scores)[:, None])
        depths = np.arange(1, scores.shape[1] + 1)
        variances = np.cumsum(centred**2, axis=1) / depths - (np.cumsum(centred, axis=1) / depths) ** 2
        return nan_if_single(scores, np.sqrt(variances.max(axis=1, initial=0.0)))


@dataclass(frozen=True)
class NSigma:
    """n(σ_x%): standard deviation of the scores of at least x% of the query's top score, / √|q|.

    x: per cent of the top score, in (0, 100); the ranking must be deep enough to reach it

    It assumes positive scores; others raise SettingsError. If only the top score is as high, the deviation is 0.
    Source: Cummins, Jose & O'Riordan, SIGIR 2011. That "n" is the division by √|q| is our reading.
    """

    requires: ClassVar[str] = "positive scores"
    source: ClassVar[str] = "Cummins, Jose & O'Riordan, SIGIR 2011"

    x: float = 50

    def __post_init__(self) -> None:
        require_between("x", self.x, 0.0, 100.0)

    def __call__(self, evidence: Evidence) -> Floats:
        scores = evidence.scores.astype(np.float64)
        require_scores("n-sigma assumes positive scores", scores <= 0, scores)
        high = np.where(scores >= self.x / 100.0 * scores[:, :1], scores, np.nan)
        return np.asarray(nan_if_single(scores, row_std(high)) / np.sqrt(evidence.query_lengths))
