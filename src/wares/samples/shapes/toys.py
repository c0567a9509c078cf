"""Shapes of instruments and toys."""

from __future__ import annotations

import numpy as np

from wares.samples.drawing.geometry import ellipse, rectangle, spline
from wares.samples.drawing.layers import Layer
from wares.samples.shapes.outlines import Vary, mirrored, stroke, transform_layers


def guitar(shape: str, vary: Vary) -> list[Layer]:
    """Draw an acoustic guitar, an electric guitar or a ukulele."""
    k = vary(1.0)
    behind, front = _electric_body() if shape == "electric" else _hollow_body(shape, k)
    frets = 60 - 48 * (1 - 0.91 ** np.arange(1, 15)) / (1 - 0.91**16)
    count, end = {"acoustic": (6, 82), "electric": (6, 80), "ukulele": (4, 82)}[shape]
    layers = [
        *behind,
        Layer(rectangle(47, 12, 53, 60), "wood", "puff", 3),
        Layer(rectangle(47.4, 12, 52.6, 60), "dark", "flat", lift=0.2),
        *[stroke(f"47.5,{y} 52.5,{y}", "metal", 0.5, lift=0) for y in frets],
        Layer(spline("46.5,13! 45,3! 50,1.5 55,3! 53.5,13!"), "wood", "puff", 2),
        *[Layer(ellipse(50 + s * 6.6, y, 1.2), "metal", "puff", 1, lift=0.3) for s in (-1, 1) for y in (4, 7.5, 11)],
        *front,
        *[stroke(f"{48 + s * 0.8},14 {47.6 + s * 0.96},{end}", "pale", 0.28, lift=0.15) for s in range(count)],
    ]
    return transform_layers(layers, 1.02)


def _electric_body() -> tuple[list[Layer], list[Layer]]:
    """Return the layers behind the neck and those in front of it."""
    body = spline(
        "46,56! 40,50 32,46 28,52 32,62 28,72 27,84 38,95 50,96 64,95 73,84 70,72 66,64 70,54 66,50 58,54 54,58!"
    )
    pickguard = spline("46,57 54,58 62,58 62,66 66,78 58,88 52,78 46,70")
    front = [
        *[Layer(rectangle(45.5, y, 54.5, y + 4, 1), "dark", "puff", 1.2, lift=0.3) for y in (63, 71)],
        Layer(rectangle(45, 79, 55, 83, 1), "metal", "puff", 1.2),
        *[Layer(ellipse(x, y, 1.8), "metal", "puff", 1.2) for x, y in ((62, 80), (63, 86))],
    ]
    return [Layer(body, "print", "puff", 6), Layer(pickguard, "trim", "flat", lift=0.4)], front


def _hollow_body(shape: str, k: float) -> tuple[list[Layer], list[Layer]]:
    """Return the layers behind the neck and those in front of it."""
    wide, top = (20 * k, 46) if shape == "acoustic" else (17 * k, 54)
    body = spline(
        f"50,{top} {50 - wide * 0.6},{top + 2} {50 - wide * 0.78},{top + 13} "
        f"{50 - wide * 0.62},{top + 22} {50 - wide},{top + 36} {50 - wide * 0.7},95 50,97",
        mirror=50,
    )
    layers = [
        Layer(body, "print", "puff", 4),
        Layer(ellipse(50, top + 19, 6.6), "trim", "flat", lift=0),
        Layer(ellipse(50, top + 19, 5.4), "dark", "flat", lift=0),
    ]
    return layers, [Layer(rectangle(43, 82, 57, 85.4, 1), "dark", "puff", 1.2)]


def teddy(shape: str, vary: Vary) -> list[Layer]:
    """Draw a bear, a bear with a bow, or a rabbit."""
    rabbit = shape == "rabbit"
    ear = (
        mirrored("36,24 31,6 35,0 41,3 44,20", "main", depth=6)
        if rabbit
        else [Layer(ellipse(50 + s * 17, 14, 8), "main", "puff", 7) for s in (-1, 1)]
    )
    inner = (
        mirrored("37,20 34,7 36,4 39,8 41,19", "trim", depth=3, lift=0.2)
        if rabbit
        else [Layer(ellipse(50 + s * 17, 14.5, 4.8), "trim", "puff", 4, lift=0.3) for s in (-1, 1)]
    )
    layers = [
        *mirrored("34,50 22,54 15,66 20,74 28,70 36,62", "main", depth=9),
        Layer(ellipse(50, 66, vary(22), 25), "print", "puff", 20),
        Layer(ellipse(50, 68, 13, 15), "trim", "puff", 10, lift=0.3),
        *[Layer(ellipse(50 + s * 19, 87, 11.5, 10), "main", "puff", 9) for s in (-1, 1)],
        *[Layer(ellipse(50 + s * 20, 88, 6.5, 6), "trim", "puff", 5, lift=0.3) for s in (-1, 1)],
        *ear,
        *inner,
        Layer(ellipse(50, 29, 22, 19.5), "main", "puff", 17),
        Layer(ellipse(50, 35, 9.5, 7.5), "trim", "puff", 7, lift=0.4),
        *[Layer(ellipse(50 + s * 8.5, 25, 2.1, 2.4), "dark", "puff", 2, lift=0.3) for s in (-1, 1)],
        Layer(ellipse(50, 32, 3.3, 2.3), "dark", "puff", 2, lift=0.3),
        stroke("46,38 50,40.5 54,38", "dark", 0.8, lift=0.1),
    ]
    if shape == "bow":
        layers += [
            *mirrored("49,47 38,42 36,52 40,54", "ribbon", depth=4),
            Layer(ellipse(50, 47.5, 3), "ribbon", "puff", 3),
        ]
    return layers
