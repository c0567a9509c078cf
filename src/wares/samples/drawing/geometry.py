"""Closed and open curves as arrays of points, and what moves them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def outline(text: str, mirror: float | None = None, closed: bool = True, samples: int = 9) -> Points:
    """A smooth curve through "x,y" points; `!` after a point makes it a corner.

    With `mirror`, the points are the left half, from top to bottom, and the right half is added.
    """
    knots = [(*map(float, word.rstrip("!").split(",")), word.endswith("!")) for word in text.split()]
    if mirror is not None:
        knots += [(2 * mirror - x, y, corner) for x, y, corner in reversed(knots)]
    at = np.array([(x, y) for x, y, _ in knots])
    corner = np.array([c for *_, c in knots])
    before, after = np.roll(at, 1, 0), np.roll(at, -1, 0)
    if not closed:
        before[0], after[-1] = at[0], at[-1]
    tangent = (after - before) / 2
    tangent[corner] = 0
    step = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    start, end, go, come = at[:, None], after[:, None], tangent[:, None], np.roll(tangent, -1, 0)[:, None]
    curve = (
        (2 * step**3 - 3 * step**2 + 1) * start
        + (step**3 - 2 * step**2 + step) * go
        + (3 * step**2 - 2 * step**3) * end
        + (step**3 - step**2) * come
    )
    return curve.reshape(-1, 2) if closed else np.vstack([curve[:-1].reshape(-1, 2), at[-1:]])


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """A circle, or an ellipse."""
    turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.stack([x + rx * np.cos(turn), y + (rx if ry is None else ry) * np.sin(turn)], 1)


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Points:
    """A rectangle with round corners."""
    radius = max(0.01, min(radius, (right - left) / 2, (bottom - top) / 2))
    turn = np.linspace(0, math.pi / 2, 7)
    arc = np.stack([np.cos(turn), np.sin(turn)], 1) * radius
    right_bottom = arc * (1, 1) + (right - radius, bottom - radius)
    left_bottom = arc[::-1] * (-1, 1) + (left + radius, bottom - radius)
    left_top = arc * (-1, -1) + (left + radius, top + radius)
    right_top = arc[::-1] * (1, -1) + (right - radius, top + radius)
    return np.vstack([right_bottom, left_bottom, left_top, right_top])


def moved(
    points: Points,
    scale: float = 1,
    turn: float = 0,
    about: tuple[float, float] = (50, 50),
    by: tuple[float, float] = (0, 0),
) -> Points:
    """Points scaled and turned (degrees) about a centre, then shifted."""
    angle = math.radians(turn)
    matrix = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (points - about) @ matrix + about + by
