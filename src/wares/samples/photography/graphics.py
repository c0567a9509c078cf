"""Graphics among the photos: size charts and logos, which show no item."""

from __future__ import annotations

import math
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from wares.samples.drawing.paint import Colour
from wares.samples.items import Item
from wares.samples.kinds import KINDS, has_size_range
from wares.samples.photography.camera import Seller, Size
from wares.samples.randomness import Rng, pick

TITLES = ("SIZE GUIDE", "SIZE CHART", "MEASUREMENTS", "PLEASE MEASURE!")
NOTES = (
    "handmade with love",
    "free shipping over 30",
    "follow our shop",
    "thank you for shopping small",
    "new stock every week",
    "bundle and save 10%",
)


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{name}", size)


def size_chart(item: Item, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Draw a table of sizes: of shoes, of clothes, or the width, height and depth of anything else."""
    rows = _measurements(item, rng)
    pale = tuple(255 - (255 - channel) // 5 for channel in seller.brand)
    chart = Image.new("RGB", size, (252, 251, 248))
    draw = ImageDraw.Draw(chart)
    draw.rectangle((0, 0, size[0], 46), seller.brand)
    draw.text((size[0] / 2, 23), pick(rng, TITLES), (255, 255, 255), font(20, True), "mm")
    wide, tall = size[0] / 4.3, min(26, (size[1] - 90) / len(rows))
    left = (size[0] - wide * 4) / 2
    for r, row in enumerate(rows):
        y = 58 + r * tall
        if r % 2 == 0:
            draw.rectangle((left, y, left + wide * 4, y + tall), pale)
        for c, text in enumerate(row):
            draw.text((left + wide * (c + 0.5), y + tall / 2), text, (54, 52, 56), font(13, r == 0 or c == 0), "mm")
    draw.text((size[0] / 2, size[1] - 14), f"{seller.name}  ·  all measures ± 1", (130, 126, 124), font(10), "mm")
    return chart


def _measurements(item: Item, rng: Rng) -> list[tuple[str, ...]]:
    """Return the rows of a size chart, the headings first."""
    if KINDS[item.kind].group == "shoes":
        shoes = [(f"{36 + k}", f"{3 + k}", f"{5 + k}", f"{22.5 + 0.7 * k:.1f}") for k in range(7)]
        return [("EU", "UK", "US", "CM"), *shoes]
    if has_size_range(item.kind):
        sizes = enumerate(("XS", "S", "M", "L", "XL", "XXL"))
        clothes = [(name, f"{80 + 5 * k}", f"{62 + 5 * k}", f"{88 + 5 * k}") for k, name in sizes]
        return [("SIZE", "BUST", "WAIST", "HIPS"), *clothes]
    units = [(name, *(f"{int(value)}" for value in 10 + rng.uniform(4, 60, 3))) for name in ("cm", "inch", "box")]
    return [("", "WIDTH", "HEIGHT", "DEPTH"), *units]


def logo(size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Draw the seller's logo, with the name and a note below it."""
    dark = rng.random() < 0.5
    ground, ink = (seller.brand, (255, 252, 244)) if dark else ((251, 248, 241), seller.brand)
    card = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(card)
    x, y = size[0] / 2, size[1] * 0.4
    _draw_emblem(draw, x, y, sum(map(ord, seller.name)) % 3, ground, ink)
    initials = "".join(word[0] for word in seller.name.split() if word[0].isupper())[:2]
    draw.text((x, y), initials, ink, font(38, True), "mm")
    draw.text((x, size[1] * 0.74), seller.name, ink, font(17, True), "mm")
    draw.text((x, size[1] * 0.83), pick(rng, NOTES), ink, font(12), "mm")
    return card


def _draw_emblem(draw: ImageDraw.ImageDraw, x: float, y: float, style: int, ground: Colour, ink: Colour) -> None:
    """Draw a ring, a flower or a diamond about (x, y), by the style 0, 1 or 2."""
    if style == 0:
        draw.ellipse((x - 52, y - 52, x + 52, y + 52), outline=ink, width=3)
        draw.ellipse((x - 46, y - 46, x + 46, y + 46), outline=ink, width=1)
    elif style == 1:
        for k in range(16):
            petal_x, petal_y = x + 48 * math.cos(k * math.pi / 8), y + 48 * math.sin(k * math.pi / 8)
            draw.ellipse((petal_x - 9, petal_y - 9, petal_x + 9, petal_y + 9), ink)
        draw.ellipse((x - 47, y - 47, x + 47, y + 47), ground)
    else:
        draw.polygon([(x, y - 62), (x + 62, y), (x, y + 62), (x - 62, y)], outline=ink, width=3)
