"""Sampling the views that a training step encodes, and the features of photos that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from wares.encoders.marginals import SampledViews

if TYPE_CHECKING:
    from torch import Generator, Tensor


def sample_primary_and_auxiliary(counts: Tensor, primary_weight: float, draws: Tensor) -> SampledViews:
    """The primary view and one uniformly sampled auxiliary view of each listing: constant work per listing.

    The weighted sum of the two views is an unbiased estimate of the sum over `all_views` with these weights. It is
    biased once the two views are reweighed, as by agreement: a weight then depends on the other view of the sample.

    counts: (B,) number of views of each listing
    primary_weight: weight of the primary view, in [0, 1]
    draws: (B,) uniform random numbers in [0, 1)

    Source: "auxiliary views are sampled" (arXiv 2512.18117); the weight of the sampled view is our reading.
    """
    import torch

    sampled = 1 + _random_indices(counts - 1, draws)
    indices = torch.stack([torch.zeros_like(counts), torch.where(counts > 1, sampled, 0)], dim=1)
    weights = torch.tensor([primary_weight, 1.0 - primary_weight]).repeat(len(counts), 1)
    weights[counts == 1] = torch.tensor([1.0, 0.0])
    weights[counts == 0] = 0.0
    return SampledViews(indices, weights)


def primary_view_only(counts: Tensor) -> SampledViews:
    """The primary view of each listing. counts: (B,) number of views"""
    import torch

    return SampledViews(torch.zeros(len(counts), 1, dtype=torch.long), (counts > 0).float()[:, None])


def sample_one_view(counts: Tensor, draws: Tensor) -> SampledViews:
    """One uniformly sampled view of each listing. counts, draws: see `sample_primary_and_auxiliary`"""
    return SampledViews(_random_indices(counts, draws)[:, None], (counts > 0).float()[:, None])


def drop_features(features: Tensor, dropout: float, generator: Generator) -> Tensor:
    """The features of a frozen backbone, (n, d), each set to 0 with probability `dropout`; pixels are never dropped.

    A head brings its output to unit length, so nothing is divided by 1 - dropout. In expectation, dropout is a ridge on
    a linear head, strongest on the features that are largest.

    Source: dropout as a ridge is Wager, Wang and Liang, NeurIPS 2013.
    """
    if not dropout or not features.is_floating_point():
        return features
    kept = torch.rand(features.shape, generator=generator) >= dropout
    return features * kept


def _random_indices(counts: Tensor, draws: Tensor) -> Tensor:
    """(B,) integers from 0 to counts-1 from uniform draws in [0, 1); 0 if the count is not positive."""
    return (draws * counts.clamp(min=1)).long().clamp(max=int(counts.max().clamp(min=1)) - 1)
