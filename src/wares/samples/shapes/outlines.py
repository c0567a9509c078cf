"""What shapes are made of: strokes, turned bodies, rims, pairs and mirror images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from wares.samples.drawing.geometry import ellipse, spline, transformed
from wares.samples.drawing.layers import Layer

Vary = Callable[[float], float]  # a length, a little longer or shorter
DrawShape = Callable[[str, Vary], list[Layer]]


def stroke(knots: str, paint: str, width: float, depth: float = 0.0, lift: float = 0.8, shade: float = 1.0) -> Layer:
    """Return an open curve of even width: a strap, a cord, a leg."""
    return Layer(spline(knots, closed=False), paint, "puff", depth or width * 0.9, width, lift, shade)


def lathe(profile: str, paint: str, x: float = 50, lift: float = 1.2, bow: float = 0.12) -> Layer:
    """Return a body of revolution about a vertical axis.

    profile: "radius,y" points from top to bottom
    x: the axis
    bow: how far the two ends curve towards the viewer, as a share of their radius
    """
    knots = [tuple(map(float, word.split(","))) for word in profile.split()]
    left = spline(" ".join(f"{x - radius},{y}" for radius, y in knots), closed=False)
    angle = np.linspace(0, math.pi, 16)
    bottom, top = (
        np.stack([x + side * radius * np.cos(angle), y + bow * radius * np.sin(angle)], 1)
        for (radius, y), side in ((knots[-1], -1), (knots[0], 1))
    )
    right = np.stack([2 * x - left[::-1, 0], left[::-1, 1]], 1)
    return Layer(np.vstack([left, bottom, right, top]), paint, "lathe", lift=lift)


def rim(x: float, y: float, rx: float, paint: str = "inside", ry: float | None = None) -> list[Layer]:
    """Return the opening of a cup or vase: its lip, and its inside in the given paint."""
    ry = rx * 0.14 if ry is None else ry
    return [
        Layer(ellipse(x, y, rx, ry), "lip", "flat", lift=0),
        Layer(ellipse(x, y + 0.5, rx * 0.93, ry * 0.8), paint, "flat", lift=0, shade=0.62),
    ]


def mirrored(knots: str, paint: str, depth: float = 5, lift: float = 1.2, shade: float = 1) -> list[Layer]:
    """Return a polygon and its mirror image about x = 50."""
    left = spline(knots)
    right = np.stack([100 - left[::-1, 0], left[::-1, 1]], 1)
    return [Layer(points, paint, "puff", depth=depth, lift=lift, shade=shade) for points in (left, right)]


def transform_layers(
    layers: list[Layer], scale: float = 1, turn: float = 0, offset: tuple[float, float] = (0, 0)
) -> list[Layer]:
    """Scale layers and turn them (degrees) about the centre of the picture, then shift them."""
    return [
        replace(
            layer,
            points=transformed(layer.points, scale, turn, offset=offset),
            depth=layer.depth * scale,
            width=layer.width * scale,
            holes=tuple(transformed(hole, scale, turn, offset=offset) for hole in layer.holes),
        )
        for layer in layers
    ]


def pair(layers: list[Layer], offset: tuple[float, float] = (10, 9), scale: float = 0.84) -> list[Layer]:
    """Return two copies of a shape, such as shoes: one behind, one in front, each shifted by the offset."""
    behind = transform_layers(layers, scale, 0, (offset[0], -offset[1]))
    return behind + transform_layers(layers, scale, 0, (-offset[0], offset[1]))
