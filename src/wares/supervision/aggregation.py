"""Aggregation: the scores of several teachers become one distribution over a query's candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.score_fusion import mean_centered, mean_ignoring_nan, zscores
from wares.ranking.scoring import NO_LISTING, Indices, Labels, Scores

if TYPE_CHECKING:
    from wares.ranking.score_fusion import Floats


def candidate_pool(labels: Sequence[Labels], k: int) -> Indices:
    """(Q, K) listings that any teacher ranks among its best k, each once.

    labels: of each teacher. K is the largest number of candidates of a query; shorter rows end with `NO_LISTING`.
    """
    listings = np.concatenate([teacher.listings[:, :k] for teacher in labels], axis=1)
    listings = np.sort(listings, axis=1)
    repeated = np.zeros(listings.shape, dtype=np.bool_)
    repeated[:, 1:] = listings[:, 1:] == listings[:, :-1]
    unique = np.where(repeated, NO_LISTING, listings)
    unique = -np.sort(-unique, axis=1)
    return unique[:, : max(1, int((unique != NO_LISTING).sum(axis=1).max(initial=0)))]


def product_of_experts(scores: Sequence[Scores], is_ranker: Sequence[bool], temperature: float) -> Floats:
    """(Q, K) logits of the teachers' distributions, multiplied and scaled: their geometric mean.

    scores: (Q, K) of each teacher; is_ranker: whether a teacher is a ranker; temperature: of labelers, > 0

    Scores of a labeler have no scale: they are standardised for each query and divided by the temperature. A ranker is
    trained so that the softmax of its scores is its distribution, so they stay as they are: self-labeling is then an
    exact E-step. A teacher that abstains from a listing is left out of its mean; NaN if all do. Our reading.
    """
    return mean_ignoring_nan(
        [
            mean_centered(values) if ranker else zscores(values) / temperature
            for values, ranker in zip(scores, is_ranker, strict=True)
        ]
    )


def check_temperature(temperature: float) -> None:
    """Raise SettingsError unless a temperature of labels is above 0."""
    if not temperature > 0:
        raise SettingsError(f"the temperature of labels must be above 0, not {temperature}.")


def log_probs(logits: Floats, temperature: float) -> Floats:
    """(Q, K) log q(listing | query), q = softmax(logits / temperature); -inf for a NaN.

    Small temperatures put all probability on the first listing, large ones spread it evenly.
    Raises SettingsError unless the temperature is above 0.
    """
    check_temperature(temperature)
    scaled = np.where(np.isnan(logits), -np.inf, logits / temperature)
    top = scaled.max(axis=1, keepdims=True, initial=-np.inf)
    shifted = scaled - np.where(np.isfinite(top), top, 0.0)
    totals = np.exp(shifted).sum(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.where(totals > 0, totals, 1.0)))


def average_overlap(first: Indices, second: Indices, depth: int = 10) -> Floats:
    """(Q,) average overlap of two rankings over the depths 1 to `depth`, in [0, 1].

    first, second: (Q, K) listings, best first; 0 if either is empty. Source: Fagin et al., SODA 2003.
    """
    a, b = (np.pad(ranking, ((0, 0), (0, depth)), constant_values=NO_LISTING)[:, :depth] for ranking in (first, second))
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] != NO_LISTING)
    shared = np.cumsum(np.cumsum(same, axis=1), axis=2)
    depths = np.arange(depth)
    return np.asarray((shared[:, depths, depths] / (depths + 1)).mean(axis=1))


def elbo(log_q: Floats, log_p: Floats, weights: Floats) -> float:
    """Weighted mean of E_q[log p(listing | query)] + H(q): the bound that rounds of self-labeling raise.

    log_q: (Q, K) labels; log_p: (Q, K) the ranker's log-probabilities of the same listings; weights: (Q,) of queries

    Over the listings of each query it is minus the KL divergence of p from q, so its maximum is 0.
    Source: our reading of the link to EM (arXiv 2304.08912), in the form of Neal & Hinton (1998), the free energy.
    """
    q = np.exp(log_q)
    terms = np.where(q > 0, q * (np.where(q > 0, log_p, 0.0) - np.where(q > 0, log_q, 0.0)), 0.0)
    return float((weights * terms.sum(axis=1)).sum() / max(float(weights.sum()), 1e-12))
