"""Paints: a colour, a print on it, and how a material reflects light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Finish:
    """How a material reflects light.

    gloss, sharpness: strength of the highlight, and the exponent of its falloff as a power of two
    grain, roughness: texture of the surface (a row of textures.GRAINS), and its contrast
    folds: contrast of folds in cloth
    metal: whether it mirrors sky and floor
    opacity: 1 unless light shines through
    """

    gloss: float = 0.0
    sharpness: int = 4
    grain: str = ""
    roughness: float = 0.0
    folds: float = 0.0
    metal: bool = False
    opacity: float = 1.0


FINISHES: Mapping[str, Finish] = {
    "leather": Finish(0.30, 4, "pebble", 0.10),
    "patent leather": Finish(0.75, 5),
    "suede": Finish(0.0, 3, "fuzz", 0.13),
    "canvas": Finish(0.02, 3, "weave", 0.13, 0.03),
    "cotton": Finish(0.0, 3, "weave", 0.05, 0.10),
    "linen": Finish(0.0, 3, "weave", 0.15, 0.09),
    "denim": Finish(0.0, 3, "twill", 0.20, 0.06),
    "wool": Finish(0.0, 3, "knit", 0.26, 0.06),
    "silk": Finish(0.24, 3, "", 0.0, 0.17),
    "velvet": Finish(0.0, 3, "fuzz", 0.08, 0.12),
    "plush": Finish(0.0, 3, "fur", 0.24, 0.02),
    "nylon": Finish(0.14, 3, "weave", 0.04, 0.05),
    "straw": Finish(0.03, 3, "rattan", 0.24),
    "rattan": Finish(0.06, 3, "rattan", 0.34),
    "jute": Finish(0.0, 3, "rattan", 0.26),
    "ceramic": Finish(0.55, 5),
    "porcelain": Finish(0.75, 6),
    "stoneware": Finish(0.10, 3, "speckle", 0.24),
    "glass": Finish(0.95, 6, opacity=0.62),
    "enamel": Finish(0.65, 5, "speckle", 0.05),
    "wood": Finish(0.14, 4, "wood", 0.26),
    "lacquer": Finish(0.60, 5, "wood", 0.10),
    "metal": Finish(0.70, 4, metal=True),
    "brushed": Finish(0.45, 4, "brushed", 0.12, metal=True),
    "stone": Finish(0.80, 5, "cloud", 0.22),
    "rubber": Finish(0.05, 3, "fuzz", 0.03),
    "plastic": Finish(0.35, 4),
    "paper": Finish(0.0, 3, "weave", 0.04),
}


@dataclass(frozen=True)
class Paint:
    """The colour and finish of the layers that name it.

    print, inks: a pattern (a row of textures.PRINTS) and its two colours; print_turn in degrees
    glow: share of the light that it gives off itself, 0 to 1
    """

    colour: Colour
    finish: str = "plastic"
    print: str = "plain"
    inks: tuple[Colour, Colour] = ((255, 255, 255), (90, 130, 80))
    print_scale: float = 1.0
    print_turn: float = 0.0
    glow: float = 0.0
