"""An image tower and a text tower with their temperature and fusion, saved as one model."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wares.encoders.base import save_weights, weights_digest
from wares.encoders.settings import Fusion

if TYPE_CHECKING:
    from wares.encoders.base import ImageTower, TextTower


MODEL_FORMAT = 4
TOWER_NAMES = ("image", "text")
TEMPERATURE, MIN_TEMPERATURE = 0.15, 0.1  # at the start of training, and at least
MIN_JOINT_TEMPERATURE = 0.01  # of a joint model, as in CLIP (arXiv 2103.00020)


class Towers(nn.Module):
    """An image tower and a text tower, their temperature, and how their views are fused.

    joint_temperature: temperature of a joint model, published with its two sides; None for two separate models
    photo_attention: (d,) direction of the shared space by which learned marginals reweigh photos; trained only for them
    min_temperature: lowest temperature, which training does not go below
    aligned: True if photos and texts share a space: a joint model, or trained towers. Otherwise photos weigh nothing

    The similarities of a joint model are close to each other, so it keeps its own temperature. Two separate models
    learn from soft targets: a low temperature fits the few pairs of a catalogue by heart (docs/explanation/method.md).
    """

    image: ImageTower
    text: TextTower
    logit_scale: nn.Parameter
    photo_attention: nn.Parameter

    def __init__(
        self, name: str, image: ImageTower, text: TextTower, dimension: int, joint_temperature: float | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.dimension = dimension
        self.image = image
        self.text = text
        self.is_joint = self.aligned = joint_temperature is not None
        self.min_temperature = MIN_JOINT_TEMPERATURE if self.is_joint else MIN_TEMPERATURE
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / (joint_temperature or TEMPERATURE))))
        self.photo_attention = nn.Parameter(torch.zeros(dimension), requires_grad=False)
        self.fusion = Fusion()

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, at most 1 / `min_temperature`."""
        return self.logit_scale.exp().clamp(max=1.0 / self.min_temperature)

    @property
    def identity(self) -> str:
        """SHA-256 of everything that decides an embedding: weights, keys of the frozen parts, fusion, alignment."""
        parts = [self.image.key, self.text.key, asdict(self.fusion), self.aligned, weights_digest(self)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def save(self, folder: Path | str) -> None:
        """Write the trained weights (`towers.safetensors`) and the keys of the frozen parts (`towers.json`).

        `modules.json` is written too, so that `SentenceTransformer(folder, trust_remote_code=True)` loads the model.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(self.state_dict(), folder / "towers.safetensors")
        about = {
            "format": MODEL_FORMAT,
            "name": self.name,
            "dimension": self.dimension,
            "image": self.image.key,
            "text": self.text.key,
            "trained": [side for side in TOWER_NAMES if getattr(self, side).trained_backbone is not None],
            "fusion": asdict(self.fusion),
            "min_temperature": self.min_temperature,
            "aligned": self.aligned,
            "identity": self.identity,
            "wares": version("wares"),
        }
        encoder = {"idx": 0, "name": "0", "path": "", "type": "wares.encoders.listing_encoder.ListingEncoder"}
        for name, content in (("towers.json", about), ("modules.json", [encoder])):
            (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
