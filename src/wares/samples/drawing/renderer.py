"""Parts to pixels: a small renderer of soft, lit, textured shapes.

A thing is a list of parts, painted back to front. A part is an outline with a relief, and every
pixel of it gets a surface normal from that relief, a colour from its paint, and light from the top
left. Coordinates are units: a thing fills about 100 x 100 of them, y pointing down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wares.samples.drawing.geometry import Points
from wares.samples.drawing.layers import Part, View
from wares.samples.drawing.paint import FINISHES, Finish, Paint
from wares.samples.drawing.textures import grain_tile, print_tile

Pixels = NDArray[np.float32]
LIGHT = np.array([-0.42, -0.58, 0.70], dtype=np.float32)
HALFWAY = (LIGHT + np.array([0, 0, 1], dtype=np.float32)) / np.linalg.norm(LIGHT + np.array([0, 0, 1]))
TILE_UNITS = 32.0


def render(parts: Sequence[Part], paints: Mapping[str, Paint], view: View, shift: float = 0.0) -> Image.Image:
    """The thing on a transparent canvas. `shift` slides prints and grain, so that no two things match."""
    canvas = np.zeros((view.pixels, view.pixels, 3), dtype=np.float32)  # colours times alpha
    alpha = np.zeros((view.pixels, view.pixels), dtype=np.float32)
    for part in parts:
        _paint_part(canvas, alpha, part, paints[part.paint], view, shift)
    out = np.empty((view.pixels, view.pixels, 4), dtype=np.uint8)
    out[..., :3] = np.clip(canvas / np.maximum(alpha, 1e-3)[..., None], 0, 255)
    out[..., 3] = alpha * 255 + 0.5
    return Image.fromarray(out, "RGBA")


def _paint_part(canvas: Pixels, alpha: Pixels, part: Part, paint: Paint, view: View, shift: float) -> None:
    scale = view.scale
    points = (part.outline - (view.left, view.top)) * scale
    pad = math.ceil((part.width / 2 + 2.2 * part.lift) * scale) + 2
    low = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + pad, view.pixels)
    if (high - low).min() < 2:
        return
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    mask = _mask(part, points, low, high, view)
    if not mask.any():
        return
    finish = FINISHES[paint.finish]
    normal = _normals(mask, part, scale)
    ys = np.asarray(np.arange(low[1], high[1])[:, None] / scale + view.top, dtype=np.float32)
    xs = np.asarray(np.arange(low[0], high[0])[None, :] / scale + view.left, dtype=np.float32)
    colour = _lit(_albedo(paint, finish, normal, part, xs, ys, scale, shift), paint, finish, normal, part.shade)
    if part.lift and alpha[window].any():
        _cast_shadow(canvas[window], mask, part.lift * scale)
    cover = mask if finish.opacity == 1 else mask * np.clip(finish.opacity + 0.5 * (1 - normal[2]), 0, 1)
    colour *= cover[..., None]
    canvas[window] *= (1 - cover)[..., None]
    canvas[window] += colour
    alpha[window] += cover * (1 - alpha[window])


def _mask(part: Part, points: Points, low: NDArray[np.int64], high: NDArray[np.int64], view: View) -> Pixels:
    width, height = (high - low).tolist()
    fine = 4 if max(width, height) < 70 else 2
    image = Image.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(image)
    path = [(float(x), float(y)) for x, y in (points - low) * fine]
    if part.width:
        thick = max(1.0, part.width * view.scale * fine)
        ends = path if part.closed_line else [path[0], path[-1]]
        draw.line(path + path[:1] if part.closed_line else path, 255, round(thick), "curve")
        for x, y in ends[: 1 if part.closed_line else 2]:
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), 255)
    else:
        draw.polygon(path, 255)
    for hole in part.holes:
        draw.polygon([(float(x), float(y)) for x, y in ((hole - (view.left, view.top)) * view.scale - low) * fine], 0)
    return np.asarray(image.reduce(fine), dtype=np.float32) / np.float32(255)


def _boxed(field: Pixels, reach: int) -> Pixels:
    """Mean over a square of 2 * reach + 1, with nothing beyond the edge."""
    for axis in (0, 1):
        room = np.zeros([size + 2 * reach * (k == axis) for k, size in enumerate(field.shape)], dtype=np.float32)
        length = field.shape[axis]
        room[(slice(None),) * axis + (slice(reach, reach + length),)] = field
        parts = [room[(slice(None),) * axis + (slice(at, at + length),)] for at in range(2 * reach + 1)]
        field = np.asarray(sum(parts[1:], parts[0]) / np.float32(2 * reach + 1))
    return field


def _blurred(mask: Pixels, radius: float, crisp: float = 2.0) -> tuple[Pixels, int]:
    """The mask blurred, at a resolution reduced by the returned factor: two box blurs make a bell."""
    factor = max(1, min(8, int(radius / crisp)))
    small = np.asarray(Image.fromarray(mask).reduce(factor)) if factor > 1 else mask
    reach = round((math.sqrt(6 * (radius / factor) ** 2 + 1) - 1) / 2)
    return (_boxed(_boxed(small, reach), reach) if reach else small), factor


def _enlarged(small: Pixels, shape: tuple[int, ...], factor: int) -> Pixels:
    if factor == 1:
        return small
    size = (small.shape[1] * factor, small.shape[0] * factor)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BILINEAR))[: shape[0], : shape[1]]


def _normals(mask: Pixels, part: Part, scale: float) -> tuple[Pixels, Pixels, Pixels]:
    """Surface normals (x, y, z) of a part, from its relief."""
    if part.relief == "lathe":
        return _lathe_normals(mask)
    radius = (1.1 if part.relief == "flat" else max(0.4, part.depth)) * scale / 2
    blurred, factor = _blurred(mask, radius)
    down, across = np.gradient(blurred) if min(blurred.shape) > 1 else (blurred * 0, blurred * 0)
    length = np.sqrt(across**2 + down**2) + np.float32(1e-5)
    slope = np.clip(2 - 2 * blurred, 0, 1) * (0.5 if part.relief == "flat" else 0.96)
    x = _enlarged((-slope * across / length).astype(np.float32), mask.shape, factor)
    y = _enlarged((-slope * down / length).astype(np.float32), mask.shape, factor)
    return x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0.02))


def _lathe_normals(mask: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Normals of a turned body: every row is a circle seen from the side."""
    solid = mask > 0.4
    width = mask.shape[1]
    left = solid.argmax(1).astype(np.float32)
    right = (width - 1 - solid[:, ::-1].argmax(1)).astype(np.float32)
    empty = ~solid.any(1)
    half = np.where(empty, 1, np.maximum((right - left) / 2, 1)).astype(np.float32)
    across = (np.arange(width, dtype=np.float32)[None, :] - ((left + right) / 2)[:, None]) / half[:, None]
    across = np.clip(across, -0.995, 0.995)
    kernel = np.ones(7, dtype=np.float32) / 7
    smooth = np.convolve(np.pad(half, 3, mode="edge"), kernel, "valid")
    climb = np.clip(-np.gradient(smooth), -1.2, 1.2).astype(np.float32)[:, None]
    facing = np.sqrt(1 - across**2)
    length = np.sqrt(1 + climb**2)
    return across / length, np.broadcast_to(climb / length, mask.shape), facing / length


def _albedo(
    paint: Paint,
    finish: Finish,
    normal: tuple[Pixels, Pixels, Pixels],
    part: Part,
    xs: Pixels,
    ys: Pixels,
    scale: float,
    shift: float,
) -> Pixels:
    """Colour before light: plain or printed, with the material's grain. (h, w, 3), or (3,) where all is one."""
    if part.relief == "lathe":
        xs = xs + (np.arcsin(normal[0]) - normal[0]) * 9
    colour: Pixels = np.array(paint.colour, dtype=np.float32)
    fine = 1 if scale > 5 else 0
    if paint.print != "plain":
        layers = print_tile(paint.print, fine)
        angle, grow = math.radians(paint.print_turn), 1 / paint.print_scale
        u, v = xs * grow, ys * grow
        if paint.print_turn:
            u, v = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
        row, column = _texels(v + shift / 3, len(layers[0])), _texels(u + shift, len(layers[0]))
        for ink, layer in zip(paint.inks, layers, strict=False):
            colour = colour + layer[row, column][..., None] * (np.array(ink, dtype=np.float32) - colour)
    rough: Pixels | float = 1.0
    if finish.grain:
        tile = grain_tile(finish.grain, fine)
        rough = 1 + finish.roughness * tile[_texels(ys + shift, len(tile)), _texels(xs + shift, len(tile))]
    if finish.folds:
        tile = grain_tile("folds", 0)
        rough = rough * (1 + finish.folds * tile[_texels(ys * 0.35 + shift, len(tile)), _texels(xs * 0.45, len(tile))])
    return colour * np.asarray(rough, dtype=np.float32)[..., None]


def _texels(units: Pixels, size: int) -> NDArray[np.int32]:
    return (units * np.float32(size / TILE_UNITS)).astype(np.int32) & (size - 1)


def _lit(colour: Pixels, paint: Paint, finish: Finish, normal: tuple[Pixels, Pixels, Pixels], shade: float) -> Pixels:
    """Light on a surface: diffuse, the bright spot of glossy finishes, the sky and floor that metals mirror."""
    x, y, z = normal
    facing = x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]
    light = 0.44 + 0.56 * np.maximum(facing, 0) / LIGHT[2]
    if finish.metal:
        light = 0.42 + 0.35 * light + 0.55 * np.clip(-(x + 1.4 * y), 0, 1) ** 2 - 0.25 * np.clip(y, 0, 1)
    light = light * (1 - paint.glow) + paint.glow * (0.85 + 0.4 * z)
    out: Pixels = colour * (light * shade)[..., None]
    if finish.gloss:
        spot = np.maximum(x * HALFWAY[0] + y * HALFWAY[1] + z * HALFWAY[2], 0)
        for _ in range(finish.sharpness):
            spot *= spot
        rim = np.square(np.square(1 - z)) * 0.18
        out += (finish.gloss * 215 * (spot * 0.85 + rim))[..., None]
    return out


def _cast_shadow(below: Pixels, mask: Pixels, lift: float) -> None:
    """Darken what lies under a part, a little below and to the right of it."""
    blurred, factor = _blurred(mask, lift, 1.0)
    dark = 1 - 0.5 * _enlarged(blurred.astype(np.float32), mask.shape, factor)
    dy, dx = max(1, round(lift * 0.7)), max(1, round(lift * 0.4))
    height, width = mask.shape
    if height > dy and width > dx:
        below[dy:, dx:] *= dark[: height - dy, : width - dx, None]
