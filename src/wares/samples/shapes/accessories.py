"""Shapes of bags, watches, necklaces and umbrellas."""

from __future__ import annotations

import math

import numpy as np

from wares.samples.drawing.geometry import Points, ellipse, rectangle, spline, transformed
from wares.samples.drawing.layers import Layer
from wares.samples.shapes.outlines import Vary, lathe, rim, stroke


def handbag(shape: str, vary: Vary) -> list[Layer]:
    """Draw a tote, a clutch, a bucket bag or a satchel."""
    draw = {"tote": _tote, "clutch": _clutch, "bucket": _bucket, "satchel": _satchel}[shape]
    return draw(vary)


def _tote(vary: Vary) -> list[Layer]:
    w, top = vary(34), 40
    body = spline(
        f"{50 - w},{top}! {50 - w - 3},66 {50 - w + 2},90! 50,92 {50 + w - 2},90! {50 + w + 3},66 {50 + w},{top}!"
    )
    return [
        stroke(f"34,{top + 2} 34,16 50,10 66,16 66,{top + 2}", "trim", 3, shade=0.75),
        Layer(body, "print", "puff", 10),
        stroke(f"{50 - w + 1},{top + 2} 50,{top + 3} {50 + w - 1},{top + 2}", "trim", 3, lift=0.4),
        stroke(f"30,{top + 12} 31,20 50,13 69,20 70,{top + 12}", "trim", 3.4),
        *[Layer(rectangle(x - 3, top + 8, x + 3, top + 16, 1), "trim", "puff", 1.5, lift=0.4) for x in (30, 70)],
    ]


def _clutch(vary: Vary) -> list[Layer]:
    h = vary(20)
    return [
        Layer(rectangle(10, 58 - h, 90, 60 + h, 7), "print", "puff", 9),
        Layer(
            spline(
                f"11,{58 - h}! 50,{57 - h} 89,{58 - h}! 88,{58 - h / 3} 66,{58 + h / 4} 50,{60 + h / 3} "
                f"34,{58 + h / 4} 12,{58 - h / 3}"
            ),
            "print",
            "puff",
            6,
        ),
        Layer(ellipse(50, 60 + h / 3, 4), "metal", "puff", 3),
        stroke(f"88,{60 - h} 96,64 92,84 84,92 78,84", "metal", 1.2),
    ]


def _bucket(vary: Vary) -> list[Layer]:
    return [
        stroke("30,36 32,12 50,6 68,12 70,36", "trim", 2.6),
        lathe("24,34 27,60 30,88", "print", bow=0.14),
        *rim(50, 34, 24, ry=5),
        stroke("27,44 40,49 50,50 60,49 73,44", "trim", 1.6),
        stroke("48,50 44,60 45,70", "trim", 1.4),
        stroke("52,50 57,58 56,68", "trim", 1.4),
        Layer(ellipse(45, 71, 2), "metal", "puff", 1.4),
        Layer(ellipse(56, 69, 2), "metal", "puff", 1.4),
    ]


def _satchel(vary: Vary) -> list[Layer]:
    w = vary(33)
    return [
        stroke(f"{50 - w + 2},52 26,12 50,4 74,12 {50 + w - 2},52", "trim", 2.6),
        Layer(
            spline(f"{50 - w},46! {50 - w - 2},70 {50 - w + 6},90 50,92 {50 + w - 6},90 {50 + w + 2},70 {50 + w},46!"),
            "print",
            "puff",
            10,
        ),
        Layer(
            spline(
                f"{50 - w - 1},44! 50,42 {51 + w},44! {50 + w + 1},60 {50 + w * 0.6},72 50,75 {50 - w * 0.6},72 "
                f"{49 - w},60"
            ),
            "main",
            "puff",
            5,
            lift=1.6,
        ),
        Layer(rectangle(46, 68, 54, 80, 2), "trim", "puff", 2),
        Layer(ellipse(50, 75, 2.3), "metal", "puff", 1.6, lift=0.5),
        *[Layer(ellipse(x, 50, 2.4), "metal", "puff", 1.5, lift=0.5) for x in (50 - w + 2, 50 + w - 2)],
    ]


def backpack(shape: str, vary: Vary) -> list[Layer]:
    """Draw a rucksack, a roll-top or a school bag."""
    w = vary(28)
    straps = [
        stroke(
            f"{50 + s * (w - 2)},24 {50 + s * (w + 9)},44 {50 + s * (w + 7)},70 {50 + s * (w - 2)},84",
            "trim",
            4.5,
            shade=0.85,
        )
        for s in (-1, 1)
    ]
    body = spline(f"50,10 {54 - w},13 {50 - w},28 {49 - w},60 {50 - w},86 {56 - w},92 50,93", mirror=50)
    front = {"rucksack": _rucksack_front, "roll-top": _roll_top_front, "school": _school_bag_front}[shape]
    return [stroke("42,14 44,4 56,4 58,14", "trim", 3), *straps, Layer(body, "print", "puff", 12), *front(w)]


def _rucksack_front(w: float) -> list[Layer]:
    flap = spline(f"{52 - w},14 50,9 {48 + w},14 {50 + w},36 {47 + w},48 50,51 {53 - w},48 {50 - w},36")
    layers = [Layer(rectangle(30, 58, 70, 88, 5), "print", "puff", 5), Layer(flap, "main", "puff", 6, lift=1.6)]
    for x in (38, 62):
        buckle, hole = rectangle(x - 3.4, 58, x + 3.4, 65, 1), rectangle(x - 1.8, 60, x + 1.8, 63)
        layers.append(stroke(f"{x},40 {x},52 {x},66", "trim", 4))
        layers.append(Layer(buckle, "metal", "puff", 1.4, lift=0.6, holes=(hole,)))
    return layers


def _roll_top_front(w: float) -> list[Layer]:
    buckle, hole = rectangle(46, 34, 54, 42, 1.2), rectangle(48, 36.6, 52, 39.4)
    return [
        Layer(rectangle(52 - w, 10, 48 + w, 22, 5), "main", "puff", 5, lift=1.4),
        stroke("50,16 50,30 50,46", "trim", 4.4),
        Layer(buckle, "metal", "puff", 1.6, lift=0.6, holes=(hole,)),
        Layer(rectangle(30, 60, 70, 86, 3), "trim", "flat", lift=0.9),
        stroke("32,64 50,64.6 68,64", "metal", 1),
    ]


def _school_bag_front(w: float) -> list[Layer]:
    return [
        stroke(f"{54 - w},44 {53 - w},26 50,18 {47 + w},26 {46 + w},44", "metal", 1.1, lift=0.4),
        Layer(spline("30,58! 32,54 50,53 68,54 70,58! 71,80 68,87 50,88 32,87 29,80"), "trim", "puff", 6),
        stroke("32,62 50,59.5 68,62", "metal", 1.1, lift=0.4),
        Layer(rectangle(64, 61, 66.5, 67, 1), "metal", "puff", 1, lift=0.4),
        Layer(ellipse(50, 38, 6), "pale", "flat", lift=0.3),
    ]


def watch(shape: str, vary: Vary) -> list[Layer]:
    """Draw a round watch, a square one or a chronograph."""
    r = vary(20)
    layers = [
        Layer(spline("41,38! 42,18 43,4 50,2.5 57,4 58,18 59,38!"), "print", "puff", 4),
        Layer(spline("41,62! 42,82 44,96 50,98 56,96 58,82 59,62!"), "print", "puff", 4),
        stroke("43.4,8 43,20 42.6,32", "seam", 0.5, lift=0.2),
        stroke("56.6,8 57,20 57.4,32", "seam", 0.5, lift=0.2),
        *[Layer(ellipse(50, y, 0.9, 0.7), "dark", "flat", lift=0) for y in (76, 81, 86, 91)],
        Layer(rectangle(50 + r - 1, 47, 53.5 + r, 53, 1), "metal", "puff", 1.5),
        Layer(_watch_case(shape, r, 0), "metal", "puff", 5),
        Layer(_watch_case(shape, r, 2.6), "trim", "flat", lift=0, shade=1.0),
        *_watch_hours(shape, r - 5.5),
    ]
    if shape == "chronograph":
        centres = ((43, 50), (57, 50), (50, 57.5))
        layers += [Layer(ellipse(x, y, 4), "metal", "flat", lift=0, shade=0.8) for x, y in centres]
        layers += [Layer(ellipse(x, y, 3.2), "pale", "flat", lift=0) for x, y in centres]
    layers += [
        Layer(np.array([(50.0, 50.0), (50 + x, 50 + y)]), "hands", "flat", 1, w, 0.3)
        for x, y, w in ((-7.0, -4.0, 1.8), (6.5, -9.5, 1.3), (1.0, 12.0, 0.5))
    ]
    return [*layers, Layer(ellipse(50, 50, 1.3), "metal", "puff", 1, lift=0.3)]


def _watch_case(shape: str, r: float, inset: float) -> Points:
    if shape == "square":
        return rectangle(50 - r + inset, 50 - r + inset, 50 + r - inset, 50 + r - inset, 6)
    return ellipse(50, 50, r - inset)


def _watch_hours(shape: str, r: float) -> list[Layer]:
    layers = []
    for hour in range(12):
        sin, cos = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
        far = r / max(abs(sin), abs(cos)) * 0.94 if shape == "square" else r
        near, width = (far - 4, 1.3) if hour % 3 == 0 else (far - 2, 0.7)
        line = np.array([(50 + near * sin, 50 - near * cos), (50 + far * sin, 50 - far * cos)])
        layers.append(Layer(line, "hands", "flat", 1, width, 0))
    return layers


def necklace(shape: str, vary: Vary) -> list[Layer]:
    """Draw a necklace with a pendant, with beads, with a heart or with seven stones."""
    drop = 60 + vary(5)
    chain = spline(
        f"24,6! 22,24 30,46 42,{drop - 6} 50,{drop} 58,{drop - 6} 70,46 78,24 76,6!", closed=False, samples=14
    )
    if shape == "beaded":
        return _beads(chain)
    jewel = {"pendant": _pendant, "heart": _heart, "statement": _stones}[shape]
    return [Layer(chain, "metal", "puff", 1.1, 1.2, 0.7), *jewel(drop)]


def _beads(chain: Points) -> list[Layer]:
    steps = np.cumsum(np.r_[0, np.hypot(*np.diff(chain, axis=0).T)])
    distances = np.linspace(0, steps[-1], 39)
    beads = np.stack([np.interp(distances, steps, chain[:, k]) for k in (0, 1)], 1)
    sizes = 1.9 + 2.6 * np.exp(-(((np.arange(39) - 19) / 9.0) ** 2))
    return [
        Layer(ellipse(x, y, size), "main" if k % 4 else "trim", "puff", size * 1.6, lift=0.7)
        for k, ((x, y), size) in enumerate(zip(beads, sizes, strict=True))
    ]


def _heart(drop: float) -> list[Layer]:
    heart = spline(
        f"50,{drop + 7}! 45,{drop + 1} 38,{drop + 4} 38,{drop + 12} 50,{drop + 25}! 62,{drop + 12} "
        f"62,{drop + 4} 55,{drop + 1}"
    )
    return [
        Layer(heart, "metal", "puff", 4),
        Layer(transformed(heart, 0.8, centre=(50, drop + 12)), "main", "puff", 7, lift=0.3),
    ]


def _stones(drop: float) -> list[Layer]:
    layers = []
    for k in range(-3, 4):
        x, y = 50 + k * 8.6, drop - 1 - abs(k) ** 1.5 * 3.6
        layers += [
            Layer(ellipse(x, y + 6, 4.6, 6.6), "metal", "puff", 2.5, lift=0.8),
            Layer(ellipse(x, y + 6, 3.5, 5.4), "main" if k % 2 == 0 else "trim", "puff", 5, lift=0.2),
        ]
    return layers


def _pendant(drop: float) -> list[Layer]:
    stone = spline(f"50,{drop + 3}! 44,{drop + 14} 41,{drop + 21} 50,{drop + 30} 59,{drop + 21} 56,{drop + 14}")
    return [
        Layer(ellipse(50, drop + 1, 2.2), "metal", "puff", 1.4),
        Layer(transformed(stone, 1.14, centre=(50, drop + 18)), "metal", "puff", 3),
        Layer(stone, "main", "puff", 9, lift=0.2),
    ]


def umbrella(shape: str, vary: Vary) -> list[Layer]:
    """Draw an umbrella with a crook handle, or a folding one."""
    edge = "8,52! 18,46 29,52! 40,46 50,52! 60,46 71,52! 82,46 92,52!"
    layers = [stroke("50,50 50,84 50,88 46,94 40,92 40,87" if shape == "crook" else "50,50 50,80", "metal", 1.6, 1.4)]
    if shape == "crook":
        layers.append(stroke("50,80 50,88 46,94 40,92 40,86", "wood", 3.2, 2.6))
    else:
        layers.append(Layer(rectangle(47.6, 78, 52.4, 95, 2), "dark", "puff", 2))
    top = vary(12)
    dome = spline(f"{edge} 86,32 70,{top + 6} 50,{top} 30,{top + 6} 14,32")
    layers.append(Layer(dome, "print", "puff", 24))
    layers += [stroke(f"50,{top} {50 + s * 12},{top + 12} {50 + s * 21},51", "seam", 0.8, lift=0.5) for s in (-1, 1)]
    layers += [stroke(f"50,{top} 50,30 50,51.5", "seam", 0.6, lift=0.4)]
    return [*layers, stroke(f"50,{top - 5} 50,{top + 1}", "metal", 1.4)]
