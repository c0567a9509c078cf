"""Bad rows and photos, through all commands that read a catalogue."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import done, refused, wares
from story import COLOURS, Shop, goods
from toys import png_header

from wares.data.listings import Listing
from wares.data.writers import write_listings
from wares.shop.shop import open_shop


def noise() -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


BAD_PHOTOS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "bad.png, which does not exist"),
    "truncated": (noise()[:-3000], "bad.png is truncated or damaged"),
    "no image": (b"just words", "bad.png is not a photo"),
    "web page": (b"<!doctype html><html>404</html>", "bad.png is a web page"),
    "zero-byte": (b"", "bad.png, which is empty (0 bytes)"),
    "huge": (png_header(20_000, 20_000), "bad.png is 20,000 x 20,000 pixels"),
}


LONG = {"id": "odd", "title": "odd one", "description": "word " * 20_000}


BAD_ROWS: dict[str, tuple[dict[str, Any] | bytes, str, int]] = {  # row, what is said, listings that are left
    "repeated id": ({"id": "red", "title": "red again"}, '"id" red is already the id of line 1', 4),
    "empty title": ({"id": "odd", "title": " "}, '"title" is empty', 4),
    "100 kB description": (LONG, '"description" is 100,000 characters long', 5),
    "broken UTF-8": (b'{"id": "odd", "title": "caf\xe9"}\n', "broken UTF-8 at byte", 4),
    "broken JSON": (b'{"id": "odd", "title": \n', "broken JSON", 4),
    "path out": ({"id": "odd", "title": "odd one", "images": ["../red.png"]}, "leaves the catalogue's folder", 5),
    "absolute path": ({"id": "odd", "title": "odd one", "images": ["/red.png"]}, "is an absolute path", 5),
}


@pytest.mark.parametrize("kind", [*BAD_PHOTOS, *BAD_ROWS])
def test_bad_input_stops_or_is_listed_and_counted(tmp_path: Path, kind: str) -> None:
    if kind in BAD_PHOTOS:
        content, said = BAD_PHOTOS[kind]
        listings, photos = 5, 5
        catalogue = goods(tmp_path / "c", {"id": "odd", "title": "odd one", "images": ["red.png", "bad.png"]})
        if content is not None:
            (catalogue / "bad.png").write_bytes(content)
    else:
        row, said, listings = BAD_ROWS[kind]
        photos = 4
        catalogue = goods(tmp_path / "c", raw=row) if isinstance(row, bytes) else goods(tmp_path / "c", row)
    said = f"listings.jsonl, line 5: .*{re.escape(said)}"

    report = wares("check", catalogue, "--json")
    [problem] = report.json["problems"]
    assert report.code == 1 and re.search(said, problem["text"])
    assert (report.json["listings"], report.json["photos"]) == (listings, len(COLOURS))

    options = ("--towers", "small", "--json")
    train = ("pretrain", catalogue, "--epochs", 1, *options, "--out")
    build = ("index", catalogue, *options, "--out")
    for run, out in ((train, tmp_path / "model"), (build, tmp_path / "shop")):
        message = refused(*run, out)
        assert re.search(said, message) and re.search("pass --on-error skip", message, re.IGNORECASE)
        assert not out.exists(), "a run that stops leaves nothing"
        answer = done(*run, out, "--on-error", "skip")
        listed, counted = answer.err.splitlines()
        assert re.search(said, listed) and counted.startswith("wares: 1 skipped in all")
        assert (answer.json["listings"], answer.json["photos"]) == (listings, photos)
    assert answer.json["problems"] == 1
    [listed] = open_shop(tmp_path / "shop").problems
    assert re.search(said, listed)
    hits = done("search", tmp_path / "shop", "mug", "--json").json
    assert {hit["id"] for hit in hits} == {*COLOURS, *(["odd"] if listings == 5 else [])}


def test_everything_bad_at_once_is_listed_line_by_line(tmp_path: Path) -> None:
    """Nothing vanishes: good and bad add up to what was there."""
    names = {kind: kind.replace(" ", "-") + ".png" for kind in BAD_PHOTOS}
    rows = [{"id": name, "title": kind, "images": [name]} for kind, name in names.items()]
    raws = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row, _, _ in BAD_ROWS.values()]
    catalogue = goods(tmp_path / "c", *rows, raw=raws[0] + raws[1] + raws[3])
    for kind, (content, _) in BAD_PHOTOS.items():
        if content is not None:
            (catalogue / names[kind]).write_bytes(content)
    answer = done("index", catalogue, "--towers", "small", "--out", tmp_path / "shop", "--on-error", "skip", "--json")
    *listed, counted = answer.err.splitlines()
    assert sorted(int(re.findall(r"line (\d+)", line)[0]) for line in listed) == list(range(5, 14))
    assert counted.startswith("wares: 9 skipped in all")
    assert (answer.json["listings"], answer.json["photos"], answer.json["problems"]) == (10, 4, 9)


def save_odd(folder: Path) -> list[str]:
    """Photos that are odd and good: cyan below a white sky, held and stored in every way."""
    upright = Image.new("RGB", (60, 60), (250, 250, 250))
    upright.paste((0, 180, 200), (0, 30, 60, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "rotated.jpg", exif=exif, quality=95)
    upright.save(folder / "upright.png")
    upright.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    upright.quantize(8).save(folder / "palette.png")
    alpha = upright.convert("RGBA")
    alpha.putalpha(Image.new("L", upright.size, 255))
    alpha.save(folder / "alpha.png")
    upright.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", (60, 60), "black")])
    return ["rotated.jpg", "upright.png", "cmyk.jpg", "palette.png", "alpha.png", "animated.gif"]


def test_odd_photos_are_indexed_and_found(tmp_path: Path) -> None:
    """EXIF-turned, CMYK, palette, alpha and animated photos are photos like others, and alike to each other."""
    catalogue = goods(tmp_path / "c")
    names = save_odd(catalogue)
    rows = [{"id": name, "title": "cyan thing", "images": [name]} for name in names]
    with (catalogue / "listings.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    assert done("check", catalogue, "--json").json["photos"] == 10
    trained = done("pretrain", catalogue, "--towers", "small", "--epochs", 1, "--out", tmp_path / "model", "--json")
    built = done("index", catalogue, "--model", tmp_path / "model", "--out", tmp_path / "shop", "--json")
    assert (trained.err, built.err) == ("", "")
    assert (built.json["listings"], built.json["photos"]) == (10, 10)
    for name in names:
        hits = done("search", tmp_path / "shop", "--photo", catalogue / name, "-k", 6, "--json").json
        assert {hit["id"] for hit in hits} == set(names), name


def test_a_photo_that_asks_is_checked_like_any_other(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no photo")
    assert "note.png is not a photo" in refused("search", shop.path, "--photo", tmp_path / "note.png")
    assert "does not exist" in refused("search", shop.path, "--photo", tmp_path / "none.png")


def test_one_listing_can_be_searched_but_teaches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "listings.jsonl").write_text('{"id": "a", "title": "one mug"}\n', encoding="utf-8")
    assert done("check", folder, "--json").json["listings"] == 1
    out = ("--towers", "small", "--out")
    assert "one listing is too few to train on" in refused("pretrain", folder, *out, tmp_path / "model")
    done("index", folder, *out, tmp_path / "shop")
    assert [hit["id"] for hit in done("search", tmp_path / "shop", "mug", "--json").json] == ["a"]


def test_listings_without_photos_are_searched_by_text(tmp_path: Path) -> None:
    words = ["tea", "coffee", "soup", "juice", "milk"]
    listings = [Listing(word, f"{word} mug", f"a mug to drink {word} from") for word in words]
    (tmp_path / "c").mkdir()
    write_listings(listings, tmp_path / "c" / "listings.csv")
    assert "No listing has a photo" in done("check", tmp_path / "c").out
    train = ("pretrain", tmp_path / "c", "--towers", "small", "--epochs", 1, "--no-select-weights", "--out")
    assert done(*train, tmp_path / "model", "--json").json["photos"] == 0
    done("index", tmp_path / "c", "--model", tmp_path / "model", "--out", tmp_path / "shop")
    [best] = done("search", tmp_path / "shop", "soup", "-k", 1, "--json").json
    assert (best["id"], best["photo"]) == ("soup", None)
    assert "there is nothing to align" in refused(*train, tmp_path / "other", "--method", "single-view")


@pytest.mark.parametrize("content", [b"", b"\n\n", None])
def test_no_listings_at_all(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    if content is not None:
        (folder / "listings.jsonl").write_bytes(content)
    said = "has no listings.jsonl" if content is None else "is empty: no listings"
    out = ("--towers", "small", "--on-error", "skip", "--out", tmp_path / "out")
    assert said in refused("check", folder)
    assert said in refused("pretrain", folder, *out)
    assert said in refused("index", folder, *out)
    assert not (tmp_path / "out").exists()
