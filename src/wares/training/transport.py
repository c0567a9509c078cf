"""Plans: couplings of one listing's photos with a listing's texts, and the scores they give.

Pure mathematics on unit vectors and marginals. A plan's row and column sums are the marginals. The
*factorized* plan is the outer product of the marginals; the *full* plan maximises the score and is the
reference that the factorized one approximates; a *low-rank* plan stands between the two.

Source: arXiv 2512.18117 (factorized transport); the equations are our reading, docs/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from wares.core.errors import SettingsError
from wares.encoders.marginals import ViewBatch, check_positive

MIN_WEIGHT = 1e-9  # weight of a place without a view, where a solver needs all weights positive
LOG_DOMAIN_BELOW = 0.03  # regularisation below which exp(similarity / regularisation) needs the log domain
ASCENT_STEPS, PROJECTION_SWEEPS = 50, 5  # of the low-rank solver: ascents, and projections after each
STEP_SIZE = 5.0  # of an ascent; similarities are at most 1
INITIAL_SHARPNESS = 0.3  # how sharply the first groups are told apart
EPS = 1e-30  # of what is divided by, or of which a logarithm is taken


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

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
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
        return self.contributions(photos, texts).sum()

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) what each pair of views carries of the score."""
        return self.coupling * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) the coupling itself."""
        return self.coupling


@dataclass(frozen=True)
class LowRankPlan:
    """The coupling q diag(1/g) rᵀ: both sides fall into groups, and groups are coupled one to one.

    q: (m, rank), how much of each photo is in each group; its rows sum to the marginal over photos, its columns to g
    r: (n, rank), the same of the texts
    g: (rank,) weights of the groups, summing to 1
    """

    q: Tensor
    r: Tensor
    g: Tensor

    def score(self, photos: Tensor, texts: Tensor) -> Tensor:
        """Σ_c g_c <f̄_c, ḡ_c> over groups with barycentres f̄_c and ḡ_c, in O((m + n) rank)."""
        return ((self.q.T @ photos) * (self.r.T @ texts) / self.g[:, None].clamp(min=EPS)).sum()

    def contributions(self, photos: Tensor, texts: Tensor) -> Tensor:
        """(m, n) what each pair of views carries of the score."""
        return self.matrix() * (photos @ texts.T)

    def matrix(self) -> Tensor:
        """(m, n) the coupling itself."""
        return self.q / self.g.clamp(min=EPS) @ self.r.T


def factorized_plan(photo_weights: Tensor, text_weights: Tensor) -> FactorizedPlan:
    """The rank-one plan of two marginals, the limit of `full_plan` for large regularisation."""
    return FactorizedPlan(photo_weights, text_weights)


def full_plan(
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
            a, b, cost, reg=check_positive(regularisation), method="sinkhorn_log", numItermax=20_000, stopThr=1e-7
        )
    return FullPlan(coupling.to(photos.dtype))


def low_rank_plan(photos: Tensor, texts: Tensor, photo_weights: Tensor, text_weights: Tensor, rank: int) -> LowRankPlan:
    """A plan of high score among those of at most this rank; of rank one there is but the factorized one.

    photos: (m, d), texts: (n, d) unit vectors; photo_weights: (m,), text_weights: (n,), each summing to 1

    The problem is not convex: the plan is a local optimum, its marginals are exact.
    Source: Scetbon, Cuturi, Peyré 2021 (arXiv 2103.04737), see `_groups`.
    """
    pair = ViewBatch(photos[None], photo_weights[None]), ViewBatch(texts[None], text_weights[None])
    return LowRankPlan(*(factor[..., 0, 0] for factor in _groups(*pair, rank)))


def factorized_scores(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B) score of each listing's photos with each listing's texts under the factorized plan."""
    return photos.barycentre() @ texts.barycentre().T


def full_scores(photos: ViewBatch, texts: ViewBatch, regularisation: float | None = 0.05) -> Tensor:
    """(B, B) score under the full plan: B² plans of V x W.

    Gradients flow through the similarities at the fixed optimal plan (envelope theorem). Listings
    without a view on one side get a score of 0.
    regularisation: weight of the entropy, > 0, in units of similarity, all plans solved together; None solves
        the linear programmes one after another, a reference for small batches
    """
    similarity = torch.einsum("ivd,jwd->ijvw", photos.vectors, texts.vectors)
    with torch.no_grad():
        plans = (
            _exact(photos, texts) if regularisation is None else _entropic(similarity, photos, texts, regularisation)
        )
    return (plans * similarity).sum((2, 3)) * _both(photos, texts)


def low_rank_scores(photos: ViewBatch, texts: ViewBatch, rank: int) -> Tensor:
    """(B, B) score under a plan of at most this rank, B² of them found together; gradients as in `full_scores`."""
    q, r, g = _groups(photos, texts, rank)
    photo_groups = torch.einsum("vcij,ivd->ijcd", q, photos.vectors)
    text_groups = torch.einsum("wcij,jwd->ijcd", r, texts.vectors)
    scores = torch.einsum("ijcd,ijcd,cij->ij", photo_groups, text_groups, 1 / g.clamp(min=EPS))
    return scores * _both(photos, texts)


def _both(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B) where the row has a photo and the column a text."""
    return photos.present.any(1)[:, None] & texts.present.any(1)[None]


def _exact(photos: ViewBatch, texts: ViewBatch) -> Tensor:
    """(B, B, V, W) the best plan of every pair of listings that has one, else zeros."""
    both = _both(photos, texts)
    plans = photos.weights.new_zeros(*both.shape, photos.weights.shape[1], texts.weights.shape[1])
    for i, j in both.nonzero().tolist():
        plans[i, j] = full_plan(photos.vectors[i], texts.vectors[j], photos.weights[i], texts.weights[j]).matrix()
    return plans


def _entropic(similarity: Tensor, photos: ViewBatch, texts: ViewBatch, regularisation: float) -> Tensor:
    """(B, B, V, W) the entropic plans of all pairs of listings, solved together."""
    import ot

    batch, _, places_a, places_b = similarity.shape
    a = normalize(photos.weights.clamp(min=MIN_WEIGHT), p=1, dim=1)[:, None].expand(batch, batch, places_a)
    b = normalize(texts.weights.clamp(min=MIN_WEIGHT), p=1, dim=1)[None].expand(batch, batch, places_b)
    plans: Tensor = ot.solve_batch(
        -similarity.reshape(batch * batch, places_a, places_b),
        reg=check_positive(regularisation),
        a=a.reshape(-1, places_a),
        b=b.reshape(-1, places_b),
        method="log_sinkhorn" if regularisation < LOG_DOMAIN_BELOW else "sinkhorn",
        max_iter=2_000,  # it stops at the tolerance; thousands are needed only where weights are very uneven
        tol=1e-4,
        grad="detach",
    ).plan
    return plans.reshape_as(similarity)


@torch.no_grad()
def _groups(photos: ViewBatch, texts: ViewBatch, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Low-rank plans of all pairs of listings: q (V, rank, B, B), r (W, rank, B, B), g (rank, B, B).

    Mirror ascent of the score Σ_kl <f_k, g_l> Σ_c q_kc r_lc / g_c, each step followed by a Kullback-Leibler
    projection to where rows sum to the marginals and both sides' columns to g. Both are affine sets, so projecting
    in turn is enough and Dykstra's corrections are not needed.
    Groups start as what fixed random directions of the shared space tell apart, for photos and texts alike: so the
    order of views has no part in it. The listings are the last axes, where long loops are fast.

    Source: algorithms 2 and 3 of Scetbon, Cuturi, Peyré 2021 (arXiv 2103.04737); the rounding at the end, which
    makes the marginals exact, is algorithm 2 of Altschuler, Weed, Rigollet 2017 (arXiv 1705.09634).
    """
    if rank < 1:
        raise SettingsError(f"a plan has a rank of at least 1, not {rank}.")
    similarity = torch.einsum("ivd,jwd->vwij", photos.vectors, texts.vectors)[:, :, None]
    a, b = photos.weights.T[:, :, None], texts.weights.T[:, None]
    directions = torch.randn(rank, photos.vectors.shape[2], generator=torch.Generator().manual_seed(0))
    q, r = (
        torch.softmax(INITIAL_SHARPNESS * torch.einsum("bvd,cd->vcb", side.vectors, directions.to(a)), dim=1)
        for side in (photos, texts)
    )
    g = q.new_full((rank, 1, 1), 1 / rank)
    q, r, g = _coupled(a[:, None] * q[..., None], b[:, None] * r[:, :, None], g, a, b, PROJECTION_SWEEPS)
    for _ in range(ASCENT_STEPS):
        q_up, r_up = (similarity * (r / g)).sum(1), (similarity * (q / g)[:, None]).sum(0)
        g_up = -(q * q_up).sum(0) / g
        q, r, g = (old * torch.exp(STEP_SIZE * up) for old, up in ((q, q_up), (r, r_up), (g, g_up)))
        q, r, g = _coupled(q, r, g, a, b, PROJECTION_SWEEPS)
    q, r, g = _coupled(q, r, g, a, b, 10 * PROJECTION_SWEEPS)
    g = g / g.sum(0)
    return _rounded(q, a, g), _rounded(r, b, g), g


def _coupled(q: Tensor, r: Tensor, g: Tensor, a: Tensor, b: Tensor, sweeps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Project q, r and g so that rows sum to a and b, and columns of q and of r to g."""
    for _ in range(sweeps):
        q = q * (a / q.sum(1).clamp(min=EPS))[:, None]
        r = r * (b / r.sum(1).clamp(min=EPS))[:, None]
        q_columns, r_columns = q.sum(0).clamp(min=EPS), r.sum(0).clamp(min=EPS)
        g = ((g * q_columns * r_columns) ** (1 / 3)).clamp(min=EPS)
        q, r = q * (g / q_columns), r * (g / r_columns)
    return q, r, g


def _rounded(q: Tensor, a: Tensor, g: Tensor) -> Tensor:
    """Move what q lacks or has too much of, so that its rows sum to a and its columns to g."""
    q = q * (a / q.sum(1).clamp(min=EPS)).clamp(max=1)[:, None]
    q = q * (g / q.sum(0).clamp(min=EPS)).clamp(max=1)
    rows, columns = (a - q.sum(1)).clamp(min=0), (g - q.sum(0)).clamp(min=0)
    return q + rows[:, None] * columns / columns.sum(0).clamp(min=EPS)
