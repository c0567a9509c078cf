"""Sprites: pictures on a transparent ground, to be pasted at any size and slant."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Sprite:
    """A picture on a transparent ground, in RGBA."""

    image: Image.Image

    def transform(
        self, scale: float, turn: float = 0, mirror: bool = False, lean: float = 0, squash: float = 1
    ) -> Image.Image:
        """Return the picture scaled, turned (degrees), mirrored, sheared and narrowed, in one resampling.

        lean: sideways shear, as a share of the height
        squash: factor of the width, below 1 to make it narrower
        """
        width, height = self.image.size
        angle = math.radians(turn)
        shear = np.array([[scale * squash * (-1 if mirror else 1), scale * lean], [0, scale]])
        matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).dot(shear)
        corners = matrix.dot(np.array([[-width, width, width, -width], [-height, -height, height, height]])) / 2
        extent = np.ceil(corners.max(1) - corners.min(1)).astype(int) + 2
        inverse = np.linalg.inv(matrix)
        offset = np.array([width, height]) / 2 - inverse.dot(extent / 2)
        data = (*map(float, (*inverse[0], offset[0], *inverse[1], offset[1])),)
        size = (int(extent[0]), int(extent[1]))
        return self.image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)

    def fit_scale(self, size: tuple[float, float], fill: float) -> float:
        """Return the scale at which it fills a share of a box, the whole of it if fill is 1."""
        return fill * min(size[0] / self.image.width, size[1] / self.image.height)


def crop_to_content(image: Image.Image) -> Sprite:
    """Return a sprite without the transparent margin."""
    return Sprite(image.crop(image.getchannel("A").getbbox()))
