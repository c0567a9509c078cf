"""Plans: marginals, cases by eye, and the factorized plan against full transport (POT)."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import view_batches

from wares import transport
from wares.errors import SettingsError
from wares.transport import ViewBatch


def one(batch: ViewBatch, listing: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The real views and weights of one listing of a padded batch."""
    present = batch.present[listing]
    return batch.vectors[listing][present], batch.weights[listing][present]


def test_one_photo_one_text_is_plain_cosine() -> None:
    photo, text, sure = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]), torch.ones(1)
    for plan in (transport.factorized(sure, sure), transport.full(photo, text, sure, sure)):
        assert float(plan.score(photo, text)) == pytest.approx(0.6)


def test_full_transport_matches_each_photo_with_its_text() -> None:
    views, half = torch.eye(2), torch.tensor([0.5, 0.5])
    assert float(transport.full(views, views.flip(0), half, half).score(views, views.flip(0))) == pytest.approx(1.0)
    assert float(transport.factorized(half, half).score(views, views)) == pytest.approx(0.5)


@given(view_batches(1), view_batches(1), st.sampled_from([None, 0.1, 1.0]))
@settings(deadline=None, max_examples=40)
def test_rows_and_columns_sum_to_the_marginals(photos: ViewBatch, texts: ViewBatch, reg: float | None) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    for plan in (transport.factorized(a, b), transport.full(f, g, a, b, reg)):
        torch.testing.assert_close(plan.matrix().sum(1), a, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(plan.matrix().sum(0), b, atol=1e-4, rtol=1e-4)
        assert (plan.matrix() >= 0).all()


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=40)
def test_factorized_never_scores_above_full_transport(photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    cost = -(f @ g.T).double().numpy()
    best = -ot.emd2((a.double() / a.double().sum()).numpy(), (b.double() / b.double().sum()).numpy(), cost)
    assert float(transport.factorized(a, b).score(f, g)) <= best + 1e-5
    assert float(transport.full(f, g, a, b).score(f, g)) == pytest.approx(best, abs=1e-5)


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=40)
def test_shares_sum_to_the_score(photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    for plan in (transport.factorized(a, b), transport.full(f, g, a, b, 0.1)):
        torch.testing.assert_close(plan.shares(f, g).sum(), plan.score(f, g), atol=1e-5, rtol=1e-4)


@given(view_batches(1), view_batches(1))
@settings(deadline=None, max_examples=25)
def test_the_entropic_plan_tends_to_the_factorized_one(photos: ViewBatch, texts: ViewBatch) -> None:
    (f, a), (g, b) = one(photos, 0), one(texts, 0)
    gaps = [
        float((transport.full(f, g, a, b, reg).matrix() - transport.factorized(a, b).matrix()).abs().max())
        for reg in (0.2, 1.0, 10.0, 1000.0)
    ]
    assert gaps[-1] < 1e-3
    assert gaps[-1] <= gaps[0] + 1e-6


@given(view_batches(3), view_batches(3))
@settings(deadline=None, max_examples=25)
def test_batched_scores_equal_scores_one_by_one(photos: ViewBatch, texts: ViewBatch) -> None:
    factorized, full = transport.factorized_scores(photos, texts), transport.full_scores(photos, texts, 0.1)
    for i in range(3):
        for j in range(3):
            (f, a), (g, b) = one(photos, i), one(texts, j)
            assert float(factorized[i, j]) == pytest.approx(float(transport.factorized(a, b).score(f, g)), abs=1e-5)
            assert float(full[i, j]) == pytest.approx(float(transport.full(f, g, a, b, 0.1).score(f, g)), abs=1e-3)


def test_listings_without_a_modality_score_zero_and_nothing_is_nan() -> None:
    photos = ViewBatch(torch.eye(2)[None].repeat(2, 1, 1), torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    texts = ViewBatch(torch.eye(2)[:1].repeat(2, 1, 1), torch.ones(2, 1))
    for scores in (transport.factorized_scores(photos, texts), transport.full_scores(photos, texts)):
        assert torch.isfinite(scores).all()
        assert scores[1].tolist() == [0.0, 0.0]
        assert float(scores[0, 0]) == pytest.approx(0.5, abs=1e-4)


@given(view_batches(4, least=0), view_batches(4, least=0), st.floats(0.05, 5))
def test_agreement_keeps_marginals_and_empty_listings(photos: ViewBatch, texts: ViewBatch, epsilon: float) -> None:
    after = transport.agreement(photos, texts, epsilon)
    torch.testing.assert_close(after.weights.sum(1), photos.weights.sum(1), atol=1e-5, rtol=1e-5)
    assert torch.equal(after.weights > 0, photos.present)
    torch.testing.assert_close(after.weights[~texts.present.any(1)], photos.weights[~texts.present.any(1)])


def test_agreement_plays_down_the_size_chart() -> None:
    boot, chart = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    photos = ViewBatch(torch.stack([boot, chart, boot])[None], torch.tensor([[0.5, 0.25, 0.25]]))
    texts = ViewBatch(boot[None, None], torch.ones(1, 1))
    after = transport.agreement(photos, texts, 0.2)
    assert float(after.weights[0, 1]) < 0.01
    assert float(after.weights[0, 0] / after.weights[0, 2]) == pytest.approx(2.0)
    far = transport.agreement(photos, texts, 1e6)
    torch.testing.assert_close(far.weights, photos.weights, atol=1e-5, rtol=1e-5)


def test_agreement_is_the_first_step_of_the_entropic_plan() -> None:
    """Its weights are the row sums of the factorized plan tilted by the mean similarity, computed plainly."""
    random = np.random.default_rng(0)
    f, g = random.normal(size=(4, 5)), random.normal(size=(3, 5))
    a, b = np.array([0.4, 0.2, 0.2, 0.2]), np.array([0.5, 0.25, 0.25])
    expected = a * np.exp((f @ g.T) @ b / 0.3)
    photos = ViewBatch(torch.from_numpy(f).float()[None], torch.from_numpy(a).float()[None])
    texts = ViewBatch(torch.from_numpy(g).float()[None], torch.from_numpy(b).float()[None])
    after = transport.agreement(photos, texts, 0.3)
    np.testing.assert_allclose(after.weights[0].numpy(), expected / expected.sum(), rtol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_temperatures_must_be_positive(wrong: float) -> None:
    batch = ViewBatch(torch.eye(2)[None], torch.full((1, 2), 0.5))
    with pytest.raises(SettingsError):
        transport.agreement(batch, batch, wrong)
    with pytest.raises(SettingsError):
        transport.full_scores(batch, batch, wrong)
