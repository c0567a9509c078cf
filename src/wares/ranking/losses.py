"""Losses of rankers that learn from teachers' scores instead of judgments. Pure tensors: scores in, a scalar out.

Every loss takes, for B queries with K listings each,

scores: (B, K) of the ranker
labels: (B, K) of the teacher, as logits: its distribution over a query's listings is softmax(labels)
present: (B, K) bool, False for padding
weights: (B,) of the queries, >= 0, or None for equal weights

and returns a weighted mean over queries (listwise) or over the batch's pairs of listings (all others); each pair has
its query's weight. Unit weights give the losses of sentence-transformers 6.2: DistillKLDivLoss, RankNetLoss with the
natural logarithm, MarginMSELoss and LambdaLoss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from wares.ranking.settings import RankingLossName, check_ranking_loss

RankingLoss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
MASK_VALUE = -1e4
LAMBDA_MU = 10.0  # of NDCG-Loss2++, as published


def listwise_kl(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """KL divergence of the ranker's distribution over a query's listings from the teacher's.

    Source: ListNet (Cao et al., ICML 2007), as distillation (arXiv 2010.11386).
    """
    teacher = labels.masked_fill(~present, MASK_VALUE).log_softmax(1)
    student = scores.masked_fill(~present, MASK_VALUE).log_softmax(1)
    return _mean((teacher.exp() * (teacher - student)).masked_fill(~present, 0.0).sum(1), weights)


def ranknet(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """Logistic loss over all pairs that the teacher orders. Source: RankNet (Burges et al., ICML 2005)."""
    ordered = _ordered_pairs(labels, present)
    losses = -torch.nn.functional.logsigmoid(scores[:, :, None] - scores[:, None, :])
    return _pair_mean(losses, ordered, weights)


def margin_mse(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared error of the margins between the teacher's best listing and each of the others.

    Source: MarginMSE (Hofstätter et al., arXiv 2010.02666); its positive is the best label, by our reading.
    """
    best = labels.masked_fill(~present, -torch.inf).argmax(1, keepdim=True)
    others = present.scatter(1, best, False)
    margins, targets = (values.gather(1, best) - values for values in (scores, labels))
    losses = (margins - targets.masked_fill(~others, 0.0)) ** 2
    return _pair_mean(losses, others, weights)


def lambda_ndcg(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """NDCG-Loss2++: RankNet with each pair weighted by the change of nDCG when it is swapped.

    A listing's relevance is exp(label - best label), in (0, 1], by our reading: the zero of labels is arbitrary.
    Source: LambdaLoss (Wang et al., CIKM 2018).
    """
    order = scores.masked_fill(~present, -torch.inf).argsort(1, descending=True)
    scores, labels, present = (values.gather(1, order) for values in (scores, labels, present))
    labels = labels.masked_fill(~present, -torch.inf)
    relevance = (labels - labels.max(1, keepdim=True).values).exp().nan_to_num(0.0)
    ranks = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    discounts = torch.log2(1 + ranks)
    ideal = ((2 ** relevance.sort(1, descending=True).values - 1) / discounts).sum(1, keepdim=True)
    gains = (2**relevance - 1) / ideal.clamp(min=1e-10)
    distance = (ranks[:, None] - ranks).abs()
    by_distance = 1 / torch.log2(distance.clamp(min=1) + 1) - 1 / torch.log2(distance + 2)
    by_rank = (1 / discounts[:, None] - 1 / discounts).abs()
    pair_weights = (LAMBDA_MU * by_distance + by_rank) * (gains[:, :, None] - gains[:, None, :]).abs()
    losses = -torch.nn.functional.logsigmoid(scores[:, :, None] - scores[:, None, :]) / math.log(2)
    return _pair_mean(pair_weights * losses, _ordered_pairs(relevance, present), weights)


RANKING_LOSSES: dict[RankingLossName, RankingLoss] = {
    "listwise-kl": listwise_kl,
    "ranknet": ranknet,
    "margin-mse": margin_mse,
    "lambda": lambda_ndcg,
}


def get_ranking_loss(name: str) -> RankingLoss:
    """The loss of this name. Raises SettingsError if there is none."""
    check_ranking_loss(name)
    return RANKING_LOSSES[cast("RankingLossName", name)]


def _ordered_pairs(labels: Tensor, present: Tensor) -> Tensor:
    """(B, K, K) whether the teacher ranks the listing of the row above that of the column."""
    both = present[:, :, None] & present[:, None, :]
    return both & (labels[:, :, None] > labels[:, None, :])


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Weighted mean of (B,) losses of queries."""
    return losses.mean() if weights is None else (losses * weights).mean()


def _pair_mean(losses: Tensor, pairs: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over all pairs of a batch, each with its query's weight; 0 if the batch has no pair."""
    per_query = losses.masked_fill(~pairs, 0.0).flatten(1).sum(1)
    total = per_query.sum() if weights is None else (per_query * weights).sum()
    return total / pairs.sum().clamp(min=1)
