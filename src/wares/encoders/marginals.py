"""Marginals: the weights of a listing's views within a modality, fixed or adapted to the views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wares.core.errors import SettingsError


@dataclass(frozen=True)
class ViewBatch:
    """Encoded views of one modality for a batch of listings.

    vectors: (B, V, d) unit vectors; a vector of weight zero is ignored
    weights: (B, V) marginals
    """

    vectors: Tensor
    weights: Tensor

    def barycentre(self) -> Tensor:
        """(B, d) f̄ = Σ_k a_k f_k, not normalised, because inner products of barycentres are plan scores."""
        return torch.einsum("bv,bvd->bd", self.weights, self.vectors)

    def detach(self) -> ViewBatch:
        """The same views, with weights that pass no gradient on."""
        return ViewBatch(self.vectors, self.weights.detach())

    @property
    def present(self) -> Tensor:
        """(B, V) True for each view of positive weight."""
        return self.weights > 0


def reweight(views: ViewBatch, logits: Tensor) -> ViewBatch:
    """Reweigh each listing's views, a_k ∝ a_k exp(logits_k), with the same sum. logits: (B, V)"""
    total = views.weights.sum(1, keepdim=True)
    logarithms = torch.where(total > 0, views.weights.log(), 0.0)
    return ViewBatch(views.vectors, torch.softmax(logarithms + logits, dim=1) * total)


def text_agreement_marginals(photos: ViewBatch, texts: ViewBatch, epsilon: float) -> ViewBatch:
    """Reweigh each listing's photos by their agreement with its texts.

    a_k ∝ a_k exp(<f_k, ḡ>/ε), where ḡ uses the given weights of the texts: one step from the factorized plan towards
    the entropic plan, while the plan stays factorized. No gradient flows through the weights. A listing without texts
    keeps its weights. Texts are not reweighed, because a text about something that no photo shows is information. Of a
    sample of the photos, the barycentre is a biased estimate of that of all photos.

    epsilon: temperature, > 0; large values approach the given weights

    Source: our reading.
    """
    with torch.no_grad():
        return reweight(
            photos, torch.einsum("bvd,bd->bv", photos.vectors, texts.barycentre()) / check_positive(epsilon)
        )


def learned_marginals(photos: ViewBatch, direction: Tensor) -> ViewBatch:
    """Reweigh each listing's photos by a learned direction u of the shared space: a_k ∝ a_k exp(√d <u, f_k>).

    Gradients flow into u, but not through the weights into the views. Texts are not reweighed, as in
    `text_agreement_marginals`. The factor √d scales the coordinates of unit vectors to about one, so that u learns at
    the same rate as other weights.

    direction: (d,) u; zeros keep the given weights

    Source: our reading.
    """
    return reweight(photos, photos.vectors.detach() @ direction * len(direction) ** 0.5)


def check_positive(value: float) -> float:
    """The value itself; raises SettingsError if it is not above 0."""
    if not value > 0.0:
        raise SettingsError(f"a regularisation or temperature must be above 0, not {value}.")
    return value


@dataclass(frozen=True)
class SampledViews:
    """The views of a batch of listings that a step encodes, with their weights.

    indices: (B, V) int64 index of each view among the views of its listing; 0 is the primary view
    weights: (B, V) float32; 0 means no view. A row sums to 1, or to 0 if the listing has no view of this modality
    """

    indices: Tensor
    weights: Tensor


def all_views(counts: Tensor, primary_weight: Tensor | float) -> SampledViews:
    """Every view with its fixed marginal: the primary view weighs `primary_weight`, the others share the rest equally.

    counts: (B,) number of views of each listing, >= 0
    primary_weight: a number or (B,), in [0, 1]; a single view has all the weight
    """
    indices = torch.arange(max(1, int(counts.max()))).expand(len(counts), -1)
    first = torch.as_tensor(primary_weight).expand(len(counts))[:, None]
    weights = torch.where(indices == 0, first, (1.0 - first) / (counts - 1).clamp(min=1)[:, None])
    weights = torch.where(counts[:, None] == 1, 1.0, weights)
    return SampledViews(indices, torch.where(indices < counts[:, None], weights, 0.0))


def primary_share(counts: Tensor, primary_weight: float) -> Tensor:
    """(B,) weight of the primary view among all views if it weighs α : (1 - α) against each other one.

    α = .5 gives every view the same share, 1 the primary view everything. Of two views, the share is α.

    counts: (B,) number of views of each listing, >= 0
    primary_weight: α, in [0, 1]

    Source: our reading.
    """
    others = (counts - 1).clamp(min=1)
    return primary_weight / (primary_weight + (1.0 - primary_weight) * others)
