"""A small renderer: layers and paints to pixels.

It draws a shape layer by layer, back to front. Every pixel of a layer gets a surface normal from the layer's relief, a
colour from its paint, and light from the top left. Coordinates are units: a shape fills about 100 x 100 of them, and y
points down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wares.samples.drawing.geometry import Points
from wares.samples.drawing.layers import Layer, Viewport
from wares.samples.drawing.paint import FINISHES, Finish, Paint
from wares.samples.drawing.textures import grain_texture, print_texture

Pixels = NDArray[np.float32]
Normals = tuple[Pixels, Pixels, Pixels]  # x, y and z of the unit normal at each pixel
LIGHT = np.array([-0.42, -0.58, 0.70], dtype=np.float32)
HALFWAY = (LIGHT + np.array([0, 0, 1], dtype=np.float32)) / np.linalg.norm(LIGHT + np.array([0, 0, 1]))
TEXTURE_UNITS = 32.0  # units after which a texture repeats


def render(layers: Sequence[Layer], paints: Mapping[str, Paint], viewport: Viewport, shift: float = 0.0) -> Image.Image:
    """Draw a shape on a transparent canvas.

    paints: by the names that the layers use
    shift: moves prints and grain by some units, so that no two items match
    """
    canvas = np.zeros((viewport.pixels, viewport.pixels, 3), dtype=np.float32)  # colours times alpha
    alpha = np.zeros((viewport.pixels, viewport.pixels), dtype=np.float32)
    for layer in layers:
        _paint_layer(canvas, alpha, layer, paints[layer.paint], viewport, shift)
    out = np.empty((viewport.pixels, viewport.pixels, 4), dtype=np.uint8)
    out[..., :3] = np.clip(canvas / np.maximum(alpha, 1e-3)[..., None], 0, 255)
    out[..., 3] = alpha * 255 + 0.5
    return Image.fromarray(out, "RGBA")


def _paint_layer(canvas: Pixels, alpha: Pixels, layer: Layer, paint: Paint, viewport: Viewport, shift: float) -> None:
    """Blend one layer, lit and with its shadow, into the canvas and its alpha."""
    scale = viewport.scale
    points = (layer.points - (viewport.left, viewport.top)) * scale
    pad = math.ceil((layer.width / 2 + 2.2 * layer.lift) * scale) + 2
    low = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + pad, viewport.pixels)
    if (high - low).min() < 2:
        return
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    mask = _mask(layer, points, low, high, viewport)
    if not mask.any():
        return
    finish, normal = FINISHES[paint.finish], _normals(mask, layer, scale)
    ys = np.asarray(np.arange(low[1], high[1])[:, None] / scale + viewport.top, dtype=np.float32)
    xs = np.asarray(np.arange(low[0], high[0])[None, :] / scale + viewport.left, dtype=np.float32)
    albedo = _albedo(layer, paint, normal, xs, ys, scale, shift)
    colour = _light(albedo, paint, finish, normal, layer.shade)
    if layer.lift and alpha[window].any():
        _cast_shadow(canvas[window], mask, layer.lift * scale)
    cover = mask if finish.opacity == 1 else mask * np.clip(finish.opacity + 0.5 * (1 - normal[2]), 0, 1)
    colour *= cover[..., None]
    canvas[window] *= (1 - cover)[..., None]
    canvas[window] += colour
    alpha[window] += cover * (1 - alpha[window])


def _mask(layer: Layer, points: Points, low: NDArray[np.int64], high: NDArray[np.int64], viewport: Viewport) -> Pixels:
    """Return how much of each pixel between two corners a layer covers, 0 to 1."""
    width, height = (high - low).tolist()
    fine = 4 if max(width, height) < 70 else 2  # supersampling
    image = Image.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(image)
    path = [(float(x), float(y)) for x, y in (points - low) * fine]
    if layer.width:
        thick = max(1.0, layer.width * viewport.scale * fine)
        ends = path if layer.closed_line else [path[0], path[-1]]
        draw.line(path + path[:1] if layer.closed_line else path, 255, round(thick), "curve")
        for x, y in ends[: 1 if layer.closed_line else 2]:
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), 255)
    else:
        draw.polygon(path, 255)
    for hole in layer.holes:
        corners = ((hole - (viewport.left, viewport.top)) * viewport.scale - low) * fine
        draw.polygon([(float(x), float(y)) for x, y in corners], 0)
    return np.asarray(image.reduce(fine), dtype=np.float32) / np.float32(255)


def _box_blur(field: Pixels, reach: int) -> Pixels:
    """Return the mean over a square of 2 * reach + 1 pixels, with zeros beyond the edge."""
    for axis in (0, 1):
        padded = np.zeros([size + 2 * reach * (k == axis) for k, size in enumerate(field.shape)], dtype=np.float32)
        length = field.shape[axis]
        padded[(slice(None),) * axis + (slice(reach, reach + length),)] = field
        shifted = [padded[(slice(None),) * axis + (slice(start, start + length),)] for start in range(2 * reach + 1)]
        field = np.asarray(sum(shifted[1:], shifted[0]) / np.float32(2 * reach + 1))
    return field


def _blur(mask: Pixels, radius: float, crisp: float = 2.0) -> tuple[Pixels, int]:
    """Return the mask blurred, at a resolution reduced by the factor that comes with it.

    Two box blurs approximate a Gaussian.
    """
    factor = max(1, min(8, int(radius / crisp)))
    small = np.asarray(Image.fromarray(mask).reduce(factor)) if factor > 1 else mask
    reach = round((math.sqrt(6 * (radius / factor) ** 2 + 1) - 1) / 2)
    return (_box_blur(_box_blur(small, reach), reach) if reach else small), factor


def _upsample(small: Pixels, shape: tuple[int, ...], factor: int) -> Pixels:
    if factor == 1:
        return small
    size = (small.shape[1] * factor, small.shape[0] * factor)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BILINEAR))[: shape[0], : shape[1]]


def _normals(mask: Pixels, layer: Layer, scale: float) -> Normals:
    """Return the surface normals of a layer, from its relief."""
    if layer.relief == "lathe":
        return _lathe_normals(mask)
    radius = (1.1 if layer.relief == "flat" else max(0.4, layer.depth)) * scale / 2
    blurred, factor = _blur(mask, radius)
    down, across = np.gradient(blurred) if min(blurred.shape) > 1 else (blurred * 0, blurred * 0)
    length = np.sqrt(across**2 + down**2) + np.float32(1e-5)
    slope = np.clip(2 - 2 * blurred, 0, 1) * (0.5 if layer.relief == "flat" else 0.96)
    x = _upsample((-slope * across / length).astype(np.float32), mask.shape, factor)
    y = _upsample((-slope * down / length).astype(np.float32), mask.shape, factor)
    return x, y, np.sqrt(np.maximum(1 - x * x - y * y, 0.02))


def _lathe_normals(mask: Pixels) -> Normals:
    """Return the normals of a turned body: every row is a circle seen from the side."""
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


def _albedo(layer: Layer, paint: Paint, normal: Normals, xs: Pixels, ys: Pixels, scale: float, shift: float) -> Pixels:
    """Return the colour before light: plain or printed, with the grain of the material.

    xs, ys: units of the columns, shape (1, w), and of the rows, shape (h, 1)

    Returns shape (h, w, 3), or (3,) if the colour is the same everywhere.
    """
    if layer.relief == "lathe":
        xs = xs + (np.arcsin(normal[0]) - normal[0]) * 9  # the print narrows towards the sides
    finish, fine = FINISHES[paint.finish], 1 if scale > 5 else 0
    colour = _printed(paint, xs, ys, fine, shift)
    rough: Pixels | float = 1.0
    if finish.grain:
        grain = grain_texture(finish.grain, fine)
        rough = 1 + finish.roughness * grain[_texels(ys + shift, len(grain)), _texels(xs + shift, len(grain))]
    if finish.folds:
        folds = grain_texture("folds", 0)
        rows, columns = _texels(ys * 0.35 + shift, len(folds)), _texels(xs * 0.45, len(folds))
        rough = rough * (1 + finish.folds * folds[rows, columns])
    return colour * np.asarray(rough, dtype=np.float32)[..., None]


def _printed(paint: Paint, xs: Pixels, ys: Pixels, fine: int, shift: float) -> Pixels:
    """Return the colour of a paint with its print, one ink over the other; shape (3,) if it is plain."""
    colour: Pixels = np.array(paint.colour, dtype=np.float32)
    if paint.print == "plain":
        return colour
    textures = print_texture(paint.print, fine)
    angle, zoom = math.radians(paint.print_turn), 1 / paint.print_scale
    u, v = xs * zoom, ys * zoom
    if paint.print_turn:
        u, v = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
    rows, columns = _texels(v + shift / 3, len(textures[0])), _texels(u + shift, len(textures[0]))
    for ink, texture in zip(paint.inks, textures, strict=False):
        colour = colour + texture[rows, columns][..., None] * (np.array(ink, dtype=np.float32) - colour)
    return colour


def _texels(units: Pixels, size: int) -> NDArray[np.int32]:
    """Return the rows or columns of a texture at some units; `size` is a power of two."""
    return (units * np.float32(size / TEXTURE_UNITS)).astype(np.int32) & (size - 1)


def _light(colour: Pixels, paint: Paint, finish: Finish, normal: Normals, shade: float) -> Pixels:
    """Light a surface: diffuse light, the highlight of glossy finishes, the sky and floor that metals mirror.

    Source: the shading model of Blinn and Phong.
    """
    x, y, z = normal
    facing = x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2]
    light = 0.44 + 0.56 * np.maximum(facing, 0) / LIGHT[2]
    if finish.metal:
        light = 0.42 + 0.35 * light + 0.55 * np.clip(-(x + 1.4 * y), 0, 1) ** 2 - 0.25 * np.clip(y, 0, 1)
    light = light * (1 - paint.glow) + paint.glow * (0.85 + 0.4 * z)
    lit: Pixels = colour * (light * shade)[..., None]
    if finish.gloss:
        highlight = np.maximum(x * HALFWAY[0] + y * HALFWAY[1] + z * HALFWAY[2], 0)
        for _ in range(finish.sharpness):
            highlight *= highlight
        rim = np.square(np.square(1 - z)) * 0.18
        lit += (finish.gloss * 215 * (highlight * 0.85 + rim))[..., None]
    return lit


def _cast_shadow(below: Pixels, mask: Pixels, lift: float) -> None:
    """Darken the layers below a layer, a little down and to the right of it."""
    blurred, factor = _blur(mask, lift, 1.0)
    dark = 1 - 0.5 * _upsample(blurred.astype(np.float32), mask.shape, factor)
    dy, dx = max(1, round(lift * 0.7)), max(1, round(lift * 0.4))
    height, width = mask.shape
    if height > dy and width > dx:
        below[dy:, dx:] *= dark[: height - dy, : width - dx, None]
