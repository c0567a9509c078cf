"""The outlines of every kind of goods: what a thing is made of, part by part, before colour and light.

A function draws one kind in one of its shapes. `vary(x)` is x, a little more or less: it gives every
listing its own proportions. Slots of paint: `main` and `trim` are the seller's colours, `print` is
`main` with the pattern on it; the others are the same for all (`pale`, `dark`, `wood`, `metal`, `glow`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from wares.samples.drawing import Part, Points, box, ellipse, moved, outline

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


def boots(shape: str, vary: Vary) -> list[Part]:
    top = {"knee-high": 4, "ankle": 40, "chelsea": 34, "lace-up": 22}[shape] + vary(2)
    calf = {"knee-high": 17.0, "ankle": 13.5, "chelsea": 13.0, "lace-up": 15.0}[shape]
    heel = 8 if shape in ("knee-high", "ankle") else 4
    back, front, sole = 44 - vary(calf), 44 + vary(calf), 89 - heel
    parts = [
        Part(outline(f"24,{sole}! 24,96! 37,96! 39,{sole}!"), "sole", "flat", lift=0.5),
        Part(
            outline(f"23,{sole - 2}! 23,{sole + 2}! 42,{sole + 3}! 54,93! 88,94 94,91 93,86! 60,84!"), "sole", "puff", 3
        ),
        Part(
            outline(
                f"{back},{top}! {back + 1},{(top + 60) / 2} {back - 2 + calf / 3},66 24,76 23,{sole}! 42,{sole + 1} "
                f"56,90 80,90.5 92,88 92,80 82,72.5 68,69 {front + 3},62 {front},{(top + 62) / 2} {front},{top}!"
            ),
            "print",
            "puff",
            13,
        ),
        Part(ellipse((back + front) / 2, top, (front - back) / 2, 2.2), "inside", "flat", lift=0, shade=0.6),
    ]
    if shape == "chelsea":
        parts.append(
            Part(
                outline(f"38,{top + 3}! 52,{top + 3}! 50,{top + 16} 47,{top + 24} 43,{top + 24} 40,{top + 16}"),
                "trim",
                "puff",
                3,
                lift=0.5,
            )
        )
        parts.append(line(f"{back + 1},{top + 3} {back - 2},{top - 4} {back + 4},{top - 3}", "trim", 2))
    elif shape == "lace-up":
        parts.append(
            Part(
                outline(f"{front - 8},{top + 3}! {front + 1},{top + 2}! {front + 1},58 70,69 62,73 {front - 8},62"),
                "trim",
                "puff",
                4,
                lift=0.6,
            )
        )
        for row in range(6):
            y = top + 8 + row * (60 - top) / 6.4
            parts.append(line(f"{front - 9},{y} {front - 2},{y + 1.6} {front + 3},{y - 0.6}", "pale", 1.5))
    elif shape == "knee-high":
        parts.append(line(f"{back + 1},{top + 8} 44,{top + 10.5} {front},{top + 8}", "trim", 3))
        parts.append(
            Part(
                box(front - 8, top + 6, front - 1, top + 13, 1),
                "metal",
                "puff",
                1.5,
                lift=0.6,
                holes=(box(front - 6.4, top + 7.8, front - 2.6, top + 11.2),),
            )
        )
    else:
        parts.append(line("28,72 42,75 56,68", "trim", 2.6))
        parts.append(line(f"{back + 4},{top + 5} {back + 4},60", "metal", 0.9))
    parts.append(line("66,72 62,79 68,88", "seam", 0.7, lift=0.3))
    return pair(parts, (11, 5), 0.8) if shape != "knee-high" else pair(parts, (12, 3), 0.86)


def sneakers(shape: str, vary: Vary) -> list[Part]:
    collar = {"low": 48, "high-top": 24, "slip-on": 52}[shape] + vary(2)
    parts = [
        Part(
            outline(
                f"9,66 8,{collar + 3} 14,{collar}! 24,{collar + 5} 38,{collar}! 44,46 57,55 74,62 90,66 94,74 "
                f"91,80! 10,80!"
            ),
            "print",
            "puff",
            15,
        ),
        Part(ellipse(26, collar + 2, 12, 3), "inside", "flat", lift=0, shade=0.6),
        Part(
            outline("72,80! 72,68 82,65 91,69 94,75 92,80!"),
            "trim" if shape != "slip-on" else "print",
            "puff",
            6,
            lift=0.5,
        ),
        Part(outline(f"9,80! 8.5,60 10,{collar + 6} 17,{collar + 8} 20,80!"), "trim", "puff", 4, lift=0.5),
        Part(outline("7,77! 7,85 9,89 20,89.5 60,89 88,90 95,87 96,78! 60,79.5! 30,79!"), "sole", "puff", 5),
        line("8,85.5 50,86 94,84.5", "trim", 1.1, lift=0.2),
    ]
    if shape == "slip-on":
        parts.append(Part(outline("38,53! 48,54 52,58 48,66 40,62"), "trim", "puff", 3, lift=0.4))
        return pair(parts, (4, 13), 0.86)
    parts.append(
        Part(
            outline(f"33,{collar - 6} 42,{collar - 5} 60,54 70,62 66,67 56,64 40,{(collar + 62) / 2}"),
            "trim",
            "puff",
            4,
            lift=0.6,
        )
    )
    rows = 5 if shape == "low" else 8
    for row in range(rows):
        part = (row + 0.6) / rows
        x, y = 40 + 25 * part ** (1.4 if shape == "low" else 2.2), collar - 1 + (64 - collar) * part
        parts.append(line(f"{x - 5.5},{y + 5} {x},{y + 0.5} {x + 5},{y - 2}", "pale", 2.1))
    parts.append(line("22,77 34,70 48,68 60,72", "pale", 2.6, lift=0.4))
    if shape == "high-top":
        parts.append(Part(ellipse(24, 46, 5), "pale", "puff", 2, lift=0.3))
        return pair(parts, (4, 8), 0.86)
    return pair(parts, (4, 14), 0.88)


def heels(shape: str, vary: Vary) -> list[Part]:
    high = {"stiletto": 28, "block-heel": 22, "slingback": 20}[shape] + vary(2)
    top = 84 - high
    heel = (
        f"14,{top - 6}! 26,{top + 2}! 20,92! 16.5,92!"
        if shape != "block-heel"
        else f"12,{top - 4}! 30,{top + 2}! 28,92! 14,92!"
    )
    parts = [
        Part(outline(heel), "sole" if shape == "block-heel" else "main", "puff", 3),
        Part(
            outline(
                f"12,{top - 3}! 26,{top} 44,78 62,89 80,90 93,89 94,92! 74,93 58,92 40,84 24,{top + 5} 13,{top + 2}!"
            ),
            "sole",
            "flat",
        ),
        Part(
            outline(f"20,{top - 3} 30,{top - 3} 48,68 62,79 66,83 50,85 34,{top + 8}"),
            "inside",
            "flat",
            lift=0.4,
            shade=0.75,
        ),
    ]
    if shape == "slingback":
        parts.append(line(f"13,{top - 2} 12,{top - 12} 24,{top - 14} 46,{top + 4} 56,74", "main", 2.2))
        parts.append(Part(outline("50,76! 62,79 72,75 84,80 95,88 94,91! 72,92 58,88 50,82!"), "print", "puff", 8))
    else:
        parts.append(
            Part(
                outline(
                    f"11,{top - 1} 10,{top - 14}! 16,{top - 13} 30,{top - 1} 48,72 62,80 70,78! 82,80 95,88 95,91! "
                    f"74,92 58,90 42,82 26,{top + 3} 14,{top + 2}"
                ),
                "print",
                "puff",
                9,
            )
        )
    parts.append(Part(ellipse(76, 82, 3.6, 2.4), "metal", "puff", 1.5, lift=0.5))
    return pair(parts, (3, 12), 0.9)


def _hem(y: float, left: float, right: float, waves: int) -> str:
    xs = np.linspace(left, right, 2 * waves + 1)
    return " ".join(
        f"{x:.1f},{y + (1.6 if k % 2 else 0):.1f}{'!' if k in (0, 2 * waves) else ''}" for k, x in enumerate(xs)
    )


def _folds(top: float, bottom: float, narrow: float, wide: float, count: int) -> list[Part]:
    """Creases that fall from the waist to the hem."""
    out = []
    for k in range(count):
        at = -0.78 + 1.56 * k / max(1, count - 1)
        out.append(
            line(
                f"{50 + at * narrow},{top} {50 + at * (narrow + wide) / 2},{(top + bottom) / 2} "
                f"{50 + at * wide},{bottom}",
                "seam",
                0.9,
                lift=0.35,
            )
        )
    return out


def dress(shape: str, vary: Vary) -> list[Part]:
    hem = {"mini": 70, "midi": 84, "maxi": 96, "wrap": 82}[shape] + vary(1)
    flare = {"mini": 22, "midi": 27, "maxi": 29, "wrap": 23}[shape] * vary(1)
    long = shape in ("wrap", "maxi")
    sleeve = "33,13! 25,17 20,32 18,46! 25,48! 29,34 35,26" if long else "34,12! 27,15 22,26! 30,30! 35,25"
    skirt = outline(
        f"37,41! 36,46 {50 - flare * 0.8},{(hem + 42) / 2} {_hem(hem, 50 - flare, 50 + flare, 5)} "
        f"{50 + flare * 0.8},{(hem + 42) / 2} 64,46 63,41!"
    )
    bodice = outline("35,9! 40,7! 42,15 46,21 50,22!" if shape != "wrap" else "34,9! 40,7! 44,20 50,30!")
    neck = "50,17!" if shape in ("mini", "midi") else "50,25!"
    bodice = outline(
        f"33,11! 40,6! 43,{13 if shape != 'wrap' else 15} {neck} {57},{13 if shape != 'wrap' else 15} 60,6! 67,11! "
        "66,22 64,30 62,37 63,43! 50,44 37,43! 38,37 36,30 34,22"
    )
    parts = [Part(outline("41,7! 50,11 59,7! 57,17 50,24 43,17"), "inside", "flat", lift=0, shade=0.6)]
    if shape != "mini":
        parts += both(sleeve, "print", depth=6, lift=0.6)
    parts += [Part(skirt, "print", "puff", 12), *_folds(46, hem - 2, 11, flare, 5), Part(bodice, "print", "puff", 10)]
    parts.append(Part(outline("37.5,40! 50,41.5 62.5,40! 63,44.5! 50,46 37,44.5!"), "trim", "puff", 2.5, lift=0.6))
    if shape == "wrap":
        parts.append(line("44,12 52,26 61,40", "seam", 1.0))
        parts.append(line("61,43 66,52 65,62", "trim", 2.2))
        parts.append(line("61,43 62,54 59,60", "trim", 2.2))
    elif shape == "midi":
        parts += [Part(ellipse(50, y, 1.1), "trim", "puff", 0.8, lift=0.3) for y in (23, 28, 33)]
    return parts


def _top(sleeve: str, body: str, neck: str) -> list[Part]:
    return [
        Part(outline("38,12! 50,15 62,12! 60,22 50,26 40,22"), "inside", "flat", lift=0, shade=0.6),
        *both(sleeve, "print", depth=9, lift=0.9),
        Part(outline(body, mirror=50), "print", "puff", 12),
        line(neck, "trim", 2.6, lift=0.4),
    ]


def t_shirt(shape: str, vary: Vary) -> list[Part]:
    width, hem = 50 - vary(22), 84 + vary(4)
    if shape == "long-sleeved":
        sleeve = f"32,15! 22,20 15,40 9,74! 17,76! 25,52 {width + 4},34"
    else:
        sleeve = f"32,15! 22,19 11,36! 21,44! 26,38 {width + 4},33"
    low = 28 if shape == "v-neck" else 23
    corner = "!" if shape == "v-neck" else ""
    body = (
        f"50,{low}{corner} 44,{20 if shape == 'v-neck' else 21.5} 39,12! 31,15 {width},28 {width + 0.5},55 "
        f"{width - 0.5},{hem}! 50,{hem + 1.5}"
    )
    parts = _top(
        sleeve,
        body,
        f"39,12.5 44,{20.5 if shape == 'v-neck' else 21.5} 50,{low} 56,{20.5 if shape == 'v-neck' else 21.5} 61,12.5",
    )
    if shape == "pocket":
        parts.append(Part(outline("55,36! 66,36! 66,46! 60.5,50! 55,46!"), "trim", "flat", lift=0.4))
    parts.append(line(f"{width + 1},{hem - 3} 50,{hem - 1.6} {99 - width},{hem - 3}", "seam", 0.6, lift=0.2))
    return parts


def jumper(shape: str, vary: Vary) -> list[Part]:
    width, hem = 50 - vary(24), 82 + vary(4)
    sleeve = f"32,16! 21,20 13,42 8,74! 18,77! 26,54 {width + 5},36"
    body = f"50,20 44,18.5 39,13! 30,16 {width},32 {width - 1},60 {width + 1},{hem}! 50,{hem + 1}"
    parts = _top(sleeve, body, "39,14 44,19 50,20.5 56,19 61,14")
    cuff = [
        Part(
            outline(
                f"{width + 0.5},{hem - 1}! 50,{hem + 0.5} {99.5 - width},{hem - 1}! {98 - width},{hem + 6}! "
                f"50,{hem + 7} {width + 2},{hem + 6}!"
            ),
            "trim",
            "puff",
            3,
            lift=0.4,
        )
    ]
    cuff += both("7.6,73! 18,76! 17,82! 7,79!", "trim", depth=3, lift=0.4)
    if shape == "roll-neck":
        parts[-1] = Part(outline("38,17! 38,6 50,4 62,6 62,17! 50,22"), "trim", "puff", 5)
    elif shape == "cardigan":
        parts.append(line(f"50,21 50.3,50 50,{hem + 5}", "trim", 3.4, lift=0.5))
        cuff += [Part(ellipse(50, y, 1.5), "wood", "puff", 1.2, lift=0.4) for y in np.linspace(28, hem, 5)]
    return parts + cuff


def jacket(shape: str, vary: Vary) -> list[Part]:
    width = 50 - vary(24)
    hem = {"bomber": 76, "blazer": 88, "hooded": 86, "biker": 74}[shape]
    sleeve = f"32,15! 20,20 13,42 9,{hem - 5}! 20,{hem - 2}! 27,52 {width + 5},36"
    parts = []
    if shape == "hooded":
        parts.append(Part(outline("31,18 30,6 40,1 50,0 60,1 70,6 69,18 50,24"), "print", "puff", 8))
        parts.append(Part(outline("38,18 38,8 50,5 62,8 62,18 50,25"), "inside", "puff", 4, shade=0.7, lift=0.5))
    parts += _top(
        sleeve, f"50,22! 44,20 39,12! 31,15 {width},30 {width},58 {width - 1},{hem}! 50,{hem + 1}", "50,24 50,25"
    )
    parts.pop()
    if shape == "blazer":
        parts.append(Part(outline("40,11! 50,44! 60,11! 50,16"), "pale", "flat", lift=0.3))
        parts += both("40,10! 33,18 34,26! 37,27! 35,31! 49.5,50! 44,28", "main", depth=2.5, lift=1.2)
        parts += [Part(ellipse(50, y, 1.6), "wood", "puff", 1.2, lift=0.5) for y in (54, 64)]
        parts.append(line(f"50,50 50.4,66 48.5,{hem}", "seam", 0.8, lift=0.4))
        pocket = 68
    else:
        parts.append(line(f"50,22 50,50 50,{hem}", "metal", 1.4, lift=0.5))
        parts.append(Part(box(49, 34, 51, 38, 0.8), "metal", "puff", 1, lift=0.4))
        pocket = 58
    if shape in ("bomber", "hooded"):
        parts.append(
            Part(
                outline(
                    f"{width},{hem - 2}! 50,{hem - 1} {100 - width},{hem - 2}! {98 - width},{hem + 5}! "
                    f"50,{hem + 6} {width + 2},{hem + 5}!"
                ),
                "trim",
                "puff",
                3,
                lift=0.5,
            )
        )
        parts += both(f"8.5,{hem - 6}! 20,{hem - 3}! 19,{hem + 3}! 8.5,{hem}!", "trim", depth=3, lift=0.4)
    if shape == "bomber":
        parts.append(Part(outline("37,13! 40,8 50,6 60,8 63,13! 56,20 50,23 44,20"), "trim", "puff", 3, lift=0.6))
        parts.append(Part(outline("41,11! 50,9 59,11! 55,17 50,20 45,17"), "inside", "flat", shade=0.6, lift=0.2))
    elif shape == "biker":
        parts += both("41,10! 32,17 38,30! 49,25!", "main", depth=2.5, lift=1.0)
        parts.append(line("58,26 60,48 56,72", "metal", 1.1, lift=0.4))
    parts += [
        line(f"{x},{pocket} {x + slant},{pocket + 9}", "seam" if shape == "blazer" else "metal", 1.1, lift=0.4)
        for x, slant in ((37, -3), (63, 3))
    ]
    return parts


def skirt(shape: str, vary: Vary) -> list[Part]:
    hem = {"mini": 64, "pleated": 82, "maxi": 95}[shape]
    flare = vary({"mini": 29, "pleated": 36, "maxi": 33}[shape])
    body = outline(
        f"35,14! {50 - flare * 0.75},{(hem + 14) / 2} "
        f"{_hem(hem, 50 - flare, 50 + flare, 8 if shape == 'pleated' else 5)} "
        f"{50 + flare * 0.75},{(hem + 14) / 2} 65,14!"
    )
    parts = [Part(body, "print", "puff", 13), *_folds(18, hem - 1, 14, flare, 11 if shape == "pleated" else 5)]
    parts.append(Part(outline("34.5,8! 50,9.5 65.5,8! 65.5,15! 50,16.5 34.5,15!"), "trim", "puff", 3, lift=0.6))
    if shape == "mini":
        parts += [Part(ellipse(50, y, 1.5), "metal", "puff", 1, lift=0.4) for y in (22, 32, 42, 52)]
    return placed(parts, 1, 0, (0, (86 - hem) / 2 + 4))


def hat(shape: str, vary: Vary) -> list[Part]:
    if shape == "beanie":
        return [
            Part(outline("18,72! 18,44 30,26 50,21 70,26 82,44 82,72! 50,76"), "print", "puff", 22),
            Part(outline("15,64! 50,70 85,64! 86,82! 50,88 14,82!"), "trim", "puff", 7),
            Part(ellipse(50, 16, vary(11)), "trim", "puff", 10),
        ]
    if shape == "cap":
        return [
            Part(outline("20,60! 20,36 36,22 52,22 72,26 78,44 78,60! 50,64"), "print", "puff", 20),
            line("50,22 44,40 45,60", "seam", 0.8, lift=0.3),
            line("53,22 66,38 69,60", "seam", 0.8, lift=0.3),
            Part(outline("40,58! 60,57 79,56! 96,64 98,72 84,72 62,67 44,66"), "trim", "puff", 5),
            Part(ellipse(51, 22, 2.4, 1.6), "trim", "puff", 1.5),
            Part(ellipse(60, 45, 6, 5.4), "pale", "flat", lift=0.3),
        ]
    brim = 46 if shape == "sun hat" else 42
    crown = outline(
        "28,60! 27,40 34,26 44,25 50,28 56,25 66,26 73,40 72,60! 50,66"
        if shape == "fedora"
        else "27,60! 27,38 38,25 50,23 62,25 73,38 73,60! 50,66"
    )
    return [
        Part(ellipse(50, 63, brim, vary(14)), "print", "puff", 6),
        Part(ellipse(50, 60, 26, 8), "dark", "flat", lift=0, shade=1.1),
        Part(crown, "print", "puff", 15),
        Part(outline("27.5,50! 50,57 72.5,50! 72.5,60! 50,67 27.5,60!"), "trim", "puff", 3, lift=0.6),
    ] + ([Part(outline("70,52! 76,46 82,50 76,56 82,62 74,62"), "trim", "puff", 3)] if shape == "sun hat" else [])


def scarf(shape: str, vary: Vary) -> list[Part]:
    end = 88 + vary(2)

    def tail(x: float, lean: float, bottom: float) -> list[Part]:
        fringe = [
            line(f"{x - 9 + lean + k * 3},{bottom} {x - 9.5 + lean + k * 3.2},{bottom + 7}", "trim", 1.2, lift=0.3)
            for k in range(7)
        ]
        return [
            *fringe,
            Part(
                outline(
                    f"{x - 8},40! {x - 9 + lean / 2},64 {x - 11 + lean},{bottom}! {x + 11 + lean},{bottom}! "
                    f"{x + 9 + lean / 2},64 {x + 8},40!"
                ),
                "print",
                "puff",
                8,
            ),
        ]

    if shape == "snood":
        return [
            Part(outline("18,36 30,18 50,13 70,18 82,36 80,48 50,40 20,48"), "print", "puff", 10, shade=0.82),
            Part(
                outline("14,44 22,30 36,44 50,48 64,44 78,30 86,44 84,66 70,84 50,88 30,84 16,66"), "print", "puff", 16
            ),
            line("18,52 34,64 50,68 66,64 82,52", "seam", 1.4),
            line("22,66 36,75 50,78 64,75 78,66", "seam", 1.4),
        ]
    loop = [Part(outline("26,34 30,16 50,10 70,16 74,34 62,28 50,26 38,28"), "print", "puff", 8, shade=0.8)]
    front = [
        Part(outline("24,34 34,36 50,42 66,36 76,34 74,46 62,56 50,58 38,56 26,46"), "print", "puff", 9),
        line("30,42 42,49 56,50 70,42", "seam", 1.1),
    ]
    return loop + tail(41, -4, end - 8) + tail(58, 4, end) + front


def handbag(shape: str, vary: Vary) -> list[Part]:
    if shape == "tote":
        w, top = vary(34), 40
        body = outline(
            f"{50 - w},{top}! {50 - w - 3},66 {50 - w + 2},90! 50,92 {50 + w - 2},90! {50 + w + 3},66 {50 + w},{top}!"
        )
        return [
            line(f"34,{top + 2} 34,16 50,10 66,16 66,{top + 2}", "trim", 3, shade=0.75),
            Part(body, "print", "puff", 10),
            line(f"{50 - w + 1},{top + 2} 50,{top + 3} {50 + w - 1},{top + 2}", "trim", 3, lift=0.4),
            line(f"30,{top + 12} 31,20 50,13 69,20 70,{top + 12}", "trim", 3.4),
            *[Part(box(x - 3, top + 8, x + 3, top + 16, 1), "trim", "puff", 1.5, lift=0.4) for x in (30, 70)],
        ]
    if shape == "clutch":
        h = vary(20)
        return [
            Part(box(10, 58 - h, 90, 60 + h, 7), "print", "puff", 9),
            Part(
                outline(
                    f"11,{58 - h}! 50,{57 - h} 89,{58 - h}! 88,{58 - h / 3} 66,{58 + h / 4} 50,{60 + h / 3} "
                    f"34,{58 + h / 4} 12,{58 - h / 3}"
                ),
                "print",
                "puff",
                6,
            ),
            Part(ellipse(50, 60 + h / 3, 4), "metal", "puff", 3),
            line(f"88,{60 - h} 96,64 92,84 84,92 78,84", "metal", 1.2),
        ]
    if shape == "bucket":
        return [
            line("30,36 32,12 50,6 68,12 70,36", "trim", 2.6),
            turned("24,34 27,60 30,88", "print", bow=0.14),
            *opening(50, 34, 24, ry=5),
            line("27,44 40,49 50,50 60,49 73,44", "trim", 1.6),
            line("48,50 44,60 45,70", "trim", 1.4),
            line("52,50 57,58 56,68", "trim", 1.4),
            Part(ellipse(45, 71, 2), "metal", "puff", 1.4),
            Part(ellipse(56, 69, 2), "metal", "puff", 1.4),
        ]
    w = vary(33)
    return [
        line(f"{50 - w + 2},52 26,12 50,4 74,12 {50 + w - 2},52", "trim", 2.6),
        Part(
            outline(f"{50 - w},46! {50 - w - 2},70 {50 - w + 6},90 50,92 {50 + w - 6},90 {50 + w + 2},70 {50 + w},46!"),
            "print",
            "puff",
            10,
        ),
        Part(
            outline(
                f"{50 - w - 1},44! 50,42 {51 + w},44! {50 + w + 1},60 {50 + w * 0.6},72 50,75 {50 - w * 0.6},72 "
                f"{49 - w},60"
            ),
            "main",
            "puff",
            5,
            lift=1.6,
        ),
        Part(box(46, 68, 54, 80, 2), "trim", "puff", 2),
        Part(ellipse(50, 75, 2.3), "metal", "puff", 1.6, lift=0.5),
        *[Part(ellipse(x, 50, 2.4), "metal", "puff", 1.5, lift=0.5) for x in (50 - w + 2, 50 + w - 2)],
    ]


def backpack(shape: str, vary: Vary) -> list[Part]:
    w = vary(28)
    parts = [line("42,14 44,4 56,4 58,14", "trim", 3)]
    parts += [
        line(
            f"{50 + s * (w - 2)},24 {50 + s * (w + 9)},44 {50 + s * (w + 7)},70 {50 + s * (w - 2)},84",
            "trim",
            4.5,
            shade=0.85,
        )
        for s in (-1, 1)
    ]
    parts.append(
        Part(
            outline(f"50,10 {54 - w},13 {50 - w},28 {49 - w},60 {50 - w},86 {56 - w},92 50,93", mirror=50),
            "print",
            "puff",
            12,
        )
    )
    if shape == "rucksack":
        parts += [
            Part(box(30, 58, 70, 88, 5), "print", "puff", 5),
            Part(
                outline(f"{52 - w},14 50,9 {48 + w},14 {50 + w},36 {47 + w},48 50,51 {53 - w},48 {50 - w},36"),
                "main",
                "puff",
                6,
                lift=1.6,
            ),
        ]
        for x in (38, 62):
            parts += [
                line(f"{x},40 {x},52 {x},66", "trim", 4),
                Part(
                    box(x - 3.4, 58, x + 3.4, 65, 1),
                    "metal",
                    "puff",
                    1.4,
                    lift=0.6,
                    holes=(box(x - 1.8, 60, x + 1.8, 63),),
                ),
            ]
        return parts
    if shape == "roll-top":
        return [
            *parts,
            Part(box(52 - w, 10, 48 + w, 22, 5), "main", "puff", 5, lift=1.4),
            line("50,16 50,30 50,46", "trim", 4.4),
            Part(box(46, 34, 54, 42, 1.2), "metal", "puff", 1.6, lift=0.6, holes=(box(48, 36.6, 52, 39.4),)),
            Part(box(30, 60, 70, 86, 3), "trim", "flat", lift=0.9),
            line("32,64 50,64.6 68,64", "metal", 1),
        ]
    return [
        *parts,
        line(f"{54 - w},44 {53 - w},26 50,18 {47 + w},26 {46 + w},44", "metal", 1.1, lift=0.4),
        Part(outline("30,58! 32,54 50,53 68,54 70,58! 71,80 68,87 50,88 32,87 29,80"), "trim", "puff", 6),
        line("32,62 50,59.5 68,62", "metal", 1.1, lift=0.4),
        Part(box(64, 61, 66.5, 67, 1), "metal", "puff", 1, lift=0.4),
        Part(ellipse(50, 38, 6), "pale", "flat", lift=0.3),
    ]


def watch(shape: str, vary: Vary) -> list[Part]:
    r = vary(20)
    parts = [
        Part(outline("41,38! 42,18 43,4 50,2.5 57,4 58,18 59,38!"), "print", "puff", 4),
        Part(outline("41,62! 42,82 44,96 50,98 56,96 58,82 59,62!"), "print", "puff", 4),
        line("43.4,8 43,20 42.6,32", "seam", 0.5, lift=0.2),
        line("56.6,8 57,20 57.4,32", "seam", 0.5, lift=0.2),
        *[Part(ellipse(50, y, 0.9, 0.7), "dark", "flat", lift=0) for y in (76, 81, 86, 91)],
        Part(box(50 + r - 1, 47, 53.5 + r, 53, 1), "metal", "puff", 1.5),
    ]

    def case(by: float) -> Points:
        return (
            box(50 - r + by, 50 - r + by, 50 + r - by, 50 + r - by, 6) if shape == "square" else ellipse(50, 50, r - by)
        )

    parts += [Part(case(0), "metal", "puff", 5), Part(case(2.6), "trim", "flat", lift=0, shade=1.0)]
    inner = r - 5.5
    for hour in range(12):
        sin, cos = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
        far = inner / max(abs(sin), abs(cos)) * 0.94 if shape == "square" else inner
        near = far - (4 if hour % 3 == 0 else 2)
        parts.append(
            Part(
                np.array([(50 + near * sin, 50 - near * cos), (50 + far * sin, 50 - far * cos)]),
                "hands",
                "flat",
                1,
                1.3 if hour % 3 == 0 else 0.7,
                0,
            )
        )
    if shape == "chronograph":
        parts += [
            Part(ellipse(50 + dx, 50 + dy, 4), "metal", "flat", lift=0, shade=0.8)
            for dx, dy in ((-7, 0), (7, 0), (0, 7.5))
        ]
        parts += [
            Part(ellipse(50 + dx, 50 + dy, 3.2), "pale", "flat", lift=0) for dx, dy in ((-7, 0), (7, 0), (0, 7.5))
        ]
    parts += [
        Part(np.array([(50.0, 50.0), (50 + x, 50 + y)]), "hands", "flat", 1, w, 0.3)
        for x, y, w in ((-7.0, -4.0, 1.8), (6.5, -9.5, 1.3), (1.0, 12.0, 0.5))
    ]
    return [*parts, Part(ellipse(50, 50, 1.3), "metal", "puff", 1, lift=0.3)]


def necklace(shape: str, vary: Vary) -> list[Part]:
    drop = 60 + vary(5)
    chain = outline(
        f"24,6! 22,24 30,46 42,{drop - 6} 50,{drop} 58,{drop - 6} 70,46 78,24 76,6!", closed=False, samples=14
    )
    if shape == "beaded":
        steps = np.cumsum(np.r_[0, np.hypot(*np.diff(chain, axis=0).T)])
        at = np.linspace(0, steps[-1], 39)
        beads = np.stack([np.interp(at, steps, chain[:, k]) for k in (0, 1)], 1)
        sizes = 1.9 + 2.6 * np.exp(-(((np.arange(39) - 19) / 9.0) ** 2))
        return [
            Part(ellipse(x, y, size), "main" if k % 4 else "trim", "puff", size * 1.6, lift=0.7)
            for k, ((x, y), size) in enumerate(zip(beads, sizes, strict=True))
        ]
    parts = [Part(chain, "metal", "puff", 1.1, 1.2, 0.7)]
    if shape == "heart":
        heart = outline(
            f"50,{drop + 7}! 45,{drop + 1} 38,{drop + 4} 38,{drop + 12} 50,{drop + 25}! 62,{drop + 12} "
            f"62,{drop + 4} 55,{drop + 1}"
        )
        return [
            *parts,
            Part(heart, "metal", "puff", 4),
            Part(moved(heart, 0.8, about=(50, drop + 12)), "main", "puff", 7, lift=0.3),
        ]
    if shape == "statement":
        for k in range(-3, 4):
            x, y = 50 + k * 8.6, drop - 1 - abs(k) ** 1.5 * 3.6
            parts += [
                Part(ellipse(x, y + 6, 4.6, 6.6), "metal", "puff", 2.5, lift=0.8),
                Part(ellipse(x, y + 6, 3.5, 5.4), "main" if k % 2 == 0 else "trim", "puff", 5, lift=0.2),
            ]
        return parts
    drop_shape = outline(f"50,{drop + 3}! 44,{drop + 14} 41,{drop + 21} 50,{drop + 30} 59,{drop + 21} 56,{drop + 14}")
    return [
        *parts,
        Part(ellipse(50, drop + 1, 2.2), "metal", "puff", 1.4),
        Part(moved(drop_shape, 1.14, about=(50, drop + 18)), "metal", "puff", 3),
        Part(drop_shape, "main", "puff", 9, lift=0.2),
    ]


def mug(shape: str, vary: Vary) -> list[Part]:
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
    handle = line(
        f"{x + r - 2},{top + 12} {edge + reach * 0.8},{top + 11} {edge + reach},{mid} "
        f"{edge + reach * 0.7},{bottom - 16} {edge - 2},{bottom - 14}",
        "trim",
        5.2,
        5,
    )
    parts = [handle, turned(profile, "print", x), *opening(x, top, r, ry=r * 0.16)]
    if shape == "espresso":
        saucer = [
            Part(ellipse(x, 84, r + 17, 6.5), "trim", "puff", 5),
            Part(ellipse(x, 83, r, 3.4), "trim", "flat", lift=0, shade=0.8),
        ]
        return saucer + parts
    return parts


def teapot(shape: str, vary: Vary) -> list[Part]:
    r, top = vary({"round": 27, "tall": 21, "cast": 29}[shape]), {"round": 38, "tall": 26, "cast": 46}[shape]
    mid = (top + 88) / 2
    profile = {
        "round": f"12,{top} 22,{top + 7} {r},{mid} 23,80 14,88",
        "tall": f"13,{top} 16,{top + 12} {r - 1},{mid + 8} {r},78 16,88",
        "cast": f"13,{top} 25,{top + 8} {r},{mid} 26,80 18,87",
    }[shape]
    spout = outline(
        f"{52 - r},{mid - 6}! {44 - r},{mid - 8} {37 - r},{top + 2} {32 - r},{top - 3}! {29 - r},{top + 1}! "
        f"{34 - r},{mid} {42 - r},{mid + 13} {54 - r},{mid + 16}!"
    )
    parts = [Part(spout * (1, 1) + (3, 0), "trim", "puff", 6)]
    if shape == "cast":
        parts.append(line(f"30,{top + 6} 28,20 53,8 78,20 76,{top + 6}", "metal", 3, 3))
    else:
        parts.append(
            line(
                f"{51 + r - 4},{top + 12} {50 + r + 12},{top + 8} {50 + r + 17},{mid + 2} {50 + r + 8},{mid + 15} "
                f"{51 + r - 3},{mid + 18}",
                "trim",
                5.4,
                5,
            )
        )
    return [
        *parts,
        turned(profile, "print", 53),
        turned(f"2,{top - 9} 9,{top - 5} 13,{top + 1}", "trim", 53, bow=0.2),
        Part(ellipse(53, top - 11, 3.8, 3.6), "trim", "puff", 4),
    ]


def vase(shape: str, vary: Vary) -> list[Part]:
    profile, lip = {
        "bottle": ("7,12 6,24 8,40 24,58 26,74 17,92", 7),
        "urn": ("15,18 12,26 26,42 27,56 18,78 14,92", 15),
        "cylinder": ("19,14 19,40 19,70 18,92", 19),
        "round": ("9,26 9,32 30,50 33,66 26,84 15,92", 9),
    }[shape]
    k = vary(1.0)
    profile = " ".join(f"{float(word.split(',')[0]) * k},{word.split(',')[1]}" for word in profile.split())
    top = float(profile.split()[0].split(",")[1])
    parts = [turned(profile, "print"), *opening(50, top, lip * k, ry=max(1.4, lip * k * 0.16))]
    if shape == "urn":
        handles = [
            line(f"{50 + s * 13 * k},24 {50 + s * 27},24 {50 + s * 29},36 {50 + s * 24},42", "trim", 3.2, 3)
            for s in (-1, 1)
        ]
        return handles + parts
    return parts


def lamp(shape: str, vary: Vary) -> list[Part]:
    w = vary(28)
    if shape == "mushroom":
        return [
            turned("9,44 8,60 10,78 17,92", "trim"),
            Part(
                outline(
                    f"{48 - w},50! {50 - w},34 {54 - w * 0.6},20 50,14 {46 + w * 0.6},20 {50 + w},34 {52 + w},50! 50,56"
                ),
                "glow",
                "puff",
                18,
            ),
        ]
    if shape == "desk":
        return [
            Part(ellipse(46, 90, 20, 5), "trim", "puff", 4),
            line("46,88 30,60 26,48", "metal", 2.6, 2.4),
            line("26,48 44,28 62,20", "metal", 2.6, 2.4),
            Part(ellipse(26, 48, 3.2), "metal", "puff", 2.5),
            Part(moved(turned("6,8 9,14 20,34", "print", 66, bow=0.22).outline, 1, -28, (66, 18)), "glow", "puff", 10),
            Part(ellipse(73, 33, 4), "bulb", "puff", 3, lift=0),
        ]
    stem = {
        "tripod": [],
        "table": [turned("3,46 8,56 13,68 9,82 15,88 15,92", "trim")],
        "drum": [turned("2.4,46 2.4,86", "metal"), turned("15,88 16,92", "trim")],
    }[shape]
    if shape == "tripod":
        stem = [line(f"50,44 {x},94", "wood", 2.8, 2.4) for x in (50, 30, 70)]
    narrow = {"tripod": 0.7, "table": 0.5, "drum": 0.96}[shape]
    return [
        *stem,
        turned(f"{w * narrow},8 {w},48", "glow", bow=0.1),
        Part(ellipse(50, 8, w * narrow, w * narrow * 0.1), "pale", "flat", lift=0),
        line(f"{50 - w},48.4 50,{48.6 + w * 0.1} {50 + w},48.4", "trim", 1.3, lift=0.2),
    ]


def chair(shape: str, vary: Vary) -> list[Part]:
    if shape == "stool":
        legs = [line(f"{50 + k * 14},46 {50 + k * 20},94", "wood", 3.4, 3) for k in (-1, 1)] + [
            line("44,50 42,86", "wood", 2.8, shade=0.75),
            line("56,50 58,86", "wood", 2.8, shade=0.75),
        ]
        return [
            *legs,
            line("33,76 50,77 67,76", "wood", 2.2),
            turned("24,38 25,46", "print", bow=0.22),
            Part(ellipse(50, 37.5, 24.5, vary(7)), "print", "puff", 6, lift=0.4),
        ]
    if shape == "armchair":
        w = vary(32)
        legs = [line(f"{50 + k * 24},86 {50 + k * 26},97", "wood", 4, 3) for k in (-1, 1)]
        return [
            *legs,
            Part(
                outline(f"{54 - w},60! {52 - w},24 {58 - w},10 50,7 {42 + w},10 {48 + w},24 {46 + w},60!"),
                "print",
                "puff",
                14,
            ),
            Part(box(26, 70, 74, 88, 3), "print", "puff", 5, shade=0.85),
            Part(box(27, 54, 73, 73, 7), "print", "puff", 9),
            *[
                Part(
                    outline(f"{50 + k * 22},46 {50 + k * 34},43 {50 + k * 40},54 {50 + k * 38},88! {50 + k * 23},89!"),
                    "print",
                    "puff",
                    9,
                )
                for k in (-1, 1)
            ],
        ]
    if shape == "dining":
        back = [line(f"{x},6 {x + lean},60", "wood", 4, 3) for x, lean in ((28, 1.5), (72, -1.5))]
        slats = [line(f"30,{y} 50,{y - 2} 70,{y}", "wood", 4.4, 3) for y in (12, 24, 36)]
        return [
            *back,
            *slats,
            *[line(f"{x},58 {x},86", "wood", 3, shade=0.7) for x in (33, 67)],
            *[line(f"{x},64 {x + k},96", "wood", 4, 3) for x, k in ((27, -2), (73, 2))],
            Part(outline("30,50! 50,48 70,50! 78,64! 50,67 22,64!"), "print", "puff", 6),
            line("23,66 50,69.5 77,66", "wood", 3.4, 2),
        ]
    return [
        *[line(f"{x},60 {y},94", "wood", 3.2, 3) for x, y in ((36, 26), (64, 74), (42, 38), (58, 62))],
        Part(outline("22,50 24,22 36,10 50,8 64,10 76,22 78,50 74,58 50,52 26,58"), "print", "puff", 12),
        Part(outline("20,48 28,54 50,57 72,54 80,48 80,60 68,70 50,72 32,70 20,60"), "main", "puff", 8),
        Part(ellipse(50, 57, 24, 6), "trim", "puff", 5, lift=0.4),
    ]


def cushion(shape: str, vary: Vary) -> list[Part]:
    if shape == "round":
        return [
            Part(ellipse(50, 50, 42, vary(41)), "print", "puff", 30),
            Part(ellipse(50, 50, 40.5, 39.5), "trim", "puff", 1.2, 1.4, 0.2, closed_line=True),
            Part(ellipse(50, 50, 3.6), "trim", "puff", 3),
        ]
    if shape == "bolster":
        return [
            Part(outline("12,34 50,31 88,34 92,50 88,66 50,69 12,66 8,50"), "print", "puff", 20),
            *both("8,50 9,40 13,34 17,42 18,50 17,58 13,66 9,60", "trim", depth=4, lift=0.4),
        ]
    inset = vary(5)
    edge = outline(
        f"8,9! 28,{8 + inset} 50,{9 + inset} 72,{8 + inset} 92,9! {92 - inset},30 {91 - inset},50 {92 - inset},70 "
        f"91,91! 70,{92 - inset} 50,{91 - inset} 30,{92 - inset} 9,91! {8 + inset},70 {9 + inset},50 {8 + inset},30"
    )
    parts = [Part(edge, "print", "puff", 30), Part(edge, "trim", "puff", 1.2, 1.3, 0.2, closed_line=True)]
    if shape == "tasselled":
        for x, y, dx, dy in ((8, 9, -1, -1), (92, 9, 1, -1), (9, 91, -1, 1), (91, 91, 1, 1)):
            parts += [line(f"{x},{y} {x + dx * (3 + k)},{y + dy * (6 - k)}", "trim", 1.5, lift=0.3) for k in (-1, 1, 3)]
            parts.append(Part(ellipse(x, y, 2.2), "trim", "puff", 2, lift=0.4))
        return placed(parts, 0.9)
    return parts


def rug(shape: str, vary: Vary) -> list[Part]:
    if shape == "round":
        return [
            Part(ellipse(50, 50, 46), "trim", "flat"),
            Part(ellipse(50, 50, vary(40)), "print", "flat", lift=0.2),
            Part(ellipse(50, 50, 43), "pale", "flat", 1, 1.0, 0, closed_line=True),
        ]
    left, right = (8, 92) if shape == "rectangular" else (27, 73)
    top, bottom = (20, 80) if shape == "rectangular" else (5, 95)
    if shape == "rectangular":
        fringe = [
            line(f"{s},{y} {s + d * 4.5},{y + 0.6}", "pale", 0.8, lift=0.2)
            for s, d in ((left, -1), (right, 1))
            for y in np.linspace(top + 1, bottom - 1, 22)
        ]
    else:
        fringe = [
            line(f"{x},{s} {x + 0.6},{s + d * 4}", "pale", 0.8, lift=0.2)
            for s, d in ((top, -1), (bottom, 1))
            for x in np.linspace(left + 1, right - 1, 18)
        ]
    return [
        *fringe,
        Part(box(left, top, right, bottom, 1), "trim", "flat"),
        Part(box(left + 4, top + 4, right - 4, bottom - 4, 0.5), "pale", "flat", lift=0),
        Part(box(left + 5.5, top + 5.5, right - 5.5, bottom - 5.5, 0.5), "print", "flat", lift=0),
    ]


def guitar(shape: str, vary: Vary) -> list[Part]:
    k = vary(1.0)
    strings = [
        line(f"{48 + s * 0.8},14 {47.6 + s * 0.96},{82 if shape != 'electric' else 80}", "pale", 0.28, lift=0.15)
        for s in range(6 if shape != "ukulele" else 4)
    ]
    neck = [Part(box(47, 12, 53, 60), "wood", "puff", 3), Part(box(47.4, 12, 52.6, 60), "dark", "flat", lift=0.2)]
    neck += [
        line(f"47.5,{y} 52.5,{y}", "metal", 0.5, lift=0)
        for y in 60 - 48 * (1 - 0.91 ** np.arange(1, 15)) / (1 - 0.91**16)
    ]
    head = [Part(outline("46.5,13! 45,3! 50,1.5 55,3! 53.5,13!"), "wood", "puff", 2)]
    head += [Part(ellipse(50 + s * 6.6, y, 1.2), "metal", "puff", 1, lift=0.3) for s in (-1, 1) for y in (4, 7.5, 11)]
    if shape == "electric":
        body = [
            Part(
                outline(
                    "46,56! 40,50 32,46 28,52 32,62 28,72 27,84 38,95 50,96 64,95 73,84 70,72 66,64 70,54 66,50 "
                    "58,54 54,58!"
                ),
                "print",
                "puff",
                6,
            ),
            Part(outline("46,57 54,58 62,58 62,66 66,78 58,88 52,78 46,70"), "trim", "flat", lift=0.4),
        ]
        extras = [Part(box(45.5, y, 54.5, y + 4, 1), "dark", "puff", 1.2, lift=0.3) for y in (63, 71)] + [
            Part(box(45, 79, 55, 83, 1), "metal", "puff", 1.2)
        ]
        extras += [Part(ellipse(x, y, 1.8), "metal", "puff", 1.2) for x, y in ((62, 80), (63, 86))]
    else:
        wide = 20 * k if shape == "acoustic" else 17 * k
        top = 46 if shape == "acoustic" else 54
        body = [
            Part(
                outline(
                    f"50,{top} {50 - wide * 0.6},{top + 2} {50 - wide * 0.78},{top + 13} "
                    f"{50 - wide * 0.62},{top + 22} {50 - wide},{top + 36} {50 - wide * 0.7},95 50,97",
                    mirror=50,
                ),
                "print",
                "puff",
                4,
            )
        ]
        y = top + 19
        body += [Part(ellipse(50, y, 6.6), "trim", "flat", lift=0), Part(ellipse(50, y, 5.4), "dark", "flat", lift=0)]
        extras = [Part(box(43, 82, 57, 85.4, 1), "dark", "puff", 1.2)]
    return placed([*body, *neck, *head, *extras, *strings], 1.02, 0)


def clock(shape: str, vary: Vary) -> list[Part]:
    r = vary(38)
    if shape == "sunburst":
        parts = [
            Part(moved(outline("49,4! 51,4! 52,30! 48,30!"), 1, k * 360 / 28), "trim", "puff", 1.4, lift=0.5)
            for k in range(28)
        ]
        r = 26
    elif shape == "alarm":
        parts = [Part(ellipse(50 + s * 20, 17, 12, 9), "metal", "puff", 7) for s in (-1, 1)] + [
            line(f"{50 + s * 22},84 {50 + s * 29},95", "metal", 4, 3) for s in (-1, 1)
        ]
        parts.append(line("44,10 50,6 56,10", "metal", 2))
        r = 33
    else:
        parts = []
    y = 52 if shape == "alarm" else 50
    parts += [
        Part(ellipse(50, y, r), "print", "puff", 6),
        Part(ellipse(50, y, r - 5), "dial", "flat", lift=0, shade=0.98),
    ]
    for hour in range(12):
        sin, cos = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
        near = r - (13 if hour % 3 == 0 else 10)
        parts.append(
            Part(
                np.array([(50 + near * sin, y - near * cos), (50 + (r - 7.5) * sin, y - (r - 7.5) * cos)]),
                "dark",
                "flat",
                1,
                2.2 if hour % 3 == 0 else 1.0,
                0,
            )
        )
    hands = ((-0.38, -0.26, 2.6), (0.32, -0.52, 1.8))
    parts += [Part(np.array([(50.0, y), (50 + a * r, y + b * r)]), "dark", "flat", 1, w, 0.4) for a, b, w in hands]
    parts.append(
        Part(np.array([(50 - 0.06 * r, y - 0.14 * r), (50 + 0.22 * r, y + 0.5 * r)]), "trim", "flat", 1, 0.8, 0.3)
    )
    return [*parts, Part(ellipse(50, y, 2.2), "trim", "puff", 1.6, lift=0.3)]


def teddy(shape: str, vary: Vary) -> list[Part]:
    rabbit = shape == "rabbit"
    ear = (
        both("36,24 31,6 35,0 41,3 44,20", "main", depth=6)
        if rabbit
        else [Part(ellipse(50 + s * 17, 14, 8), "main", "puff", 7) for s in (-1, 1)]
    )
    inner = (
        both("37,20 34,7 36,4 39,8 41,19", "trim", depth=3, lift=0.2)
        if rabbit
        else [Part(ellipse(50 + s * 17, 14.5, 4.8), "trim", "puff", 4, lift=0.3) for s in (-1, 1)]
    )
    parts = [
        *both("34,50 22,54 15,66 20,74 28,70 36,62", "main", depth=9),
        Part(ellipse(50, 66, vary(22), 25), "print", "puff", 20),
        Part(ellipse(50, 68, 13, 15), "trim", "puff", 10, lift=0.3),
        *[Part(ellipse(50 + s * 19, 87, 11.5, 10), "main", "puff", 9) for s in (-1, 1)],
        *[Part(ellipse(50 + s * 20, 88, 6.5, 6), "trim", "puff", 5, lift=0.3) for s in (-1, 1)],
        *ear,
        *inner,
        Part(ellipse(50, 29, 22, 19.5), "main", "puff", 17),
        Part(ellipse(50, 35, 9.5, 7.5), "trim", "puff", 7, lift=0.4),
        *[Part(ellipse(50 + s * 8.5, 25, 2.1, 2.4), "dark", "puff", 2, lift=0.3) for s in (-1, 1)],
        Part(ellipse(50, 32, 3.3, 2.3), "dark", "puff", 2, lift=0.3),
        line("46,38 50,40.5 54,38", "dark", 0.8, lift=0.1),
    ]
    if shape == "bow":
        parts += [*both("49,47 38,42 36,52 40,54", "ribbon", depth=4), Part(ellipse(50, 47.5, 3), "ribbon", "puff", 3)]
    return parts


def umbrella(shape: str, vary: Vary) -> list[Part]:
    rim = "8,52! 18,46 29,52! 40,46 50,52! 60,46 71,52! 82,46 92,52!"
    parts = [line("50,50 50,84 50,88 46,94 40,92 40,87" if shape == "crook" else "50,50 50,80", "metal", 1.6, 1.4)]
    if shape == "crook":
        parts.append(line("50,80 50,88 46,94 40,92 40,86", "wood", 3.2, 2.6))
    else:
        parts.append(Part(box(47.6, 78, 52.4, 95, 2), "dark", "puff", 2))
    top = vary(12)
    dome = outline(f"{rim} 86,32 70,{top + 6} 50,{top} 30,{top + 6} 14,32")
    parts.append(Part(dome, "print", "puff", 24))
    parts += [line(f"50,{top} {50 + s * 12},{top + 12} {50 + s * 21},51", "seam", 0.8, lift=0.5) for s in (-1, 1)]
    parts += [line(f"50,{top} 50,30 50,51.5", "seam", 0.6, lift=0.4)]
    return [*parts, line(f"50,{top - 5} 50,{top + 1}", "metal", 1.4)]


SHAPERS: Mapping[str, Shaper] = {
    "boots": boots,
    "sneakers": sneakers,
    "heels": heels,
    "dress": dress,
    "t-shirt": t_shirt,
    "jumper": jumper,
    "jacket": jacket,
    "skirt": skirt,
    "hat": hat,
    "scarf": scarf,
    "handbag": handbag,
    "backpack": backpack,
    "watch": watch,
    "necklace": necklace,
    "mug": mug,
    "teapot": teapot,
    "vase": vase,
    "lamp": lamp,
    "chair": chair,
    "cushion": cushion,
    "rug": rug,
    "guitar": guitar,
    "clock": clock,
    "teddy": teddy,
    "umbrella": umbrella,
}
