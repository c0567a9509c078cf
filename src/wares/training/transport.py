"""Plans: couplings of the photos of one listing with the texts of a listing, and their scores.

Pure functions of unit vectors and marginals. The row and column sums of a plan are the marginals. The *factorized* plan
is the outer product of the marginals; the *full* plan maximises the score and is the reference that the factorized plan
approximates; a *low-rank* plan is between the two.

Source: arXiv 2512.18117 (factorized transport); the equations are our reading, docs/explanation/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from wares.core.errors import SettingsError
from wares.encoders.marginals import ViewBatch, check_positive

MIN_WEIGHT = 1e-9  # weight of a missing view, for a solver that needs positive weights
LOG_DOMAIN_BELOW = 0.03  # regularisation below which exp(similarity / regularisation) needs the log domain
ASCENT_STEPS, PROJECTION_SWEEPS = 50, 5  # low-rank solver: gradient steps, and projections after each step
STEP_SIZE = 5.0  # of a gradient step; similarities are at most 1
INITIAL_SHARPNESS = 0.3  # of the initial groups
EPS = 1e-30  # minimum of a divisor


@dataclass(frozen=True)
class FactorizedPlan:
    """The rank-one coupling a bᵀ, stored as its two vectors.

    photo_weights: (m,) marginal over photos, summing to 1
    text_weights: (n,) marginal over texts, summing to 1
    """

    photo_weights: Tensor
    text_weights: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """<f̄, ḡ> of photos (m, d) and texts (n, d), in O(m + n)."""
        return (self.photo_weights @ photos) @ (self.text_weights @ texts)

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) contribution of each pair of views to the score."""
        return self.matrix() * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) coupling."""
        return self.photo_weights[:, None] * self.text_weights[None, :]


@dataclass(frozen=True)
class FullPlan:
    """A dense coupling, shape (m, n)."""

    coupling: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """Σ P_kl <f_k, g_l> of photos (m, d) and texts (n, d)."""
        return self.contributions(photos, texts).sum()

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) contribution of each pair of views to the score."""
        return self.coupling * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) coupling."""
        return self.coupling


@dataclass(frozen=True)
class LowRankPlan:
    """The coupling q diag(1/g) rᵀ: photos and texts are divided into groups, and groups are coupled one to one.

    q: (m, rank) weight of each photo in each group; rows sum to the marginal over photos, columns sum to g
    r: (n, rank) the same for texts
    g: (rank,) weights of the groups, summing to 1
    """

    q: Tensor
    r: Tensor
    g: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """Σ_c g_c <f̄_c, ḡ_c> over groups with barycentres f̄_c and ḡ_c, in O((m + n) rank)."""
        return ((self.q.T @ photos) * (self.r.T @ texts) / self.g[:, None].clamp(min=EPS)).sum()

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) contribution of each pair of views to the score."""
        return self.matrix() * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) coupling."""
        return self.q / self.g.clamp(min=EPS) @ self.r.T


def factorized_plan(photo_weights: Tensor, text_weights: Tensor) -> FactorizedPlan:
    """The rank-one plan of two marginals, the limit of `full_plan` for large regularisation."""
    return FactorizedPlan(photo_weights, text_weights)


def full_plan(
    photos: Tensor, texts: Tensor, photo_weights: Tensor, text_weights: Tensor, regularisation: float | None = None
) -> FullPlan:
    """The plan with the highest score among all plans with these marginals.

    photos, texts: (m, d), (n, d) unit vectors
    photo_weights, text_weights: (m,), (n,) marginals, each summing to 1
    regularisation: weight of the entropy, > 0, in units of similarity; None solves the linear programme

    Source: optimal transport (POT: `ot.emd`, `ot.sinkhorn` in the log domain).
    """
    import ot

    cost = -(photos @ texts.T).double()
    a, b = photo_weights.double() / photo_weights.sum(), text_weights.double() / text_weights.sum()
    if regularisation is None:
        coupling = ot.emd(a, b, cost)
    else:
        coupling = ot.sinkhorn(
            a, b, cost, reg=check_positive(regularisation), method="sinkhorn_log", numItermax=20_000, stopThr=1e-7
        )
    return FullPlan(coupling.to(photos.dtype))


def low_rank_plan(photos: Tensor, texts: Tensor, photo_weights: Tensor, text_weights: Tensor, rank: int) -> LowRankPlan:
    """A plan of at most this rank with a high score; the only plan of rank one is the factorized plan.

    photos, texts: (m, d), (n, d) unit vectors
    photo_weights, text_weights: (m,), (n,) marginals, each summing to 1
    rank: >= 1

    The problem is not convex, so the plan is a local optimum; its marginals are exact.

    Source: Scetbon, Cuturi, Peyré 2021 (arXiv 2103.04737), see `_low_rank_factors`.
    """
    pair = ViewBatch(photos[None], photo_weights[None]), ViewBatch(texts[None], text_weights[None])
    return LowRankPlan(*(factor[..., 0, 0] for factor in _low_rank_factors(*pair, rank)))


def factorized_scores(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B) score of each listing's photos with each listing's texts under the factorized plan."""
    return photos.barycentre() @ texts.barycentre().T


def full_scores(photos: ViewBatch, texts: ViewBatch, regularisation: float | None = 0.05) -> Tensor:
    """(B, B) score under the full plan, from B² plans of V x W.

    Gradients flow through the similarities at the fixed optimal plan (envelope theorem). A pair of listings without a
    photo or without a text has a score of 0.

    regularisation: weight of the entropy, > 0, in units of similarity, with all plans solved together; None solves one
        linear programme after another, as a reference for small batches
    """
    similarity = torch.einsum("ivd,jwd->ijvw", photos.vectors, texts.vectors)
    with torch.no_grad():
        plans = (
            _exact_plans(photos, texts)
            if regularisation is None
            else _entropic_plans(similarity, photos, texts, regularisation)
        )
    return (plans * similarity).sum((2, 3)) * _has_both(photos, texts)


def low_rank_scores(photos: ViewBatch, texts: ViewBatch, rank: int) -> Tensor:
    """(B, B) score under plans of at most this rank, solved together; gradients as in `full_scores`."""
    q, r, g = _low_rank_factors(photos, texts, rank)
    photo_groups = torch.einsum("vcij,ivd->ijcd", q, photos.vectors)
    text_groups = torch.einsum("wcij,jwd->ijcd", r, texts.vectors)
    scores = torch.einsum("ijcd,ijcd,cij->ij", photo_groups, text_groups, 1 / g.clamp(min=EPS))
    return scores * _has_both(photos, texts)


def _has_both(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B) True if the row has a photo and the column has a text."""
    return photos.present.any(1)[:, None] & texts.present.any(1)[None]


def _exact_plans(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B, V, W) optimal plan of each pair of listings, zeros without a photo or a text."""
    has_both = _has_both(photos, texts)
    plans = photos.weights.new_zeros(*has_both.shape, photos.weights.shape[1], texts.weights.shape[1])
    for i, j in has_both.nonzero().tolist():
        plans[i, j] = full_plan(photos.vectors[i], texts.vectors[j], photos.weights[i], texts.weights[j]).matrix()
    return plans


def _entropic_plans(similarity: Tensor, photos: ViewBatch, texts: ViewBatch, regularisation: float) -> Tensor:
    """(B, B, V, W) entropic plan of each pair of listings, all solved together."""
    import ot

    batch, _, photo_views, text_views = similarity.shape
    a = normalize(photos.weights.clamp(min=MIN_WEIGHT), p=1, dim=1)[:, None].expand(batch, batch, photo_views)
    b = normalize(texts.weights.clamp(min=MIN_WEIGHT), p=1, dim=1)[None].expand(batch, batch, text_views)
    plans: Tensor = ot.solve_batch(
        -similarity.reshape(batch * batch, photo_views, text_views),
        reg=check_positive(regularisation),
        a=a.reshape(-1, photo_views),
        b=b.reshape(-1, text_views),
        method="log_sinkhorn" if regularisation < LOG_DOMAIN_BELOW else "sinkhorn",
        max_iter=2_000,  # it stops at the tolerance; only very uneven weights need thousands
        tol=1e-4,
        grad="detach",
    ).plan
    return plans.reshape_as(similarity)


@torch.no_grad()
def _low_rank_factors(photos: ViewBatch, texts: ViewBatch, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Low-rank plans of all pairs of listings: q (V, rank, B, B), r (W, rank, B, B), g (rank, B, B).

    Mirror ascent of the score Σ_kl <f_k, g_l> Σ_c q_kc r_lc / g_c. Each step ends with a Kullback-Leibler projection:
    rows sum to the marginals, and the columns of q and r sum to g. Both constraint sets are affine, so alternating
    projections suffice, without Dykstra's corrections. The initial groups come from fixed random directions of the
    shared space, the same for photos and texts, so that the order of views does not matter. Listings are the last axes,
    because long inner loops are fast.

    Source: algorithms 2 and 3 of Scetbon, Cuturi, Peyré 2021 (arXiv 2103.04737); the final rounding, which makes the
    marginals exact, is algorithm 2 of Altschuler, Weed, Rigollet 2017 (arXiv 1705.09634).
    """
    if rank < 1:
        raise SettingsError(f"the rank of a plan must be at least 1, not {rank}.")
    similarity = torch.einsum("ivd,jwd->vwij", photos.vectors, texts.vectors)[:, :, None]
    a, b = photos.weights.T[:, :, None], texts.weights.T[:, None]
    directions = torch.randn(rank, photos.vectors.shape[2], generator=torch.Generator().manual_seed(0))
    q, r = (
        torch.softmax(INITIAL_SHARPNESS * torch.einsum("bvd,cd->vcb", side.vectors, directions.to(a)), dim=1)
        for side in (photos, texts)
    )
    g = q.new_full((rank, 1, 1), 1 / rank)
    q, r, g = _project_marginals(a[:, None] * q[..., None], b[:, None] * r[:, :, None], g, a, b, PROJECTION_SWEEPS)
    for _ in range(ASCENT_STEPS):
        q_gradient, r_gradient = (similarity * (r / g)).sum(1), (similarity * (q / g)[:, None]).sum(0)
        g_gradient = -(q * q_gradient).sum(0) / g
        q, r, g = (
            factor * torch.exp(STEP_SIZE * gradient)
            for factor, gradient in ((q, q_gradient), (r, r_gradient), (g, g_gradient))
        )
        q, r, g = _project_marginals(q, r, g, a, b, PROJECTION_SWEEPS)
    q, r, g = _project_marginals(q, r, g, a, b, 10 * PROJECTION_SWEEPS)
    g = g / g.sum(0)
    return _round_to_marginals(q, a, g), _round_to_marginals(r, b, g), g


def _project_marginals(
    q: Tensor, r: Tensor, g: Tensor, a: Tensor, b: Tensor, sweeps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Project q, r and g so that rows sum to a and b, and the columns of q and r sum to g."""
    for _ in range(sweeps):
        q = q * (a / q.sum(1).clamp(min=EPS))[:, None]
        r = r * (b / r.sum(1).clamp(min=EPS))[:, None]
        q_columns, r_columns = q.sum(0).clamp(min=EPS), r.sum(0).clamp(min=EPS)
        g = ((g * q_columns * r_columns) ** (1 / 3)).clamp(min=EPS)
        q, r = q * (g / q_columns), r * (g / r_columns)
    return q, r, g


def _round_to_marginals(q: Tensor, a: Tensor, g: Tensor) -> Tensor:
    """Round q so that its rows sum to a and its columns sum to g."""
    q = q * (a / q.sum(1).clamp(min=EPS)).clamp(max=1)[:, None]
    q = q * (g / q.sum(0).clamp(min=EPS)).clamp(max=1)
    rows, columns = (a - q.sum(1)).clamp(min=0), (g - q.sum(0)).clamp(min=0)
    return q + rows[:, None] * columns / columns.sum(0).clamp(min=EPS)
