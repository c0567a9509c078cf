"""A contact sheet: listings side by side, each with all its photos and its title."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw

from wares.samples.photography.graphics import font


def contact_sheet(folder: Path, out: Path, rows: int = 12, columns: int = 2, start: int = 0, side: int = 128) -> Path:
    """Save a picture of rows x columns listings of a catalogue, from index `start` on; return its path.

    side: pixels of a photo's longer side

    Example:
        >>> from pathlib import Path
        >>> from wares.samples import contact_sheet, write_marketplace
        >>> market = write_marketplace(Path("market"), listings=2)
        >>> contact_sheet(market.folder, Path("sheet.png"), rows=1).name
        'sheet.png'
    """
    folder, out = Path(folder), Path(out)
    with (folder / "listings.jsonl").open(encoding="utf-8") as lines:
        listings = [json.loads(line) for line in lines][start : start + rows * columns]
    wide, tall = 6 * (side + 6) + 24, side + 44
    sheet = Image.new("RGB", (columns * wide + 24, -(-len(listings) // columns) * tall + 20), (252, 251, 249))
    draw = ImageDraw.Draw(sheet)
    for index, listing in enumerate(listings):
        left, top = 24 + index % columns * wide, 16 + index // columns * tall
        title = textwrap.shorten(_printable(listing["title"]), 84, placeholder=" …")
        draw.text((left, top), title, (46, 44, 48), font(13, True))
        price = listing.get("price")
        if price is not None:
            draw.text((left + wide - 30, top), f"{price:g}", (150, 90, 60), font(13), "ra")
        for k, name in enumerate(listing.get("images", [])[:6]):
            with Image.open(folder / name) as photo:
                photo.thumbnail((side, side))
                sheet.paste(photo.convert("RGB"), (left + k * (side + 6), top + 20))
    sheet.save(out)
    return out


def _printable(text: str) -> str:
    """Leave out emoji, for which the font has no glyphs."""
    return "".join(letter for letter in text if ord(letter) < 0x2500).strip()
