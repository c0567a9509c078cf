"""Photos of an item in use: on a table, on a hanger, on a wrist, with props and other items around it.

To add a scene: a function here and a row in SCENES, which kinds.toml names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item
from wares.samples.kinds import KINDS
from wares.samples.photography import surfaces
from wares.samples.photography.backdrops import add_window_light, interior, surface_backdrop
from wares.samples.photography.camera import Seller, Size, expose
from wares.samples.photography.compositing import paste_flat, paste_standing, soft_spot
from wares.samples.photography.item_sprites import other_item_sprite
from wares.samples.photography.props import prop_sprite
from wares.samples.randomness import Rng, pick


def in_use_photo(item: Item, sprite: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """Take a photo of the item in the scene of its kind."""
    photo = SCENES[KINDS[item.kind].scene](item, sprite, size, rng)
    return expose(photo, rng, seller, 0.98)


def _add_surroundings(photo: Image.Image, names: Sequence[str], x: float, y: float, tall: float, rng: Rng) -> None:
    """Put one or two other things beside the item: props, or items of other kinds.

    x, y: where they stand, as shares of the photo
    tall: height of the larger one, as a share of the photo
    """
    for k in range(int(rng.integers(1, 3))):
        name = pick(rng, names)
        sprite = other_item_sprite(name, int(rng.integers(4))) if name in KINDS else prop_sprite(name)
        small = 0.6 if name in ("books", "lemons", "candle") else 1.0
        height = small * tall * float(rng.uniform(0.8, 1.1)) * photo.height
        image = sprite.transform(height / sprite.image.height * (1 if k == 0 else 0.7))
        foot = (photo.width * (x + k * float(rng.uniform(-0.14, 0.14))), photo.height * (y + 0.05 * k))
        paste_standing(photo, image, foot, 120)


def _on_table(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    horizon = float(rng.uniform(0.5, 0.64))
    photo = interior(size, pick(rng, surfaces.TABLES), pick(rng, surfaces.WALLS), horizon, rng)
    x = float(rng.uniform(0.36, 0.64))
    names = ("fern", "succulent", "books", "candle", "picture", "lemons")
    _add_surroundings(photo, names, 1 - x + float(rng.normal(0, 0.04)), horizon + 0.12, 0.42, rng)
    if item.kind == "lamp":
        spot = soft_spot().resize((size[0], size[0])).point([value * 120 // 255 for value in range(256)])
        photo.paste((255, 236, 190), (round(size[0] * (x - 0.5)), round(size[1] * 0.3 - size[0] / 2)), spot)
    scale = sprite.fit_scale(size, float(rng.uniform(0.52, 0.68)))
    image = sprite.transform(scale, mirror=bool(rng.random() < 0.5), squash=float(rng.uniform(0.92, 1)))
    paste_standing(photo, image, (size[0] * x, size[1] * float(rng.uniform(horizon + 0.22, 0.95))))
    return photo


def _on_floor(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        photo = surface_backdrop(size, pick(rng, surfaces.OUTDOORS), rng)
        scale = sprite.fit_scale(size, float(rng.uniform(0.6, 0.8)))
        image = sprite.transform(scale, float(rng.normal(0, 14)), bool(rng.random() < 0.5))
        x, y = size[0] * float(rng.normal(0.5, 0.04)), size[1] * float(rng.normal(0.5, 0.04))
        paste_flat(photo, image, (x, y), 7, 130)
        return photo
    return _in_room(item, sprite, size, rng, 0.62)


def _in_room(item: Item, sprite: Sprite, size: Size, rng: Rng, fill: float = 0.72) -> Image.Image:
    horizon = float(rng.uniform(0.55, 0.68))
    photo = interior(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), horizon, rng)
    x = float(rng.uniform(0.36, 0.64))
    if rng.random() < 0.6:
        frame = prop_sprite("picture").transform(size[0] / 800)
        paste_flat(photo, frame, (size[0] * (0.8 if x < 0.5 else 0.2), size[1] * 0.24), 3)
    _add_surroundings(photo, ("fern", "fern", "books", "chair", "lamp", "vase"), 1.02 - x, horizon + 0.1, 0.45, rng)
    scale = sprite.fit_scale(size, fill * float(rng.uniform(0.9, 1.05)))
    image = sprite.transform(scale, mirror=bool(rng.random() < 0.5))
    paste_standing(photo, image, (size[0] * x, size[1] * float(rng.uniform(horizon + 0.22, 0.95))))
    return photo


def _leaning_on_wall(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    horizon = float(rng.uniform(0.66, 0.76))
    photo = interior(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), horizon, rng)
    _add_surroundings(photo, ("fern", "books", "chair"), float(rng.choice([0.16, 0.84])), horizon + 0.14, 0.45, rng)
    image = sprite.transform(sprite.fit_scale(size, 0.84), float(rng.choice([-9, 9])))
    paste_flat(photo, image, (size[0] * 0.5, size[1] * 0.5), 8, 120)
    return photo


def _on_hanger(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    photo = surface_backdrop(size, pick(rng, surfaces.WALLS), rng)
    if rng.random() < 0.5:
        add_window_light(photo, rng)
    if rng.random() < 0.35:
        fern = prop_sprite("fern").transform(size[1] / 420)
        paste_standing(photo, fern, (size[0] * float(rng.choice([0.08, 0.92])), size[1] * 1.02))
    turn, y = float(rng.normal(0, 2)), size[1] * 0.54
    image = sprite.transform(sprite.fit_scale((size[0], round(size[1] * 0.84)), 0.92), turn)
    hanger = prop_sprite("hanger")
    scale = image.width * 0.52 / hanger.image.width
    paste_flat(photo, hanger.transform(scale, turn), (size[0] * 0.5, y - image.height * 0.5 + 4), 3)
    paste_flat(photo, image, (size[0] * 0.5, y), 5, 120)
    return photo


def _on_hook(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        return _on_table(item, sprite, size, rng)
    photo = surface_backdrop(size, pick(rng, surfaces.WALLS), rng)
    image = sprite.transform(sprite.fit_scale(size, 0.72), float(rng.normal(0, 2)), bool(rng.random() < 0.5))
    paste_flat(photo, image, (size[0] * 0.5, size[1] * 0.54), 7, 120)
    paste_flat(photo, prop_sprite("hook").transform(0.13), (size[0] * 0.5, size[1] * 0.54 - image.height * 0.47), 3)
    return photo


def _on_wall(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    if item.shape == "alarm":
        return _on_table(item, sprite, size, rng)
    photo = interior(size, pick(rng, surfaces.TABLES), pick(rng, surfaces.WALLS), 0.82, rng)
    scale = sprite.fit_scale(size, float(rng.uniform(0.46, 0.58)))
    paste_flat(photo, sprite.transform(scale, float(rng.normal(0, 1.5))), (size[0] * 0.5, size[1] * 0.36), 7)
    names = ("fern", "books", "candle", "vase", "lamp")
    _add_surroundings(photo, names, float(rng.choice([0.2, 0.8])), 0.93, 0.36, rng)
    return photo


def _on_sofa(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    photo = interior(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), 0.74, rng)
    sofa = prop_sprite(pick(rng, ("sofa 1", "sofa 2", "sofa 3")))
    paste_standing(photo, sofa.transform(size[0] * 1.1 / sofa.image.width), (size[0] * 0.5, size[1] * 0.92))
    side = float(rng.choice([-1, 1]))
    if rng.random() < 0.6:
        other = other_item_sprite("cushion", int(rng.integers(6)))
        cushion = other.transform(size[0] * 0.27 / other.image.width, side * 8)
        paste_flat(photo, cushion, (size[0] * (0.5 - side * 0.24), size[1] * 0.56), 4)
    image = sprite.transform(sprite.fit_scale(size, 0.42), -side * float(rng.uniform(0, 12)))
    paste_flat(photo, image, (size[0] * (0.5 + side * 0.14), size[1] * 0.56), 5, 130)
    return photo


def _on_carpet(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    """Lay a rug on the floor, seen in perspective."""
    photo = interior(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), 0.42, rng)
    flat = sprite.image.resize((round(size[0] * 1.0), round(size[1] * 0.62)), Image.Resampling.BILINEAR)
    width, height = flat.size
    slant = (-0.22 * width, 0, 0, height, width, height, 1.22 * width, 0)
    flat = flat.transform(flat.size, Image.Transform.QUAD, slant, Image.Resampling.BILINEAR)
    paste_flat(photo, flat, (size[0] * 0.5, size[1] * 0.69), 2)
    _add_surroundings(photo, ("chair", "chair", "fern", "lamp"), float(rng.choice([0.22, 0.78])), 0.6, 0.5, rng)
    return photo


def _on_wrist(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    photo = surface_backdrop(size, pick(rng, surfaces.CLOTHS), rng)
    arm = prop_sprite(pick(rng, ("skin 1", "skin 2", "skin 3"))).transform(size[0] * 1.5 / 290, float(rng.normal(0, 5)))
    paste_flat(photo, arm, (size[0] * 0.5, size[1] * 0.5), 8, 120)
    image = sprite.transform(size[1] * 0.6 / sprite.image.height, float(rng.normal(0, 4)))
    middle = image.crop((0, round(image.height * 0.12), image.width, round(image.height * 0.88)))
    paste_flat(photo, middle, (size[0] * 0.48, size[1] * 0.5), 3)
    return photo


def _on_bust(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    photo = surface_backdrop(size, pick(rng, surfaces.WALLS), rng)
    bust = prop_sprite(pick(rng, ("bust", "dark bust")))
    paste_flat(photo, bust.transform(size[0] * 0.86 / bust.image.width), (size[0] * 0.5, size[1] * 0.6), 10)
    paste_flat(photo, sprite.transform(sprite.fit_scale(size, 0.6)), (size[0] * 0.5, size[1] * 0.5), 2)
    return photo


def _on_blanket(item: Item, sprite: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        return _in_room(item, sprite, size, rng, 0.6)
    photo = surface_backdrop(size, pick(rng, surfaces.CLOTHS), rng)
    image = sprite.transform(sprite.fit_scale(size, 0.7), float(rng.normal(0, 16)))
    paste_flat(photo, image, (size[0] * 0.5, size[1] * 0.5), 8, 125)
    return photo


Scene = Callable[[Item, Sprite, Size, Rng], Image.Image]

SCENES: Mapping[str, Scene] = {
    "table": _on_table,
    "floor": _on_floor,
    "room": _in_room,
    "lean": _leaning_on_wall,
    "hanger": _on_hanger,
    "hook": _on_hook,
    "wall": _on_wall,
    "sofa": _on_sofa,
    "carpet": _on_carpet,
    "wrist": _on_wrist,
    "bust": _on_bust,
    "blanket": _on_blanket,
}
