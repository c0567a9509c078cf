"""Sprites of items: their layers, in their own paints, on a transparent ground."""

from __future__ import annotations

from functools import cache

import numpy as np

from wares.samples.drawing.layers import Layer, Viewport
from wares.samples.drawing.paint import Colour, Paint
from wares.samples.drawing.renderer import render
from wares.samples.drawing.sprite import Sprite, crop_to_content
from wares.samples.items import Item, random_item
from wares.samples.palette import MATERIALS, blend, luma
from wares.samples.shapes.registry import SHAPES


def item_paints(item: Item) -> dict[str, Paint]:
    """Return the paints of an item by name; the layers of all shapes use these names."""
    finish = MATERIALS[item.material].finish
    dark, pale = blend(item.shade, (16, 14, 18), 0.45), blend(item.shade, (255, 252, 246), 0.3)
    printed = Paint(
        item.shade,
        finish,
        item.pattern,
        (item.ink, blend(item.shade, item.ink, 0.35) if item.pattern != "floral" else _leaf_colour(item)),
        item.print_scale,
        item.print_turn,
    )
    hard = finish if finish in ("ceramic", "porcelain", "stoneware", "enamel", "glass") else "ceramic"
    pale_dial = luma(item.trim) > 140
    return {
        "main": Paint(item.shade, finish),
        "print": printed,
        "trim": Paint(item.trim, _trim_finish(item, finish)),
        "pale": Paint((238, 233, 224), "cotton"),
        "dark": Paint((38, 36, 38), "plastic"),
        "inside": Paint(dark, "rubber"),
        "lip": Paint(pale, hard),
        "sole": Paint(_sole_colour(item), "rubber"),
        "seam": Paint(blend(item.shade, (16, 14, 18), 0.32), "rubber"),
        "wood": Paint(item.wood, "wood"),
        "metal": Paint(item.metal, "metal"),
        "glow": Paint(
            item.shade,
            finish if finish != "glass" else "porcelain",
            item.pattern,
            printed.inks,
            item.print_scale,
            item.print_turn,
            0.5,
        ),
        "bulb": Paint((255, 246, 210), "plastic", glow=1.0),
        "hands": Paint((52, 50, 54) if pale_dial else (240, 238, 232), "plastic"),
        "dial": Paint((247, 244, 237), "paper"),
        "ribbon": Paint(item.trim, "silk"),
    }


def _leaf_colour(item: Item) -> Colour:
    return (
        (96, 140, 92)
        if luma(item.shade) < 190 and item.colour not in ("green", "teal")
        else blend(item.shade, (236, 196, 90), 0.6)
    )


def _sole_colour(item: Item) -> Colour:
    if item.kind == "sneakers":
        return (240, 236, 228) if item.origin % 4 else (196, 160, 116)
    return (62, 48, 42) if item.origin % 3 else (40, 37, 38)


def _trim_finish(item: Item, finish: str) -> str:
    if item.kind in ("watch", "clock", "guitar"):
        return "plastic"
    return {"glass": "glass", "straw": "leather", "patent leather": "leather"}.get(finish, finish)


def item_layers(item: Item, seed: int) -> list[Layer]:
    """Return the layers of an item in its own proportions, the same for every listing of it."""
    rng = np.random.default_rng([seed, item.origin, 3])
    return SHAPES[item.kind](item.shape, lambda value: float(value * rng.uniform(0.93, 1.07)))


@cache
def other_item_sprite(kind: str, seed: int) -> Sprite:
    """Return an item of a kind to put beside another; each seed gives one."""
    rng = np.random.default_rng([seed, *map(ord, kind)])
    while (item := random_item(rng, seed)).kind != kind:
        continue
    return item_sprite(item, 7, pixels=200)


def item_sprite(item: Item, seed: int, pixels: int = 228) -> Sprite:
    """Draw the whole item; `pixels` is the side of the canvas."""
    viewport = Viewport(-4, -4, 108, pixels)
    return crop_to_content(render(item_layers(item, seed), item_paints(item), viewport, print_shift(item)))


def print_shift(item: Item) -> float:
    """Return how far the print of an item is shifted, in units."""
    return item.origin % 97 / 3
