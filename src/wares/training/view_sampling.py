"""Views sampled for a training step: the primary view and one auxiliary view per modality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.encoders.marginals import SampledViews

if TYPE_CHECKING:
    from torch import Tensor


def sample_primary_and_auxiliary(counts: Tensor, primary_weight: float, draws: Tensor) -> SampledViews:
    """The primary view and one auxiliary view drawn uniformly: constant work per listing.

    draws: (B,) uniform in [0, 1), one a listing

    The weighted sum of the two is an unbiased estimate of the sum over `all_views`.
    Source: "auxiliary views are sampled" (arXiv 2512.18117); weighting the draw is our reading.
    """
    import torch

    drawn = 1 + _uniform(counts - 1, draws)
    places = torch.stack([torch.zeros_like(counts), torch.where(counts > 1, drawn, 0)], dim=1)
    weights = torch.tensor([primary_weight, 1.0 - primary_weight]).repeat(len(counts), 1)
    weights[counts == 1] = torch.tensor([1.0, 0.0])
    weights[counts == 0] = 0.0
    return SampledViews(places, weights)


def primary_view_only(counts: Tensor) -> SampledViews:
    """The primary view alone."""
    import torch

    return SampledViews(torch.zeros(len(counts), 1, dtype=torch.long), (counts > 0).float()[:, None])


def sample_one_view(counts: Tensor, draws: Tensor) -> SampledViews:
    """One view drawn uniformly from all of them. draws: (B,) uniform in [0, 1), one a listing."""
    return SampledViews(_uniform(counts, draws)[:, None], (counts > 0).float()[:, None])


def _uniform(counts: Tensor, draws: Tensor) -> Tensor:
    """(B,) an integer from 0 to counts-1 by a uniform draw in [0, 1); 0 where counts is not positive."""
    return (draws * counts.clamp(min=1)).long().clamp(max=int(counts.max().clamp(min=1)) - 1)
