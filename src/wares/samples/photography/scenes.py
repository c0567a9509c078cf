"""Photos of an item in use: on a table, on a hanger, on a wrist, with other things around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item
from wares.samples.kinds import KINDS
from wares.samples.photography import surfaces
from wares.samples.photography.backdrops import _window_light, cloth, room
from wares.samples.photography.camera import Seller, Size, lens
from wares.samples.photography.compositing import _glow, lay, stand
from wares.samples.photography.item_sprites import neighbour
from wares.samples.photography.props import prop
from wares.samples.photography.studio import _fit
from wares.samples.randomness import Rng, pick


def in_use(item: Item, piece: Sprite, size: Size, rng: Rng, seller: Seller) -> Image.Image:
    """The item where it belongs, with other things about."""
    photo = SCENES[KINDS[item.kind].scene](item, piece, size, rng)
    return lens(photo, rng, seller, 0.98)


def _on_table(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    horizon = float(rng.uniform(0.5, 0.64))
    out = room(size, pick(rng, surfaces.TABLES), pick(rng, surfaces.WALLS), horizon, rng)
    x = float(rng.uniform(0.36, 0.64))
    _company(
        out,
        ("fern", "succulent", "books", "candle", "picture", "lemons"),
        1 - x + float(rng.normal(0, 0.04)),
        horizon + 0.12,
        0.42,
        rng,
    )
    if item.kind == "lamp":
        spot = _glow().resize((size[0], size[0])).point([value * 120 // 255 for value in range(256)])
        out.paste((255, 236, 190), (round(size[0] * (x - 0.5)), round(size[1] * 0.3 - size[0] / 2)), spot)
    thing = piece.sized(
        _fit(piece, size, float(rng.uniform(0.52, 0.68))), 0, bool(rng.random() < 0.5), 0, float(rng.uniform(0.92, 1))
    )
    stand(out, thing, (size[0] * x, size[1] * float(rng.uniform(horizon + 0.22, 0.95))))
    return out


def _on_floor(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        out = cloth(size, pick(rng, surfaces.OUTDOORS), rng)
        thing = piece.sized(
            _fit(piece, size, float(rng.uniform(0.6, 0.8))), float(rng.normal(0, 14)), bool(rng.random() < 0.5)
        )
        lay(out, thing, (size[0] * float(rng.normal(0.5, 0.04)), size[1] * float(rng.normal(0.5, 0.04))), 7, 130)
        return out
    return _in_room(item, piece, size, rng, 0.62)


def _in_room(item: Item, piece: Sprite, size: Size, rng: Rng, fill: float = 0.72) -> Image.Image:
    horizon = float(rng.uniform(0.55, 0.68))
    out = room(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), horizon, rng)
    x = float(rng.uniform(0.36, 0.64))
    if rng.random() < 0.6:
        frame = prop("picture").sized(size[0] / 800)
        lay(out, frame, (size[0] * (0.8 if x < 0.5 else 0.2), size[1] * 0.24), 3)
    _company(out, ("fern", "fern", "books", "chair", "lamp", "vase"), 1.02 - x, horizon + 0.1, 0.45, rng)
    thing = piece.sized(_fit(piece, size, fill * float(rng.uniform(0.9, 1.05))), 0, bool(rng.random() < 0.5))
    stand(out, thing, (size[0] * x, size[1] * float(rng.uniform(horizon + 0.22, 0.95))))
    return out


def _leaning(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    horizon = float(rng.uniform(0.66, 0.76))
    out = room(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), horizon, rng)
    _company(out, ("fern", "books", "chair"), float(rng.choice([0.16, 0.84])), horizon + 0.14, 0.45, rng)
    thing = piece.sized(_fit(piece, size, 0.84), float(rng.choice([-9, 9])))
    lay(out, thing, (size[0] * 0.5, size[1] * 0.5), 8, 120)
    return out


def _company(out: Image.Image, names: Sequence[str], x: float, y: float, tall: float, rng: Rng) -> None:
    """One or two other things that stand beside the item: props, or goods of other kinds."""
    for k in range(int(rng.integers(1, 3))):
        name = pick(rng, names)
        thing = neighbour(name, int(rng.integers(4))) if name in KINDS else prop(name)
        small = 0.6 if name in ("books", "lemons", "candle") else 1.0
        scaled = thing.sized(
            small * tall * float(rng.uniform(0.8, 1.1)) * out.height / thing.image.height * (1 if k == 0 else 0.7)
        )
        stand(out, scaled, (out.width * (x + k * float(rng.uniform(-0.14, 0.14))), out.height * (y + 0.05 * k)), 120)


def _on_hanger(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    out = cloth(size, pick(rng, surfaces.WALLS), rng)
    if rng.random() < 0.5:
        _window_light(out, rng)
    if rng.random() < 0.35:
        fern = prop("fern").sized(size[1] / 420)
        stand(out, fern, (size[0] * float(rng.choice([0.08, 0.92])), size[1] * 1.02))
    turn, y = float(rng.normal(0, 2)), size[1] * 0.54
    thing = piece.sized(_fit(piece, (size[0], round(size[1] * 0.84)), 0.92), turn)
    hanger = prop("hanger")
    lay(
        out, hanger.sized(thing.width * 0.52 / hanger.image.width, turn), (size[0] * 0.5, y - thing.height * 0.5 + 4), 3
    )
    lay(out, thing, (size[0] * 0.5, y), 5, 120)
    return out


def _on_hook(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        return _on_table(item, piece, size, rng)
    out = cloth(size, pick(rng, surfaces.WALLS), rng)
    thing = piece.sized(_fit(piece, size, 0.72), float(rng.normal(0, 2)), bool(rng.random() < 0.5))
    lay(out, thing, (size[0] * 0.5, size[1] * 0.54), 7, 120)
    lay(out, prop("hook").sized(0.13), (size[0] * 0.5, size[1] * 0.54 - thing.height * 0.47), 3)
    return out


def _on_wall(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    if item.shape == "alarm":
        return _on_table(item, piece, size, rng)
    out = room(size, pick(rng, surfaces.TABLES), pick(rng, surfaces.WALLS), 0.82, rng)
    lay(
        out,
        piece.sized(_fit(piece, size, float(rng.uniform(0.46, 0.58))), float(rng.normal(0, 1.5))),
        (size[0] * 0.5, size[1] * 0.36),
        7,
    )
    _company(out, ("fern", "books", "candle", "vase", "lamp"), float(rng.choice([0.2, 0.8])), 0.93, 0.36, rng)
    return out


def _on_sofa(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    out = room(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), 0.74, rng)
    sofa = prop(pick(rng, ("sofa 1", "sofa 2", "sofa 3")))
    stand(out, sofa.sized(size[0] * 1.1 / sofa.image.width), (size[0] * 0.5, size[1] * 0.92))
    side = float(rng.choice([-1, 1]))
    if rng.random() < 0.6:
        other = neighbour("cushion", int(rng.integers(6)))
        lay(
            out,
            other.sized(size[0] * 0.27 / other.image.width, side * 8),
            (size[0] * (0.5 - side * 0.24), size[1] * 0.56),
            4,
        )
    lay(
        out,
        piece.sized(_fit(piece, size, 0.42), -side * float(rng.uniform(0, 12))),
        (size[0] * (0.5 + side * 0.14), size[1] * 0.56),
        5,
        130,
    )
    return out


def _on_ground(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    """A rug: seen from the sofa, lying flat."""
    out = room(size, pick(rng, surfaces.FLOORS), pick(rng, surfaces.WALLS), 0.42, rng)
    flat = piece.image.resize((round(size[0] * 1.0), round(size[1] * 0.62)), Image.Resampling.BILINEAR)
    width, height = flat.size
    slant = (-0.22 * width, 0, 0, height, width, height, 1.22 * width, 0)
    flat = flat.transform(flat.size, Image.Transform.QUAD, slant, Image.Resampling.BILINEAR)
    lay(out, flat, (size[0] * 0.5, size[1] * 0.69), 2)
    _company(out, ("chair", "chair", "fern", "lamp"), float(rng.choice([0.22, 0.78])), 0.6, 0.5, rng)
    return out


def _on_wrist(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    out = cloth(size, pick(rng, surfaces.CLOTHS), rng)
    arm = prop(pick(rng, ("skin 1", "skin 2", "skin 3"))).sized(size[0] * 1.5 / 290, float(rng.normal(0, 5)))
    lay(out, arm, (size[0] * 0.5, size[1] * 0.5), 8, 120)
    thing = piece.sized(size[1] * 0.6 / piece.image.height, float(rng.normal(0, 4)))
    middle = thing.crop((0, round(thing.height * 0.12), thing.width, round(thing.height * 0.88)))
    lay(out, middle, (size[0] * 0.48, size[1] * 0.5), 3)
    return out


def _on_bust(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    out = cloth(size, pick(rng, surfaces.WALLS), rng)
    bust = prop(pick(rng, ("bust", "dark bust")))
    lay(out, bust.sized(size[0] * 0.86 / bust.image.width), (size[0] * 0.5, size[1] * 0.6), 10)
    lay(out, piece.sized(_fit(piece, size, 0.6)), (size[0] * 0.5, size[1] * 0.5), 2)
    return out


def _on_blanket(item: Item, piece: Sprite, size: Size, rng: Rng) -> Image.Image:
    if rng.random() < 0.5:
        return _in_room(item, piece, size, rng, 0.6)
    out = cloth(size, pick(rng, surfaces.CLOTHS), rng)
    lay(out, piece.sized(_fit(piece, size, 0.7), float(rng.normal(0, 16))), (size[0] * 0.5, size[1] * 0.5), 8, 125)
    return out


Scene = Callable[[Item, Sprite, Size, Rng], Image.Image]

SCENES: Mapping[str, Scene] = {
    "table": _on_table,
    "floor": _on_floor,
    "room": _in_room,
    "lean": _leaning,
    "hanger": _on_hanger,
    "hook": _on_hook,
    "wall": _on_wall,
    "sofa": _on_sofa,
    "carpet": _on_ground,
    "wrist": _on_wrist,
    "bust": _on_bust,
    "blanket": _on_blanket,
}
