"""A picture cut to what is visible, ready to be pasted at any size and slant."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Sprite:
    """A thing on a transparent ground."""

    image: Image.Image

    def sized(
        self, scale: float, turn: float = 0, mirror: bool = False, lean: float = 0, squash: float = 1
    ) -> Image.Image:
        """Scaled, turned by degrees, mirrored, sheared sideways and made narrower, in one resampling."""
        width, height = self.image.size
        angle = math.radians(turn)
        spread = np.array([[scale * squash * (-1 if mirror else 1), scale * lean], [0, scale]])
        matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).dot(spread)
        corners = matrix.dot(np.array([[-width, width, width, -width], [-height, -height, height, height]])) / 2
        out = np.ceil(corners.max(1) - corners.min(1)).astype(int) + 2
        inverse = np.linalg.inv(matrix)
        offset = np.array([width, height]) / 2 - inverse.dot(out / 2)
        data = (*map(float, (*inverse[0], offset[0], *inverse[1], offset[1])),)
        size = (int(out[0]), int(out[1]))
        return self.image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)

    def fitted(self, size: tuple[float, float]) -> float:
        """The scale at which it just fits into a box."""
        return min(size[0] / self.image.width, size[1] / self.image.height)


def cut(image: Image.Image) -> Sprite:
    """A sprite without its empty margin."""
    return Sprite(image.crop(image.getchannel("A").getbbox()))
