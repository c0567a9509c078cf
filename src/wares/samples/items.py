"""Items for sale, drawn at random: what each of them is before it is photographed and worded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wares.samples.drawing.paint import Colour
from wares.samples.kinds import KINDS, patterns_of, sizes_of
from wares.samples.palette import ACCENTS, COLOURS, blend, jitter, luma
from wares.samples.randomness import pick


@dataclass(frozen=True)
class Item:
    """The hidden truth about a thing for sale."""

    kind: str
    shape: str
    colour: str
    shade: Colour
    pattern: str
    material: str
    occasion: str
    trim: Colour
    ink: Colour
    origin: int
    size: str = ""
    print_scale: float = 1.0
    print_turn: float = 0.0
    metal: Colour = (206, 182, 124)
    wood: Colour = (160, 112, 70)

    def truth(self) -> dict[str, str]:
        """The attributes that queries ask for."""
        names = ("kind", "shape", "colour", "pattern", "material", "occasion")
        return {name: str(getattr(self, name)) for name in names}


def random_item(rng: np.random.Generator, number: int) -> Item:
    """A new thing for sale."""
    name = pick(rng, list(KINDS))
    kind = KINDS[name]
    colour = pick(rng, list(COLOURS))
    if name == "guitar" and rng.random() < 0.5:
        colour = pick(rng, ("brown", "orange", "black"))
    pattern = pick(rng, patterns_of(name))
    material = pick(rng, kind.materials)
    if material == "glass":
        pattern = "plain"
    shade = jitter(pick(rng, COLOURS[colour].shades), rng)
    return Item(
        name,
        pick(rng, list(kind.shapes)),
        colour,
        shade,
        pattern,
        material,
        pick(rng, kind.occasions),
        _trim(rng, shade, pattern),
        _ink(rng, shade, pattern),
        number,
        pick(rng, sizes_of(name)) if kind.sizes else "",
        float(rng.uniform(0.7, 1.25)),
        float(pick(rng, (0, 0, 0, 45, 90))) if pattern in ("striped", "zigzag") else float(pick(rng, (0, 0, 45))),
        ACCENTS.cold_metal
        if material == "silver" or (material != "gold" and rng.random() < 0.4)
        else ACCENTS.warm_metal,
        jitter(pick(rng, ACCENTS.woods), rng),
    )


def recoloured(item: Item, rng: np.random.Generator) -> Item:
    """The same thing in another colour, as sellers show it to say what else they have."""
    colour = pick(rng, [name for name in COLOURS if name != item.colour])
    shade = jitter(pick(rng, COLOURS[colour].shades), rng)
    return Item(
        item.kind,
        item.shape,
        colour,
        shade,
        item.pattern,
        item.material,
        item.occasion,
        item.trim,
        _ink(rng, shade, item.pattern),
        item.origin,
        item.size,
        item.print_scale,
        item.print_turn,
        item.metal,
        item.wood,
    )


def _ink(rng: np.random.Generator, shade: Colour, pattern: str) -> Colour:
    """The second colour of a print: pale on dark, dark on pale, so that the ground names the colour."""
    if pattern == "leopard" and luma(shade) > 75:
        return blend(shade, (34, 22, 18), 0.78)
    if luma(shade) > 165:
        return pick(rng, ((70, 74, 92), (120, 84, 66), (196, 84, 84), (66, 96, 92), (60, 84, 140)))
    return pick(rng, ((246, 242, 232), (246, 242, 232), (248, 232, 196), (250, 224, 224)))


def _trim(rng: np.random.Generator, shade: Colour, pattern: str) -> Colour:
    """The second colour of the thing: quieter than the first."""
    draw = rng.random()
    if draw < 0.4:
        return blend(shade, (20, 18, 24), 0.35)
    if draw < 0.55 and luma(shade) < 170:
        return blend(shade, (250, 246, 238), 0.5)
    return pick(rng, ACCENTS.neutrals)
