"""Contrastive losses over views. Pure tensors: unit vectors and weights in, a scalar out.

Every loss is a symmetric InfoNCE (arXiv 1807.03748): the listing's own other modality is to be found
among those of the batch, in both directions. `scale` is the inverse temperature. `same` marks pairs of
listings, shape (B, B), that are the same product or share a title and so are no negatives of each other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wares.transport import ViewBatch, factorized_scores

_FAR = -1e4


def info_nce(scores: Tensor, scale: Tensor | float, same: Tensor, weights: Tensor | None = None) -> Tensor:
    """InfoNCE of a score matrix, both ways, the diagonal holding the positives.

    scores: (B, B) similarity of row listing and column listing
    weights: (B,) importance of each listing, >= 0; a listing of weight 0 is neither positive nor
        negative. None weighs all alike
    """
    weights = torch.ones(len(scores), device=scores.device) if weights is None else weights
    return _pairs_nce((scores * scale)[None], same, weights[None], weights[None] > 0, weights[None] > 0)


def pairwise(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """Σ_kl a_k b_l InfoNCE(f_k, g_l): every chosen photo view is matched with every chosen text view.

    Equal to `barycentric` where each listing has one photo and one text; where all listings have the same
    marginals it bounds `barycentric` from above (convexity of the log-sum-exp). A view of a listing that
    lacks the other modality is still a negative of other listings.
    Source: our reading of arXiv 2512.18117.
    """
    return _cross(photos, texts, scale, same)


def barycentric(photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """InfoNCE of the factorized plan's score, <f̄, ḡ>. Source: our reading of arXiv 2512.18117."""
    return from_scores(factorized_scores(photos, texts), photos, texts, scale, same)


def marginal(photos: ViewBatch, texts: ViewBatch, scale: Tensor, same: Tensor) -> Tensor:
    """`barycentric` as a loss of the marginals alone: no gradient flows into the views or the scale.

    The weights of a sum of losses, as in `pairwise`, would learn to prefer views that are easy to tell apart
    anyway; here they learn which mean of its views makes a listing recognisable. Source: our reading.
    """
    photos, texts = (ViewBatch(side.vectors.detach(), side.weights) for side in (photos, texts))
    return barycentric(photos, texts, scale.detach(), same)


def from_scores(scores: Tensor, photos: ViewBatch, texts: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """InfoNCE of listing-to-listing scores under any plan; listings lacking a modality are left out."""
    both = photos.present.any(1) & texts.present.any(1)
    return info_nce(scores, scale, same, both.float())


def intra_modal(views: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """InfoNCE of the primary view with each other chosen view of the same modality.

    Listings with a single view are left out; without any other view the loss is 0.
    """
    primary = ViewBatch(views.vectors[:, :1], views.present[:, :1].float())
    others = ViewBatch(views.vectors[:, 1:], views.present[:, 1:].float())
    return _cross(primary, others, scale, same)


def _cross(rows: ViewBatch, columns: ViewBatch, scale: Tensor | float, same: Tensor) -> Tensor:
    """Weighted mean of the InfoNCE of every place of `rows` with every place of `columns`."""
    batch, places, _ = rows.vectors.shape
    others = columns.vectors.shape[1]
    scores = rows.vectors.flatten(0, 1) @ columns.vectors.flatten(0, 1).T * scale
    scores = scores.reshape(batch, places, batch, others).permute(1, 3, 0, 2).reshape(-1, batch, batch)
    weights = torch.einsum("bk,bl->klb", rows.weights, columns.weights).reshape(-1, batch)
    row_present = rows.present.T[:, None].expand(places, others, batch).reshape(-1, batch)
    column_present = columns.present.T[None].expand(places, others, batch).reshape(-1, batch)
    return _pairs_nce(scores, same, weights, row_present, column_present)


def _pairs_nce(scores: Tensor, same: Tensor, weights: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weighted mean over pairs of views and listings of the symmetric InfoNCE.

    scores: (P, B, B) scaled scores of P pairs of views; weights: (P, B) of the positives
    rows, columns: (P, B) which listings have the view at all
    """
    own = torch.eye(scores.shape[1], dtype=torch.bool, device=scores.device)
    excused = same & ~own
    to_columns = scores.masked_fill(excused | ~(columns[:, None, :] | own), _FAR)
    to_rows = scores.masked_fill(excused | ~(rows[:, :, None] | own), _FAR)
    positives = scores.diagonal(dim1=1, dim2=2)
    losses = (to_columns.logsumexp(2) + to_rows.logsumexp(1)) / 2 - positives
    return (losses * weights).sum() / weights.sum().clamp(min=1e-12)
