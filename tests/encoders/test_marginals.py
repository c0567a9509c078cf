"""Marginals: weights of the primary view by eye, and settings out of range."""

from __future__ import annotations

import pytest
import torch

from wares.core.errors import SettingsError
from wares.encoders.marginals import all_views, primary_share
from wares.encoders.settings import Marginals


def counts_of(*counts: int) -> torch.Tensor:
    return torch.tensor(counts)


def test_fixed_marginals_of_three_listings() -> None:
    views = all_views(counts_of(4, 1, 0), primary_weight=0.4)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2], [1.0, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(views.weights, expected)


def test_a_primary_view_weighs_so_many_times_as_much_as_each_other_view() -> None:
    counts = counts_of(4, 2, 1, 0)
    assert all_views(counts, primary_share(counts, 0.5)).weights.tolist() == [
        [0.25, 0.25, 0.25, 0.25],
        [0.5, 0.5, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    three_to_one = all_views(counts, primary_share(counts, 0.75)).weights[:2]
    torch.testing.assert_close(three_to_one, torch.tensor([[3 / 6, 1 / 6, 1 / 6, 1 / 6], [3 / 4, 1 / 4, 0, 0]]))
    assert all_views(counts, primary_share(counts, 1.0)).weights[0].tolist() == [1, 0, 0, 0]
    torch.testing.assert_close(
        all_views(counts, primary_share(counts, 0.0)).weights[0], torch.tensor([0, 1 / 3, 1 / 3, 1 / 3])
    )


@pytest.mark.parametrize("bad", [{"alpha": 1.2}, {"beta": -0.1}, {"epsilon": 0.0}, {"kind": "learnt"}])
def test_settings_out_of_range_are_rejected(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Marginals(**bad)  # type: ignore[arg-type]
