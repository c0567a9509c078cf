"""What is behind an item in a photo: paper, cloth, or a wall over a table or floor."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from wares.samples.drawing.paint import Colour
from wares.samples.photography import surfaces
from wares.samples.photography.camera import Size
from wares.samples.randomness import Rng


@cache
def _sweep_shape(size: Size) -> Image.Image:
    """The studio sweep: a bright back, a floor that catches light, a soft bend between them."""
    y = np.linspace(0, 1, size[1])[:, None]
    x = np.linspace(-1, 1, size[0])[None, :]
    light = (
        0.98 + 0.03 * np.cos((y - 0.35) * 3.2) - 0.05 / (1 + np.exp(-(y - 0.72) * 28)) * (1.25 - y) * 2 - 0.02 * x**2
    )
    return Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8), "L").convert("RGB")


def sweep(size: Size, colour: Colour) -> Image.Image:
    """A plain paper backdrop."""
    return ImageChops.multiply(Image.new("RGB", size, colour), _sweep_shape(size))


def cloth(size: Size, name: str, rng: Rng) -> Image.Image:
    """A surface seen from above."""
    left, top = (int(rng.integers(0, surfaces.SIZE - side + 1)) for side in size)
    plane = surfaces.surface(name).crop((left, top, left + size[0], top + size[1]))
    return plane.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else plane


def room(size: Size, ground: str, wall: str, horizon: float, rng: Rng) -> Image.Image:
    """A wall above, a table or floor below, and now and then a window's light on the wall."""
    width, height = size
    edge = int(height * horizon)
    out = cloth(size, wall, rng)
    if rng.random() < 0.5:
        _window_light(out, rng)
    side, slip = surfaces.SIZE, int(rng.integers(-40, 41))
    lying = (0, 0, side * 0.25 + slip, side * 0.7, side * 0.75 + slip, side * 0.7, side, 0)
    floor = surfaces.surface(ground).transform(
        (width, height - edge), Image.Transform.QUAD, lying, Image.Resampling.BILINEAR
    )
    out.paste(floor, (0, edge))
    out.paste((30, 26, 24), (0, edge - 12), _seam(width))
    return out


@cache
def _seam(width: int) -> Image.Image:
    """The dark line where a wall meets a floor."""
    dark = Image.new("L", (1, 24))
    dark.putdata([int(90 * (1 - abs(k - 12) / 12) ** 1.5) for k in range(24)])
    return dark.resize((width, 24))


def _window_light(out: Image.Image, rng: Rng) -> None:
    width, height = out.size
    mask = Image.new("L", (width // 4, height // 4))
    draw = ImageDraw.Draw(mask)
    left, lean, pane = int(rng.integers(-10, width // 5)), int(rng.integers(-14, 15)), width // 15
    for row in range(2):
        for column in range(2):
            x, y = left + column * (pane + 3), 2 + row * (pane + 4)
            draw.polygon([(x, y), (x + pane, y), (x + pane + lean, y + pane), (x + lean, y + pane)], 70)
    out.paste(
        (255, 250, 232), (0, 0), mask.filter(ImageFilter.GaussianBlur(0.8)).resize(out.size, Image.Resampling.BILINEAR)
    )
