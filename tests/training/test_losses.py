"""Losses: the plain InfoNCE as oracle, masks by eye, and the relations between the losses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import view_batches
from torch.nn.functional import cross_entropy

from wares.encoders import marginals
from wares.encoders.marginals import ViewBatch
from wares.training import losses

NONE = torch.eye(4, dtype=torch.bool)


def single(vectors: torch.Tensor) -> ViewBatch:
    return ViewBatch(vectors[:, None], torch.ones(len(vectors), 1))


def unit(seed: int, listings: int = 4) -> torch.Tensor:
    return torch.nn.functional.normalize(
        torch.randn(listings, 8, generator=torch.Generator().manual_seed(seed)), dim=-1
    )


def test_without_masks_it_is_the_cross_entropy_both_ways() -> None:
    scores, target = 5 * unit(1) @ unit(2).T, torch.arange(4)
    expected = (cross_entropy(scores, target) + cross_entropy(scores.T, target)) / 2
    torch.testing.assert_close(losses.info_nce(scores / 5, 5.0, NONE), expected)
    torch.testing.assert_close(losses.pairwise_loss(single(unit(1)), single(unit(2)), 5.0, NONE), expected)
    torch.testing.assert_close(losses.barycentric_loss(single(unit(1)), single(unit(2)), 5.0, NONE), expected)


def test_the_same_product_is_no_negative() -> None:
    photos, texts = unit(1), unit(2)
    photos[1], texts[1] = photos[0], texts[0]
    same = NONE.clone()
    same[0, 1] = same[1, 0] = True
    masked = losses.pairwise_loss(single(photos), single(texts), 10.0, same)
    assert float(masked) < float(losses.pairwise_loss(single(photos), single(texts), 10.0, NONE))
    for kept in ([0, 2, 3], [1, 2, 3]):
        three = NONE[:3, :3]
        without = losses.pairwise_loss(single(photos[kept]), single(texts[kept]), 10.0, three)
        others = losses.pairwise_loss(single(photos), single(texts), 10.0, same)
        assert torch.isfinite(without) and torch.isfinite(others)
    alone = losses.info_nce(torch.ones(2, 2), 1.0, torch.ones(2, 2, dtype=torch.bool))
    assert float(alone) == pytest.approx(0.0, abs=1e-6), "no negatives are left"


def test_a_listing_without_photos_is_left_out_of_barycentres_but_its_title_is_still_a_negative() -> None:
    photos, texts = single(unit(1)), single(unit(2))
    photos.weights[3] = 0.0
    three = (single(unit(1)[:3]), single(unit(2)[:3]), 7.0, NONE[:3, :3])
    torch.testing.assert_close(losses.barycentric_loss(photos, texts, 7.0, NONE), losses.barycentric_loss(*three))
    assert float(losses.pairwise_loss(photos, texts, 7.0, NONE)) > float(losses.pairwise_loss(*three))


def test_a_batch_without_photos_costs_nothing() -> None:
    photos = ViewBatch(torch.zeros(4, 1, 8), torch.zeros(4, 1))
    for loss in (losses.pairwise_loss, losses.barycentric_loss):
        assert float(loss(photos, single(unit(2)), 7.0, NONE)) == 0.0
    assert float(losses.intra_modal_loss(single(unit(1)), 7.0, NONE)) == 0.0, "no auxiliary view"


@given(view_batches(4, most=3, least=0), view_batches(4, most=3, least=0))
@settings(deadline=None, max_examples=40)
def test_pairwise_is_the_weighted_mean_over_pairs_of_views(photos: ViewBatch, texts: ViewBatch) -> None:
    """Against a plain loop over listings and pairs of views."""
    total = weight = 0.0
    for k in range(photos.vectors.shape[1]):
        for m in range(texts.vectors.shape[1]):
            scores = 4.0 * photos.vectors[:, k] @ texts.vectors[:, m].T
            for i in range(4):
                pair = float(photos.weights[i, k] * texts.weights[i, m])
                if pair == 0:
                    continue
                row = torch.stack([scores[i, j] for j in range(4) if texts.weights[j, m] > 0])
                column = torch.stack([scores[j, i] for j in range(4) if photos.weights[j, k] > 0])
                total += pair * float((row.logsumexp(0) + column.logsumexp(0)) / 2 - scores[i, i])
                weight += pair
    expected = total / weight if weight else 0.0
    assert float(losses.pairwise_loss(photos, texts, 4.0, NONE)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(view_batches(4, most=3, least=3), view_batches(4, most=2, least=2))
@settings(deadline=None, max_examples=40)
def test_pairwise_bounds_barycentric_for_common_marginals(photos: ViewBatch, texts: ViewBatch) -> None:
    photos = ViewBatch(photos.vectors, photos.weights[:1].expand(4, -1))
    texts = ViewBatch(texts.vectors, texts.weights[:1].expand(4, -1))
    above, below = (loss(photos, texts, 6.0, NONE) for loss in (losses.pairwise_loss, losses.barycentric_loss))
    assert float(below) <= float(above) + 1e-5


def test_intra_modal_pulls_a_listings_photos_together() -> None:
    same_item = torch.stack([unit(1), unit(1)], dim=1)
    mixed_up = torch.stack([unit(1), unit(1).roll(1, 0)], dim=1)
    weights = torch.full((4, 2), 0.5)
    together, apart = (losses.intra_modal_loss(ViewBatch(v, weights), 10.0, NONE) for v in (same_item, mixed_up))
    assert float(together) < 0.2 < float(apart)


def test_gradients_are_finite_where_views_are_missing() -> None:
    vectors = torch.randn(4, 2, 8, requires_grad=True)
    photos = ViewBatch(vectors, torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0], [0.5, 0.5]]))
    losses.pairwise_loss(photos, single(unit(2)), 10.0, NONE).backward()
    assert vectors.grad is not None and torch.isfinite(vectors.grad).all()
    assert (vectors.grad[2] == 0).all() and (vectors.grad[0] != 0).any()


@given(
    view_batches(5, most=3, least=0),
    view_batches(5, most=2, least=0),
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4))),
    st.integers(1, 60),
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_parts_it_is_the_same_loss_with_the_same_gradients(
    monkeypatch: pytest.MonkeyPatch,
    photos: ViewBatch,
    texts: ViewBatch,
    pairs: set[tuple[int, int]],
    at_once: int,
) -> None:
    same = torch.eye(5, dtype=torch.bool)
    for i, j in pairs:
        same[i, j] = same[j, i] = True

    def found(loss: str, scores: int) -> list[torch.Tensor | None]:
        monkeypatch.setattr(losses, "MAX_SCORES_IN_MEMORY", scores)
        leaves = [side.vectors.clone().requires_grad_() for side in (photos, texts)]
        scale = torch.tensor(6.0, requires_grad=True)
        rows, columns = ViewBatch(leaves[0], photos.weights), ViewBatch(leaves[1], texts.weights)
        if loss == "pairwise":
            value = losses.pairwise_loss(rows, columns, scale, same)
        else:
            value = losses.intra_modal_loss(rows, scale, same)
        value.backward()
        return [value.detach(), scale.grad, *(leaf.grad for leaf in leaves)]

    for loss in ("pairwise", "intra-modal"):
        for whole, parts in zip(found(loss, 2**26), found(loss, at_once), strict=True):
            torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_no_loss_leaves_the_device_of_its_views() -> None:
    """On the meta device, which stands for any: a tensor made elsewhere on the way would be refused."""
    vectors, weights = torch.empty(4, 2, 6, device="meta"), torch.empty(4, 2, device="meta")
    photos, texts = ViewBatch(vectors, weights), ViewBatch(vectors, weights)
    scale, same = torch.empty((), device="meta"), torch.empty(4, 4, dtype=torch.bool, device="meta")
    photos = marginals.learned_marginals(
        marginals.text_agreement_marginals(photos, texts, 0.2), torch.empty(6, device="meta")
    )
    for loss in (losses.pairwise_loss, losses.barycentric_loss, losses.marginal_loss):
        assert loss(photos, texts, scale, same).device.type == "meta"
    assert losses.intra_modal_loss(photos, scale, same).device.type == "meta"
