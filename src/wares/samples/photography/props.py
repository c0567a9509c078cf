"""Props of photos, none for sale: plants, books, a sofa, a hanger, a wrist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from wares.samples.drawing.geometry import ellipse, rectangle, spline, transformed
from wares.samples.drawing.layers import Layer, Viewport
from wares.samples.drawing.paint import Paint
from wares.samples.drawing.renderer import render
from wares.samples.drawing.sprite import Sprite, crop_to_content
from wares.samples.shapes.outlines import lathe, stroke

SKINS = {"skin 1": (232, 190, 162), "skin 2": (196, 142, 106), "skin 3": (128, 84, 60)}

PAINTS: Mapping[str, Paint] = {
    "leaf": Paint((86, 128, 76), "leather"),
    "leaf 2": Paint((112, 150, 92), "leather"),
    "pot": Paint((202, 140, 106), "stoneware"),
    "white pot": Paint((236, 232, 224), "ceramic"),
    "soil": Paint((70, 52, 42), "suede"),
    "wood": Paint((168, 122, 80), "wood"),
    "dark wood": Paint((110, 76, 52), "wood"),
    "metal": Paint((196, 196, 200), "metal"),
    "brass": Paint((212, 180, 104), "metal"),
    "book 1": Paint((176, 72, 62), "linen"),
    "book 2": Paint((62, 92, 112), "linen"),
    "book 3": Paint((222, 190, 120), "linen"),
    "page": Paint((244, 240, 228), "paper"),
    "sofa 1": Paint((150, 158, 164), "linen"),
    "sofa 2": Paint((196, 178, 154), "linen"),
    "sofa 3": Paint((92, 112, 108), "velvet"),
    "bust": Paint((226, 220, 210), "linen"),
    "dark bust": Paint((58, 56, 62), "velvet"),
    "candle": Paint((248, 240, 222), "plastic"),
    "flame": Paint((255, 206, 110), "plastic", glow=1.0),
    "frame": Paint((64, 60, 58), "wood"),
    "sea": Paint((120, 164, 176), "paper"),
    "hill": Paint((228, 168, 128), "paper"),
    "sun": Paint((246, 222, 160), "paper"),
    "lemon": Paint((240, 206, 80), "leather"),
    **{name: Paint(colour, "rubber") for name, colour in SKINS.items()},
}


def _plant(pot: str, leaves: int) -> list[Layer]:
    rng = np.random.default_rng(leaves)
    stems = []
    for k in range(leaves):
        lean, long = -62 + 124 * k / (leaves - 1) + rng.normal(0, 5), rng.uniform(36, 52)
        leaf = spline(
            f"50,62! 45,{62 - long * 0.5} 46,{62 - long * 0.85} 50,{62 - long}! 54,{62 - long * 0.85} "
            f"55,{62 - long * 0.5}"
        )
        stems.append(
            Layer(transformed(leaf, 1, -lean, centre=(50, 62)), ("leaf", "leaf 2")[k % 2], "puff", 4, lift=0.8)
        )
    return [
        *stems,
        lathe("19,60 17,80 14,95", pot),
        Layer(ellipse(50, 60, 19, 3), pot, "flat", lift=0),
        Layer(ellipse(50, 60.5, 17, 2.2), "soil", "flat", lift=0),
    ]


def _books() -> list[Layer]:
    return [
        layer
        for y, left, right, name in ((78, 8, 92, "book 2"), (63, 14, 86, "book 1"), (50, 12, 80, "book 3"))
        for layer in (
            Layer(rectangle(left, y, right, y + 14, 2), name, "puff", 4),
            Layer(rectangle(right - 4, y + 2.5, right + 0.5, y + 11.5), "page", "flat", lift=0.2),
        )
    ]


def _picture() -> list[Layer]:
    return [
        Layer(rectangle(14, 4, 86, 96), "frame", "puff", 4),
        Layer(rectangle(20, 10, 80, 90), "page", "flat", lift=0.6),
        Layer(rectangle(27, 18, 73, 82), "sea", "flat", lift=0.2),
        Layer(ellipse(60, 36, 9), "sun", "flat", lift=0),
        Layer(spline("27,82! 27,58! 40,50 52,60 62,54 73,62! 73,82!"), "hill", "flat", lift=0),
    ]


def _candle() -> list[Layer]:
    return [
        Layer(ellipse(50, 92, 26, 6), "brass", "puff", 4),
        lathe("13,40 13,90", "candle"),
        Layer(ellipse(50, 40, 13, 2), "page", "flat", lift=0),
        stroke("50,40 50,33", "frame", 1),
        Layer(spline("50,14! 45,26 46,33 50,35 54,33 55,26"), "flame", "puff", 5, lift=0),
    ]


def _sofa(cover: str) -> list[Layer]:
    return [
        *[stroke(f"{x},70 {x},80", "dark wood", 2.4) for x in (10, 90)],
        Layer(rectangle(4, 22, 96, 62, 7), cover, "puff", 9),
        *[Layer(rectangle(left, 25, left + 42, 56, 6), cover, "puff", 8) for left in (8, 50)],
        Layer(rectangle(6, 52, 94, 74, 4), cover, "puff", 5, shade=0.85),
        *[Layer(rectangle(left, 48, left + 42, 63, 5), cover, "puff", 7) for left in (8, 50)],
        *[Layer(rectangle(left, 38, left + 12, 74, 6), cover, "puff", 7) for left in (-1, 89)],
    ]


def _bust(cover: str) -> list[Layer]:
    return [Layer(spline("50,0 43,2 41,14 38,22 22,28 10,36 6,56 12,78 24,98! 50,100", mirror=50), cover, "puff", 22)]


def _wrist(skin: str) -> list[Layer]:
    return [Layer(spline("-8,34! 20,35 50,36 84,33 110,32! 110,68! 84,67 50,64 20,66 -8,68!"), skin, "puff", 24)]


def _hanger() -> list[Layer]:
    return [
        stroke("50,30 50,22 55,17 54,9 48,8 45,13", "metal", 2.2),
        stroke("6,52 28,40 50,30 72,40 94,52", "wood", 6, 5),
    ]


PROPS: Mapping[str, Callable[[], list[Layer]]] = {
    "fern": lambda: _plant("pot", 9),
    "succulent": lambda: _plant("white pot", 6),
    "books": _books,
    "picture": _picture,
    "candle": _candle,
    "sofa 1": lambda: _sofa("sofa 1"),
    "sofa 2": lambda: _sofa("sofa 2"),
    "sofa 3": lambda: _sofa("sofa 3"),
    "bust": lambda: _bust("bust"),
    "dark bust": lambda: _bust("dark bust"),
    "hanger": _hanger,
    "hook": lambda: [
        Layer(ellipse(50, 50, 30), "brass", "puff", 10),
        stroke("50,50 50,72 62,80 70,70", "brass", 12, 10),
    ],
    "lemons": lambda: [Layer(ellipse(x, y, 24, 20), "lemon", "puff", 18) for x, y in ((32, 76), (72, 78), (52, 58))],
    **{skin: (lambda skin=skin: _wrist(skin)) for skin in SKINS},  # type: ignore[misc]
}


@cache
def prop_sprite(name: str) -> Sprite:
    """Return a prop by its name in PROPS."""
    wide = name.startswith(("sofa", "skin", "bust", "dark bust"))
    return crop_to_content(render(PROPS[name](), PAINTS, Viewport(-4, -4, 108, 300 if wide else 200)))
