"""Contrastive losses over views. Pure tensors: unit vectors and weights in, a scalar out.

Every loss is a symmetric InfoNCE (arXiv 1807.03748): the listing's own other modality is to be found
among those of the batch, in both directions. `scale` is the inverse temperature. `same` marks pairs of
listings, shape (B, B), that are the same product or share a title and so are no negatives of each other.
"""

from __future__ import annotations

from itertools import pairwise as steps
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from wares.encoders.marginals import ViewBatch
from wares.training.transport import factorized_scores

MAX_SCORES_IN_MEMORY = (
    2**26
)  # of pairs of views that are held at once; where a batch has more, they are computed in parts
MASK_VALUE = -1e4


def info_nce(scores: Tensor, scale: Tensor | float, duplicate_mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """InfoNCE of a score matrix, both ways, the diagonal holding the positives.

    scores: (B, B) similarity of row listing and column listing
    weights: (B,) importance of each listing, >= 0; a listing of weight 0 is neither positive nor
        negative. None weighs all alike
    """
    weights = torch.ones(len(scores), device=scores.device) if weights is None else weights
    present = weights[None] > 0
    return _nce(_sums((scores * scale)[None], duplicate_mask, 0, present, present), weights[None])


def pairwise_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """Σ_kl a_k b_l InfoNCE(f_k, g_l): every chosen photo view is matched with every chosen text view.

    Equal to `barycentric_loss` where each listing has one photo and one text; where all listings have the same
    marginals it bounds `barycentric_loss` from above (convexity of the log-sum-exp). A view of a listing that
    lacks the other modality is still a negative of other listings.
    Source: our reading of arXiv 2512.18117.
    """
    return _cross(photos, texts, scale, duplicate_mask)


def barycentric_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """InfoNCE of the factorized plan's score, <f̄, ḡ>. Source: our reading of arXiv 2512.18117."""
    return plan_score_loss(factorized_scores(photos, texts), photos, texts, scale, duplicate_mask)


def marginal_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor, duplicate_mask: Tensor) -> Tensor:
    """`barycentric_loss` as a loss of the marginals alone: no gradient flows into the views or the scale.

    The weights of a sum of losses, as in `pairwise_loss`, would learn to prefer views that are easy to tell apart
    anyway; here they learn which mean of its views makes a listing recognisable. Source: our reading.
    """
    photos, texts = (ViewBatch(side.vectors.detach(), side.weights) for side in (photos, texts))
    return barycentric_loss(photos, texts, scale.detach(), duplicate_mask)


def plan_score_loss(
    scores: Tensor, photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor
) -> Tensor:
    """InfoNCE of listing-to-listing scores under any plan; listings lacking a modality are left out."""
    both = photos.present.any(1) & texts.present.any(1)
    return info_nce(scores, scale, duplicate_mask, both.float())


def intra_modal_loss(views: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """InfoNCE of the primary view with each other chosen view of the same modality.

    Listings with a single view are left out; without any other view the loss is 0.
    """
    primary = ViewBatch(views.vectors[:, :1], views.present[:, :1].float())
    others = ViewBatch(views.vectors[:, 1:], views.present[:, 1:].float())
    return _cross(primary, others, scale, duplicate_mask)


class _Sums(NamedTuple):
    """What InfoNCE is made of, over some rows of a batch.

    positives: (P, rows) their scores; to_columns: (P, rows) and to_rows: (P, columns) logarithms of the denominators
    """

    positives: Tensor
    to_columns: Tensor
    to_rows: Tensor


def _cross(rows: ViewBatch, columns: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """Weighted mean of the InfoNCE of every place of `rows` with every place of `columns`.

    Of a large batch, the scores of some listings at a time are computed, and computed again in the backward pass:
    memory grows with the batch instead of its square, and the gradients are the same.
    """
    batch, pairs = len(rows.vectors), rows.vectors.shape[1] * columns.vectors.shape[1]
    at_once = max(1, MAX_SCORES_IN_MEMORY // max(1, pairs * batch))
    if batch <= at_once:
        sums = _part(rows.vectors, rows.present, columns.vectors, columns.present, scale, same, 0)
    else:
        parts = [
            checkpoint(
                _part,
                rows.vectors[start:end],
                rows.present[start:end],
                columns.vectors,
                columns.present,
                scale,
                same[start:end],
                start,
                use_reentrant=False,
            )
            for start, end in steps([*range(0, batch, at_once), batch])
        ]
        to_rows = torch.stack([part.to_rows for part in parts]).logsumexp(0)
        positives, to_columns = (torch.cat(each, dim=1) for each in list(zip(*parts, strict=True))[:2])
        sums = _Sums(positives, to_columns, to_rows)
    weights = torch.einsum("bk,bl->klb", rows.weights, columns.weights).flatten(0, 1)
    return _nce(sums, weights)


def _part(
    rows: Tensor, row_present: Tensor, columns: Tensor, column_present: Tensor, scale: Tensor | float, same: Tensor,
    start: int,
) -> _Sums:  # fmt: skip
    """The sums over some rows of a batch, those from `start` on. rows: (b, K, d); columns: (B, L, d); same: (b, B)"""
    (some, places, _), (batch, others, _) = rows.shape, columns.shape
    scores = rows.flatten(0, 1) @ columns.flatten(0, 1).T * scale
    scores = scores.reshape(some, places, batch, others).permute(1, 3, 0, 2).reshape(-1, some, batch)
    of_rows = row_present.T[:, None].expand(places, others, some).reshape(-1, some)
    of_columns = column_present.T[None].expand(places, others, batch).reshape(-1, batch)
    return _sums(scores, same, start, of_rows, of_columns)


def _sums(scores: Tensor, same: Tensor, start: int, rows: Tensor, columns: Tensor) -> _Sums:
    """scores: (P, b, B) scaled scores of P pairs of views, the positive of row i in column start + i

    rows, columns: (P, b) and (P, B) which listings have the view at all
    """
    own = torch.zeros_like(same)
    own.diagonal(start).fill_(True)
    excused = same & ~own
    to_columns = scores.masked_fill(excused | ~(columns[:, None, :] | own), MASK_VALUE)
    to_rows = scores.masked_fill(excused | ~(rows[:, :, None] | own), MASK_VALUE)
    positives = scores.diagonal(start, 1, 2).clone()  # a view would keep all scores in memory
    return _Sums(positives, to_columns.logsumexp(2), to_rows.logsumexp(1))


def _nce(sums: _Sums, weights: Tensor) -> Tensor:
    """Weighted mean over pairs of views and listings of the symmetric InfoNCE. weights: (P, B)"""
    losses = (sums.to_columns + sums.to_rows) / 2 - sums.positives
    return (losses * weights).sum() / weights.sum().clamp(min=1e-12)
