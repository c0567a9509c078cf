"""Pictures that show no item: size charts and logos."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from wares.samples.items import Item
from wares.samples.kinds import KINDS, has_size_range
from wares.samples.photography.camera import Seller, Size
from wares.samples.randomness import Rng, pick


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}", size)


TABLES: Mapping[str, tuple[Sequence[str], float]] = {
    "shoes": (("EU", "UK", "US", "CM"), 36),
    "clothes": (("SIZE", "BUST", "WAIST", "HIPS"), 8),
    "other": (("", "WIDTH", "HEIGHT", "DEPTH"), 10),
}


def _measures(group: str, first: float, rng: Rng) -> list[tuple[str, ...]]:
    if group == "shoes":
        return [(f"{36 + k}", f"{3 + k}", f"{5 + k}", f"{22.5 + 0.7 * k:.1f}") for k in range(7)]
    if group == "clothes":
        sizes = enumerate(("XS", "S", "M", "L", "XL", "XXL"))
        return [(name, f"{80 + 5 * k}", f"{62 + 5 * k}", f"{88 + 5 * k}") for k, name in sizes]
    return [(name, *(f"{int(value)}" for value in first + rng.uniform(4, 60, 3))) for name in ("cm", "inch", "box")]


def size_chart(item: Item, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """A table of measures."""
    group = "shoes" if KINDS[item.kind].group == "shoes" else "clothes" if has_size_range(item.kind) else "other"
    heads, first = TABLES[group]
    rows = _measures(group, first, rng)
    pale = tuple(255 - (255 - channel) // 5 for channel in seller.brand)
    out = Image.new("RGB", size, (252, 251, 248))
    draw = ImageDraw.Draw(out)
    draw.rectangle((0, 0, size[0], 46), seller.brand)
    title = pick(rng, ("SIZE GUIDE", "SIZE CHART", "MEASUREMENTS", "PLEASE MEASURE!"))
    draw.text((size[0] / 2, 23), title, (255, 255, 255), font(20, True), "mm")
    wide, tall = size[0] / 4.3, min(26, (size[1] - 90) / (len(rows) + 1))
    left = (size[0] - wide * 4) / 2
    for r, row in enumerate([heads, *rows]):
        y = 58 + r * tall
        if r % 2 == 0:
            draw.rectangle((left, y, left + wide * 4, y + tall), pale)
        for c, text in enumerate(row):
            draw.text((left + wide * (c + 0.5), y + tall / 2), text, (54, 52, 56), font(13, r == 0 or c == 0), "mm")
    draw.text((size[0] / 2, size[1] - 14), f"{seller.name}  ·  all measures ± 1", (130, 126, 124), font(10), "mm")
    return out


def logo(item: Item, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """The seller's card."""
    dark = rng.random() < 0.5
    ground, ink = (seller.brand, (255, 252, 244)) if dark else ((251, 248, 241), seller.brand)
    out = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(out)
    x, y = size[0] / 2, size[1] * 0.4
    style = sum(map(ord, seller.name)) % 3
    if style == 0:
        draw.ellipse((x - 52, y - 52, x + 52, y + 52), outline=ink, width=3)
        draw.ellipse((x - 46, y - 46, x + 46, y + 46), outline=ink, width=1)
    elif style == 1:
        for k in range(16):
            a = k * math.pi / 8
            draw.ellipse(
                (
                    x + 48 * math.cos(a) - 9,
                    y + 48 * math.sin(a) - 9,
                    x + 48 * math.cos(a) + 9,
                    y + 48 * math.sin(a) + 9,
                ),
                ink,
            )
        draw.ellipse((x - 47, y - 47, x + 47, y + 47), ground)
    else:
        draw.polygon([(x, y - 62), (x + 62, y), (x, y + 62), (x - 62, y)], outline=ink, width=3)
    initials = "".join(word[0] for word in seller.name.split() if word[0].isupper())[:2]
    draw.text((x, y), initials, ink, font(38, True), "mm")
    draw.text((x, size[1] * 0.74), seller.name, ink, font(17, True), "mm")
    note = pick(
        rng,
        (
            "handmade with love",
            "free shipping over 30",
            "follow our shop",
            "thank you for shopping small",
            "new stock every week",
            "bundle and save 10%",
        ),
    )
    draw.text((x, size[1] * 0.83), note, ink, font(12), "mm")
    return out
