"""What the renderer draws: layers with a relief, back to front, seen through a viewport."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wares.samples.drawing.geometry import Points

Relief = Literal["flat", "puff", "lathe"]


@dataclass(frozen=True)
class Layer:
    """One polygon of a shape, or one stroke if it has a width. Lengths are in units, 100 to a picture.

    paint: name of the paint that fills it
    relief: flat, rounded towards its edge, or round like a turned body
    depth: how far from the edge a puff is rounded
    lift: height above the layers below, which sets the size of its shadow
    shade: brightness, 1 for full light
    holes: polygons cut out of it
    closed_line: whether a stroke returns to its start
    """

    points: Points
    paint: str = "main"
    relief: Relief = "puff"
    depth: float = 5.0
    width: float = 0.0
    lift: float = 1.2
    shade: float = 1.0
    holes: tuple[Points, ...] = ()
    closed_line: bool = False


@dataclass(frozen=True)
class Viewport:
    """The square of units that a canvas shows, and the pixels of its side."""

    left: float = 0.0
    top: float = 0.0
    units: float = 100.0
    pixels: int = 288

    @property
    def scale(self) -> float:
        """Pixels per unit."""
        return self.pixels / self.units
