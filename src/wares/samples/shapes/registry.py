"""The function that draws each kind of goods, in one of its shapes, as layers without colour and light.

`vary(x)` returns x, a little more or less: it gives every item its own proportions. A layer names its paint, which
`wares.samples.photography.item_sprites` mixes for each item: `main` and `trim` are the item's two colours, `print` is
`main` with the pattern on it, `glow` is the same with light behind it; others do not depend on the colour.

To add a kind: a function in a module of this package, a row below, and a table in kinds.toml.
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
