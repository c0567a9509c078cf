"""Labels of several teachers aggregated to one distribution over candidates."""

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
    """(Q, K) the listings that any teacher has among its best k, each once, K as many as a query has at most."""
    everything = np.concatenate([each.listings[:, :k] for each in labels], axis=1)
    everything = np.sort(everything, axis=1)
    repeated = np.zeros(everything.shape, dtype=np.bool_)
    repeated[:, 1:] = everything[:, 1:] == everything[:, :-1]
    listings = np.where(repeated, NO_LISTING, everything)
    listings = -np.sort(-listings, axis=1)
    return listings[:, : max(1, int((listings != NO_LISTING).sum(axis=1).max(initial=0)))]


def product_of_experts(scores: Sequence[Scores], is_ranker: Sequence[bool], temperature: float) -> Floats:
    """(Q, K) labels on the scale of logits: the geometric mean of the distributions that teachers give.

    scores: (Q, K) of each teacher; is_ranker: whether it is a ranker; temperature: of labelers, > 0

    Scores of a labeler have no scale: they are standardised for each query, and divided by the temperature. A ranker
    was trained so that the softmax of its scores is what it says, so they are taken as they are: a ranker that teaches
    itself is then an exact E-step. Abstaining is as in `mixed`. Our reading.
    """
    return mean_ignoring_nan(
        [
            mean_centered(each) if of_ranker else zscores(each) / temperature
            for each, of_ranker in zip(scores, is_ranker, strict=True)
        ]
    )


def log_probs(labels: Floats, temperature: float) -> Floats:
    """(Q, K) log q(listing | query), q = softmax(labels / temperature); -inf where there is no label.

    Small temperatures put all on the first listing, large ones make all alike. Raises SettingsError where it is not
    above 0.
    """
    if not temperature > 0:
        raise SettingsError(f"the temperature of labels is above 0, not {temperature}.")
    logits = np.where(np.isnan(labels), -np.inf, labels / temperature)
    top = logits.max(axis=1, keepdims=True, initial=-np.inf)
    shifted = logits - np.where(np.isfinite(top), top, 0.0)
    totals = np.exp(shifted).sum(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.where(totals > 0, totals, 1.0)))


def average_overlap(first: Indices, second: Indices, depth: int = 10) -> Floats:
    """(Q,) average overlap of two rankings over the depths 1 to `depth`, in [0, 1] (Fagin et al., SODA 2003).

    first, second: (Q, K) the best first; 0 where either is empty
    """
    a, b = (np.pad(each, ((0, 0), (0, depth)), constant_values=NO_LISTING)[:, :depth] for each in (first, second))
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] != NO_LISTING)
    shared = np.cumsum(np.cumsum(same, axis=1), axis=2)
    depths = np.arange(depth)
    return np.asarray((shared[:, depths, depths] / (depths + 1)).mean(axis=1))


def elbo(log_q: Floats, log_p: Floats, weights: Floats) -> float:
    """Σ_q w_q (E_q[log p(listing | query)] + H(q)) / Σ_q w_q: what self-labeling raises, as Expectation-Maximization.

    log_q: (Q, K) labels; log_p: (Q, K) the ranker's log probabilities of the same listings; weights: (Q,)
    It is minus the mean KL divergence of p from q over the listings of each query, so that 0 is the most it can be.
    Source: our reading of the link to EM (arXiv 2304.08912), in the form of Neal & Hinton (1998).
    """
    q = np.exp(log_q)
    terms = np.where(q > 0, q * (np.where(q > 0, log_p, 0.0) - np.where(q > 0, log_q, 0.0)), 0.0)
    return float((weights * terms.sum(axis=1)).sum() / max(float(weights.sum()), 1e-12))
