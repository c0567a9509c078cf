"""Shapes of tableware, lamps, furniture and textiles for the home."""

from __future__ import annotations

import math

import numpy as np

from wares.samples.drawing.geometry import ellipse, rectangle, spline, transformed
from wares.samples.drawing.layers import Layer
from wares.samples.shapes.outlines import Vary, lathe, mirrored, rim, stroke, transform_layers


def mug(shape: str, vary: Vary) -> list[Layer]:
    """Draw a tall, wide or tapered mug, or an espresso cup with its saucer."""
    sizes = {"tall": (21, 16, 88), "wide": (29, 30, 84), "tapered": (28, 22, 86), "espresso": (21, 38, 80)}
    radius, top, bottom = sizes[shape]
    r = vary(radius)
    profile = {
        "tall": f"{r},{top} {r},50 {r},{bottom - 4} {r - 2},{bottom}",
        "wide": f"{r},{top} {r + 2},52 {r},72 {r - 8},{bottom}",
        "tapered": f"{r},{top} {r - 4},50 {r - 8},{bottom - 2} {r - 9},{bottom}",
        "espresso": f"{r},{top} {r - 1},58 {r - 3},{bottom - 4} {r - 6},{bottom}",
    }[shape]
    x, mid = 44, (top + bottom) / 2
    reach = {"tall": 16, "wide": 17, "tapered": 16, "espresso": 12}[shape]
    edge = x + r - (4 if shape == "tapered" else 1)
    handle = stroke(
        f"{x + r - 2},{top + 12} {edge + reach * 0.8},{top + 11} {edge + reach},{mid} "
        f"{edge + reach * 0.7},{bottom - 16} {edge - 2},{bottom - 14}",
        "trim",
        5.2,
        5,
    )
    layers = [handle, lathe(profile, "print", x), *rim(x, top, r, ry=r * 0.16)]
    if shape == "espresso":
        saucer = [
            Layer(ellipse(x, 84, r + 17, 6.5), "trim", "puff", 5),
            Layer(ellipse(x, 83, r, 3.4), "trim", "flat", lift=0, shade=0.8),
        ]
        return saucer + layers
    return layers


def teapot(shape: str, vary: Vary) -> list[Layer]:
    """Draw a round or tall teapot, or one of cast iron with a handle over the lid."""
    r, top = vary({"round": 27, "tall": 21, "cast": 29}[shape]), {"round": 38, "tall": 26, "cast": 46}[shape]
    mid = (top + 88) / 2
    profile = {
        "round": f"12,{top} 22,{top + 7} {r},{mid} 23,80 14,88",
        "tall": f"13,{top} 16,{top + 12} {r - 1},{mid + 8} {r},78 16,88",
        "cast": f"13,{top} 25,{top + 8} {r},{mid} 26,80 18,87",
    }[shape]
    spout = spline(
        f"{52 - r},{mid - 6}! {44 - r},{mid - 8} {37 - r},{top + 2} {32 - r},{top - 3}! {29 - r},{top + 1}! "
        f"{34 - r},{mid} {42 - r},{mid + 13} {54 - r},{mid + 16}!"
    )
    layers = [Layer(spout * (1, 1) + (3, 0), "trim", "puff", 6)]
    if shape == "cast":
        layers.append(stroke(f"30,{top + 6} 28,20 53,8 78,20 76,{top + 6}", "metal", 3, 3))
    else:
        layers.append(
            stroke(
                f"{51 + r - 4},{top + 12} {50 + r + 12},{top + 8} {50 + r + 17},{mid + 2} {50 + r + 8},{mid + 15} "
                f"{51 + r - 3},{mid + 18}",
                "trim",
                5.4,
                5,
            )
        )
    return [
        *layers,
        lathe(profile, "print", 53),
        lathe(f"2,{top - 9} 9,{top - 5} 13,{top + 1}", "trim", 53, bow=0.2),
        Layer(ellipse(53, top - 11, 3.8, 3.6), "trim", "puff", 4),
    ]


def vase(shape: str, vary: Vary) -> list[Layer]:
    """Draw a bottle, an urn, a cylinder or a round vase."""
    profile, lip = {
        "bottle": ("7,12 6,24 8,40 24,58 26,74 17,92", 7),
        "urn": ("15,18 12,26 26,42 27,56 18,78 14,92", 15),
        "cylinder": ("19,14 19,40 19,70 18,92", 19),
        "round": ("9,26 9,32 30,50 33,66 26,84 15,92", 9),
    }[shape]
    k = vary(1.0)
    profile = " ".join(f"{float(word.split(',')[0]) * k},{word.split(',')[1]}" for word in profile.split())
    top = float(profile.split()[0].split(",")[1])
    layers = [lathe(profile, "print"), *rim(50, top, lip * k, ry=max(1.4, lip * k * 0.16))]
    if shape == "urn":
        handles = [
            stroke(f"{50 + s * 13 * k},24 {50 + s * 27},24 {50 + s * 29},36 {50 + s * 24},42", "trim", 3.2, 3)
            for s in (-1, 1)
        ]
        return handles + layers
    return layers


def lamp(shape: str, vary: Vary) -> list[Layer]:
    """Draw a mushroom lamp, a desk lamp, or a shade on a table, drum or tripod base."""
    w = vary(28)
    if shape == "mushroom":
        shade = f"{48 - w},50! {50 - w},34 {54 - w * 0.6},20 50,14 {46 + w * 0.6},20 {50 + w},34 {52 + w},50! 50,56"
        return [lathe("9,44 8,60 10,78 17,92", "trim"), Layer(spline(shade), "glow", "puff", 18)]
    if shape == "desk":
        cone = lathe("6,8 9,14 20,34", "print", 66, bow=0.22).points
        return [
            Layer(ellipse(46, 90, 20, 5), "trim", "puff", 4),
            stroke("46,88 30,60 26,48", "metal", 2.6, 2.4),
            stroke("26,48 44,28 62,20", "metal", 2.6, 2.4),
            Layer(ellipse(26, 48, 3.2), "metal", "puff", 2.5),
            Layer(transformed(cone, 1, -28, (66, 18)), "glow", "puff", 10),
            Layer(ellipse(73, 33, 4), "bulb", "puff", 3, lift=0),
        ]
    base, narrow = {
        "tripod": ([stroke(f"50,44 {x},94", "wood", 2.8, 2.4) for x in (50, 30, 70)], 0.7),
        "table": ([lathe("3,46 8,56 13,68 9,82 15,88 15,92", "trim")], 0.5),
        "drum": ([lathe("2.4,46 2.4,86", "metal"), lathe("15,88 16,92", "trim")], 0.96),
    }[shape]
    return [
        *base,
        lathe(f"{w * narrow},8 {w},48", "glow", bow=0.1),
        Layer(ellipse(50, 8, w * narrow, w * narrow * 0.1), "pale", "flat", lift=0),
        stroke(f"{50 - w},48.4 50,{48.6 + w * 0.1} {50 + w},48.4", "trim", 1.3, lift=0.2),
    ]


def chair(shape: str, vary: Vary) -> list[Layer]:
    """Draw a stool, an armchair, a dining chair or a tub chair."""
    draw = {"stool": _stool, "armchair": _armchair, "dining": _dining, "tub": _tub}[shape]
    return draw(vary)


def _stool(vary: Vary) -> list[Layer]:
    legs = [stroke(f"{50 + k * 14},46 {50 + k * 20},94", "wood", 3.4, 3) for k in (-1, 1)] + [
        stroke("44,50 42,86", "wood", 2.8, shade=0.75),
        stroke("56,50 58,86", "wood", 2.8, shade=0.75),
    ]
    return [
        *legs,
        stroke("33,76 50,77 67,76", "wood", 2.2),
        lathe("24,38 25,46", "print", bow=0.22),
        Layer(ellipse(50, 37.5, 24.5, vary(7)), "print", "puff", 6, lift=0.4),
    ]


def _armchair(vary: Vary) -> list[Layer]:
    w = vary(32)
    legs = [stroke(f"{50 + k * 24},86 {50 + k * 26},97", "wood", 4, 3) for k in (-1, 1)]
    return [
        *legs,
        Layer(
            spline(f"{54 - w},60! {52 - w},24 {58 - w},10 50,7 {42 + w},10 {48 + w},24 {46 + w},60!"),
            "print",
            "puff",
            14,
        ),
        Layer(rectangle(26, 70, 74, 88, 3), "print", "puff", 5, shade=0.85),
        Layer(rectangle(27, 54, 73, 73, 7), "print", "puff", 9),
        *[
            Layer(
                spline(f"{50 + k * 22},46 {50 + k * 34},43 {50 + k * 40},54 {50 + k * 38},88! {50 + k * 23},89!"),
                "print",
                "puff",
                9,
            )
            for k in (-1, 1)
        ],
    ]


def _dining(vary: Vary) -> list[Layer]:
    back = [stroke(f"{x},6 {x + lean},60", "wood", 4, 3) for x, lean in ((28, 1.5), (72, -1.5))]
    slats = [stroke(f"30,{y} 50,{y - 2} 70,{y}", "wood", 4.4, 3) for y in (12, 24, 36)]
    return [
        *back,
        *slats,
        *[stroke(f"{x},58 {x},86", "wood", 3, shade=0.7) for x in (33, 67)],
        *[stroke(f"{x},64 {x + k},96", "wood", 4, 3) for x, k in ((27, -2), (73, 2))],
        Layer(spline("30,50! 50,48 70,50! 78,64! 50,67 22,64!"), "print", "puff", 6),
        stroke("23,66 50,69.5 77,66", "wood", 3.4, 2),
    ]


def _tub(vary: Vary) -> list[Layer]:
    return [
        *[stroke(f"{x},60 {y},94", "wood", 3.2, 3) for x, y in ((36, 26), (64, 74), (42, 38), (58, 62))],
        Layer(spline("22,50 24,22 36,10 50,8 64,10 76,22 78,50 74,58 50,52 26,58"), "print", "puff", 12),
        Layer(spline("20,48 28,54 50,57 72,54 80,48 80,60 68,70 50,72 32,70 20,60"), "main", "puff", 8),
        Layer(ellipse(50, 57, 24, 6), "trim", "puff", 5, lift=0.4),
    ]


def cushion(shape: str, vary: Vary) -> list[Layer]:
    """Draw a square, round or tasselled cushion, or a bolster."""
    if shape == "round":
        return [
            Layer(ellipse(50, 50, 42, vary(41)), "print", "puff", 30),
            Layer(ellipse(50, 50, 40.5, 39.5), "trim", "puff", 1.2, 1.4, 0.2, closed_line=True),
            Layer(ellipse(50, 50, 3.6), "trim", "puff", 3),
        ]
    if shape == "bolster":
        return [
            Layer(spline("12,34 50,31 88,34 92,50 88,66 50,69 12,66 8,50"), "print", "puff", 20),
            *mirrored("8,50 9,40 13,34 17,42 18,50 17,58 13,66 9,60", "trim", depth=4, lift=0.4),
        ]
    inset = vary(5)
    edge = spline(
        f"8,9! 28,{8 + inset} 50,{9 + inset} 72,{8 + inset} 92,9! {92 - inset},30 {91 - inset},50 {92 - inset},70 "
        f"91,91! 70,{92 - inset} 50,{91 - inset} 30,{92 - inset} 9,91! {8 + inset},70 {9 + inset},50 {8 + inset},30"
    )
    layers = [Layer(edge, "print", "puff", 30), Layer(edge, "trim", "puff", 1.2, 1.3, 0.2, closed_line=True)]
    if shape == "tasselled":
        for x, y, dx, dy in ((8, 9, -1, -1), (92, 9, 1, -1), (9, 91, -1, 1), (91, 91, 1, 1)):
            layers += [
                stroke(f"{x},{y} {x + dx * (3 + k)},{y + dy * (6 - k)}", "trim", 1.5, lift=0.3) for k in (-1, 1, 3)
            ]
            layers.append(Layer(ellipse(x, y, 2.2), "trim", "puff", 2, lift=0.4))
        return transform_layers(layers, 0.9)
    return layers


def rug(shape: str, vary: Vary) -> list[Layer]:
    """Draw a rectangular or round rug, or a runner."""
    if shape == "round":
        return [
            Layer(ellipse(50, 50, 46), "trim", "flat"),
            Layer(ellipse(50, 50, vary(40)), "print", "flat", lift=0.2),
            Layer(ellipse(50, 50, 43), "pale", "flat", 1, 1.0, 0, closed_line=True),
        ]
    left, right = (8, 92) if shape == "rectangular" else (27, 73)
    top, bottom = (20, 80) if shape == "rectangular" else (5, 95)
    if shape == "rectangular":
        fringe = [
            stroke(f"{s},{y} {s + d * 4.5},{y + 0.6}", "pale", 0.8, lift=0.2)
            for s, d in ((left, -1), (right, 1))
            for y in np.linspace(top + 1, bottom - 1, 22)
        ]
    else:
        fringe = [
            stroke(f"{x},{s} {x + 0.6},{s + d * 4}", "pale", 0.8, lift=0.2)
            for s, d in ((top, -1), (bottom, 1))
            for x in np.linspace(left + 1, right - 1, 18)
        ]
    return [
        *fringe,
        Layer(rectangle(left, top, right, bottom, 1), "trim", "flat"),
        Layer(rectangle(left + 4, top + 4, right - 4, bottom - 4, 0.5), "pale", "flat", lift=0),
        Layer(rectangle(left + 5.5, top + 5.5, right - 5.5, bottom - 5.5, 0.5), "print", "flat", lift=0),
    ]


def clock(shape: str, vary: Vary) -> list[Layer]:
    """Draw a wall clock, a sunburst clock or an alarm clock."""
    r, y = vary(38), 50
    layers = []
    if shape == "sunburst":
        r, ray = 26, spline("49,4! 51,4! 52,30! 48,30!")
        layers = [Layer(transformed(ray, 1, k * 360 / 28), "trim", "puff", 1.4, lift=0.5) for k in range(28)]
    elif shape == "alarm":
        r, y = 33, 52
        layers = [
            *[Layer(ellipse(50 + s * 20, 17, 12, 9), "metal", "puff", 7) for s in (-1, 1)],
            *[stroke(f"{50 + s * 22},84 {50 + s * 29},95", "metal", 4, 3) for s in (-1, 1)],
            stroke("44,10 50,6 56,10", "metal", 2),
        ]
    layers.append(Layer(ellipse(50, y, r), "print", "puff", 6))
    layers.append(Layer(ellipse(50, y, r - 5), "dial", "flat", lift=0, shade=0.98))
    return [*layers, *_clock_hours(y, r), *_clock_hands(y, r)]


def _clock_hours(y: float, r: float) -> list[Layer]:
    layers = []
    for hour in range(12):
        sin, cos = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
        near, width = (r - 13, 2.2) if hour % 3 == 0 else (r - 10, 1.0)
        line = np.array([(50 + near * sin, y - near * cos), (50 + (r - 7.5) * sin, y - (r - 7.5) * cos)])
        layers.append(Layer(line, "dark", "flat", 1, width, 0))
    return layers


def _clock_hands(y: float, r: float) -> list[Layer]:
    hour, minute = (
        Layer(np.array([(50.0, y), (50 + dx * r, y + dy * r)]), "dark", "flat", 1, width, 0.4)
        for dx, dy, width in ((-0.38, -0.26, 2.6), (0.32, -0.52, 1.8))
    )
    second = np.array([(50 - 0.06 * r, y - 0.14 * r), (50 + 0.22 * r, y + 0.5 * r)])
    centre = Layer(ellipse(50, y, 2.2), "trim", "puff", 1.6, lift=0.3)
    return [hour, minute, Layer(second, "trim", "flat", 1, 0.8, 0.3), centre]
