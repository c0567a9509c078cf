"""Shapes of shoes and boots."""

from __future__ import annotations

from dataclasses import replace

from wares.samples.drawing.geometry import ellipse, rectangle, spline
from wares.samples.drawing.layers import Layer
from wares.samples.shapes.outlines import Vary, pair, stroke


def boots(shape: str, vary: Vary) -> list[Layer]:
    """Draw a pair of knee-high, ankle, Chelsea or lace-up boots."""
    top = {"knee-high": 4, "ankle": 40, "chelsea": 34, "lace-up": 22}[shape] + vary(2)
    calf = {"knee-high": 17.0, "ankle": 13.5, "chelsea": 13.0, "lace-up": 15.0}[shape]
    heel = 8 if shape in ("knee-high", "ankle") else 4
    back, front, sole = 44 - vary(calf), 44 + vary(calf), 89 - heel
    upper = spline(
        f"{back},{top}! {back + 1},{(top + 60) / 2} {back - 2 + calf / 3},66 24,76 23,{sole}! 42,{sole + 1} "
        f"56,90 80,90.5 92,88 92,80 82,72.5 68,69 {front + 3},62 {front},{(top + 62) / 2} {front},{top}!"
    )
    outsole = spline(f"23,{sole - 2}! 23,{sole + 2}! 42,{sole + 3}! 54,93! 88,94 94,91 93,86! 60,84!")
    trim = {"knee-high": _buckle, "ankle": _zip, "chelsea": _elastic, "lace-up": _laces}[shape]
    layers = [
        Layer(spline(f"24,{sole}! 24,96! 37,96! 39,{sole}!"), "sole", "flat", lift=0.5),
        Layer(outsole, "sole", "puff", 3),
        Layer(upper, "print", "puff", 13),
        Layer(ellipse((back + front) / 2, top, (front - back) / 2, 2.2), "inside", "flat", lift=0, shade=0.6),
        *trim(top, back, front),
        stroke("66,72 62,79 68,88", "seam", 0.7, lift=0.3),
    ]
    return pair(layers, (11, 5), 0.8) if shape != "knee-high" else pair(layers, (12, 3), 0.86)


def _elastic(top: float, back: float, front: float) -> list[Layer]:
    side = spline(f"38,{top + 3}! 52,{top + 3}! 50,{top + 16} 47,{top + 24} 43,{top + 24} 40,{top + 16}")
    loop = stroke(f"{back + 1},{top + 3} {back - 2},{top - 4} {back + 4},{top - 3}", "trim", 2)
    return [Layer(side, "trim", "puff", 3, lift=0.5), loop]


def _laces(top: float, back: float, front: float) -> list[Layer]:
    tongue = spline(f"{front - 8},{top + 3}! {front + 1},{top + 2}! {front + 1},58 70,69 62,73 {front - 8},62")
    heights = [top + 8 + row * (60 - top) / 6.4 for row in range(6)]
    return [
        Layer(tongue, "trim", "puff", 4, lift=0.6),
        *[stroke(f"{front - 9},{y} {front - 2},{y + 1.6} {front + 3},{y - 0.6}", "pale", 1.5) for y in heights],
    ]


def _buckle(top: float, back: float, front: float) -> list[Layer]:
    frame = rectangle(front - 8, top + 6, front - 1, top + 13, 1)
    hole = rectangle(front - 6.4, top + 7.8, front - 2.6, top + 11.2)
    return [
        stroke(f"{back + 1},{top + 8} 44,{top + 10.5} {front},{top + 8}", "trim", 3),
        Layer(frame, "metal", "puff", 1.5, lift=0.6, holes=(hole,)),
    ]


def _zip(top: float, back: float, front: float) -> list[Layer]:
    return [
        stroke("28,72 42,75 56,68", "trim", 2.6),
        stroke(f"{back + 4},{top + 5} {back + 4},60", "metal", 0.9),
    ]


def sneakers(shape: str, vary: Vary) -> list[Layer]:
    """Draw a pair of low, high-top or slip-on sneakers."""
    collar = {"low": 48, "high-top": 24, "slip-on": 52}[shape] + vary(2)
    upper = spline(
        f"9,66 8,{collar + 3} 14,{collar}! 24,{collar + 5} 38,{collar}! 44,46 57,55 74,62 90,66 94,74 91,80! 10,80!"
    )
    cap = Layer(spline("72,80! 72,68 82,65 91,69 94,75 92,80!"), "trim", "puff", 6, lift=0.5)
    layers = [
        Layer(upper, "print", "puff", 15),
        Layer(ellipse(26, collar + 2, 12, 3), "inside", "flat", lift=0, shade=0.6),
        cap if shape != "slip-on" else replace(cap, paint="print"),
        Layer(spline(f"9,80! 8.5,60 10,{collar + 6} 17,{collar + 8} 20,80!"), "trim", "puff", 4, lift=0.5),
        Layer(spline("7,77! 7,85 9,89 20,89.5 60,89 88,90 95,87 96,78! 60,79.5! 30,79!"), "sole", "puff", 5),
        stroke("8,85.5 50,86 94,84.5", "trim", 1.1, lift=0.2),
    ]
    if shape == "slip-on":
        layers.append(Layer(spline("38,53! 48,54 52,58 48,66 40,62"), "trim", "puff", 3, lift=0.4))
        return pair(layers, (4, 13), 0.86)
    layers += _sneaker_laces(collar, *((5, 1.4) if shape == "low" else (8, 2.2)))
    layers.append(stroke("22,77 34,70 48,68 60,72", "pale", 2.6, lift=0.4))
    if shape == "high-top":
        layers.append(Layer(ellipse(24, 46, 5), "pale", "puff", 2, lift=0.3))
        return pair(layers, (4, 8), 0.86)
    return pair(layers, (4, 14), 0.88)


def _sneaker_laces(collar: float, rows: int, bend: float) -> list[Layer]:
    tongue = spline(f"33,{collar - 6} 42,{collar - 5} 60,54 70,62 66,67 56,64 40,{(collar + 62) / 2}")
    layers = [Layer(tongue, "trim", "puff", 4, lift=0.6)]
    for row in range(rows):
        share = (row + 0.6) / rows
        x, y = 40 + 25 * share**bend, collar - 1 + (64 - collar) * share
        layers.append(stroke(f"{x - 5.5},{y + 5} {x},{y + 0.5} {x + 5},{y - 2}", "pale", 2.1))
    return layers


def heels(shape: str, vary: Vary) -> list[Layer]:
    """Draw a pair of stilettos, block heels or slingbacks."""
    top = 84 - ({"stiletto": 28, "block-heel": 22, "slingback": 20}[shape] + vary(2))
    heel = f"14,{top - 6}! 26,{top + 2}! 20,92! 16.5,92!"
    if shape == "block-heel":
        heel = f"12,{top - 4}! 30,{top + 2}! 28,92! 14,92!"
    outsole = f"12,{top - 3}! 26,{top} 44,78 62,89 80,90 93,89 94,92! 74,93 58,92 40,84 24,{top + 5} 13,{top + 2}!"
    insole = spline(f"20,{top - 3} 30,{top - 3} 48,68 62,79 66,83 50,85 34,{top + 8}")
    layers = [
        Layer(spline(heel), "sole" if shape == "block-heel" else "main", "puff", 3),
        Layer(spline(outsole), "sole", "flat"),
        Layer(insole, "inside", "flat", lift=0.4, shade=0.75),
    ]
    if shape == "slingback":
        layers.append(stroke(f"13,{top - 2} 12,{top - 12} 24,{top - 14} 46,{top + 4} 56,74", "main", 2.2))
        layers.append(Layer(spline("50,76! 62,79 72,75 84,80 95,88 94,91! 72,92 58,88 50,82!"), "print", "puff", 8))
    else:
        upper = spline(
            f"11,{top - 1} 10,{top - 14}! 16,{top - 13} 30,{top - 1} 48,72 62,80 70,78! 82,80 95,88 95,91! "
            f"74,92 58,90 42,82 26,{top + 3} 14,{top + 2}"
        )
        layers.append(Layer(upper, "print", "puff", 9))
    layers.append(Layer(ellipse(76, 82, 3.6, 2.4), "metal", "puff", 1.5, lift=0.5))
    return pair(layers, (3, 12), 0.9)
