"""Sprites pasted on a backdrop, with their shadows."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageFilter


@cache
def _glow() -> Image.Image:
    """A soft round spot, for contact shadows and lamps."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    return Image.fromarray((255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.4).astype(np.uint8), "L")


def lay(out: Image.Image, piece: Image.Image, centre: tuple[float, float], height: float = 6, dark: int = 105) -> None:
    """Paste a thing that lies flat or hangs: its own outline is its shadow."""
    left, top = round(centre[0] - piece.width / 2), round(centre[1] - piece.height / 2)
    alpha = piece.getchannel("A")
    pad = 24
    small = Image.new("L", ((piece.width + 2 * pad) // 4, (piece.height + 2 * pad) // 4))
    small.paste(
        alpha.resize((max(1, piece.width // 4), max(1, piece.height // 4)), Image.Resampling.BILINEAR),
        (pad // 4, pad // 4),
    )
    shadow = small.filter(ImageFilter.GaussianBlur(max(0.8, height / 4))).resize(
        (piece.width + 2 * pad, piece.height + 2 * pad), Image.Resampling.BILINEAR
    )
    shadow = shadow.point([value * dark // 255 for value in range(256)])
    out.paste((34, 28, 30), (left - pad + round(height * 0.5), top - pad + round(height * 0.9)), shadow)
    out.paste(piece, (left, top), piece)


def stand(out: Image.Image, piece: Image.Image, foot: tuple[float, float], dark: int = 150) -> None:
    """Paste a thing that stands: a pool of shadow under its foot, and a faint one to the right."""
    left, top = round(foot[0] - piece.width / 2), round(foot[1] - piece.height)
    below = piece.getchannel("A").crop((0, int(piece.height * 0.86), piece.width, piece.height)).getbbox() or (
        0,
        0,
        piece.width,
        1,
    )
    broad = max(8, below[2] - below[0])
    for wide, tall, strength, dx in ((1.22, 0.17, dark, 0.02), (1.9, 0.30, dark * 4 // 10, 0.14)):
        spot = _glow().resize((int(broad * wide), max(4, int(broad * tall))), Image.Resampling.BILINEAR)
        spot = spot.point([min(255, value * strength // 200) for value in range(256)])
        x = left + (below[0] + below[2]) / 2 + broad * dx - spot.width / 2
        out.paste((30, 25, 26), (round(x), round(foot[1] - spot.height * 0.62)), spot)
    out.paste(piece, (left, top), piece)
