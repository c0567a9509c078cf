"""A small catalogue with photos, and the rows of a shop in a fixed order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wares.data.listings import Listing
from wares.data.writers import write_listings
from wares.shop.shop import Shop


def write_goods(folder: Path) -> Path:
    """A catalogue of 30 listings, 20 photos and one file that is not a photo."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(random.integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    listings = [
        Listing(f"l{i}", f"thing {i}", "of some kind" * (i % 3), (), (f"{i}.png",) if i < 20 else (), 1.0 * i)
        for i in range(29)
    ]
    write_listings([*listings, Listing("b", "broken", images=("broken.png",))], folder / "listings.jsonl")
    return folder


def rows_by_id(shop: Shop) -> list[dict[str, Any]]:
    """All rows of a shop's table, sorted by id; duplicates stay."""
    return sorted(shop.table.search().limit(10_000).to_arrow().to_pylist(), key=lambda row: str(row["id"]))
