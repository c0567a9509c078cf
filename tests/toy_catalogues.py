"""Toy shops that are built from a catalogue file, with towers that remember what they encode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toys import Toys, embedded, write_photos

from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing, OnError
from wares.data.writers import write_listings
from wares.encoders.features import Embeddings
from wares.encoders.fusion import FusedEmbeddings
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.shop import Shop, open_shop

NEW = Listing("new", "Purple teapot", images=("teapot-red.png",))


class CountingToys(Toys):
    """Toys that remember what they have encoded."""

    def __init__(self, identity: str = "toys-1") -> None:
        super().__init__(identity)
        self.encoded: list[str] = []

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        self.encoded += [listing.id for listing in catalogue.listings]
        return super().encode_listings(catalogue, on_error)


def write_catalogue(folder: Path, *listings: Listing) -> Catalogue:
    """A catalogue on disk, with its photos."""
    write_photos(folder, listings)
    write_listings(listings, folder / "listings.jsonl")
    return read_catalogue(folder, "skip")


def build_counting_shop(folder: Path, *listings: Listing) -> tuple[Shop, CountingToys]:
    catalogue = write_catalogue(folder / "goods", *listings)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), folder / "shop")
    toys = CountingToys()
    return open_shop(folder / "shop", toys), toys


def table_rows(shop: Shop) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.table.search().limit(10_000).to_arrow().to_pylist()}


def edit_build_info(shop: Shop, **changes: object) -> Path:
    """Change values in about.json; the path of the shop."""
    file = shop.build_folder / "about.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return shop.path
