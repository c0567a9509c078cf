"""Losses of rankers that learn from scores in place of judgments. Pure tensors: scores in, a scalar out.

Every loss takes, for B queries with K listings each,

scores: (B, K) the ranker's
labels: (B, K) the teacher's, on the scale of logarithms: a listing's share of a query is softmax(labels)
present: (B, K) bool, where there is a listing
weights: (B,) how much each query counts, >= 0, or None for all alike

and returns a weighted mean over queries (listwise) or over the batch's pairs of listings (the others), each pair times
its query's weight. Unit weights give the losses of sentence-transformers 6.2: DistillKLDivLoss, RankNetLoss with the
natural logarithm, MarginMSELoss and LambdaLoss.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from wares.core.errors import SettingsError

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
    """Logistic loss of every pair of listings that the teacher orders. Source: RankNet (Burges et al., ICML 2005)."""
    ordered = _ordered(labels, present)
    losses = -torch.nn.functional.logsigmoid(scores[:, :, None] - scores[:, None, :])
    return _pair_mean(losses, ordered, weights)


def margin_mse(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared error of the margins between the teacher's best listing and each other one.

    Source: MarginMSE (Hofstätter et al., arXiv 2010.02666); its positive is the best label, by our reading.
    """
    best = labels.masked_fill(~present, -torch.inf).argmax(1, keepdim=True)
    others = present.scatter(1, best, False)
    margins, wanted = (each.gather(1, best) - each for each in (scores, labels))
    losses = (margins - wanted.masked_fill(~others, 0.0)) ** 2
    return _pair_mean(losses, others, weights)


def lambda_ndcg(scores: Tensor, labels: Tensor, present: Tensor, weights: Tensor | None = None) -> Tensor:
    """NDCG-Loss2++: RankNet whose pairs count by what exchanging them does to nDCG.

    A listing's relevance is exp(label - best label), in (0, 1], by our reading: labels have no zero of their own.
    Source: LambdaLoss (Wang et al., CIKM 2018).
    """
    order = scores.masked_fill(~present, -torch.inf).argsort(1, descending=True)
    scores, labels, present = (each.gather(1, order) for each in (scores, labels, present))
    labels = labels.masked_fill(~present, -torch.inf)
    relevance = (labels - labels.max(1, keepdim=True).values).exp().nan_to_num(0.0)
    ranks = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
    discounts = torch.log2(1 + ranks)
    ideal = ((2 ** relevance.sort(1, descending=True).values - 1) / discounts).sum(1, keepdim=True)
    gains = (2**relevance - 1) / ideal.clamp(min=1e-10)
    distance = (ranks[:, None] - ranks).abs()
    by_distance = 1 / torch.log2(distance.clamp(min=1) + 1) - 1 / torch.log2(distance + 2)
    by_rank = (1 / discounts[:, None] - 1 / discounts).abs()
    exchanged = (LAMBDA_MU * by_distance + by_rank) * (gains[:, :, None] - gains[:, None, :]).abs()
    losses = -torch.nn.functional.logsigmoid(scores[:, :, None] - scores[:, None, :]) / math.log(2)
    return _pair_mean(exchanged * losses, _ordered(relevance, present), weights)


RANKING_LOSSES: dict[str, RankingLoss] = {
    "listwise-kl": listwise_kl,
    "ranknet": ranknet,
    "margin-mse": margin_mse,
    "lambda": lambda_ndcg,
}


def get_ranking_loss(name: str) -> RankingLoss:
    """The loss of this name. Raises SettingsError where there is none."""
    if name not in RANKING_LOSSES:
        raise SettingsError(f"no ranking loss {name!r}; there are {', '.join(RANKING_LOSSES)}.")
    return RANKING_LOSSES[name]


def _ordered(labels: Tensor, present: Tensor) -> Tensor:
    """(B, K, K) whether the teacher puts the listing of the row before that of the column."""
    both = present[:, :, None] & present[:, None, :]
    return both & (labels[:, :, None] > labels[:, None, :])


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.mean() if weights is None else (losses * weights).mean()


def _pair_mean(losses: Tensor, pairs: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over all pairs of a batch, each times its query's weight; 0 where there is none."""
    of_queries = losses.masked_fill(~pairs, 0.0).flatten(1).sum(1)
    total = of_queries.sum() if weights is None else (of_queries * weights).sum()
    return total / pairs.sum().clamp(min=1)
