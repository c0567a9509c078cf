"""Backdrops of photos: studio paper, a surface seen from above, or a wall above a table or floor."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from wares.samples.drawing.paint import Colour
from wares.samples.photography import surfaces
from wares.samples.photography.camera import Size
from wares.samples.randomness import Rng


@cache
def _sweep_light(size: Size) -> Image.Image:
    """Return the light on studio paper: a bright back, a floor that catches light, a soft bend between them."""
    y = np.linspace(0, 1, size[1])[:, None]
    x = np.linspace(-1, 1, size[0])[None, :]
    light = (
        0.98 + 0.03 * np.cos((y - 0.35) * 3.2) - 0.05 / (1 + np.exp(-(y - 0.72) * 28)) * (1.25 - y) * 2 - 0.02 * x**2
    )
    return Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8), "L").convert("RGB")


def studio_sweep(size: Size, colour: Colour) -> Image.Image:
    """Return studio paper in one colour."""
    return ImageChops.multiply(Image.new("RGB", size, colour), _sweep_light(size))


def surface_backdrop(size: Size, name: str, rng: Rng) -> Image.Image:
    """Return a surface seen from above."""
    left, top = (int(rng.integers(0, surfaces.SIZE - side + 1)) for side in size)
    plane = surfaces.surface(name).crop((left, top, left + size[0], top + size[1]))
    return plane.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else plane


def interior(size: Size, ground: str, wall: str, horizon: float, rng: Rng) -> Image.Image:
    """Return a wall above a table or floor, half of the time with light from a window.

    horizon: height of the wall, as a share of the photo
    """
    width, height = size
    edge = int(height * horizon)
    photo = surface_backdrop(size, wall, rng)
    if rng.random() < 0.5:
        add_window_light(photo, rng)
    side, slip = surfaces.SIZE, int(rng.integers(-40, 41))
    corners = (0, 0, side * 0.25 + slip, side * 0.7, side * 0.75 + slip, side * 0.7, side, 0)
    floor = surfaces.surface(ground).transform(
        (width, height - edge), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR
    )
    photo.paste(floor, (0, edge))
    photo.paste((30, 26, 24), (0, edge - 12), _floor_line(width))
    return photo


@cache
def _floor_line(width: int) -> Image.Image:
    """Return the shadow between a wall and a floor."""
    dark = Image.new("L", (1, 24))
    dark.putdata([int(90 * (1 - abs(k - 12) / 12) ** 1.5) for k in range(24)])
    return dark.resize((width, 24))


def add_window_light(photo: Image.Image, rng: Rng) -> None:
    """Light a wall through a window of four panes."""
    width, height = photo.size
    mask = Image.new("L", (width // 4, height // 4))
    draw = ImageDraw.Draw(mask)
    left, lean, pane = int(rng.integers(-10, width // 5)), int(rng.integers(-14, 15)), width // 15
    for row in range(2):
        for column in range(2):
            x, y = left + column * (pane + 3), 2 + row * (pane + 4)
            draw.polygon([(x, y), (x + pane, y), (x + pane + lean, y + pane), (x + lean, y + pane)], 70)
    mask = mask.filter(ImageFilter.GaussianBlur(0.8)).resize(photo.size, Image.Resampling.BILINEAR)
    photo.paste((255, 250, 232), (0, 0), mask)
