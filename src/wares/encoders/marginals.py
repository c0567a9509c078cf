"""Marginals: the weights of a listing's views within a modality."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wares.core.errors import SettingsError


@dataclass(frozen=True)
class ViewBatch:
    """Encoded views of one modality for a batch of listings.

    vectors: (B, V, d) unit vectors; where the weight is zero the vector is ignored
    weights: (B, V) marginals
    """

    vectors: Tensor
    weights: Tensor

    def barycentre(self) -> Tensor:
        """(B, d) f̄ = Σ_k a_k f_k, not normalised: inner products of barycentres are plan scores."""
        return torch.einsum("bv,bvd->bd", self.weights, self.vectors)

    def detach(self) -> ViewBatch:
        """The same views and weights, the weights no longer a function of anything."""
        return ViewBatch(self.vectors, self.weights.detach())

    @property
    def present(self) -> Tensor:
        """(B, V) where there is a view that weighs anything."""
        return self.weights > 0


def reweight(views: ViewBatch, logits: Tensor) -> ViewBatch:
    """Reweigh each listing's views: a_k ∝ a_k exp(logits_k), summing to what they did. logits: (B, V)."""
    total = views.weights.sum(1, keepdim=True)
    logarithms = torch.where(total > 0, views.weights.log(), 0.0)
    return ViewBatch(views.vectors, torch.softmax(logarithms + logits, dim=1) * total)


def text_agreement_marginals(photos: ViewBatch, texts: ViewBatch, epsilon: float) -> ViewBatch:
    """Reweigh each listing's photos by how well they agree with its texts.

    a_k ∝ a_k exp(<f_k, ḡ>/ε), with ḡ under the weights that came in: one step from the factorized plan towards
    the entropic one, the plan still factorized. No gradient flows through the weights. A listing without texts
    keeps its weights. Texts are not reweighed: one that says what no photo shows is information, not an error.

    epsilon: temperature, > 0; its limit for large values is the weights that came in. Source: our reading.
    """
    with torch.no_grad():
        return reweight(
            photos, torch.einsum("bvd,bd->bv", photos.vectors, texts.barycentre()) / check_positive(epsilon)
        )


def learned_marginals(photos: ViewBatch, direction: Tensor) -> ViewBatch:
    """Reweigh each listing's photos by a learned direction u of the shared space: a_k ∝ a_k exp(√d <u, f_k>).

    Gradients flow into u, shape (d,), and not, through the weights, into the views. Zero gives the weights that came
    in. √d brings the coordinates of unit vectors to the scale of one, so that u learns at the pace of other weights.
    Texts are not reweighed, as in `text_agreement_marginals`. Source: our reading.
    """
    return reweight(photos, photos.vectors.detach() @ direction * len(direction) ** 0.5)


def check_positive(value: float) -> float:
    if not value > 0.0:
        raise SettingsError(f"a regularisation or temperature must be above 0, not {value}.")
    return value


@dataclass(frozen=True)
class SampledViews:
    """Views chosen for a batch of listings.

    indices: (B, V) int64, the place of each chosen view among its listing's own views; 0 is primary
    weights: (B, V) float32; 0 marks a place without a view. A row sums to 1, or to 0 where the
        listing has no view of this modality
    """

    indices: Tensor
    weights: Tensor


def all_views(counts: Tensor, primary_weight: float | None) -> SampledViews:
    """Every view, with the fixed marginal: `primary_weight` for the first, the rest shared equally; None shares all equally.

    counts: (B,) number of views, >= 0. A listing with a single view gives it all the weight,
    whatever `primary_weight` is.
    """
    import torch

    places = torch.arange(max(1, int(counts.max()))).expand(len(counts), -1)
    first = 1.0 / counts.clamp(min=1)[:, None] if primary_weight is None else torch.tensor(primary_weight)
    weights = torch.where(places == 0, first, (1.0 - first) / (counts - 1).clamp(min=1)[:, None])
    weights = torch.where(counts[:, None] == 1, 1.0, weights)
    return SampledViews(places, torch.where(places < counts[:, None], weights, 0.0))
