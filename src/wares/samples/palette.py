"""Colours, patterns, materials and occasions: what sellers and buyers call them, and what they look like.

Read from palette.toml.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic.dataclasses import dataclass

from wares.samples.drawing.paint import FINISHES, Colour
from wares.samples.drawing.textures import PRINTS
from wares.samples.randomness import Rng
from wares.samples.tables import CHECKED, HexColour, check_names, read_table

FILE = "palette.toml"
Words = tuple[str, ...]


@dataclass(frozen=True, config=CHECKED)
class NamedColour:
    """One colour: its words, its shades, and the colours that people take for it."""

    words: Words
    shades: tuple[HexColour, ...]
    near: Words


@dataclass(frozen=True, config=CHECKED)
class Material:
    """One material: its words, and the finish that draws it."""

    words: Words
    finish: str


@dataclass(frozen=True, config=CHECKED)
class Accents:
    """Colours of the parts that do not take the colour of the item."""

    woods: tuple[HexColour, ...]
    neutrals: tuple[HexColour, ...]
    cold_metal: HexColour
    warm_metal: HexColour


@dataclass(frozen=True, config=CHECKED)
class Palette:
    """All of palette.toml."""

    colours: Mapping[str, NamedColour]
    patterns: Mapping[str, Words]
    materials: Mapping[str, Material]
    occasions: Mapping[str, Words]
    accents: Accents


def _read_palette() -> Palette:
    palette = read_table(FILE, Palette)
    for name, colour in palette.colours.items():
        check_names(FILE, f"colours.{name}.near", colour.near, palette.colours)
    for name, material in palette.materials.items():
        check_names(FILE, f"materials.{name}.finish", [material.finish], FINISHES)
    check_names(FILE, "patterns", palette.patterns, ["plain", *PRINTS])
    return palette


_PALETTE = _read_palette()
COLOURS, PATTERNS, MATERIALS = _PALETTE.colours, _PALETTE.patterns, _PALETTE.materials
OCCASIONS, ACCENTS = _PALETTE.occasions, _PALETTE.accents


def jitter(colour: Colour, rng: Rng, by: float = 7) -> Colour:
    """Return nearly the same colour: each channel moves by a normal deviate of standard deviation `by`."""
    red, green, blue = (int(np.clip(channel + rng.normal(0, by), 0, 255)) for channel in colour)
    return red, green, blue


def luma(colour: Colour) -> float:
    """Return the brightness of a colour, 0 to 255."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def blend(one: Colour, two: Colour, share: float) -> Colour:
    """Return a mixture with a share of the second colour."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue
