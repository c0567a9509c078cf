"""An image tower and a text tower with their temperature and fusion, saved as one model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from wares.encoders.base import save_weights, weights_digest
from wares.encoders.settings import Fusion

if TYPE_CHECKING:
    from wares.encoders.base import ImageTower, TextTower


MODEL_FORMAT = 3
TOWER_NAMES = ("image", "text")


class Towers(nn.Module):
    """An image tower and a text tower, their temperature, and how their views are fused.

    photo_attention: (d,) direction of the shared space by which learned marginals reweigh photos; trained only for them
    """

    image: ImageTower
    text: TextTower
    logit_scale: nn.Parameter
    photo_attention: nn.Parameter

    def __init__(self, name: str, image: ImageTower, text: TextTower, dimension: int) -> None:
        super().__init__()
        self.name = name
        self.dimension = dimension
        self.image = image
        self.text = text
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))
        self.photo_attention = nn.Parameter(torch.zeros(dimension), requires_grad=False)
        self.fusion = Fusion()

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, at most 100 (as in CLIP, arXiv 2103.00020)."""
        return self.logit_scale.exp().clamp(max=100.0)

    @property
    def identity(self) -> str:
        """SHA-256 of everything that decides an embedding: weights, keys of the frozen parts, and fusion."""
        parts = [self.image.key, self.text.key, asdict(self.fusion), weights_digest(self)]
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
            "identity": self.identity,
            "wares": version("wares"),
        }
        encoder = {"idx": 0, "name": "0", "path": "", "type": "wares.encoders.listing_encoder.ListingEncoder"}
        for name, content in (("towers.json", about), ("modules.json", [encoder])):
            (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
