"""Photos decoded into small RGB arrays, one at a time or in parallel processes.

Photos are untrusted input: sizes are checked in the header before decoding, only formats that shops use are tried, and
any error of a decoder becomes a `PhotoError`. Worker processes import nothing heavier than this module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from wares.core.errors import PhotoError, SettingsError, one_line
from wares.core.processes import map_in_order
from wares.data.digests import file_digest, path_text, unreadable_photo

if TYPE_CHECKING:
    from wares.data.digests import PhotoPath


MAX_BYTES = 100_000_000  # size of a file
MAX_PIXELS = 120_000_000  # width times height
Fit = Literal["pad", "crop", "stretch"]
T = TypeVar("T")
Pixels: TypeAlias = npt.NDArray[np.uint8]
PixelsOrError: TypeAlias = "Pixels | PhotoError"
_SUFFIXES = {  # Pillow's names of accepted formats -> suffix
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
}
_TRANSPOSITIONS = {  # EXIF orientation -> how to turn the photo upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # EXIF tag
_OPEN_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class PhotoInfo:
    """Facts about a photo that decodes: upright size in pixels, digest of its file, and suffix of its format."""

    width: int
    height: int
    digest: str
    suffix: str


def load_photo(path: PhotoPath, size: int, fit: Fit = "pad") -> Pixels:
    """Decode one photo as upright (size, size, 3) RGB.

    Transparency becomes white; an animation gives its first frame.

    size: side in pixels, >= 1
    fit: "pad" letterboxes on white, "crop" fits the shorter side and takes the centre, "stretch" distorts

    Raises PhotoError if the file is missing, empty, too large, truncated or not a photo.
    """
    _check_settings(size, fit)
    with _opened(path) as image:
        return _decode(image, size, fit)


def decode_photo(image: Image.Image, size: int, fit: Fit = "pad") -> Pixels:
    """Decode an open photo as `load_photo` does."""
    _check_settings(size, fit)
    return _decode(image, size, fit)


def thumbnail(path: PhotoPath, size: int) -> bytes:
    """A photo as an upright JPEG on white; its longer side is at most `size` pixels. Raises PhotoError."""
    _check_settings(size, "pad")
    with _opened(path) as image:
        transposition = _TRANSPOSITIONS.get(image.getexif().get(_ORIENTATION, 1))
        image.draft(None, (2 * size, 2 * size))
        image.load()
        small = _colours(image)
        small.thumbnail((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
        small = small.transpose(transposition) if transposition is not None else small
        canvas = Image.new("RGB", small.size, "white")
        canvas.paste(small, None, small if small.mode == "RGBA" else None)
        content = BytesIO()
        canvas.save(content, "JPEG", quality=85, progressive=True)
    return content.getvalue()


def photo_media_type(path: PhotoPath, max_pixels: int = MAX_PIXELS) -> str:
    """Media type of a photo from its header. Raises PhotoError if it is not a photo, or has too many pixels."""
    with _opened(path) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise PhotoError(
                f"{path_text(path)} is {width:,} x {height:,} pixels; the limit is {max_pixels:,}. Save it smaller."
            )
        return Image.MIME["JPEG" if image.format == "MPO" else image.format or "JPEG"]


def augment(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A random variant of a photo: cropped to 80-100 % of its area, brightness and contrast changed by up to 15 %.

    Goods differ by lettering, side (left shoes) and colour, so photos are not mirrored and keep their hues.
    """
    size = len(pixels)
    side = size * float(np.sqrt(random.uniform(0.8, 1.0)))
    left, top = random.uniform(0, size - side, 2)
    box = (left, top, left + side, top + side)
    cropped = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box)
    brightness, contrast = random.uniform(0.85, 1.15, 2)
    values = np.asarray(cropped, dtype=np.float32)
    mean = values.mean()
    augmented: Pixels = ((values - mean) * contrast + mean * brightness).round().clip(0, 255).astype(np.uint8)
    return augmented


def load_photos(
    paths: Iterable[PhotoPath], size: int, fit: Fit = "pad", workers: int | None = None
) -> Iterator[PixelsOrError]:
    """Decode many photos in order; a photo that does not decode yields its PhotoError.

    workers: processes, by default one per core; a script must call this under `if __name__ == "__main__":`

    Memory holds only a few chunks of photos. Raises WaresError if a worker dies.
    """
    _check_settings(size, fit)
    return _read_in_order(partial(_load_or_error, size=size, fit=fit), paths, workers)


def check_photos(paths: Iterable[PhotoPath], workers: int | None = None) -> Iterator[PhotoInfo | PhotoError]:
    """Decode many photos in order, and yield their info or error."""
    return _read_in_order(_info_or_error, paths, workers)


def _check_settings(size: int, fit: str) -> None:
    if size < 1:
        raise SettingsError(f"photo size must be at least 1 pixel, not {size}.")
    if fit not in get_args(Fit):
        raise SettingsError(f'fit must be "pad", "crop" or "stretch", not "{fit}".')


@contextmanager
def _opened(path: PhotoPath) -> Iterator[Image.Image]:
    """An open photo with a checked header; errors in the block become PhotoErrors."""
    try:
        _check_file(path)
        with _header(path) as image:
            _check_size(path, image.size)
            yield image
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path_text(path)} {_guess_content(path)}") from error
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(f"{path_text(path)} does not fit into memory. Save it smaller.") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise PhotoError(f"{path_text(path)} is truncated or damaged ({one_line(error)}). Restore the file.") from error


def _check_file(path: PhotoPath) -> None:
    try:
        length = os.stat(path).st_size
    except (OSError, ValueError) as error:
        raise unreadable_photo(path, error) from error
    if not os.path.isfile(path):
        raise PhotoError(
            f"{path_text(path)} is {'a folder' if os.path.isdir(path) else 'not a regular file'}. Name a photo."
        )
    if length == 0:
        raise PhotoError(f"{path_text(path)} is empty (0 bytes). Restore the file.")
    if length > MAX_BYTES:
        raise PhotoError(f"{path_text(path)} has {length:,} bytes; the limit is {MAX_BYTES:,}. Save it smaller.")


def _header(path: PhotoPath) -> Image.Image:
    """Open without Pillow's own limit on pixels, which is global and warns from 89 million; `_check_size` has ours."""
    try:
        with _OPEN_LOCK:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(path, formats=_formats())
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except UnidentifiedImageError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise unreadable_photo(path, error) from error


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _SUFFIXES if name in Image.OPEN)


def _check_size(path: PhotoPath, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{path_text(path)} is {width:,} x {height:,} pixels; the limit is {MAX_PIXELS:,}. Save it smaller."
        )
    if width * height == 0:
        raise PhotoError(f"{path_text(path)} has no pixels ({width} x {height}). Restore the file.")


def _decode(image: Image.Image, size: int, fit: Fit) -> Pixels:
    """Shrink first, then turn and composite, so that the steps that copy see few pixels."""
    transposition = _TRANSPOSITIONS.get(image.getexif().get(_ORIENTATION, 1))
    width, height = _fitted(image.size, size, fit)
    image.draft(None, (2 * width, 2 * height))
    image.load()
    image = _colours(image)
    target, box = _fitted(image.size, size, fit), None
    if fit == "crop":
        (width, height), side = image.size, min(image.size)
        left, top = (width - side) / 2, (height - side) / 2
        target, box = (size, size), (left, top, left + side, top + side)
    image = image.resize(target, Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    image = image.transpose(transposition) if transposition is not None else image
    canvas = Image.new("RGB", (size, size), "white")
    corner = ((size - image.width) // 2, (size - image.height) // 2)
    canvas.paste(image, corner, image if image.mode == "RGBA" else None)
    return np.array(canvas)


def _fitted(source: tuple[int, int], size: int, fit: Fit) -> tuple[int, int]:
    """Width and height of a photo when it is scaled to a square of `size`."""
    if fit == "stretch":
        return size, size
    scale = size / (max(source) if fit == "pad" else min(source))
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))


def _colours(image: Image.Image) -> Image.Image:
    """The photo as RGB, or as RGBA if it may have transparent pixels."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greyscale of more than 8 bits as 8 bits: 0 is black, the top of the smallest range of all values is white."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    highest = float(values.max())
    top = 65535.0 if image.mode.startswith("I;16") else next((t for t in (1, 255, 65535) if highest <= t), highest)
    return Image.fromarray((values.clip(0, top) * (255.0 / top)).round().astype(np.uint8))


def _guess_content(path: PhotoPath) -> str:
    """What an unidentified file seems to be, and the remedy."""
    with open(path, "rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "is an SVG drawing. Export it as PNG."
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a photo. Download the photo again."
    if start[4:8] == b"ftyp":
        return "is a HEIC photo or a video. Save it as JPEG."
    if start.startswith((b"\xff\xd8", b"\x89png", b"gif8", b"riff")):
        return "is damaged: its header cannot be read. Restore the file."
    return "is not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF). Replace it."


def _read_in_order(read: Callable[[PhotoPath], T], paths: Iterable[PhotoPath], workers: int | None) -> Iterator[T]:
    return map_in_order(read, paths, workers, "reading photos", "Use fewer workers.")


def _load_or_error(path: PhotoPath, size: int, fit: Fit) -> PixelsOrError:
    try:
        return load_photo(path, size, fit)
    except PhotoError as error:
        return error


def _info_or_error(path: PhotoPath) -> PhotoInfo | PhotoError:
    try:
        with _opened(path) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) >= 5:
                width, height = height, width
            _decode(image, 8, "pad")
            suffix = _SUFFIXES[image.format or ""]
        return PhotoInfo(width, height, file_digest(path), suffix)
    except PhotoError as error:
        return error
