"""Small towers trained from scratch in seconds, without published weights.

They are for tests, benchmarks and catalogues that no published model fits. Photos: 64 x 64 pixels through a four-layer
convolutional network. Texts: mean embedding of hashed words and letter trigrams; trigrams keep misspelt words close.
"""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.data.terms import TOKEN_PATTERN
from wares.encoders.base import ImageTower, Inputs, TextTower, stack_photos
from wares.encoders.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.photos import Fit


DIMENSION = 128
HASH_BUCKETS = 2**15
MAX_TOKENS = 512


class ConvolutionalTower(ImageTower):
    """Four strided convolutions and a linear layer, trained from scratch."""

    key = "pixels, 64 px, pad"
    size = 64
    fit: Fit = "pad"

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 128, DIMENSION))

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """(n, 64, 64, 3) uint8 pixels."""
        return {"pixels": stack_photos(items)}

    def encode(self, inputs: Inputs) -> Tensor:
        return inputs["pixels"]

    def trainable_backbone(self) -> None:
        return None

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.layers(features.permute(0, 3, 1, 2).float() / 127.5 - 1), dim=-1)


class HashedTextTower(TextTower):
    """Mean embedding of hashed words and letter trigrams, trained from scratch."""

    key = f"hashed words and trigrams, {HASH_BUCKETS} buckets, {MAX_TOKENS} tokens"

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(HASH_BUCKETS + 1, DIMENSION, mode="mean", padding_idx=0)
        self.head = nn.Linear(DIMENSION, DIMENSION)

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """(n, MAX_TOKENS) int32 hashes, padded with 0."""
        ids = np.zeros((len(items), MAX_TOKENS), dtype=np.int32)
        for row, text in enumerate(items):
            hashed = [1 + zlib.crc32(token.encode()) % HASH_BUCKETS for token in _tokens(str(text))[:MAX_TOKENS]]
            ids[row, : len(hashed)] = hashed
        return {"ids": torch.from_numpy(ids)}

    def encode(self, inputs: Inputs) -> Tensor:
        return inputs["ids"]

    def trainable_backbone(self) -> None:
        return None

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        return [len(_tokens(text)) > MAX_TOKENS for text in texts]

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.head(self.embedding(features.long())), dim=-1)


def _tokens(text: str) -> list[str]:
    """The words of a text, then the letter trigrams of each word."""
    words = TOKEN_PATTERN.findall(text.lower())
    return words + [f" {word} "[i : i + 3] for word in words for i in range(len(word))]


def build() -> Towers:
    """Build small towers with random weights."""
    return Towers("small", ConvolutionalTower(), HashedTextTower(), DIMENSION)
