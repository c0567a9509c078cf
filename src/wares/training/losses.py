"""Contrastive losses over views. Pure tensors: unit vectors and weights in, a scalar out.

Every loss is a symmetric InfoNCE (arXiv 1807.03748): each listing's photos retrieve its texts among those of the batch,
and the other way round. Everywhere, `scale` is the inverse temperature, and `duplicate_mask`, shape (B, B), is True for
two listings that share a product or a title; they are not negatives of each other.
"""

from __future__ import annotations

from itertools import pairwise as steps
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from wares.encoders.marginals import ViewBatch
from wares.training.transport import factorized_scores

MAX_SCORES_IN_MEMORY = 2**26  # scores of pairs of views; a larger batch is computed in parts
MASK_VALUE = -1e4  # score of a pair that is left out


def info_nce(scores: Tensor, scale: Tensor | float, duplicate_mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE of a score matrix with the positives on its diagonal.

    scores: (B, B) similarity of row listing and column listing
    weights: (B,) weight of each listing, >= 0; a listing of weight 0 is neither positive nor negative. None weighs all
        listings equally
    """
    weights = torch.ones(len(scores), device=scores.device) if weights is None else weights
    present = weights[None] > 0
    return _mean_info_nce(_terms((scores * scale)[None], duplicate_mask, 0, present, present), weights[None])


def pairwise_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """Σ_kl a_k b_l InfoNCE(f_k, g_l) over every sampled photo and every sampled text.

    Equal to `barycentric_loss` if each listing has one photo and one text. If all listings have the same marginals, it
    is an upper bound of `barycentric_loss` (convexity of the log-sum-exp). A view of a listing without the other
    modality is still a negative of other listings.

    Source: our reading of arXiv 2512.18117.
    """
    return _view_pair_loss(photos, texts, scale, duplicate_mask)


def barycentric_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """InfoNCE of the factorized plan's score, <f̄, ḡ>.

    Source: our reading of arXiv 2512.18117.
    """
    return plan_score_loss(factorized_scores(photos, texts), photos, texts, scale, duplicate_mask)


def marginal_loss(photos: ViewBatch, texts: ViewBatch, scale: Tensor, duplicate_mask: Tensor) -> Tensor:
    """`barycentric_loss` as a loss of the marginals alone: no gradient flows into the views or the scale.

    As weights of a sum of losses, in `pairwise_loss`, the marginals would learn to prefer views that are easy to
    distinguish. Here they learn which mean of its views makes a listing easy to recognise.

    Source: our reading.
    """
    photos, texts = (ViewBatch(side.vectors.detach(), side.weights) for side in (photos, texts))
    return barycentric_loss(photos, texts, scale.detach(), duplicate_mask)


def plan_score_loss(
    scores: Tensor, photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor
) -> Tensor:
    """InfoNCE of the scores between listings under any plan; listings without one modality are left out."""
    both = photos.present.any(1) & texts.present.any(1)
    return info_nce(scores, scale, duplicate_mask, both.float())


def intra_modal_loss(views: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """InfoNCE of the primary view with each other sampled view of the same modality.

    Listings with a single view are left out; the loss is 0 if no listing has another view.
    """
    primary = ViewBatch(views.vectors[:, :1], views.present[:, :1].float())
    others = ViewBatch(views.vectors[:, 1:], views.present[:, 1:].float())
    return _view_pair_loss(primary, others, scale, duplicate_mask)


class _Terms(NamedTuple):
    """The terms of InfoNCE over some rows of a batch.

    positives: (P, rows) scores of the positives
    to_columns, to_rows: (P, rows), (P, columns) logarithms of the denominators
    """

    positives: Tensor
    to_columns: Tensor
    to_rows: Tensor


def _view_pair_loss(rows: ViewBatch, columns: ViewBatch, scale: Tensor | float, duplicate_mask: Tensor) -> Tensor:
    """Weighted mean of the InfoNCE of every view of `rows` with every view of `columns`.

    A large batch is computed in parts, which are computed again in the backward pass: memory grows with the batch
    instead of its square, and the gradients are the same.
    """
    batch, pairs = len(rows.vectors), rows.vectors.shape[1] * columns.vectors.shape[1]
    rows_per_part = max(1, MAX_SCORES_IN_MEMORY // max(1, pairs * batch))
    if batch <= rows_per_part:
        terms = _part_terms(rows.vectors, rows.present, columns.vectors, columns.present, scale, duplicate_mask, 0)
    else:
        parts = [
            checkpoint(
                _part_terms,
                rows.vectors[start:end],
                rows.present[start:end],
                columns.vectors,
                columns.present,
                scale,
                duplicate_mask[start:end],
                start,
                use_reentrant=False,
            )
            for start, end in steps([*range(0, batch, rows_per_part), batch])
        ]
        to_rows = torch.stack([part.to_rows for part in parts]).logsumexp(0)
        positives, to_columns = (torch.cat(columns_of, dim=1) for columns_of in list(zip(*parts, strict=True))[:2])
        terms = _Terms(positives, to_columns, to_rows)
    weights = torch.einsum("bk,bl->klb", rows.weights, columns.weights).flatten(0, 1)
    return _mean_info_nce(terms, weights)


def _part_terms(
    rows: Tensor,
    row_present: Tensor,
    columns: Tensor,
    column_present: Tensor,
    scale: Tensor | float,
    duplicate_mask: Tensor,
    start: int,
) -> _Terms:
    """Terms over the b rows of a batch from `start` on.

    rows: (b, K, d); columns: (B, L, d); duplicate_mask: (b, B)
    """
    (part, row_views, _), (batch, column_views, _) = rows.shape, columns.shape
    scores = rows.flatten(0, 1) @ columns.flatten(0, 1).T * scale
    scores = scores.reshape(part, row_views, batch, column_views).permute(1, 3, 0, 2).reshape(-1, part, batch)
    has_row = row_present.T[:, None].expand(row_views, column_views, part).reshape(-1, part)
    has_column = column_present.T[None].expand(row_views, column_views, batch).reshape(-1, batch)
    return _terms(scores, duplicate_mask, start, has_row, has_column)


def _terms(scores: Tensor, duplicate_mask: Tensor, start: int, rows: Tensor, columns: Tensor) -> _Terms:
    """Terms of P pairs of views.

    scores: (P, b, B) scaled scores; the positive of row i is in column start + i
    rows, columns: (P, b), (P, B) True for each listing that has the view
    """
    own = torch.zeros_like(duplicate_mask)
    own.diagonal(start).fill_(True)
    masked = duplicate_mask & ~own
    to_columns = scores.masked_fill(masked | ~(columns[:, None, :] | own), MASK_VALUE)
    to_rows = scores.masked_fill(masked | ~(rows[:, :, None] | own), MASK_VALUE)
    positives = scores.diagonal(start, 1, 2).clone()  # a copy, because a view would keep all scores in memory
    return _Terms(positives, to_columns.logsumexp(2), to_rows.logsumexp(1))


def _mean_info_nce(terms: _Terms, weights: Tensor) -> Tensor:
    """Weighted mean of the symmetric InfoNCE over pairs of views and listings. weights: (P, B)"""
    losses = (terms.to_columns + terms.to_rows) / 2 - terms.positives
    return (losses * weights).sum() / weights.sum().clamp(min=1e-12)
