"""Views sampled for a training step: the primary view and one auxiliary view per modality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.encoders.marginals import Chosen

if TYPE_CHECKING:
    from torch import Tensor


def primary_and_one(counts: Tensor, primary: float, draws: Tensor) -> Chosen:
    """The primary view and one auxiliary view drawn uniformly: constant work per listing.

    draws: (B,) uniform in [0, 1), one a listing

    The weighted sum of the two is an unbiased estimate of the sum over `all_views`.
    Source: "auxiliary views are sampled" (arXiv 2512.18117); weighting the draw is our reading.
    """
    import torch

    drawn = 1 + _uniform(counts - 1, draws)
    places = torch.stack([torch.zeros_like(counts), torch.where(counts > 1, drawn, 0)], dim=1)
    weights = torch.tensor([primary, 1.0 - primary]).repeat(len(counts), 1)
    weights[counts == 1] = torch.tensor([1.0, 0.0])
    weights[counts == 0] = 0.0
    return Chosen(places, weights)


def primary_only(counts: Tensor) -> Chosen:
    """The primary view alone."""
    import torch

    return Chosen(torch.zeros(len(counts), 1, dtype=torch.long), (counts > 0).float()[:, None])


def any_one(counts: Tensor, draws: Tensor) -> Chosen:
    """One view drawn uniformly from all of them. draws: (B,) uniform in [0, 1), one a listing."""
    return Chosen(_uniform(counts, draws)[:, None], (counts > 0).float()[:, None])


def _uniform(counts: Tensor, draws: Tensor) -> Tensor:
    """(B,) an integer from 0 to counts-1 by a uniform draw in [0, 1); 0 where counts is not positive."""
    return (draws * counts.clamp(min=1)).long().clamp(max=int(counts.max().clamp(min=1)) - 1)
