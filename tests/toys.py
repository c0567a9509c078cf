"""A toy shop: towers that need no training, and listings whose right answers can be seen by eye.

A word is a random direction, a text the normalised sum of its words, and a photo of one colour the
direction of the colour's name; so words find photos, as in a trained shop.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pyarrow import csv

from wares.core.errors import PhotoError
from wares.data.listings import Catalogue, Listing, OnError
from wares.data.views import photo_views, text_views
from wares.encoders.features import Embeddings
from wares.encoders.fusion import FusedEmbeddings, fuse
from wares.encoders.settings import Fusion
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.content_diff import content_hashes
from wares.shop.shop import Shop, open_shop
from wares.shop.table import EmbeddedListings, Vectors, round_to_float16

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "white": (250, 250, 250)}

BOOTS = Listing(
    "boots",
    "Leather boots",
    "Sturdy boots for winter",
    ("Wool", "Shoes"),
    ("boots-red.png", "boots-chart.png"),
    80.0,
    {"gender": "men", "colors": ["red", "brown"], "size": 44.0, "new": True},
)
SCARF = Listing("scarf", "Knitted scarf", "", ("Wool",), ("scarf-blue.png",), 15.0, {"gender": "women", "new": False})
MUG = Listing("mug", "Coffee mug", "A mug, dishwasher safe", (), (), None, {"size": 0.3})
THREE = (BOOTS, SCARF, MUG)


class Toys:
    """The towers of a toy shop, as its model and as its encoder."""

    dimension = 48

    def __init__(self, identity: str = "toys-1") -> None:
        self.identity = identity

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "toys.txt").write_text(self.identity)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        sums = [
            np.sum([_direction(word) for word in re.findall(r"\w+", text.lower()) or [""]], axis=0) for text in texts
        ]
        return _units(sums, self.dimension)

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        return _units([_direction(_colour_of(path)) for path in paths], self.dimension)

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        photos, texts = photo_views(catalogue), text_views(catalogue)
        bad: dict[int, PhotoError] = {}
        for place, name in enumerate(photos.items):
            try:
                _colour_of(catalogue.photo_path(name))
            except PhotoError as error:
                bad[place] = error
        problems = tuple(catalogue.photo_problem(int(photos.owners[place]), bad[place]) for place in bad)
        if problems and on_error == "stop":
            raise PhotoError(str(problems[0]))
        kept = photos.filter(np.isin(np.arange(len(photos.items)), list(bad), invert=True))
        paths = [catalogue.photo_path(name) for name in kept.items]
        embeddings = round_to_float16(
            Embeddings(kept, self.encode_photos(paths), texts, self.encode_texts(texts.items), problems)
        )
        return embeddings, fuse(embeddings, Fusion(gamma=0.4))


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plain rows as JSON Lines, CSV or Parquet."""
    table = pa.Table.from_pylist([dict(row) for row in rows])
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_photos(folder: Path, listings: Sequence[Listing]) -> None:
    """A plain photo for every image; "boots-red.png" is red, and a name without a colour is white."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {name for listing in listings for name in listing.images}:
        colour = next((colour for colour in COLOURS if colour in name), "white")
        Image.new("RGB", (8, 8), COLOURS[colour]).save(folder / name)


def embedded(catalogue: Catalogue, toys: Toys, chunk: int = 2) -> Iterator[EmbeddedListings]:
    """The catalogue with its embeddings, a few listings at a time."""
    for part in catalogue.chunks(chunk):
        yield EmbeddedListings(part, *toys.encode_listings(part, "stop"), content_hashes(part))


def toy_shop(folder: Path, listings: Sequence[Listing] = THREE, chunk: int = 2, overwrite: bool = False) -> Shop:
    """Write the photos and the shop of some listings, and open it."""
    toys = Toys()
    catalogue = Catalogue((folder / "catalogue").absolute(), tuple(listings))
    write_photos(catalogue.folder, listings)
    write_shop(
        summarize_catalogue(catalogue), toys, embedded(catalogue, toys, chunk), folder / "shop", overwrite=overwrite
    )
    return open_shop(folder / "shop", toys)


def _direction(word: str) -> Vectors:
    random = np.random.default_rng(zlib.crc32(word.encode()))
    return random.normal(size=Toys.dimension).astype(np.float32)


def _colour_of(path: Path) -> str:
    try:
        mean = np.asarray(Image.open(path).convert("RGB")).mean(axis=(0, 1))
    except OSError as error:
        raise PhotoError(f"{path} is not a photo.") from error
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def _units(vectors: Sequence[Vectors], dimension: int) -> Vectors:
    table = np.asarray(vectors, dtype=np.float32).reshape(-1, dimension)
    return np.asarray(table / np.linalg.norm(table, axis=1, keepdims=True), dtype=np.float32)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be this large and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def opened(folder: Path) -> Shop:
    """A shop of toys."""
    return open_shop(folder, Toys())
