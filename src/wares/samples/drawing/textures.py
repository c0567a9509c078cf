"""Textures that repeat: the grain of materials, the prints on cloth and china. Each is drawn once and cached."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Texture = NDArray[np.float32]
SIZES = (128, 256)  # pixels of a coarse and of a fine texture
_DRAWING_SIZE = 1024


def noise(name: str, size: int, rough: float, stretch: tuple[float, float] = (1, 1)) -> Texture:
    """Return seamless noise with mean 0 and deviation 1.

    name: seeds it
    rough: exponent of its spectrum; 0 is white noise, larger is smoother
    stretch: factors of the vertical and horizontal frequencies
    """
    rng = np.random.default_rng([ord(letter) for letter in name])
    spectrum = np.fft.fft2(rng.standard_normal((size, size)))
    fy, fx = np.fft.fftfreq(size)[:, None] * size, np.fft.fftfreq(size)[None, :] * size
    radius = np.sqrt((fy * stretch[0]) ** 2 + (fx * stretch[1]) ** 2)
    radius[0, 0] = 1
    spectrum = spectrum / (1 + radius / 2) ** rough
    spectrum[0, 0] = 0
    field = np.fft.ifft2(spectrum).real
    return np.asarray(field / field.std(), dtype=np.float32)


def _grid(size: int) -> tuple[Texture, Texture]:
    axis = np.arange(size) / size * 2 * math.pi
    return np.asarray(axis[:, None], dtype=np.float32), np.asarray(axis[None, :], dtype=np.float32)


def _pebble(size: int) -> Texture:
    bumps = noise("pebble", size, 0)
    spectrum = np.fft.fft2(bumps)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]) * size
    band = np.fft.ifft2(spectrum * np.exp(-(((f - 26) / 9) ** 2))).real
    return np.asarray(np.tanh(band / band.std()) + 0.3 * noise("hide", size, 1.6), dtype=np.float32)


def _weave(size: int) -> Texture:
    y, x = _grid(size)
    threads = np.sin(x * 32) * np.sign(np.sin(y * 16)) + np.sin(y * 32) * np.sign(np.sin(x * 16))
    return np.asarray(0.6 * threads + 0.6 * noise("weave", size, 0.6), dtype=np.float32)


def _twill(size: int) -> Texture:
    y, x = _grid(size)
    return np.asarray(0.8 * np.sin((x + y) * 24) + 0.7 * noise("twill", size, 0.8, (0.3, 1)), dtype=np.float32)


def _knit(size: int) -> Texture:
    y, x = _grid(size)
    columns = 16
    bend = np.abs(np.sin(x * columns / 2)) * 1.6
    stitch = np.sin(y * 20 + bend * 2)
    return np.asarray(0.9 * stitch - 0.9 * np.cos(x * columns) ** 8 + 0.35 * noise("knit", size, 0.5), dtype=np.float32)


def _rattan(size: int) -> Texture:
    y, x = _grid(size)
    over = np.sign(np.sin(x * 8) * np.sin(y * 8))
    strand = np.where(over > 0, np.abs(np.sin(y * 16)), np.abs(np.sin(x * 16)))
    return np.asarray(1.8 * (strand - 0.6) + 0.35 * noise("rattan", size, 0.6), dtype=np.float32)


def _wood(size: int) -> Texture:
    _, x = _grid(size)
    warp = noise("rings", size, 2.4, (0.35, 1))
    fibre = noise("wood", size, 1.0, (0.08, 1))
    return np.asarray(0.55 * np.sin(x * 7 + warp * 1.5) + 0.6 * fibre, dtype=np.float32)


def _speckle(size: int) -> Texture:
    dots = noise("speckle", size, 0.35)
    return np.asarray(np.where(dots > 2.2, -2.2, 0) + 0.25 * noise("glaze", size, 1.8), dtype=np.float32)


GRAINS: Mapping[str, Callable[[int], Texture]] = {
    "pebble": _pebble,
    "weave": _weave,
    "twill": _twill,
    "knit": _knit,
    "rattan": _rattan,
    "wood": _wood,
    "speckle": _speckle,
    "fuzz": lambda size: noise("fuzz", size, 0.7),
    "fur": lambda size: noise("fur", size, 1.0, (0.5, 1)),
    "brushed": lambda size: noise("brushed", size, 0.7, (1, 0.03)),
    "cloud": lambda size: noise("cloud", size, 1.9),
    "folds": lambda size: noise("folds", size, 2.6, (0.35, 1)),
}


@cache
def grain_texture(name: str, fine: int) -> Texture:
    """Return the relative brightness of a material, mean about 0; `fine` is 0 or 1, an index of SIZES."""
    full = GRAINS[name](SIZES[1])
    if fine:
        return full
    return np.asarray(Image.fromarray(full).reduce(SIZES[1] // SIZES[0]))


def _stripes(draw: ImageDraw.ImageDraw, _: ImageDraw.ImageDraw) -> None:
    for top in range(0, _DRAWING_SIZE, 256):
        draw.rectangle((0, top, _DRAWING_SIZE, top + 110), 255)


def _pinstripes(draw: ImageDraw.ImageDraw, thin: ImageDraw.ImageDraw) -> None:
    for top in range(0, _DRAWING_SIZE, 256):
        draw.rectangle((0, top, _DRAWING_SIZE, top + 120), 255)
        thin.rectangle((0, top + 170, _DRAWING_SIZE, top + 200), 255)


def _dots(draw: ImageDraw.ImageDraw, _: ImageDraw.ImageDraw) -> None:
    for row in range(9):
        for column in range(-1, 9):
            x, y = column * 128 * 2 + (row % 2) * 128, row * 128
            draw.ellipse((x - 46, y - 46, x + 46, y + 46), 255)


def _checks(draw: ImageDraw.ImageDraw, line: ImageDraw.ImageDraw) -> None:
    for top in range(0, _DRAWING_SIZE, 256):
        draw.rectangle((0, top, _DRAWING_SIZE, top + 110), 120)
    for left in range(0, _DRAWING_SIZE, 256):
        for top in range(0, _DRAWING_SIZE, 256):
            draw.rectangle((left, top, left + 110, top + 110), 255)
            draw.rectangle((left, top + 111, left + 110, top + 255), 120)
        line.rectangle((left + 175, 0, left + 188, _DRAWING_SIZE), 200)
        line.rectangle((0, left + 175, _DRAWING_SIZE, left + 188), 200)


def _zigzag(draw: ImageDraw.ImageDraw, thin: ImageDraw.ImageDraw) -> None:
    for top in range(-256, _DRAWING_SIZE + 256, 256):
        path = [(x, top + (90 if (x // 128) % 2 else 0)) for x in range(-128, _DRAWING_SIZE + 256, 128)]
        draw.line(path, 255, 74)
        thin.line([(x, y + 125) for x, y in path], 255, 24)


def _stars(draw: ImageDraw.ImageDraw, _: ImageDraw.ImageDraw) -> None:
    for row in range(5):
        for column in range(-1, 5):
            x, y, turn = column * 256 + (row % 2) * 128, row * 256, (row * 2 + column) % 3
            star = [
                (x + radius * math.sin(a), y - radius * math.cos(a))
                for k in range(10)
                for radius, a in [((76, 31)[k % 2], math.pi * k / 5 + turn)]
            ]
            draw.polygon(star, 255)


def _flowers(draw: ImageDraw.ImageDraw, leaf: ImageDraw.ImageDraw) -> None:
    spots = [
        (150, 170, 92),
        (520, 90, 62),
        (850, 230, 84),
        (330, 430, 70),
        (680, 500, 96),
        (130, 690, 76),
        (450, 800, 90),
        (900, 720, 66),
        (700, 930, 60),
        (960, 480, 50),
        (250, 960, 56),
    ]
    for x, y, size in spots:
        for dx in (-_DRAWING_SIZE, 0, _DRAWING_SIZE):
            for dy in (-_DRAWING_SIZE, 0, _DRAWING_SIZE):
                _flower(draw, leaf, x + dx, y + dy, size)


def _flower(draw: ImageDraw.ImageDraw, leaf: ImageDraw.ImageDraw, x: float, y: float, size: float) -> None:
    turn = (x % _DRAWING_SIZE) * 0.01
    for side in (-0.7, 2.2):
        points = [
            (x + math.cos(turn + side + bend) * size * far, y + math.sin(turn + side + bend) * size * far)
            for bend, far in ((0, 0.3), (0.28, 1.1), (0, 1.75), (-0.28, 1.1))
        ]
        leaf.polygon(points, 255)
    for k in range(5):
        px, py, r = (
            x + math.cos(turn + k * 1.2566) * size * 0.55,
            y + math.sin(turn + k * 1.2566) * size * 0.55,
            size * 0.45,
        )
        draw.ellipse((px - r, py - r, px + r, py + r), 255)
        leaf.ellipse((px - r, py - r, px + r, py + r), 0)
    leaf.ellipse((x - size * 0.26, y - size * 0.26, x + size * 0.26, y + size * 0.26), 255)


def _leopard(draw: ImageDraw.ImageDraw, heart: ImageDraw.ImageDraw) -> None:
    rng = np.random.default_rng(5)
    for row in range(6):
        for column in range(6):
            slip_x, slip_y, size = (int(rng.integers(low, high)) for low, high in ((-24, 24), (-24, 24), (44, 66)))
            x0, y0, gap = column * 171 + (row % 2) * 85 + slip_x, row * 171 + slip_y, float(rng.uniform(0, 360))
            for dx in (-_DRAWING_SIZE, 0, _DRAWING_SIZE):
                for dy in (-_DRAWING_SIZE, 0, _DRAWING_SIZE):
                    where = (x0 + dx - size, y0 + dy - size * 0.8, x0 + dx + size, y0 + dy + size * 0.8)
                    heart.ellipse((where[0] + 14, where[1] + 14, where[2] - 14, where[3] - 14), 150)
                    draw.arc(where, gap, gap + 130, 255, 30)
                    draw.arc(where, gap + 170, gap + 310, 255, 30)


PRINTS: Mapping[str, Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw], None]] = {
    "striped": _stripes,
    "pinstriped": _pinstripes,
    "dotted": _dots,
    "checked": _checks,
    "zigzag": _zigzag,
    "stars": _stars,
    "floral": _flowers,
    "leopard": _leopard,
}


@cache
def print_texture(name: str, fine: int) -> tuple[Texture, ...]:
    """Return how much of the first ink, and of the second if the print has one, covers each texel, 0 to 1.

    fine: 0 or 1, an index of SIZES
    """
    layers = Image.new("L", (_DRAWING_SIZE, _DRAWING_SIZE)), Image.new("L", (_DRAWING_SIZE, _DRAWING_SIZE))
    PRINTS[name](ImageDraw.Draw(layers[0]), ImageDraw.Draw(layers[1]))
    factor = _DRAWING_SIZE // SIZES[fine]
    return tuple(
        np.asarray(layer.reduce(factor), dtype=np.float32) / np.float32(255) for layer in layers if layer.getbbox()
    )
