"""The outlines of every kind of goods: what a thing is made of, part by part, before colour and light.

A function draws one kind in one of its shapes. `vary(x)` is x, a little more or less: it gives every
listing its own proportions. Slots of paint: `main` and `trim` are the seller's colours, `print` is
`main` with the pattern on it; the others are the same for all (`pale`, `dark`, `wood`, `metal`, `glow`).
"""

from __future__ import annotations

from collections.abc import Mapping

from wares.samples.shapes.accessories import backpack, handbag, necklace, umbrella, watch
from wares.samples.shapes.clothing import dress, hat, jacket, jumper, scarf, skirt, t_shirt
from wares.samples.shapes.footwear import boots, heels, sneakers
from wares.samples.shapes.home import chair, clock, cushion, lamp, mug, rug, teapot, vase
from wares.samples.shapes.outlines import DrawShape
from wares.samples.shapes.toys import guitar, teddy

SHAPES: Mapping[str, DrawShape] = {
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
