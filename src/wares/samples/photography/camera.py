"""The seller's camera: exposure, tint, vignette, noise, and the file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageChops

from wares.samples.drawing.paint import Colour
from wares.samples.randomness import Rng

Size = tuple[int, int]


@dataclass(frozen=True)
class Seller:
    """A seller's way of taking photos, and the name and colour of the logo.

    surface: a row of surfaces.SURFACES, or "sweep" for studio paper in the colour of the backdrop
    warmth: tint towards red, about 0
    brightness: exposure, about 1
    noise: level of the sensor's noise, from 1
    """

    name: str
    brand: Colour
    backdrop: Colour
    surface: str
    warmth: float
    brightness: float
    noise: int


def _sensor_noise(rng: Rng, size: Size, level: int) -> Image.Image:
    """Return the noise of a sensor on grey: a random window of a larger plane."""
    left, top = (int(rng.integers(0, 512 - side)) for side in size)
    return _sensor_noise_plane(level).crop((left, top, left + size[0], top + size[1]))


@cache
def _sensor_noise_plane(level: int) -> Image.Image:
    rng = np.random.default_rng(11)
    fine, coarse = rng.normal(0, 1, (512, 512)), np.kron(rng.normal(0, 0.7, (256, 256)), np.ones((2, 2)))
    return Image.fromarray(np.clip(128 + level * (fine + coarse), 0, 255).astype(np.uint8), "L").convert("RGB")


@cache
def _vignette(size: Size) -> Image.Image:
    """Return how much light reaches each pixel."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    far = ((x / size[0] - 0.47) ** 2 + (y / size[1] - 0.45) ** 2) * 2
    return Image.fromarray(np.clip(255 * (1.0 - 0.15 * far), 0, 255).astype(np.uint8), "L").convert("RGB")


def expose(photo: Image.Image, rng: Rng, seller: Seller, light: float = 1.0) -> Image.Image:
    """Apply exposure, tint, contrast, vignette and noise to a photo."""
    photo = ImageChops.multiply(photo, _vignette(photo.size))
    gain = light * seller.brightness * float(rng.normal(1.03, 0.035))
    warmth = seller.warmth + float(rng.normal(0, 0.012))
    ramp = np.arange(256) / 255
    curve = ramp + float(rng.uniform(-0.02, 0.09)) * (ramp - 0.5) * (1 - ramp) * ramp * 4
    table = [
        np.clip(curve * gain * (1 + tint) * 255, 0, 255).astype(int).tolist() for tint in (warmth, 0.0, -warmth * 1.3)
    ]
    photo = photo.point([value for channel in table for value in channel])
    return ImageChops.add(photo, _sensor_noise(rng, photo.size, seller.noise), 1, -128)


def jpeg(photo: Image.Image) -> bytes:
    """Return the file that the seller uploads."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=88)
    return file.getvalue()
