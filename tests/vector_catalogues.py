"""Catalogues of vectors and towers over them: training takes milliseconds instead of seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wares.data.views import Views
from wares.encoders.base import ImageTower, Inputs, LinearHead, TextTower
from wares.encoders.features import CatalogueFeatures, Vectors
from wares.encoders.towers import Towers
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings

PHOTO_WIDTH, TEXT_WIDTH, DIMENSION = 10, 12, 8
SHORT = PretrainSettings(epochs=4, batch_size=8, learning_rate=0.02)


class PhotoTower(ImageTower):
    """A linear head over vectors; counts the rows of every forward pass."""

    key, size, fit = "vectors", 1, "pad"

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(PHOTO_WIDTH, DIMENSION)
        self.rows: list[int] = []

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def trainable_backbone(self) -> None:
        return None

    def forward(self, features: Tensor) -> Tensor:
        self.rows.append(len(features))
        vectors: Tensor = self.head(features)
        return vectors


class WordTower(TextTower):
    """The same for texts."""

    key = "vectors"

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(TEXT_WIDTH, DIMENSION)
        self.rows: list[int] = []

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> Tensor:
        raise NotImplementedError

    def trainable_backbone(self) -> None:
        return None

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        self.rows.append(len(features))
        vectors: Tensor = self.head(features)
        return vectors


def toy_towers(seed: int = 0) -> tuple[Towers, PhotoTower, WordTower]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        image, text = PhotoTower(), WordTower()
    return Towers("toy", image, text, DIMENSION), image, text


def goods(photos: Sequence[int], texts: Sequence[int], duplicates: Sequence[int] = ()) -> CatalogueFeatures:
    """Listings with so many views; each view is the listing's own direction, seen through its modality, and noise.

    duplicates: products of the listings; all different where not given
    """
    noise = np.random.default_rng(0)
    items = noise.normal(size=(len(photos), 6))
    tables: list[tuple[Views, Vectors]] = []
    for counts, width in ((photos, PHOTO_WIDTH), (texts, TEXT_WIDTH)):
        names = [f"{listing}-{view}" for listing, count in enumerate(counts) for view in range(count)]
        views = np.repeat(items, counts, axis=0) @ noise.normal(size=(6, width))
        rows = (views + 0.3 * noise.normal(size=views.shape)).astype(np.float32)
        rows = rows if names else np.zeros((0, 1), dtype=np.float32)
        tables.append((Views(names, names, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)), rows))
    places = np.arange(len(photos))
    labels = torch.from_numpy(np.stack([np.asarray(duplicates or places), places], axis=1).astype(np.int64))
    return CatalogueFeatures(*tables[0], *tables[1], labels)


RICH = [1, 2, 3, 4] * 4, [3, 1, 2, 2] * 4
CATALOGUES = {
    "many views": goods(*RICH),
    "one view each": goods([1] * 16, [1] * 16),
    "some without photos": goods([0, 1, 3, 0] * 4, [1, 2, 1, 3] * 4),
    "some without texts": goods([1, 2, 3, 1] * 4, [0, 1, 2, 1] * 4),
    "some without anything": goods([0, 1, 2, 2] * 4, [0, 2, 1, 3] * 4),
    "duplicates": goods(*RICH, duplicates=[0, 0, 0, 1, 2, 3, 4, 5] * 2),
    "nothing but duplicates": goods(*RICH, duplicates=[7] * 16),
    "two listings": goods([2, 1], [1, 2]),
}


def weights(towers: Towers) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in towers.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def train_weights(features: CatalogueFeatures, settings: PretrainSettings, seed: int = 0) -> dict[str, Tensor]:
    towers, _, _ = toy_towers(seed)
    pretrain(features, towers, settings)
    return weights(towers)
