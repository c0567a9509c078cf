"""Photos: contracts, cases by eye, bad files built by the tests, and parallel decoding equal to decoding alone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from toys import png_header

from wares.core.errors import PhotoError, SettingsError
from wares.data import photos
from wares.data.digests import file_digest, file_digests
from wares.data.photos import MAX_PIXELS, Fit, PhotoInfo, Pixels, check_photos, load_photo, load_photos

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def near(pixel: Pixels, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool((np.abs(pixel.astype(int) - np.array(colour)) <= tolerance).all())


def quarters(side: int = 64) -> Image.Image:
    """Red and green above, blue and white below, so that every rotation and flip differs."""
    image = Image.new("RGB", (side, side), WHITE)
    half = side // 2
    image.paste(RED, (0, 0, half, half))
    image.paste(GREEN, (half, 0, side, half))
    image.paste(BLUE, (0, half, half, side))
    return image


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def corners(pixels: Pixels) -> list[Pixels]:
    low, high = len(pixels) // 4, 3 * len(pixels) // 4
    return [pixels[low, low], pixels[low, high], pixels[high, low], pixels[high, high]]


@pytest.mark.parametrize("fit", get_args(Fit))
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (37, 20), (640, 480)])
def test_any_shape_becomes_a_square(tmp_path: Path, fit: Fit, shape: tuple[int, int]) -> None:
    path = save(Image.new("RGB", shape, BLUE), tmp_path / "photo.png")
    pixels = load_photo(path, 48, fit)
    assert pixels.shape == (48, 48, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert (np.abs(pixels.astype(int) - np.array(BLUE)).max(axis=2) < 12).any()


@pytest.mark.parametrize(("size", "fit"), [(0, "pad"), (-3, "pad"), (8, "zoom")])
def test_settings_out_of_range_are_rejected(size: int, fit: Fit) -> None:
    with pytest.raises(SettingsError):
        load_photo("any.jpg", size, fit)
    with pytest.raises(SettingsError):
        load_photos([], size, fit)


def test_importing_photos_is_light() -> None:
    code = (
        "import sys, wares.data.photos; print([m for m in ('torch', 'transformers', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_pad_crop_and_stretch_of_a_wide_photo(tmp_path: Path) -> None:
    wide = Image.new("RGB", (90, 30), GREEN)
    wide.paste(RED, (0, 0, 30, 30))
    wide.paste(BLUE, (60, 0, 90, 30))
    path = save(wide, tmp_path / "wide.png")
    pad, crop, stretch = (load_photo(path, 30, fit) for fit in get_args(Fit))
    assert near(pad[2, 15], WHITE)
    assert near(pad[27, 15], WHITE)
    assert [near(pad[15, x], c) for x, c in ((4, RED), (15, GREEN), (26, BLUE))] == [True] * 3
    assert near(crop[15, 2], GREEN)
    assert near(crop[15, 27], GREEN)
    assert [near(stretch[2, x], c) for x, c in ((4, RED), (15, GREEN), (26, BLUE))] == [True] * 3


def test_crop_takes_the_centre_of_a_tall_photo(tmp_path: Path) -> None:
    tall = Image.new("RGB", (300, 900), RED)
    tall.paste(BLUE, (0, 300, 300, 600))
    pixels = load_photo(save(tall, tmp_path / "tall.png"), 30, "crop")
    assert all(near(pixels[y, 15], BLUE) for y in (2, 15, 27))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The file stores the photo as the camera was held; the EXIF orientation turns it upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters().transpose(undo[orientation]) if orientation > 1 else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(stored, tmp_path / f"photo.{suffix}", exif=exif, quality=95)
    pixels = load_photo(path, 32)
    assert [near(p, c, 40) for p, c in zip(corners(pixels), (RED, GREEN, BLUE, WHITE), strict=True)] == [True] * 4


def test_the_size_is_of_the_upright_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.new("RGB", (60, 20), RED), tmp_path / "photo.jpg", exif=exif)
    assert list(check_photos([path])) == [PhotoInfo(20, 60, file_digest(path), path.suffix)]


def test_a_large_jpeg_is_shrunk_in_place(tmp_path: Path) -> None:
    path = save(quarters(4000), tmp_path / "large.jpg", quality=90)
    assert [near(p, c, 20) for p, c in zip(corners(load_photo(path, 64)), (RED, GREEN, BLUE, WHITE), strict=True)] == [
        True
    ] * 4


def cmyk(path: Path) -> Path:
    return save(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), path.with_suffix(".jpg"), quality=95)


def palette(path: Path) -> Path:
    return save(Image.new("RGB", (40, 40), RED).quantize(8), path.with_suffix(".png"))


def greyscale_16(path: Path) -> Path:
    return save(Image.fromarray(np.full((40, 40), 0x80FF, dtype=np.uint16)), path.with_suffix(".png"))


def big_endian_tiff(path: Path) -> Path:
    image = Image.frombytes("I;16B", (40, 40), np.full((40, 40), 0x80FF, dtype=">u2").tobytes())
    return save(image, path.with_suffix(".tiff"))


def float_tiff(path: Path) -> Path:
    return save(Image.fromarray(np.full((40, 40), 0.5, dtype=np.float32)), path.with_suffix(".tiff"))


def bilevel(path: Path) -> Path:
    return save(Image.new("1", (40, 40), 0), path.with_suffix(".png"))


def greyscale(path: Path) -> Path:
    return save(Image.new("L", (40, 40), 200), path.with_suffix(".png"))


def ycbcr_tiff(path: Path) -> Path:
    return save(Image.new("RGB", (40, 40), BLUE).convert("YCbCr"), path.with_suffix(".tiff"))


def bitmap(path: Path) -> Path:
    return save(Image.new("RGB", (40, 40), BLUE), path.with_suffix(".bmp"))


@pytest.mark.parametrize(
    ("make", "colour"),
    [
        (cmyk, RED),
        (palette, RED),
        (greyscale_16, (128, 128, 128)),
        (big_endian_tiff, (128, 128, 128)),
        (float_tiff, (128, 128, 128)),
        (bilevel, BLACK),
        (greyscale, (200, 200, 200)),
        (ycbcr_tiff, BLUE),
        (bitmap, BLUE),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(
    tmp_path: Path, make: Callable[[Path], Path], colour: tuple[int, int, int]
) -> None:
    assert near(load_photo(make(tmp_path / "photo"), 16)[8, 8], colour, 6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_transparent_pixels_become_white(tmp_path: Path, mode: str) -> None:
    """The left half is black and opaque; the right half is transparent over black."""
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 40))
    if mode == "P":
        image = image.quantize(4)
    elif mode == "PA":
        image.putalpha(image.getchannel("A").point(lambda a: a // 2))
        image = image.quantize(4)
    else:
        image = image.convert(mode)
    pixels = load_photo(save(image, tmp_path / "photo.png"), 40)
    assert near(pixels[20, 5], (128, 128, 128) if mode == "PA" else BLACK, 4)
    assert near(pixels[20, 35], WHITE, 4)


def test_a_transparent_colour_of_an_rgb_png_is_white(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (20, 20), RED), tmp_path / "photo.png", transparency=RED)
    assert near(load_photo(path, 20)[10, 10], WHITE)


def test_the_colour_under_transparent_pixels_does_not_bleed(tmp_path: Path) -> None:
    """Shrinking premultiplied: an edge between white and transparent red stays white."""
    image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 203, 400))
    assert load_photo(save(image, tmp_path / "photo.png"), 20).min() >= 250


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN, BLUE)]
    path = save(frames[0], tmp_path / f"photo.{suffix}", save_all=True, append_images=frames[1:])
    assert near(load_photo(path, 16)[8, 8], RED, 6)


def test_avif_is_read_if_pillow_supports_it(tmp_path: Path) -> None:
    from PIL import features

    if not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    assert near(load_photo(save(quarters(), tmp_path / "photo.avif"), 32)[8, 8], RED, 20)


def encoded(suffix: str, **options: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, suffix, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty \\(0 bytes\\)"),
        (b"hello, this is no photo", "is not a photo"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is an SVG drawing"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "is a HEIC photo"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is not a photo"),
        (b"%PDF-1.7\n", "is not a photo"),
        (b"\xff\xd8\xff\xe0\x00\x10JF", "damaged"),
        (encoded("JPEG")[:2000], "truncated"),
        (encoded("JPEG", progressive=True)[:3000], "truncated"),
        (encoded("PNG")[:3000], "truncated"),
        (encoded("PNG")[:20], "damaged"),
        (encoded("WEBP")[:3000], "damaged"),
        (encoded("GIF")[:3000], "truncated"),
        (encoded("BMP")[:3000], "truncated"),
        (encoded("TIFF")[:3000], "damaged"),
        (png_header(20_000, 20_000), "20,000 x 20,000 pixels"),
        (png_header(300, 300), "truncated or damaged"),
        (png_header(0, 300), "damaged|no pixels|not a photo"),
        (png_header(2**31 - 1, 2**31 - 1), "pixels; the limit"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_files_are_named_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=message) as caught:
        load_photo(path, 32)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [type(outcome) for outcome in check_photos([path])] == [PhotoError]


def test_decoders_of_other_formats_never_run(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8), RED).save(path, "PPM")
    with pytest.raises(PhotoError, match="is not a photo"):
        load_photo(path, 8)


@pytest.mark.filterwarnings("error")
def test_a_huge_photo_is_rejected_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert path.stat().st_size < 1_000_000
    start = time.perf_counter()
    with pytest.raises(PhotoError, match="20,000 x 20,000 pixels; the limit is 120,000,000"):
        load_photo(path, 32)
    assert time.perf_counter() - start < 0.5


@pytest.mark.filterwarnings("error")
def test_pillow_does_not_warn_below_our_limit(tmp_path: Path) -> None:
    """Pillow warns from 89 million pixels, but only our limit counts."""
    path = save(Image.new("L", (10_000, 9_500), 128), tmp_path / "large.png")
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < 95_000_000 < MAX_PIXELS
    assert near(load_photo(path, 16, "stretch")[8, 8], (128, 128, 128))


def test_a_file_with_too_many_bytes_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_BYTES", 100)
    path = save(quarters(), tmp_path / "photo.png")
    with pytest.raises(PhotoError, match="bytes; the limit is 100"):
        load_photo(path, 8)


def test_missing_files_folders_and_devices_are_errors(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="does not exist"):
        load_photo(tmp_path / "none.jpg", 8)
    with pytest.raises(PhotoError, match="is a folder"):
        load_photo(tmp_path, 8)
    with pytest.raises(PhotoError, match="cannot be read"):
        load_photo("photo\0.jpg", 8)
    with pytest.raises(PhotoError, match="does not exist"):
        file_digest(tmp_path / "none.jpg")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(PhotoError, match="not a regular file"):
            load_photo(tmp_path / "pipe.jpg", 8)


def test_an_unreadable_photo_is_an_error(tmp_path: Path) -> None:
    path = save(quarters(), tmp_path / "photo.png")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PhotoError, match="Permission denied"):
        load_photo(path, 8)


def test_the_limit_of_pillow_is_restored(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"nothing")
    with pytest.raises(PhotoError):
        load_photo(path, 8)
    assert before == Image.MAX_IMAGE_PIXELS


def test_threads_load_concurrently(tmp_path: Path) -> None:
    path = save(quarters(), tmp_path / "photo.png")
    expected, results = load_photo(path, 32), []
    threads = [threading.Thread(target=lambda: results.append(load_photo(path, 32))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(pixels, expected) for pixels in results)
    assert len(results) == 8


@given(
    cut=st.floats(0.0, 0.98),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    suffix=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
)
@settings(max_examples=100, deadline=None)
def test_a_damaged_photo_decodes_or_raises_a_photo_error(
    tmp_path_factory: pytest.TempPathFactory, cut: float, flips: list[tuple[float, int]], suffix: str
) -> None:
    """Whatever is cut off or overwritten, nothing but a PhotoError comes out."""
    content = bytearray(encoded(suffix))
    for position, value in flips:
        content[int(position * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: int(len(content) * (1 - cut))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [result] = load_photos([path], 8)
    assert "\n" not in str(result) if isinstance(result, PhotoError) else result.shape == (8, 8, 3)


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """150 photos of different colours; a truncated, an empty and a missing one among them."""
    paths = []
    for i in range(150):
        paths.append(save(Image.new("RGB", (30 + i, 40), (i, 255 - i, i)), tmp_path / f"{i}.png"))
    paths[20].write_bytes(encoded("JPEG")[:1000])
    paths[70].write_bytes(b"")
    paths[149].unlink()
    return paths


def test_two_processes_return_what_one_returns_in_order(many: list[Path]) -> None:
    one_process, two_processes = list(load_photos(many, 24, workers=1)), list(load_photos(many, 24, workers=2))
    assert len(one_process) == len(two_processes) == 150
    for i, (one, other) in enumerate(zip(one_process, two_processes, strict=True)):
        if i in (20, 70, 149):
            assert isinstance(one, PhotoError)
            assert isinstance(other, PhotoError)
            assert str(one) == str(other)
            assert str(many[i]) in str(other)
        else:
            assert np.array_equal(np.asarray(one), np.asarray(other))


def test_infos_and_digests_are_in_order(many: list[Path]) -> None:
    infos = list(check_photos(many, workers=2))
    hashes = list(file_digests(many))
    assert [i for i, outcome in enumerate(infos) if isinstance(outcome, PhotoError)] == [20, 70, 149]
    assert [i for i, outcome in enumerate(hashes) if isinstance(outcome, PhotoError)] == [149]
    assert all(f.digest == h for f, h in zip(infos, hashes, strict=True) if isinstance(f, PhotoInfo))
    assert [f.width for f in infos if isinstance(f, PhotoInfo)] == [
        30 + i for i in range(150) if i not in (20, 70, 149)
    ]


def test_reading_can_stop_early(many: list[Path]) -> None:
    stream = load_photos(many, 8, workers=2)
    assert isinstance(next(stream), np.ndarray)
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]


def test_no_photos_give_no_results() -> None:
    assert list(load_photos([], 8)) == []
    assert list(file_digests([])) == []


READER = """
import multiprocessing, sys, time
from wares.data.photos import load_photos
if __name__ == "__main__":
    stream = load_photos(sys.argv[1:] * 10, 8, workers=2)
    next(stream)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
def test_workers_end_with_their_killed_parent(many: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "reader.py"
    script.write_text(READER)
    parent = subprocess.Popen([sys.executable, str(script), *map(str, many)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert len(children) == 2
    end = time.monotonic() + 10
    while any(alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(child) for child in children)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_all_real_photos_decode(shared_data: Callable[[str], Path]) -> None:
    paths = sorted((shared_data("magento") / "images").iterdir())
    decoded = list(load_photos(paths, 64, workers=2))
    assert len(paths) > 700
    assert all(isinstance(pixels, np.ndarray) and pixels.std() > 1 for pixels in decoded)
