"""Marginals: weights of the primary view by eye, and settings out of range."""

from __future__ import annotations

import pytest
import torch

from wares.core.errors import SettingsError
from wares.encoders.marginals import all_views
from wares.encoders.settings import Marginals


def counts_of(*counts: int) -> torch.Tensor:
    return torch.tensor(counts)


def test_fixed_marginals_of_three_listings() -> None:
    views = all_views(counts_of(4, 1, 0), primary_weight=0.4)
    expected = torch.tensor([[0.4, 0.2, 0.2, 0.2], [1.0, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(views.weights, expected)


@pytest.mark.parametrize("bad", [{"alpha": 1.2}, {"beta": -0.1}, {"epsilon": 0.0}, {"kind": "learnt"}])
def test_settings_out_of_range_are_rejected(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Marginals(**bad)  # type: ignore[arg-type]
