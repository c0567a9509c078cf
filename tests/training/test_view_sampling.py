"""Sampled views: weights, uniform auxiliary views, and the unbiased estimate of the barycentre."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wares.encoders.marginals import SampledViews, ViewBatch, all_views, text_agreement_marginals
from wares.training.view_sampling import (
    drop_features,
    primary_view_only,
    sample_one_view,
    sample_primary_and_auxiliary,
)


def counts_of(*counts: int) -> torch.Tensor:
    return torch.tensor(counts)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dropout_zeroes_that_fraction_of_the_features_and_leaves_the_others_as_they_are() -> None:
    features = torch.arange(1.0, 40_001.0).reshape(200, 200)
    dropped = drop_features(features, 0.3, seeded())
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert torch.equal(dropped[dropped != 0], features[dropped != 0])
    assert torch.equal(dropped, drop_features(features, 0.3, seeded()))
    assert not torch.equal(dropped, drop_features(features, 0.3, seeded(1)))


def test_pixels_are_never_dropped() -> None:
    pixels = torch.full((2, 4, 4, 3), 99, dtype=torch.uint8)
    assert torch.equal(drop_features(pixels, 0.9, seeded()), pixels)


def test_single_view_and_random_view_sample_one_view() -> None:
    assert primary_view_only(counts_of(3, 0)).weights.tolist() == [[1.0], [0.0]]
    drawn = [sample_one_view(counts_of(3), torch.tensor([s / 60])).indices.item() for s in range(60)]
    assert set(drawn) == {0, 1, 2}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 2**31))
def test_weights_sum_to_one_and_indices_exist(counts: list[int], primary: float, seed: int) -> None:
    view_counts = torch.tensor(counts)
    draws = torch.rand(len(counts), generator=torch.Generator().manual_seed(seed))
    for sample in (
        all_views(view_counts, primary),
        sample_primary_and_auxiliary(view_counts, primary, draws),
        primary_view_only(view_counts),
        sample_one_view(view_counts, draws),
    ):
        torch.testing.assert_close(sample.weights.sum(1), (view_counts > 0).float())
        assert (
            sample.indices[sample.weights > 0] < view_counts[:, None].expand_as(sample.indices)[sample.weights > 0]
        ).all()


def test_a_weighted_sample_has_two_views() -> None:
    assert sample_primary_and_auxiliary(counts_of(2, 16, 300), 0.5, torch.rand(3)).indices.shape == (3, 2)


def test_a_weighted_sample_estimates_the_barycentre_without_bias() -> None:
    views = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    barycentre = all_views(counts_of(5), 0.4).weights[0] @ views
    draws = torch.rand(40_000, generator=torch.Generator().manual_seed(2))
    sample = sample_primary_and_auxiliary(torch.full((40_000,), 5), 0.4, draws)
    estimates = torch.einsum("bv,bvd->bd", sample.weights, views[sample.indices])
    error = estimates.std(0) / np.sqrt(len(estimates))
    assert ((estimates.mean(0) - barycentre).abs() < 5 * error).all()
    assert (estimates.std(0) > 0.1).any(), "samples must vary"


def test_agreement_biases_the_estimate() -> None:
    """Of three photos only the second agrees with the text; half of the samples are without it."""
    text, first, second, third = torch.eye(4)
    photos = torch.stack([first, 0.5 * text + 0.75**0.5 * second, third])
    texts = ViewBatch(text[None, None], torch.ones(1, 1))

    def agreed(indices: list[int], sample: SampledViews) -> torch.Tensor:
        return text_agreement_marginals(ViewBatch(photos[None, indices], sample.weights), texts, 0.2).barycentre()[0]

    mean = agreed([0, 1, 2], all_views(counts_of(3), 0.5))
    samples = [sample_primary_and_auxiliary(counts_of(3), 0.5, torch.tensor([draw])) for draw in (0.1, 0.9)]
    assert [sample.indices.tolist() for sample in samples] == [[[0, 1]], [[0, 2]]]
    estimate = torch.stack([agreed(sample.indices[0].tolist(), sample) for sample in samples]).mean(0)
    assert float(mean.norm()) == pytest.approx(0.82, abs=0.005)
    assert float((estimate - mean).norm()) == pytest.approx(0.42, abs=0.005)


def test_the_auxiliary_view_is_uniform() -> None:
    draws = torch.rand(30_000, generator=torch.Generator().manual_seed(0))
    indices = sample_primary_and_auxiliary(torch.full((30_000,), 4), 0.5, draws).indices[:, 1]
    frequencies = torch.bincount(indices, minlength=4) / len(indices)
    torch.testing.assert_close(frequencies, torch.tensor([0.0, 1 / 3, 1 / 3, 1 / 3]), atol=0.015, rtol=0)
