"""Pasting pictures on a backdrop, with their shadows."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageFilter


@cache
def soft_spot() -> Image.Image:
    """Return a soft round spot, for contact shadows and the light of lamps."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    return Image.fromarray((255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.4).astype(np.uint8), "L")


def paste_flat(
    photo: Image.Image, image: Image.Image, centre: tuple[float, float], height: float = 6, dark: int = 105
) -> None:
    """Paste a picture that lies flat or hangs: its own outline is its shadow.

    height: pixels between it and the backdrop
    dark: strength of the shadow, up to 255
    """
    left, top = round(centre[0] - image.width / 2), round(centre[1] - image.height / 2)
    pad = 24
    size = (image.width + 2 * pad, image.height + 2 * pad)
    alpha = image.getchannel("A").resize(
        (max(1, image.width // 4), max(1, image.height // 4)), Image.Resampling.BILINEAR
    )
    small = Image.new("L", (size[0] // 4, size[1] // 4))
    small.paste(alpha, (pad // 4, pad // 4))
    blurred = small.filter(ImageFilter.GaussianBlur(max(0.8, height / 4))).resize(size, Image.Resampling.BILINEAR)
    shadow = blurred.point([value * dark // 255 for value in range(256)])
    photo.paste((34, 28, 30), (left - pad + round(height * 0.5), top - pad + round(height * 0.9)), shadow)
    photo.paste(image, (left, top), image)


def paste_standing(photo: Image.Image, image: Image.Image, foot: tuple[float, float], dark: int = 150) -> None:
    """Paste a picture that stands: a dark shadow below its foot, and a faint one to the right.

    foot: the middle of its lower edge
    dark: strength of the shadow, up to 200
    """
    left, top = round(foot[0] - image.width / 2), round(foot[1] - image.height)
    base = image.getchannel("A").crop((0, int(image.height * 0.86), image.width, image.height))
    start, _, end, _ = base.getbbox() or (0, 0, image.width, 1)
    broad = max(8, end - start)
    for wide, tall, strength, dx in ((1.22, 0.17, dark, 0.02), (1.9, 0.30, dark * 4 // 10, 0.14)):
        spot = soft_spot().resize((int(broad * wide), max(4, int(broad * tall))), Image.Resampling.BILINEAR)
        spot = spot.point([min(255, value * strength // 200) for value in range(256)])
        x = left + (start + end) / 2 + broad * dx - spot.width / 2
        photo.paste((30, 25, 26), (round(x), round(foot[1] - spot.height * 0.62)), spot)
    photo.paste(image, (left, top), image)
