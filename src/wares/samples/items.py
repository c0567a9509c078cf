"""Items for sale, drawn at random: the truth about each, before it is photographed and described."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wares.samples.drawing.paint import Colour
from wares.samples.kinds import KINDS, patterns_of, sizes_of
from wares.samples.palette import ACCENTS, COLOURS, blend, jitter, luma
from wares.samples.randomness import Rng, pick


@dataclass(frozen=True)
class Item:
    """One item, and everything that is true of it.

    origin: number of the first listing that sells it
    trim, ink: second colour of the item, and of its print
    print_turn: degrees
    """

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
    size: str
    print_scale: float
    print_turn: float
    metal: Colour
    wood: Colour

    def attributes(self) -> dict[str, str]:
        """Return the attributes that queries ask for, by name."""
        names = ("kind", "shape", "colour", "pattern", "material", "occasion")
        return {name: str(getattr(self, name)) for name in names}


def random_item(rng: Rng, number: int) -> Item:
    """Draw an item that listing `number` sells first."""
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
        kind=name,
        shape=pick(rng, list(kind.shapes)),
        colour=colour,
        shade=shade,
        pattern=pattern,
        material=material,
        occasion=pick(rng, kind.occasions),
        trim=_random_trim(rng, shade),
        ink=_random_ink(rng, shade, pattern),
        origin=number,
        size=pick(rng, sizes_of(name)) if kind.sizes else "",
        print_scale=float(rng.uniform(0.7, 1.25)),
        print_turn=float(pick(rng, (0, 0, 0, 45, 90) if pattern in ("striped", "zigzag") else (0, 0, 45))),
        metal=_random_metal(rng, material),
        wood=jitter(pick(rng, ACCENTS.woods), rng),
    )


def recoloured(item: Item, rng: Rng) -> Item:
    """Return the item in another colour."""
    colour = pick(rng, [name for name in COLOURS if name != item.colour])
    shade = jitter(pick(rng, COLOURS[colour].shades), rng)
    return replace(item, colour=colour, shade=shade, ink=_random_ink(rng, shade, item.pattern))


def _random_trim(rng: Rng, shade: Colour) -> Colour:
    """Draw a second colour that is quieter than the first."""
    choice = rng.random()
    if choice < 0.4:
        return blend(shade, (20, 18, 24), 0.35)
    if choice < 0.55 and luma(shade) < 170:
        return blend(shade, (250, 246, 238), 0.5)
    return pick(rng, ACCENTS.neutrals)


def _random_ink(rng: Rng, shade: Colour, pattern: str) -> Colour:
    """Draw the colour of a print: pale on dark and dark on pale, so that the shade names the item's colour."""
    if pattern == "leopard" and luma(shade) > 75:
        return blend(shade, (34, 22, 18), 0.78)
    if luma(shade) > 165:
        return pick(rng, ((70, 74, 92), (120, 84, 66), (196, 84, 84), (66, 96, 92), (60, 84, 140)))
    return pick(rng, ((246, 242, 232), (246, 242, 232), (248, 232, 196), (250, 224, 224)))


def _random_metal(rng: Rng, material: str) -> Colour:
    """Draw the colour of metal parts: silver is cold, gold is warm, and other materials take either."""
    cold = material == "silver" or (material != "gold" and rng.random() < 0.4)
    return ACCENTS.cold_metal if cold else ACCENTS.warm_metal
