"""What shapes are made of: straps, turned bodies, openings, pairs, mirror images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from wares.samples.drawing.geometry import ellipse, moved, outline
from wares.samples.drawing.layers import Part

Vary = Callable[[float], float]
Shaper = Callable[[str, Vary], list[Part]]


def line(text: str, paint: str, width: float, depth: float = 0.0, lift: float = 0.8, shade: float = 1.0) -> Part:
    """A strap, a cord, a leg: a curve of even width."""
    return Part(outline(text, closed=False), paint, "puff", depth or width * 0.9, width, lift, shade)


def turned(profile: str, paint: str, x: float = 50, lift: float = 1.2, bow: float = 0.12) -> Part:
    """A body made on a wheel. `profile` is "radius,y" from top to bottom; both ends bow towards us."""
    left = outline(
        " ".join(f"{x - float(r)},{y}" for r, y in (word.split(",") for word in profile.split())), closed=False
    )
    first, last = profile.split()[0], profile.split()[-1]
    arcs = []
    for radius, y, way in (
        (float(last.split(",")[0]), float(last.split(",")[1]), -1),
        (float(first.split(",")[0]), float(first.split(",")[1]), 1),
    ):
        angle = np.linspace(0, math.pi, 16)
        arcs.append(np.stack([x + way * radius * np.cos(angle), y + bow * radius * np.sin(angle)], 1))
    right = np.stack([2 * x - left[::-1, 0], left[::-1, 1]], 1)
    return Part(np.vstack([left, arcs[0], right, arcs[1]]), paint, "lathe", lift=lift)


def opening(x: float, y: float, rx: float, paint: str = "inside", ry: float | None = None) -> list[Part]:
    """The mouth of a cup or vase, with its lip."""
    ry = rx * 0.14 if ry is None else ry
    return [
        Part(ellipse(x, y, rx, ry), "lip", "flat", lift=0),
        Part(ellipse(x, y + 0.5, rx * 0.93, ry * 0.8), paint, "flat", lift=0, shade=0.62),
    ]


def pair(parts: list[Part], by: tuple[float, float] = (10, 9), scale: float = 0.84) -> list[Part]:
    """Two of the same: one behind, one in front."""
    behind = [_placed(part, scale, 0, (by[0], -by[1])) for part in parts]
    front = [_placed(part, scale, 0, (-by[0], by[1])) for part in parts]
    return behind + front


def _placed(part: Part, scale: float = 1, turn: float = 0, by: tuple[float, float] = (0, 0)) -> Part:
    holes = tuple(moved(hole, scale, turn, by=by) for hole in part.holes)
    return Part(
        moved(part.outline, scale, turn, by=by),
        part.paint,
        part.relief,
        part.depth * scale,
        part.width * scale,
        part.lift,
        part.shade,
        holes,
        part.closed_line,
    )


def placed(parts: list[Part], scale: float = 1, turn: float = 0, by: tuple[float, float] = (0, 0)) -> list[Part]:
    """A thing moved, turned or made smaller."""
    return [_placed(part, scale, turn, by) for part in parts]


def both(text: str, paint: str, **how: float) -> list[Part]:
    """A part and its mirror image about x = 50."""
    one = outline(text)
    two = np.stack([100 - one[::-1, 0], one[::-1, 1]], 1)
    return [
        Part(points, paint, "puff", depth=how.get("depth", 5), lift=how.get("lift", 1.2), shade=how.get("shade", 1))
        for points in (one, two)
    ]
