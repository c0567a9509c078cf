"""Shapes of clothes, hats and scarves."""

from __future__ import annotations

import numpy as np

from wares.samples.drawing.geometry import ellipse, rectangle, spline
from wares.samples.drawing.layers import Layer
from wares.samples.shapes.outlines import Vary, mirrored, stroke, transform_layers


def _hem(y: float, left: float, right: float, waves: int) -> str:
    """Return the knots of a wavy hem."""
    xs = np.linspace(left, right, 2 * waves + 1)
    return " ".join(
        f"{x:.1f},{y + (1.6 if k % 2 else 0):.1f}{'!' if k in (0, 2 * waves) else ''}" for k, x in enumerate(xs)
    )


def _folds(top: float, bottom: float, narrow: float, wide: float, count: int) -> list[Layer]:
    """Draw folds that fall from the waist to the hem."""
    middle = (top + bottom) / 2
    shares = [-0.78 + 1.56 * k / max(1, count - 1) for k in range(count)]
    return [
        stroke(
            f"{50 + x * narrow},{top} {50 + x * (narrow + wide) / 2},{middle} {50 + x * wide},{bottom}",
            "seam",
            0.9,
            lift=0.35,
        )
        for x in shares
    ]


def dress(shape: str, vary: Vary) -> list[Layer]:
    """Draw a mini, midi, maxi or wrap dress."""
    hem = {"mini": 70, "midi": 84, "maxi": 96, "wrap": 82}[shape] + vary(1)
    flare = {"mini": 22, "midi": 27, "maxi": 29, "wrap": 23}[shape] * vary(1)
    sleeve = "34,12! 27,15 22,26! 30,30! 35,25"
    if shape in ("wrap", "maxi"):
        sleeve = "33,13! 25,17 20,32 18,46! 25,48! 29,34 35,26"
    skirt = spline(
        f"37,41! 36,46 {50 - flare * 0.8},{(hem + 42) / 2} {_hem(hem, 50 - flare, 50 + flare, 5)} "
        f"{50 + flare * 0.8},{(hem + 42) / 2} 64,46 63,41!"
    )
    neck, side = "50,17!" if shape in ("mini", "midi") else "50,25!", 15 if shape == "wrap" else 13
    bodice = spline(
        f"33,11! 40,6! 43,{side} {neck} 57,{side} 60,6! 67,11! 66,22 64,30 62,37 63,43! 50,44 37,43! 38,37 36,30 34,22"
    )
    layers = [Layer(spline("41,7! 50,11 59,7! 57,17 50,24 43,17"), "inside", "flat", lift=0, shade=0.6)]
    if shape != "mini":
        layers += mirrored(sleeve, "print", depth=6, lift=0.6)
    layers.append(Layer(skirt, "print", "puff", 12))
    layers += _folds(46, hem - 2, 11, flare, 5)
    layers.append(Layer(bodice, "print", "puff", 10))
    layers.append(Layer(spline("37.5,40! 50,41.5 62.5,40! 63,44.5! 50,46 37,44.5!"), "trim", "puff", 2.5, lift=0.6))
    if shape == "wrap":
        layers.append(stroke("44,12 52,26 61,40", "seam", 1.0))
        layers.append(stroke("61,43 66,52 65,62", "trim", 2.2))
        layers.append(stroke("61,43 62,54 59,60", "trim", 2.2))
    elif shape == "midi":
        layers += [Layer(ellipse(50, y, 1.1), "trim", "puff", 0.8, lift=0.3) for y in (23, 28, 33)]
    return layers


def _top(sleeve: str, body: str) -> list[Layer]:
    """Draw the inside of the neck, the sleeves and the body; knots of the left half."""
    return [
        Layer(spline("38,12! 50,15 62,12! 60,22 50,26 40,22"), "inside", "flat", lift=0, shade=0.6),
        *mirrored(sleeve, "print", depth=9, lift=0.9),
        Layer(spline(body, mirror=50), "print", "puff", 12),
    ]


def t_shirt(shape: str, vary: Vary) -> list[Layer]:
    """Draw a T-shirt with a crew neck, a V-neck, long sleeves or a pocket."""
    width, hem = 50 - vary(22), 84 + vary(4)
    if shape == "long-sleeved":
        sleeve = f"32,15! 22,20 15,40 9,74! 17,76! 25,52 {width + 4},34"
    else:
        sleeve = f"32,15! 22,19 11,36! 21,44! 26,38 {width + 4},33"
    neck, middle, side = ("50,28!", 20, 20.5) if shape == "v-neck" else ("50,23", 21.5, 21.5)
    body = f"{neck} 44,{middle} 39,12! 31,15 {width},28 {width + 0.5},55 {width - 0.5},{hem}! 50,{hem + 1.5}"
    layers = _top(sleeve, body)
    layers.append(stroke(f"39,12.5 44,{side} {neck.rstrip('!')} 56,{side} 61,12.5", "trim", 2.6, lift=0.4))
    if shape == "pocket":
        layers.append(Layer(spline("55,36! 66,36! 66,46! 60.5,50! 55,46!"), "trim", "flat", lift=0.4))
    layers.append(stroke(f"{width + 1},{hem - 3} 50,{hem - 1.6} {99 - width},{hem - 3}", "seam", 0.6, lift=0.2))
    return layers


def jumper(shape: str, vary: Vary) -> list[Layer]:
    """Draw a jumper with a crew neck or a roll neck, or a cardigan."""
    width, hem = 50 - vary(24), 82 + vary(4)
    sleeve = f"32,16! 21,20 13,42 8,74! 18,77! 26,54 {width + 5},36"
    body = f"50,20 44,18.5 39,13! 30,16 {width},32 {width - 1},60 {width + 1},{hem}! 50,{hem + 1}"
    layers = _top(sleeve, body)
    if shape == "roll-neck":
        layers.append(Layer(spline("38,17! 38,6 50,4 62,6 62,17! 50,22"), "trim", "puff", 5))
    else:
        layers.append(stroke("39,14 44,19 50,20.5 56,19 61,14", "trim", 2.6, lift=0.4))
    if shape == "cardigan":
        layers.append(stroke(f"50,21 50.3,50 50,{hem + 5}", "trim", 3.4, lift=0.5))
    layers += _waistband(width + 0.5, hem - 1, 1.5, 1.5, 0.4)
    layers += mirrored("7.6,73! 18,76! 17,82! 7,79!", "trim", depth=3, lift=0.4)
    if shape == "cardigan":
        layers += [Layer(ellipse(50, y, 1.5), "wood", "puff", 1.2, lift=0.4) for y in np.linspace(28, hem, 5)]
    return layers


def _waistband(left: float, top: float, inset: float, dip: float, lift: float) -> list[Layer]:
    """Draw the band at a hem, 7 units high, narrower below by `inset`, with an upper edge that dips in the middle."""
    band = spline(
        f"{left},{top}! 50,{top + dip} {100 - left},{top}! {100 - left - inset},{top + 7}! 50,{top + 8} "
        f"{left + inset},{top + 7}!"
    )
    return [Layer(band, "trim", "puff", 3, lift=lift)]


def jacket(shape: str, vary: Vary) -> list[Layer]:
    """Draw a bomber, a blazer, a hooded jacket or a biker jacket."""
    width = 50 - vary(24)
    hem = {"bomber": 76, "blazer": 88, "hooded": 86, "biker": 74}[shape]
    sleeve = f"32,15! 20,20 13,42 9,{hem - 5}! 20,{hem - 2}! 27,52 {width + 5},36"
    body = f"50,22! 44,20 39,12! 31,15 {width},30 {width},58 {width - 1},{hem}! 50,{hem + 1}"
    layers = []
    if shape == "hooded":
        layers.append(Layer(spline("31,18 30,6 40,1 50,0 60,1 70,6 69,18 50,24"), "print", "puff", 8))
        layers.append(Layer(spline("38,18 38,8 50,5 62,8 62,18 50,25"), "inside", "puff", 4, shade=0.7, lift=0.5))
    layers += _top(sleeve, body)
    layers += _blazer_front(hem) if shape == "blazer" else _zip_front(hem)
    if shape in ("bomber", "hooded"):
        layers += _waistband(width, hem - 2, 2, 1, 0.5)
        layers += mirrored(f"8.5,{hem - 6}! 20,{hem - 3}! 19,{hem + 3}! 8.5,{hem}!", "trim", depth=3, lift=0.4)
    if shape == "bomber":
        layers.append(Layer(spline("37,13! 40,8 50,6 60,8 63,13! 56,20 50,23 44,20"), "trim", "puff", 3, lift=0.6))
        layers.append(Layer(spline("41,11! 50,9 59,11! 55,17 50,20 45,17"), "inside", "flat", shade=0.6, lift=0.2))
    elif shape == "biker":
        layers += mirrored("41,10! 32,17 38,30! 49,25!", "main", depth=2.5, lift=1.0)
        layers.append(stroke("58,26 60,48 56,72", "metal", 1.1, lift=0.4))
    y, paint = (68, "seam") if shape == "blazer" else (58, "metal")
    pockets = [stroke(f"{x},{y} {x + slant},{y + 9}", paint, 1.1, lift=0.4) for x, slant in ((37, -3), (63, 3))]
    return layers + pockets


def _blazer_front(hem: float) -> list[Layer]:
    return [
        Layer(spline("40,11! 50,44! 60,11! 50,16"), "pale", "flat", lift=0.3),
        *mirrored("40,10! 33,18 34,26! 37,27! 35,31! 49.5,50! 44,28", "main", depth=2.5, lift=1.2),
        *[Layer(ellipse(50, y, 1.6), "wood", "puff", 1.2, lift=0.5) for y in (54, 64)],
        stroke(f"50,50 50.4,66 48.5,{hem}", "seam", 0.8, lift=0.4),
    ]


def _zip_front(hem: float) -> list[Layer]:
    return [
        stroke(f"50,22 50,50 50,{hem}", "metal", 1.4, lift=0.5),
        Layer(rectangle(49, 34, 51, 38, 0.8), "metal", "puff", 1, lift=0.4),
    ]


def skirt(shape: str, vary: Vary) -> list[Layer]:
    """Draw a mini, pleated or maxi skirt."""
    hem = {"mini": 64, "pleated": 82, "maxi": 95}[shape]
    flare = vary({"mini": 29, "pleated": 36, "maxi": 33}[shape])
    body = spline(
        f"35,14! {50 - flare * 0.75},{(hem + 14) / 2} "
        f"{_hem(hem, 50 - flare, 50 + flare, 8 if shape == 'pleated' else 5)} "
        f"{50 + flare * 0.75},{(hem + 14) / 2} 65,14!"
    )
    layers = [Layer(body, "print", "puff", 13), *_folds(18, hem - 1, 14, flare, 11 if shape == "pleated" else 5)]
    layers.append(Layer(spline("34.5,8! 50,9.5 65.5,8! 65.5,15! 50,16.5 34.5,15!"), "trim", "puff", 3, lift=0.6))
    if shape == "mini":
        layers += [Layer(ellipse(50, y, 1.5), "metal", "puff", 1, lift=0.4) for y in (22, 32, 42, 52)]
    return transform_layers(layers, 1, 0, (0, (86 - hem) / 2 + 4))


def hat(shape: str, vary: Vary) -> list[Layer]:
    """Draw a beanie, a cap, a fedora or a sun hat."""
    if shape == "beanie":
        return [
            Layer(spline("18,72! 18,44 30,26 50,21 70,26 82,44 82,72! 50,76"), "print", "puff", 22),
            Layer(spline("15,64! 50,70 85,64! 86,82! 50,88 14,82!"), "trim", "puff", 7),
            Layer(ellipse(50, 16, vary(11)), "trim", "puff", 10),
        ]
    if shape == "cap":
        return [
            Layer(spline("20,60! 20,36 36,22 52,22 72,26 78,44 78,60! 50,64"), "print", "puff", 20),
            stroke("50,22 44,40 45,60", "seam", 0.8, lift=0.3),
            stroke("53,22 66,38 69,60", "seam", 0.8, lift=0.3),
            Layer(spline("40,58! 60,57 79,56! 96,64 98,72 84,72 62,67 44,66"), "trim", "puff", 5),
            Layer(ellipse(51, 22, 2.4, 1.6), "trim", "puff", 1.5),
            Layer(ellipse(60, 45, 6, 5.4), "pale", "flat", lift=0.3),
        ]
    brim, crown = {
        "fedora": (42, "28,60! 27,40 34,26 44,25 50,28 56,25 66,26 73,40 72,60! 50,66"),
        "sun hat": (46, "27,60! 27,38 38,25 50,23 62,25 73,38 73,60! 50,66"),
    }[shape]
    bow = [Layer(spline("70,52! 76,46 82,50 76,56 82,62 74,62"), "trim", "puff", 3)]
    return [
        Layer(ellipse(50, 63, brim, vary(14)), "print", "puff", 6),
        Layer(ellipse(50, 60, 26, 8), "dark", "flat", lift=0, shade=1.1),
        Layer(spline(crown), "print", "puff", 15),
        Layer(spline("27.5,50! 50,57 72.5,50! 72.5,60! 50,67 27.5,60!"), "trim", "puff", 3, lift=0.6),
        *(bow if shape == "sun hat" else []),
    ]


def scarf(shape: str, vary: Vary) -> list[Layer]:
    """Draw a long scarf or a snood."""
    end = 88 + vary(2)
    if shape == "snood":
        front = "14,44 22,30 36,44 50,48 64,44 78,30 86,44 84,66 70,84 50,88 30,84 16,66"
        return [
            Layer(spline("18,36 30,18 50,13 70,18 82,36 80,48 50,40 20,48"), "print", "puff", 10, shade=0.82),
            Layer(spline(front), "print", "puff", 16),
            stroke("18,52 34,64 50,68 66,64 82,52", "seam", 1.4),
            stroke("22,66 36,75 50,78 64,75 78,66", "seam", 1.4),
        ]
    return [
        Layer(spline("26,34 30,16 50,10 70,16 74,34 62,28 50,26 38,28"), "print", "puff", 8, shade=0.8),
        *_scarf_end(41, -4, end - 8),
        *_scarf_end(58, 4, end),
        Layer(spline("24,34 34,36 50,42 66,36 76,34 74,46 62,56 50,58 38,56 26,46"), "print", "puff", 9),
        stroke("30,42 42,49 56,50 70,42", "seam", 1.1),
    ]


def _scarf_end(x: float, lean: float, bottom: float) -> list[Layer]:
    """Draw an end that hangs from about (x, 40), shifted by `lean` at its bottom, with a fringe."""
    fringe = [
        stroke(f"{x - 9 + lean + k * 3},{bottom} {x - 9.5 + lean + k * 3.2},{bottom + 7}", "trim", 1.2, lift=0.3)
        for k in range(7)
    ]
    end = spline(
        f"{x - 8},40! {x - 9 + lean / 2},64 {x - 11 + lean},{bottom}! {x + 11 + lean},{bottom}! "
        f"{x + 9 + lean / 2},64 {x + 8},40!"
    )
    return [*fringe, Layer(end, "print", "puff", 8)]
