"""Plans: couplings of one listing's photos with a listing's texts, and the scores they give.

Pure mathematics on unit vectors and marginals. A plan's row and column sums are the marginals. The
*factorized* plan is the outer product of the marginals; the *full* plan maximises the score and is the
reference that the factorized one approximates.

Source: arXiv 2512.18117 (factorized transport); the equations are our reading, docs/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from wares.errors import SettingsError

NOTHING = 1e-9  # weight of a place without a view, where a solver needs all weights positive
SMALL = 0.03  # regularisation below which exp(similarity / regularisation) needs the log domain


@dataclass(frozen=True)
class FactorizedPlan:
    """The rank-one coupling a bᵀ: two vectors, never a matrix unless somebody asks.

    photo_weights: (m,) marginal over photos, summing to 1
    text_weights: (n,) marginal over texts, summing to 1
    """

    photo_weights: Tensor
    text_weights: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """<f̄, ḡ> of photos (m, d) and texts (n, d), in O(m + n)."""
        return (self.photo_weights @ photos) @ (self.text_weights @ texts)

    def shares(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) what each pair of views carries of the score."""
        return self.matrix() * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) the coupling itself."""
        return self.photo_weights[:, None] * self.text_weights[None, :]


@dataclass(frozen=True)
class FullPlan:
    """A dense coupling, shape (m, n)."""

    coupling: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """Σ P_kl <f_k, g_l> of photos (m, d) and texts (n, d)."""
        return self.shares(photos, texts).sum()

    def shares(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) what each pair of views carries of the score."""
        return self.coupling * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) the coupling itself."""
        return self.coupling


def factorized(photo_weights: Tensor, text_weights: Tensor) -> FactorizedPlan:
    """The rank-one plan of two marginals, the limit of `full` for large regularisation."""
    return FactorizedPlan(photo_weights, text_weights)


def full(
    photos: Tensor, texts: Tensor, photo_weights: Tensor, text_weights: Tensor, regularisation: float | None = None
) -> FullPlan:
    """The plan with the highest score among those with these marginals.

    photos: (m, d), texts: (n, d) unit vectors; photo_weights: (m,), text_weights: (n,), each summing to 1
    regularisation: weight of the entropy, in units of similarity; None solves the linear programme

    Source: optimal transport (POT: `ot.emd`, `ot.sinkhorn` in the log domain).
    """
    import ot

    cost = -(photos @ texts.T).double()
    a, b = photo_weights.double() / photo_weights.sum(), text_weights.double() / text_weights.sum()
    if regularisation is None:
        coupling = ot.emd(a, b, cost)
    else:
        coupling = ot.sinkhorn(
            a, b, cost, reg=_positive(regularisation), method="sinkhorn_log", numItermax=20_000, stopThr=1e-7
        )
    return FullPlan(coupling.to(photos.dtype))


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

    @property
    def present(self) -> Tensor:
        """(B, V) where there is a view that weighs anything."""
        return self.weights > 0


def factorized_scores(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B) score of each listing's photos with each listing's texts under the factorized plan."""
    return photos.barycentre() @ texts.barycentre().T


def full_scores(photos: ViewBatch, texts: ViewBatch, regularisation: float = 0.05) -> Tensor:
    """(B, B) score under the full entropic plan: B² plans of V x W, solved together.

    Gradients flow through the similarities at the fixed optimal plan (envelope theorem). Listings
    without a view on one side get a score of 0.
    regularisation: weight of the entropy, > 0, in units of similarity
    """
    import ot

    similarity = torch.einsum("ivd,jwd->ijvw", photos.vectors, texts.vectors)
    batch, places_a, places_b = len(similarity), similarity.shape[2], similarity.shape[3]
    a = normalize(photos.weights.clamp(min=NOTHING), p=1, dim=1)[:, None].expand(batch, batch, places_a)
    b = normalize(texts.weights.clamp(min=NOTHING), p=1, dim=1)[None].expand(batch, batch, places_b)
    plans: Tensor = ot.solve_batch(
        -similarity.detach().reshape(batch * batch, places_a, places_b),
        reg=_positive(regularisation),
        a=a.reshape(-1, places_a),
        b=b.reshape(-1, places_b),
        method="log_sinkhorn" if regularisation < SMALL else "sinkhorn",
        max_iter=2_000,  # it stops at the tolerance; thousands are needed only where weights are very uneven
        tol=1e-4,
        grad="detach",
    ).plan.reshape_as(similarity)
    both = photos.present.any(1)[:, None] & texts.present.any(1)[None]
    scores: Tensor = (plans * similarity).sum((2, 3)) * both
    return scores


def agreement(photos: ViewBatch, texts: ViewBatch, epsilon: float) -> ViewBatch:
    """Reweigh each listing's photos by how well they agree with its texts.

    a_k ∝ a_k exp(<f_k, ḡ>/ε), with ḡ under the weights that came in: one step from the factorized plan towards
    the entropic one, the plan still factorized. No gradient flows through the weights. A listing without texts
    keeps its weights. Texts are not reweighed: one that says what no photo shows is information, not an error.

    epsilon: temperature, > 0; its limit for large values is the weights that came in. Source: our reading.
    """
    with torch.no_grad():
        fits = torch.einsum("bvd,bd->bv", photos.vectors, texts.barycentre()) / _positive(epsilon)
        total = photos.weights.sum(1, keepdim=True)
        tilted = torch.softmax(photos.weights.log() + fits, dim=1) * total
        return ViewBatch(photos.vectors, torch.where(total > 0, tilted, photos.weights))


def _positive(value: float) -> float:
    if not value > 0.0:
        raise SettingsError(f"a regularisation or temperature must be above 0, not {value}.")
    return value
