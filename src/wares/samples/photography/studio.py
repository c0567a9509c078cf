"""Photos of an item by itself: from the front, from an angle, close up."""

from __future__ import annotations

from PIL import Image

from wares.samples.drawing.layers import View
from wares.samples.drawing.renderer import render
from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item
from wares.samples.kinds import KINDS
from wares.samples.photography.backdrops import cloth, room, sweep
from wares.samples.photography.camera import Seller, Size, lens
from wares.samples.photography.compositing import lay, stand
from wares.samples.photography.item_sprites import paints_of, parts_of
from wares.samples.randomness import Rng, pick

STANDS = ("table", "floor", "room", "lean", "blanket")


def _fit(piece: Sprite, size: Size, fill: float) -> float:
    return fill * piece.fitted(size)


def front(item: Item, piece: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """The item by itself, facing us."""
    return _alone(item, piece, size, rng, seller, fill=float(rng.uniform(0.76, 0.88)), turn=float(rng.normal(0, 1.2)))


def angle(item: Item, piece: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """From the other side, leaning, closer or further."""
    turn = float(rng.normal(0, 3)) if KINDS[item.kind].scene in STANDS else float(rng.uniform(-24, 24))
    return _alone(
        item,
        piece,
        size,
        rng,
        seller,
        float(rng.uniform(0.72, 1.0)),
        turn,
        bool(rng.random() < 0.7),
        float(rng.uniform(-0.13, 0.13)),
        float(rng.uniform(0.78, 0.94)),
    )


def _alone(
    item: Item,
    piece: Sprite,
    size: Size,
    rng: Rng,
    seller: Seller,
    fill: float,
    turn: float = 0,
    mirror: bool = False,
    lean: float = 0.0,
    squash: float = 1.0,
) -> Image.Image:
    stands = KINDS[item.kind].scene in STANDS
    if seller.surface == "sweep":
        out = sweep(size, seller.backdrop)
    else:
        out = room(size, seller.surface, "plaster", 0.66, rng) if stands else cloth(size, seller.surface, rng)
    thing = piece.sized(_fit(piece, size, fill), turn, mirror, lean, squash)
    x = size[0] * float(rng.normal(0.5, 0.015))
    if stands:
        stand(out, thing, (x, size[1] * 0.5 + thing.height / 2 + size[1] * 0.02))
    else:
        lay(out, thing, (x, size[1] * float(rng.normal(0.5, 0.012))), 5)
    return lens(out, rng, seller)


def detail(item: Item, seed: int, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Close to the cloth, the glaze, the buckle."""
    parts = parts_of(item, seed)
    printed = (
        [part for part in parts if part.paint in ("print", "glow")]
        or [part for part in parts if part.paint == "main"]
        or parts
    )
    part = pick(rng, printed)
    low, high = part.outline.min(0), part.outline.max(0)
    centre = low + (high - low) * rng.uniform(0.3, 0.7, 2)
    units = float(rng.uniform(24, 36))
    view = View(float(centre[0] - units / 2), float(centre[1] - units / 2), units, max(size) * 3 // 4)
    close = render(parts, paints_of(item), view, item.origin % 97 / 3).resize(
        (max(size), max(size)), Image.Resampling.BICUBIC
    )
    out = sweep((max(size), max(size)), seller.backdrop)
    out.paste(close, (0, 0), close)
    left, top = (max(size) - size[0]) // 2, (max(size) - size[1]) // 2
    return lens(out.crop((left, top, left + size[0], top + size[1])), rng, seller)
