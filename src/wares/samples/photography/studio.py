"""Photos of an item alone: from the front, from an angle, from close up."""

from __future__ import annotations

from PIL import Image

from wares.samples.drawing.layers import Viewport
from wares.samples.drawing.renderer import render
from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item
from wares.samples.kinds import KINDS
from wares.samples.photography.backdrops import interior, studio_sweep, surface_backdrop
from wares.samples.photography.camera import Seller, Size, expose
from wares.samples.photography.compositing import paste_flat, paste_standing
from wares.samples.photography.item_sprites import item_layers, item_paints, print_shift
from wares.samples.randomness import Rng, pick

# Items that stand are photographed on a table or floor; the others lie flat or hang.
STANDING_SCENES = ("table", "floor", "room", "lean", "blanket")


def front_photo(item: Item, sprite: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Take a photo of the item from the front."""
    scale = sprite.fit_scale(size, float(rng.uniform(0.76, 0.88)))
    return _studio_photo(item, sprite.transform(scale, float(rng.normal(0, 1.2))), size, rng, seller)


def angle_photo(item: Item, sprite: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Take a photo of the item from an angle, closer or from further away."""
    turn = float(rng.normal(0, 3)) if KINDS[item.kind].scene in STANDING_SCENES else float(rng.uniform(-24, 24))
    image = sprite.transform(
        sprite.fit_scale(size, float(rng.uniform(0.72, 1.0))),
        turn,
        mirror=bool(rng.random() < 0.7),
        lean=float(rng.uniform(-0.13, 0.13)),
        squash=float(rng.uniform(0.78, 0.94)),
    )
    return _studio_photo(item, image, size, rng, seller)


def _studio_photo(item: Item, image: Image.Image, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Take a photo of a picture of the item in front of the seller's backdrop."""
    stands = KINDS[item.kind].scene in STANDING_SCENES
    if seller.surface == "sweep":
        photo = studio_sweep(size, seller.backdrop)
    elif stands:
        photo = interior(size, seller.surface, "plaster", 0.66, rng)
    else:
        photo = surface_backdrop(size, seller.surface, rng)
    x = size[0] * float(rng.normal(0.5, 0.015))
    if stands:
        paste_standing(photo, image, (x, size[1] * 0.5 + image.height / 2 + size[1] * 0.02))
    else:
        paste_flat(photo, image, (x, size[1] * float(rng.normal(0.5, 0.012))), 5)
    return expose(photo, rng, seller)


def detail_photo(item: Item, seed: int, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Take a photo of a part of the item from close up: the cloth, the glaze, the buckle."""
    layers, side = item_layers(item, seed), max(size)
    candidates = (
        [layer for layer in layers if layer.paint in ("print", "glow")]
        or [layer for layer in layers if layer.paint == "main"]
        or layers
    )
    layer = pick(rng, candidates)
    low, high = layer.points.min(0), layer.points.max(0)
    x, y = low + (high - low) * rng.uniform(0.3, 0.7, 2)
    units = float(rng.uniform(24, 36))
    viewport = Viewport(float(x - units / 2), float(y - units / 2), units, side * 3 // 4)
    image = render(layers, item_paints(item), viewport, print_shift(item))
    image = image.resize((side, side), Image.Resampling.BICUBIC)
    photo = studio_sweep((side, side), seller.backdrop)
    photo.paste(image, (0, 0), image)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    return expose(photo.crop((left, top, left + size[0], top + size[1])), rng, seller)
