"""Curves and polygons as arrays of points, shape (n, 2), in units, and their transforms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def spline(knots: str, mirror: float | None = None, closed: bool = True, samples: int = 9) -> Points:
    """Return a smooth curve through "x,y" knots; `!` after a knot makes it a corner.

    mirror: x of an axis; the knots are the left half, from top to bottom, and the right half is added
    samples: points for each knot

    Source: a cubic Hermite spline with Catmull-Rom tangents.
    """
    parsed = [(*map(float, word.rstrip("!").split(",")), word.endswith("!")) for word in knots.split()]
    if mirror is not None:
        parsed += [(2 * mirror - x, y, corner) for x, y, corner in reversed(parsed)]
    points = np.array([(x, y) for x, y, _ in parsed])
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    if not closed:
        before[0], after[-1] = points[0], points[-1]
    tangents = (after - before) / 2
    tangents[np.array([corner for *_, corner in parsed])] = 0
    curve = _hermite(points, after, tangents, np.roll(tangents, -1, 0), samples)
    return curve.reshape(-1, 2) if closed else np.vstack([curve[:-1].reshape(-1, 2), points[-1:]])


def _hermite(start: Points, end: Points, start_tangent: Points, end_tangent: Points, samples: int) -> Points:
    """Return the segments between knots, shape (n, samples, 2)."""
    step = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    return np.asarray(
        (2 * step**3 - 3 * step**2 + 1) * start[:, None]
        + (step**3 - 2 * step**2 + step) * start_tangent[:, None]
        + (3 * step**2 - 2 * step**3) * end[:, None]
        + (step**3 - step**2) * end_tangent[:, None]
    )


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """Return an ellipse about (x, y), a circle if only one radius is given."""
    angle = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + (rx if ry is None else ry) * np.sin(angle)], 1)


def rectangle(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Points:
    """Return a rectangle; with a radius, its corners are round."""
    radius = max(0.01, min(radius, (right - left) / 2, (bottom - top) / 2))
    angle = np.linspace(0, math.pi / 2, 7)
    arc = np.stack([np.cos(angle), np.sin(angle)], 1) * radius
    right_bottom = arc * (1, 1) + (right - radius, bottom - radius)
    left_bottom = arc[::-1] * (-1, 1) + (left + radius, bottom - radius)
    left_top = arc * (-1, -1) + (left + radius, top + radius)
    right_top = arc[::-1] * (1, -1) + (right - radius, top + radius)
    return np.vstack([right_bottom, left_bottom, left_top, right_top])


def transformed(
    points: Points,
    scale: float = 1,
    turn: float = 0,
    centre: tuple[float, float] = (50, 50),
    offset: tuple[float, float] = (0, 0),
) -> Points:
    """Return points scaled and turned (degrees) about a centre, then shifted."""
    angle = math.radians(turn)
    matrix = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (points - centre) @ matrix + centre + offset
