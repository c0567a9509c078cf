"""What the renderer draws: outlines with a relief, back to front, seen through a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wares.samples.drawing.geometry import Points

Relief = Literal["flat", "puff", "lathe"]


@dataclass(frozen=True)
class Part:
    """One outline of a thing. `paint` names a slot; with `width` the outline is a line, not an area."""

    outline: Points
    paint: str = "main"
    relief: Relief = "puff"
    depth: float = 5.0
    width: float = 0.0
    lift: float = 1.2
    shade: float = 1.0
    holes: tuple[Points, ...] = ()
    closed_line: bool = False


@dataclass(frozen=True)
class View:
    """The window of units that a canvas shows."""

    left: float = 0.0
    top: float = 0.0
    units: float = 100.0
    pixels: int = 288

    @property
    def scale(self) -> float:
        return self.pixels / self.units
