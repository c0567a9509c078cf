"""Colours, patterns, materials and occasions: what sellers and buyers call them, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wares.samples.drawing.paint import Colour

Words = Sequence[str]


@dataclass(frozen=True)
class Tone:
    """One colour: its words, its shades, and the colours that people take for it."""

    words: Words
    shades: Sequence[Colour]
    near: Words = ()


COLOURS: Mapping[str, Tone] = {
    "red": Tone(
        ("red", "crimson", "scarlet", "burgundy", "cherry"),
        ((196, 38, 44), (168, 28, 40), (128, 24, 44)),
        ("pink", "orange"),
    ),
    "orange": Tone(
        ("orange", "rust", "terracotta", "tangerine"),
        ((226, 116, 42), (196, 88, 48), (236, 140, 60)),
        ("red", "yellow"),
    ),
    "yellow": Tone(
        ("yellow", "mustard", "lemon", "sunflower"), ((238, 200, 64), (214, 166, 46), (244, 218, 104)), ("orange",)
    ),
    "green": Tone(
        ("green", "olive", "forest", "sage", "emerald"),
        ((52, 122, 78), (106, 118, 58), (38, 84, 62), (142, 164, 126)),
        ("teal",),
    ),
    "teal": Tone(
        ("teal", "turquoise", "aqua", "petrol"), ((36, 140, 144), (64, 178, 176), (26, 104, 114)), ("green", "blue")
    ),
    "blue": Tone(
        ("blue", "cobalt", "sky", "cornflower"), ((52, 104, 188), (96, 150, 210), (40, 82, 168)), ("navy", "teal")
    ),
    "navy": Tone(("navy", "midnight blue", "dark blue"), ((30, 42, 84), (36, 48, 100)), ("blue", "black")),
    "purple": Tone(
        ("purple", "lilac", "plum", "lavender", "violet"), ((118, 72, 148), (150, 120, 186), (90, 46, 96)), ("pink",)
    ),
    "pink": Tone(
        ("pink", "blush", "rose", "fuchsia"), ((232, 142, 160), (240, 184, 186), (216, 82, 130)), ("red", "purple")
    ),
    "brown": Tone(
        ("brown", "tan", "chocolate", "cognac"), ((132, 84, 54), (168, 116, 72), (88, 56, 40)), ("beige", "orange")
    ),
    "beige": Tone(
        ("beige", "cream", "sand", "oatmeal"), ((218, 200, 168), (232, 218, 192), (200, 180, 150)), ("white", "brown")
    ),
    "white": Tone(("white", "ivory", "off-white"), ((242, 240, 234), (246, 243, 236)), ("beige",)),
    "grey": Tone(
        ("grey", "gray", "charcoal", "silver grey"), ((140, 144, 150), (108, 112, 120), (172, 174, 176)), ("black",)
    ),
    "black": Tone(("black", "jet black", "ebony"), ((48, 47, 52), (40, 40, 46)), ("navy", "grey")),
}

PATTERNS: Mapping[str, Words] = {
    "plain": ("plain", "solid colour", "unpatterned"),
    "striped": ("striped", "stripy", "stripes", "breton"),
    "dotted": ("polka dot", "spotty", "dotted", "spotted"),
    "checked": ("checked", "plaid", "tartan", "gingham"),
    "floral": ("floral", "flowery", "flower print", "blossom"),
    "zigzag": ("zigzag", "chevron", "zig zag"),
    "stars": ("star print", "starry", "stars"),
    "leopard": ("leopard print", "animal print", "leopard"),
}

MATERIALS: Mapping[str, Words] = {
    "leather": ("leather", "real leather", "genuine leather", "cowhide"),
    "suede": ("suede", "nubuck"),
    "patent": ("patent leather", "patent"),
    "canvas": ("canvas", "sailcloth"),
    "cotton": ("cotton", "jersey", "organic cotton"),
    "linen": ("linen", "flax"),
    "denim": ("denim", "jean"),
    "wool": ("wool", "lambswool", "merino", "woollen"),
    "silk": ("silk", "satin", "silky satin"),
    "velvet": ("velvet", "velour"),
    "plush": ("plush", "soft fur"),
    "nylon": ("nylon", "ripstop", "waterproof nylon"),
    "straw": ("straw", "raffia"),
    "jute": ("jute", "hessian"),
    "ceramic": ("ceramic", "glazed ceramic", "earthenware"),
    "porcelain": ("porcelain", "bone china", "fine china"),
    "stoneware": ("stoneware", "pottery", "hand-thrown clay"),
    "glass": ("glass", "hand-blown glass"),
    "enamel": ("enamel", "enamelled tin"),
    "wood": ("wooden", "oak", "solid wood", "beech"),
    "metal": ("metal", "brass", "steel"),
    "plastic": ("plastic", "acrylic"),
    "gold": ("gold", "gold plated", "14k gold"),
    "silver": ("silver", "sterling silver", "925 silver"),
    "spruce": ("spruce", "spruce top"),
    "mahogany": ("mahogany", "mahogany body"),
    "maple": ("maple", "flame maple"),
    "paper": ("paper", "rice paper"),
    "polyester": ("polyester", "pongee"),
}

FINISH_OF: Mapping[str, str] = {
    "patent": "patent leather",
    "gold": "stone",
    "silver": "stone",
    "spruce": "lacquer",
    "mahogany": "lacquer",
    "maple": "lacquer",
    "polyester": "nylon",
    "metal": "brushed",
}

OCCASIONS: Mapping[str, Words] = {
    "wedding": ("wedding", "bridal", "bridesmaid"),
    "party": ("party", "night out", "cocktail"),
    "office": ("office", "work", "business"),
    "hiking": ("hiking", "trekking", "outdoor"),
    "summer": ("summer", "beach", "holiday"),
    "winter": ("winter", "snow", "cold weather"),
    "christmas": ("christmas", "xmas", "festive"),
    "nursery": ("nursery", "baby room", "kids room"),
    "festival": ("festival", "boho", "hippie"),
    "school": ("school", "student", "college"),
    "garden": ("garden", "patio", "terrace"),
    "travel": ("travel", "weekend trip", "commuting"),
    "housewarming": ("housewarming", "new home", "first flat"),
    "sport": ("gym", "running", "sport"),
    "valentine": ("valentine", "anniversary", "romantic"),
    "retro": ("mid-century", "retro", "seventies"),
}
COLD_METAL: Colour = (196, 200, 206)
WARM_METAL: Colour = (212, 180, 104)
_WOODS: Sequence[Colour] = ((172, 122, 76), (138, 92, 56), (206, 164, 112), (98, 64, 44))
_NEUTRALS: Sequence[Colour] = ((240, 234, 222), (60, 56, 58), (122, 82, 54), (176, 132, 88), (226, 206, 172))


def jittered(colour: Colour, rng: np.random.Generator, by: float = 7) -> Colour:
    """Nearly the same colour."""
    red, green, blue = (int(np.clip(channel + rng.normal(0, by), 0, 255)) for channel in colour)
    return red, green, blue


def _brightness(colour: Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _mixed(one: Colour, two: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue
