"""The picture of an item by itself: its shapes in its own colours, on a transparent ground."""

from __future__ import annotations

from functools import cache

import numpy as np

from wares.samples.drawing.layers import Part, View
from wares.samples.drawing.paint import Colour, Paint
from wares.samples.drawing.renderer import render
from wares.samples.drawing.sprite import Sprite, cut
from wares.samples.items import Item, invent
from wares.samples.palette import MATERIALS, _brightness, _mixed
from wares.samples.shapes.registry import SHAPERS


def paints_of(item: Item) -> dict[str, Paint]:
    """Every slot of paint of an item."""
    finish = MATERIALS[item.material].finish
    dark, pale = _mixed(item.shade, (16, 14, 18), 0.45), _mixed(item.shade, (255, 252, 246), 0.3)
    printed = Paint(
        item.shade,
        finish,
        item.pattern,
        (item.ink, _mixed(item.shade, item.ink, 0.35) if item.pattern != "floral" else _leaf(item)),
        item.print_scale,
        item.print_turn,
    )
    hard = finish if finish in ("ceramic", "porcelain", "stoneware", "enamel", "glass") else "ceramic"
    pale_dial = _brightness(item.trim) > 140
    return {
        "main": Paint(item.shade, finish),
        "print": printed,
        "trim": Paint(item.trim, _trim_finish(item, finish)),
        "pale": Paint((238, 233, 224), "cotton"),
        "dark": Paint((38, 36, 38), "plastic"),
        "inside": Paint(dark, "rubber"),
        "lip": Paint(pale, hard),
        "sole": Paint(_sole(item), "rubber"),
        "seam": Paint(_mixed(item.shade, (16, 14, 18), 0.32), "rubber"),
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


def _leaf(item: Item) -> Colour:
    return (
        (96, 140, 92)
        if _brightness(item.shade) < 190 and item.colour not in ("green", "teal")
        else _mixed(item.shade, (236, 196, 90), 0.6)
    )


def _sole(item: Item) -> Colour:
    if item.kind == "sneakers":
        return (240, 236, 228) if item.origin % 4 else (196, 160, 116)
    return (62, 48, 42) if item.origin % 3 else (40, 37, 38)


def _trim_finish(item: Item, finish: str) -> str:
    if item.kind in ("watch", "clock", "guitar"):
        return "plastic"
    return {"glass": "glass", "straw": "leather", "patent leather": "leather"}.get(finish, finish)


def parts_of(item: Item, seed: int) -> list[Part]:
    """The outlines of an item, its own proportions included: a relisting shows the same thing."""
    rng = np.random.default_rng([seed, item.origin, 3])
    return SHAPERS[item.kind](item.shape, lambda value: float(value * rng.uniform(0.93, 1.07)))


@cache
def neighbour(kind: str, turn: int) -> Sprite:
    """A thing of some kind that happens to stand beside the item."""
    rng = np.random.default_rng([turn, *map(ord, kind)])
    while (item := invent(rng, turn)).kind != kind:
        continue
    return of_item(item, 7, pixels=200)


def of_item(item: Item, seed: int, pixels: int = 228) -> Sprite:
    """The whole item on a transparent ground."""
    return cut(render(parts_of(item, seed), paints_of(item), View(-4, -4, 108, pixels), item.origin % 97 / 3))
