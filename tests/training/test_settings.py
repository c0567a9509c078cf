"""Settings of training: values out of range, and the fusion of a method."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wares.core.errors import SettingsError
from wares.encoders.marginals import all_views, primary_share
from wares.encoders.settings import Fusion, Marginals
from wares.training.settings import METHODS, PretrainSettings, method_fusion


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "magic"},
        {"loss": "hinge"},
        {"batch_size": 1},
        {"epochs": 0},
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"intra_modal": -0.1},
        {"weight_decay": -1.0},
        {"method": "single-view", "fusion": Fusion(Marginals("learned"))},
        {"method": "full-transport", "fusion": Fusion(Marginals("learned"))},
        {"photo_dropout": -0.1},
        {"photo_dropout": 1.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="marginals" if "fusion" in wrong else next(iter(wrong))):
        PretrainSettings(**wrong)


def test_methods_that_know_no_marginals_are_fused_as_they_see() -> None:
    asked = Fusion(Marginals("agreement", alpha=0.3), gamma=0.4)
    for method in METHODS:
        marginals = method_fusion(method, asked).marginals
        counts = torch.tensor([4])
        weights = all_views(counts, primary_share(counts, marginals.primary_weight("photo"))).weights[0].tolist()
        match method:
            case "single-view" | "joint-text":
                assert weights == [1.0, 0.0, 0.0, 0.0]
            case "mean-views":
                assert weights == [0.25] * 4
            case _:
                assert marginals == asked.marginals
        assert method_fusion(method, asked).gamma == 0.4
