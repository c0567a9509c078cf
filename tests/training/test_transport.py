"""Plans: cases by eye, one contract for all, how they are related (POT as oracle), and reweighing."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import view_batches
from torch import Tensor
from torch.nn.functional import normalize

from wares.core.errors import SettingsError
from wares.encoders import marginals
from wares.encoders.marginals import ViewBatch
from wares.training import transport


def one(batch: ViewBatch, listing: int) -> tuple[Tensor, Tensor]:
    """The real views and weights of one listing of a padded batch."""
    present = batch.present[listing]
    return batch.vectors[listing][present], batch.weights[listing][present]


def test_one_photo_one_text_is_plain_cosine() -> None:
    photo, text, sure = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]), torch.ones(1)
    for plan in (transport.factorized_plan(sure, sure), transport.full_plan(photo, text, sure, sure)):
        assert float(plan.score(photo, text)) == pytest.approx(0.6)


def test_full_transport_matches_each_photo_with_its_text() -> None:
    views, half = torch.eye(2), torch.tensor([0.5, 0.5])
    assert float(transport.full_plan(views, views.flip(0), half, half).score(views, views.flip(0))) == pytest.approx(
        1.0
    )
    assert float(transport.factorized_plan(half, half).score(views, views)) == pytest.approx(0.5)


# The contract of every plan ---------------------------------------------------------------------------------------

Plan = transport.FactorizedPlan | transport.FullPlan | transport.LowRankPlan
PLANS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Plan]] = {
    "factorized": lambda f, g, a, b: transport.factorized_plan(a, b),
    "full": transport.full_plan,
    "full, regularisation 0.1": lambda f, g, a, b: transport.full_plan(f, g, a, b, 0.1),
    "full, regularisation 1": lambda f, g, a, b: transport.full_plan(f, g, a, b, 1.0),
    "rank 1": lambda f, g, a, b: transport.low_rank_plan(f, g, a, b, 1),
    "rank 2": lambda f, g, a, b: transport.low_rank_plan(f, g, a, b, 2),
    "rank 3": lambda f, g, a, b: transport.low_rank_plan(f, g, a, b, 3),
}
SCORES: dict[str, Callable[[ViewBatch, ViewBatch], Tensor]] = {
    "factorized": transport.factorized_scores,
    "full": lambda photos, texts: transport.full_scores(photos, texts, None),
    "full, regularisation 0.1": lambda photos, texts: transport.full_scores(photos, texts, 0.1),
    "rank 2": lambda photos, texts: transport.low_rank_scores(photos, texts, 2),
    "rank 3": lambda photos, texts: transport.low_rank_scores(photos, texts, 3),
}


def optimum(f: Tensor, g: Tensor, a: Tensor, b: Tensor) -> float:
    """The score of the best plan, from POT alone, in double precision."""
    weights = ((side.double() / side.double().sum()).numpy() for side in (a, b))
    return -float(ot.emd2(*weights, -(f @ g.T).double().numpy()))


@pytest.mark.parametrize("name", PLANS)
@given(photos=view_batches(1), texts=view_batches(1))
@settings(deadline=None, max_examples=25)
def test_every_plan_has_its_marginals_and_its_score_in_bounds(name: str, photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    plan = PLANS[name](f, g, a, b)
    exact = 1e-4 if "regularisation" in name else 1e-5
    torch.testing.assert_close(plan.matrix().sum(1), a, atol=exact, rtol=exact)
    torch.testing.assert_close(plan.matrix().sum(0), b, atol=exact, rtol=exact)
    assert (plan.matrix() >= 0).all()
    torch.testing.assert_close(plan.contributions(f, g).sum(), plan.score(f, g), atol=1e-5, rtol=1e-4)
    assert float(transport.factorized_plan(a, b).score(f, g)) - 1e-3 <= float(plan.score(f, g))
    assert float(plan.score(f, g)) <= optimum(f, g, a, b) + exact


@pytest.mark.parametrize("name", PLANS)
@given(photos=view_batches(1), texts=view_batches(1), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_the_order_of_views_changes_no_score(name: str, photos: ViewBatch, texts: ViewBatch, seed: int) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.randperm(len(a), generator=generator), torch.randperm(len(b), generator=generator)
    before = PLANS[name](f, g, a, b).score(f, g)
    after = PLANS[name](f[rows], g[columns], a[rows], b[columns]).score(f[rows], g[columns])
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", SCORES)
@given(photos=view_batches(3, least=0), texts=view_batches(3, least=0))
@settings(deadline=None, max_examples=15)
def test_batched_scores_equal_scores_one_by_one(name: str, photos: ViewBatch, texts: ViewBatch) -> None:
    """A listing without a modality scores 0, and nothing is NaN."""
    scores = SCORES[name](photos, texts)
    for i in range(3):
        for j in range(3):
            (f, a), (g, b) = one(photos, i), one(texts, j)
            expected = float(PLANS[name](f, g, a, b).score(f, g)) if len(a) and len(b) else 0.0
            assert float(scores[i, j]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", SCORES)
def test_gradients_flow_through_the_scores_at_the_fixed_plan(name: str) -> None:
    """Also past listings without a view; where there is one, the gradient is that of Σ P_kl <f_k, g_l>."""
    noise = torch.Generator().manual_seed(0)
    f, g = (normalize(torch.randn(3, views, 6, generator=noise), dim=2).requires_grad_() for views in (4, 2))
    photos = ViewBatch(f, torch.tensor([[0.4, 0.2, 0.2, 0.2], [1.0, 0, 0, 0], [0, 0, 0, 0]]))
    texts = ViewBatch(g, torch.tensor([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0]]))
    SCORES[name](photos, texts).sum().backward()
    assert f.grad is not None and g.grad is not None
    assert torch.isfinite(f.grad).all() and torch.isfinite(g.grad).all()
    assert (f.grad[0].norm(dim=1) > 0).all()
    assert not f.grad[2].any() and not g.grad[1].any()
    pairs = [one(photos, 0), one(texts, 0), one(texts, 2)]
    (f0, a), others = (side.detach() for side in pairs[0]), [[side.detach() for side in pair] for pair in pairs[1:]]
    expected = sum(PLANS[name](f0, g0, a, b).matrix() @ g0 for g0, b in others)
    torch.testing.assert_close(f.grad[0], expected, atol=1e-3, rtol=1e-2)


# How the plans are related ----------------------------------------------------------------------------------------


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=25)
def test_full_transport_solves_the_linear_programme(photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    assert float(transport.full_plan(f, g, a, b).score(f, g)) == pytest.approx(optimum(f, g, a, b), abs=1e-5)


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=25)
def test_the_entropic_plan_goes_from_the_full_to_the_factorized_one(photos: ViewBatch, texts: ViewBatch) -> None:
    """Its score falls as regularisation grows, from the optimum to that of the product, and the plan goes along."""
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    product = transport.factorized_plan(a, b)
    plans = [transport.full_plan(f, g, a, b, reg) for reg in (0.01, 0.05, 0.2, 1.0, 10.0, 1000.0)]
    scores = [float(plan.score(f, g)) for plan in plans]
    assert all(later <= earlier + 1e-3 for earlier, later in pairwise(scores))
    assert scores[0] == pytest.approx(optimum(f, g, a, b), abs=0.05)
    assert scores[-1] == pytest.approx(float(product.score(f, g)), abs=1e-3)
    assert float((plans[-1].matrix() - product.matrix()).abs().max()) < 1e-3


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=25)
def test_rank_one_is_the_factorized_plan(photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    plan = transport.low_rank_plan(f, g, a, b, 1)
    assert (plan.q.shape, plan.r.shape, plan.g.tolist()) == ((len(a), 1), (len(b), 1), [1.0])
    torch.testing.assert_close(plan.matrix(), transport.factorized_plan(a, b).matrix(), atol=1e-6, rtol=1e-5)


def random_pair(seed: int, photos: int, texts: int, dimension: int = 8) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(seed)
    f, g = (normalize(torch.randn(n, dimension, generator=noise), dim=1) for n in (photos, texts))
    a, b = (normalize(0.1 + torch.rand(n, generator=noise), p=1, dim=0) for n in (photos, texts))
    return f, g, a, b


def test_two_groups_are_found() -> None:
    """Two photos of a boot and two of its box, one text on either: a plan of rank two is the best there is."""
    f, g = torch.eye(4)[[0, 0, 1, 1]], torch.eye(4)[:2]
    a, b = torch.full((4,), 0.25), torch.full((2,), 0.5)
    plan = transport.low_rank_plan(f, g, a, b, 2)
    assert float(plan.score(f, g)) == pytest.approx(1.0, abs=0.02)
    assert float(transport.factorized_plan(a, b).score(f, g)) == pytest.approx(0.5)


def test_low_rank_closes_most_of_the_gap_and_full_rank_nearly_all() -> None:
    """Between the factorized score, 0, and that of full transport, 1, on average over pairs of 5 photos and 3 texts."""
    found: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for seed in range(30):
        f, g, a, b = random_pair(seed, 5, 3)
        low, high = float(transport.factorized_plan(a, b).score(f, g)), optimum(f, g, a, b)
        for rank, shares in found.items():
            shares.append((float(transport.low_rank_plan(f, g, a, b, rank).score(f, g)) - low) / (high - low))
    one_group, two, three = (float(np.mean(found[rank])) for rank in (1, 2, 3))
    assert one_group == pytest.approx(0.0, abs=1e-4)
    assert two > 0.5
    assert three > 0.85
    assert three > two


def test_low_rank_scores_about_as_well_as_pot() -> None:
    """POT's solver of the same problem with ten times the iterations."""
    ours, theirs = [], []
    for seed in range(20):
        f, g, a, b = random_pair(seed, 6, 4)
        ours.append(float(transport.low_rank_plan(f, g, a, b, 2).score(f, g)))
        points, weights = (f.double().numpy(), g.double().numpy()), (a.double().numpy(), b.double().numpy())
        q, r, inner = ot.lowrank_sinkhorn(*points, *weights, rank=2, reg=0, init="deterministic", numItermax=300)
        theirs.append(float(((q / inner) @ r.T * (points[0] @ points[1].T)).sum()))
    assert np.mean(ours) > np.mean(theirs) - 0.01


@pytest.mark.parametrize("rank", [0, -1])
def test_a_rank_is_at_least_one(rank: int) -> None:
    with pytest.raises(SettingsError):
        transport.low_rank_plan(*random_pair(0, 2, 2), rank)


# Reweighing -------------------------------------------------------------------------------------------------------


@given(view_batches(4, least=0), st.integers(0, 99))
@settings(deadline=None)
def test_tilting_keeps_sums_and_empty_listings(views: ViewBatch, seed: int) -> None:
    logits = 3 * torch.randn(views.weights.shape, generator=torch.Generator().manual_seed(seed))
    after = marginals.reweight(views, logits)
    expected = views.weights * logits.exp()
    expected = expected / expected.sum(1, keepdim=True).clamp(min=1e-12)
    torch.testing.assert_close(after.weights, expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(after.weights > 0, views.present)


def test_learned_weights_follow_their_direction_and_teach_it_alone() -> None:
    boot, chart = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    vectors = torch.stack([boot, chart])[None].repeat(2, 1, 1).requires_grad_()
    photos = ViewBatch(vectors, torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    direction = torch.zeros(2, requires_grad=True)
    torch.testing.assert_close(marginals.learned_marginals(photos, direction).weights, photos.weights)
    marginals.learned_marginals(photos, direction).weights[0, 0].backward()
    assert direction.grad is not None
    assert direction.grad.tolist() == pytest.approx([0.25 * math.sqrt(2), -0.25 * math.sqrt(2)])
    assert vectors.grad is None
    played_down = marginals.learned_marginals(photos, torch.tensor([0.0, -3.0]) / math.sqrt(2))
    assert float(played_down.weights[0, 1]) == pytest.approx(math.exp(-3) / (1 + math.exp(-3)))


@given(view_batches(4, least=0), view_batches(4, least=0), st.floats(0.05, 5))
def test_agreement_keeps_marginals_and_empty_listings(photos: ViewBatch, texts: ViewBatch, epsilon: float) -> None:
    after = marginals.text_agreement_marginals(photos, texts, epsilon)
    torch.testing.assert_close(after.weights.sum(1), photos.weights.sum(1), atol=1e-5, rtol=1e-5)
    assert torch.equal(after.weights > 0, photos.present)
    torch.testing.assert_close(after.weights[~texts.present.any(1)], photos.weights[~texts.present.any(1)])


def test_agreement_plays_down_the_size_chart() -> None:
    boot, chart = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    photos = ViewBatch(torch.stack([boot, chart, boot])[None], torch.tensor([[0.5, 0.25, 0.25]]))
    texts = ViewBatch(boot[None, None], torch.ones(1, 1))
    after = marginals.text_agreement_marginals(photos, texts, 0.2)
    assert float(after.weights[0, 1]) < 0.01
    assert float(after.weights[0, 0] / after.weights[0, 2]) == pytest.approx(2.0)
    far = marginals.text_agreement_marginals(photos, texts, 1e6)
    torch.testing.assert_close(far.weights, photos.weights, atol=1e-5, rtol=1e-5)


def test_agreement_is_the_first_step_of_the_entropic_plan() -> None:
    """Its weights are the row sums of the factorized plan tilted by the mean similarity, computed plainly."""
    random = np.random.default_rng(0)
    f, g = random.normal(size=(4, 5)), random.normal(size=(3, 5))
    a, b = np.array([0.4, 0.2, 0.2, 0.2]), np.array([0.5, 0.25, 0.25])
    expected = a * np.exp((f @ g.T) @ b / 0.3)
    photos = ViewBatch(torch.from_numpy(f).float()[None], torch.from_numpy(a).float()[None])
    texts = ViewBatch(torch.from_numpy(g).float()[None], torch.from_numpy(b).float()[None])
    after = marginals.text_agreement_marginals(photos, texts, 0.3)
    np.testing.assert_allclose(after.weights[0].numpy(), expected / expected.sum(), rtol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_temperatures_must_be_positive(wrong: float) -> None:
    batch = ViewBatch(torch.eye(2)[None], torch.full((1, 2), 0.5))
    with pytest.raises(SettingsError):
        marginals.text_agreement_marginals(batch, batch, wrong)
    with pytest.raises(SettingsError):
        transport.full_scores(batch, batch, wrong)
