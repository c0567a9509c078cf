"""The seller's camera: photos of an item in every role, from the studio sweep to the size chart.

A photo is a backdrop, the item (and whatever else lies about) pasted on it with its shadow, and then
the lens: light, tint, vignette, noise.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from wares.samples import surfaces
from wares.samples.drawing import Colour, View, render
from wares.samples.goods import KINDS, SIZED, Item, invent, paints_of, parts_of, pick, recoloured
from wares.samples.props import neighbour, of_item, prop
from wares.samples.sprite import Sprite

Rng = np.random.Generator
Size = tuple[int, int]
ROLES = ("front", "angle", "detail", "in-use", "other-colour", "size-chart", "logo", "wrong")


@dataclass(frozen=True)
class Seller:
    """Who takes the photos: habits of light and backdrop, and a name for the logo."""

    name: str
    brand: Colour
    backdrop: Colour
    surface: str
    warmth: float
    brightness: float
    noise: int


# Backdrops


def _noise(rng: Rng, size: Size, level: int) -> Image.Image:
    """The sensor's noise: a window of a plane that is grey but for it."""
    left, top = (int(rng.integers(0, 512 - side)) for side in size)
    return _noise_plane(level).crop((left, top, left + size[0], top + size[1]))


@cache
def _noise_plane(level: int) -> Image.Image:
    rng = np.random.default_rng(11)
    fine, coarse = rng.normal(0, 1, (512, 512)), np.kron(rng.normal(0, 0.7, (256, 256)), np.ones((2, 2)))
    return Image.fromarray(np.clip(128 + level * (fine + coarse), 0, 255).astype(np.uint8), "L").convert("RGB")


@cache
def _falloff(size: Size) -> Image.Image:
    """Vignette: how much light reaches each pixel."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    far = ((x / size[0] - 0.47) ** 2 + (y / size[1] - 0.45) ** 2) * 2
    return Image.fromarray(np.clip(255 * (1.0 - 0.15 * far), 0, 255).astype(np.uint8), "L").convert("RGB")


@cache
def _glow() -> Image.Image:
    """A soft round spot, for contact shadows and lamps."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    return Image.fromarray((255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.4).astype(np.uint8), "L")


@cache
def _sweep_shape(size: Size) -> Image.Image:
    """The studio sweep: a bright back, a floor that catches light, a soft bend between them."""
    y = np.linspace(0, 1, size[1])[:, None]
    x = np.linspace(-1, 1, size[0])[None, :]
    light = (
        0.98 + 0.03 * np.cos((y - 0.35) * 3.2) - 0.05 / (1 + np.exp(-(y - 0.72) * 28)) * (1.25 - y) * 2 - 0.02 * x**2
    )
    return Image.fromarray(np.clip(light * 255, 0, 255).astype(np.uint8), "L").convert("RGB")


def sweep(size: Size, colour: Colour) -> Image.Image:
    """A plain paper backdrop."""
    return ImageChops.multiply(Image.new("RGB", size, colour), _sweep_shape(size))


def cloth(size: Size, name: str, rng: Rng) -> Image.Image:
    """A surface seen from above."""
    left, top = (int(rng.integers(0, surfaces.SIZE - side + 1)) for side in size)
    plane = surfaces.surface(name).crop((left, top, left + size[0], top + size[1]))
    return plane.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else plane


def room(size: Size, ground: str, wall: str, horizon: float, rng: Rng) -> Image.Image:
    """A wall above, a table or floor below, and now and then a window's light on the wall."""
    width, height = size
    edge = int(height * horizon)
    out = cloth(size, wall, rng)
    if rng.random() < 0.5:
        _window_light(out, rng)
    side, slip = surfaces.SIZE, int(rng.integers(-40, 41))
    lying = (0, 0, side * 0.25 + slip, side * 0.7, side * 0.75 + slip, side * 0.7, side, 0)
    floor = surfaces.surface(ground).transform(
        (width, height - edge), Image.Transform.QUAD, lying, Image.Resampling.BILINEAR
    )
    out.paste(floor, (0, edge))
    out.paste((30, 26, 24), (0, edge - 12), _seam(width))
    return out


@cache
def _seam(width: int) -> Image.Image:
    """The dark line where a wall meets a floor."""
    dark = Image.new("L", (1, 24))
    dark.putdata([int(90 * (1 - abs(k - 12) / 12) ** 1.5) for k in range(24)])
    return dark.resize((width, 24))


def _window_light(out: Image.Image, rng: Rng) -> None:
    width, height = out.size
    mask = Image.new("L", (width // 4, height // 4))
    draw = ImageDraw.Draw(mask)
    left, lean, pane = int(rng.integers(-10, width // 5)), int(rng.integers(-14, 15)), width // 15
    for row in range(2):
        for column in range(2):
            x, y = left + column * (pane + 3), 2 + row * (pane + 4)
            draw.polygon([(x, y), (x + pane, y), (x + pane + lean, y + pane), (x + lean, y + pane)], 70)
    out.paste(
        (255, 250, 232), (0, 0), mask.filter(ImageFilter.GaussianBlur(0.8)).resize(out.size, Image.Resampling.BILINEAR)
    )


# Pasting


def lay(out: Image.Image, piece: Image.Image, centre: tuple[float, float], height: float = 6, dark: int = 105) -> None:
    """Paste a thing that lies flat or hangs: its own outline is its shadow."""
    left, top = round(centre[0] - piece.width / 2), round(centre[1] - piece.height / 2)
    alpha = piece.getchannel("A")
    pad = 24
    small = Image.new("L", ((piece.width + 2 * pad) // 4, (piece.height + 2 * pad) // 4))
    small.paste(
        alpha.resize((max(1, piece.width // 4), max(1, piece.height // 4)), Image.Resampling.BILINEAR),
        (pad // 4, pad // 4),
    )
    shadow = small.filter(ImageFilter.GaussianBlur(max(0.8, height / 4))).resize(
        (piece.width + 2 * pad, piece.height + 2 * pad), Image.Resampling.BILINEAR
    )
    shadow = shadow.point([value * dark // 255 for value in range(256)])
    out.paste((34, 28, 30), (left - pad + round(height * 0.5), top - pad + round(height * 0.9)), shadow)
    out.paste(piece, (left, top), piece)


def stand(out: Image.Image, piece: Image.Image, foot: tuple[float, float], dark: int = 150) -> None:
    """Paste a thing that stands: a pool of shadow under its foot, and a faint one to the right."""
    left, top = round(foot[0] - piece.width / 2), round(foot[1] - piece.height)
    below = piece.getchannel("A").crop((0, int(piece.height * 0.86), piece.width, piece.height)).getbbox() or (
        0,
        0,
        piece.width,
        1,
    )
    broad = max(8, below[2] - below[0])
    for wide, tall, strength, dx in ((1.22, 0.17, dark, 0.02), (1.9, 0.30, dark * 4 // 10, 0.14)):
        spot = _glow().resize((int(broad * wide), max(4, int(broad * tall))), Image.Resampling.BILINEAR)
        spot = spot.point([min(255, value * strength // 200) for value in range(256)])
        x = left + (below[0] + below[2]) / 2 + broad * dx - spot.width / 2
        out.paste((30, 25, 26), (round(x), round(foot[1] - spot.height * 0.62)), spot)
    out.paste(piece, (left, top), piece)


def lens(photo: Image.Image, rng: Rng, seller: Seller, light: float = 1.0) -> Image.Image:
    """Exposure, tint, contrast, vignette and noise."""
    photo = ImageChops.multiply(photo, _falloff(photo.size))
    gain = light * seller.brightness * float(rng.normal(1.03, 0.035))
    warmth = seller.warmth + float(rng.normal(0, 0.012))
    ramp = np.arange(256) / 255
    curve = ramp + float(rng.uniform(-0.02, 0.09)) * (ramp - 0.5) * (1 - ramp) * ramp * 4
    table = [
        np.clip(curve * gain * (1 + tint) * 255, 0, 255).astype(int).tolist() for tint in (warmth, 0.0, -warmth * 1.3)
    ]
    photo = photo.point([value for channel in table for value in channel])
    return ImageChops.add(photo, _noise(rng, photo.size, seller.noise), 1, -128)


def jpeg(photo: Image.Image) -> bytes:
    """The file as the seller uploads it."""
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=88)
    return file.getvalue()


# Roles

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


# In use


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


# Papers


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
    group = "shoes" if KINDS[item.kind].group == "shoes" else "clothes" if item.kind in SIZED else "other"
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


# A listing's photos


@dataclass(frozen=True)
class Photo:
    """One photo as uploaded, and the truth about it."""

    file: bytes
    role: str
    shows: str
    colour: str = ""
    flaw: str = ""


def shoot(item: Item, roles: Sequence[str], seed: int, seller: Seller, rng: Rng, flawed: bool = False) -> list[Photo]:
    """All photos of a listing, in the order of its roles. With `flawed` the first is dark, blurred or badly cut."""
    size = (256, 320) if KINDS[item.kind].portrait else (256, 256)
    piece = of_item(item, seed)
    return [_one(role, item, piece, size, seed, seller, rng, flawed and k == 0) for k, role in enumerate(roles)]


def _one(role: str, item: Item, piece: Sprite, size: Size, seed: int, seller: Seller, rng: Rng, flawed: bool) -> Photo:
    shows, colour = item.kind, item.colour
    if role in ("front", "angle", "in-use"):
        photo = {"front": front, "angle": angle, "in-use": in_use}[role](item, piece, size, rng, seller)
    elif role == "detail":
        photo = detail(item, seed, size, rng, seller)
    elif role == "other-colour":
        other = recoloured(item, rng)
        photo, colour = front(other, of_item(other, seed), size, rng, seller), other.colour
    elif role == "wrong":
        other = invent(rng, int(rng.integers(1_000_000)))
        photo, shows, colour = front(other, of_item(other, seed), size, rng, seller), other.kind, other.colour
    else:
        photo, shows, colour = (size_chart if role == "size-chart" else logo)(item, size, rng, seller), "", ""
    flaw = ""
    if flawed:
        flaw = pick(rng, ("dark", "blurred", "cut"))
        photo = spoiled(photo, flaw, rng)
    return Photo(jpeg(photo), role, shows, colour, flaw)


def spoiled(photo: Image.Image, flaw: str, rng: Rng) -> Image.Image:
    """A photo as it should not be."""
    if flaw == "dark":
        return photo.point([value * 36 // 100 for value in range(256)] * 3)
    if flaw == "blurred":
        return photo.filter(ImageFilter.GaussianBlur(5))
    width, height = photo.size
    left, top = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
    return photo.crop((left, top, left + width // 2, top + height // 2)).resize(photo.size, Image.Resampling.BILINEAR)
