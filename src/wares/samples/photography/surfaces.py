"""Textured surfaces behind items: tables, floors, walls, cloth, grass. Each is drawn once and cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wares.samples.drawing.paint import Colour
from wares.samples.drawing.textures import grain_texture, noise

SIZE = 448
Field = NDArray[np.float32]


def _tinted(brightness: Field, colour: Colour, warmth: Field | float = 0.0) -> Image.Image:
    tinted = brightness[..., None] * np.array(colour, dtype=np.float32)
    tinted = tinted + np.asarray(warmth, dtype=np.float32)[..., None] * np.array((10, 2, -8), dtype=np.float32)
    return Image.fromarray(np.clip(tinted, 0, 255).astype(np.uint8), "RGB")


def _grain(name: str, zoom: float = 1.0) -> Field:
    steps = (np.arange(SIZE) * zoom).astype(int) % 256
    return np.asarray(grain_texture(name, 1)[np.ix_(steps, steps)])


def _planks(colour: Colour, width: int, seed: int, across: bool = True) -> Image.Image:
    """Draw boards with gaps, each with a tone and grain of its own."""
    rng = np.random.default_rng(seed)
    grain = noise(f"planks{seed}", SIZE, 1.1, (1, 0.06)) * 0.055 + noise(f"knots{seed}", SIZE, 1.9, (1, 0.2)) * 0.035
    board = np.arange(SIZE) // width
    tone = rng.uniform(-0.09, 0.09, board.max() + 1)[board]
    slide = rng.integers(0, SIZE, board.max() + 1)[board]
    grain = np.stack([np.roll(row, shift) for row, shift in zip(grain, slide, strict=True)])
    edge = np.minimum(np.arange(SIZE) % width, 3) / 3
    field = (1 + grain + tone[:, None]) * (0.68 + 0.32 * edge[:, None])
    image = _tinted(field.astype(np.float32), colour)
    return image if across else image.transpose(Image.Transpose.ROTATE_90)


def _bricks(colour: Colour, mortar: float, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    row = y // 28
    column = (x + (row % 2) * 32) // 64
    tone = rng.uniform(0.84, 1.1, (row.max() + 2, column.max() + 2))[row, column]
    gap = (y % 28 < 4) | ((x + (row % 2) * 32) % 64 < 4)
    field = np.where(gap, mortar, tone) + noise(f"bricks{seed}", SIZE, 0.8) * 0.045
    return _tinted(field.astype(np.float32), colour)


def _tiles(colour: Colour, size: int, seed: int) -> Image.Image:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    rng = np.random.default_rng(seed)
    tone = rng.uniform(0.95, 1.03, (SIZE, SIZE))[y // size, x // size]
    field = np.where((y % size < 3) | (x % size < 3), 0.8, tone) + noise(f"tiles{seed}", SIZE, 2.0) * 0.02
    return _tinted(field.astype(np.float32), colour)


def _rough(name: str, colour: Colour, rough: float, amount: float) -> Image.Image:
    return _tinted((1 + noise(name, SIZE, rough) * amount).astype(np.float32), colour)


def _marble() -> Image.Image:
    veins = np.abs(noise("veins", SIZE, 1.75))
    return _tinted(
        (1 - 0.2 * np.exp(-veins * 9) + noise("marble", SIZE, 2.0) * 0.02).astype(np.float32), (240, 238, 234)
    )


def _grass() -> Image.Image:
    blades = noise("blades", SIZE, 0.75, (0.35, 1)) * 0.17 + noise("lawn", SIZE, 1.8) * 0.1
    return _tinted((1 + blades).astype(np.float32), (104, 142, 66), noise("sun", SIZE, 1.5) * 0.9)


def _cloth(grain: str, colour: Colour, amount: float, crease: float = 0.05) -> Image.Image:
    field = 1 + _grain(grain, 0.62) * amount + noise(f"crease{grain}{colour[0]}", SIZE, 2.3) * crease
    return _tinted(field.astype(np.float32), colour)


SURFACES: Mapping[str, Callable[[], Image.Image]] = {
    "oak": lambda: _planks((190, 150, 108), 74, 1),
    "walnut": lambda: _planks((122, 84, 58), 90, 2),
    "whitewood": lambda: _planks((222, 215, 203), 60, 3),
    "greywood": lambda: _planks((158, 152, 146), 66, 4),
    "floorboards": lambda: _planks((198, 160, 118), 44, 5, False),
    "brick": lambda: _bricks((176, 108, 86), 1.12, 6),
    "white brick": lambda: _bricks((226, 222, 214), 0.9, 7),
    "tiles": lambda: _tiles((214, 222, 220), 56, 8),
    "terracotta": lambda: _tiles((196, 128, 94), 92, 9),
    "grass": _grass,
    "marble": _marble,
    "sand": lambda: _rough("sand", (224, 202, 164), 0.9, 0.06),
    "concrete": lambda: _rough("concrete", (176, 175, 172), 1.4, 0.06),
    "asphalt": lambda: _rough("asphalt", (112, 114, 118), 0.5, 0.1),
    "linen": lambda: _cloth("weave", (220, 208, 188), 0.07),
    "bedsheet": lambda: _cloth("weave", (236, 236, 238), 0.02, 0.055),
    "denim": lambda: _cloth("twill", (88, 108, 144), 0.14),
    "knit": lambda: _cloth("knit", (208, 198, 188), 0.18, 0.04),
    "carpet": lambda: _rough("carpet", (178, 166, 152), 0.6, 0.08),
    "felt": lambda: _rough("felt", (94, 110, 104), 0.8, 0.05),
    "plaster": lambda: _rough("plaster", (232, 226, 215), 1.7, 0.022),
    "blue wall": lambda: _rough("blue wall", (164, 186, 196), 1.7, 0.02),
    "green wall": lambda: _rough("green wall", (160, 176, 154), 1.7, 0.02),
    "pink wall": lambda: _rough("pink wall", (226, 196, 186), 1.7, 0.02),
    "dark wall": lambda: _rough("dark wall", (74, 82, 92), 1.7, 0.03),
}

TABLES = ("oak", "walnut", "whitewood", "greywood", "marble", "linen", "concrete")
FLOORS = ("floorboards", "oak", "carpet", "tiles", "terracotta", "concrete", "greywood")
OUTDOORS = ("grass", "sand", "asphalt", "terracotta", "greywood", "concrete")
WALLS = ("plaster", "plaster", "blue wall", "green wall", "pink wall", "dark wall", "brick", "white brick", "tiles")
CLOTHS = ("linen", "bedsheet", "denim", "knit", "carpet", "felt", "whitewood", "oak")


@cache
def surface(name: str) -> Image.Image:
    """Return a surface by its name in SURFACES, SIZE x SIZE pixels."""
    return SURFACES[name]()
