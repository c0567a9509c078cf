"""Photos over HTTP: searches by an upload, thumbnails, and files that are not photos."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from api_client import client_of, ids, png, search_json, until_ready
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toys import opened

from wares.shop.searching import search


def test_a_photo_and_its_token_return_the_same_hits(client: TestClient) -> None:
    sent = client.post("/api/search", files={"photo": ("a.png", png("blue"), "image/png")}).json()
    assert ids(sent)[0] == "scarf"
    by_token = search_json(client, photo=sent["photo"])
    assert ids(by_token) == ids(sent)
    assert by_token["photo"] == sent["photo"]


def test_a_photo_and_words_equal_search_in_process(client: TestClient, shops: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("blue"))
    here = search(opened(shops["three"]), "boots", tmp_path / "a.png")
    there = client.post("/api/search?q=boots", files={"photo": png("blue")}).json()
    assert [hit.id for hit in here] == ids(there)
    assert [hit.score for hit in here] == pytest.approx([hit["score"] for hit in there["hits"]])


@given(st.binary(max_size=300))
def test_uploads_of_random_bytes_are_rejected(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/search", files={"photo": ("x.jpg", content, "image/jpeg")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "photo")
    assert "/tmp" not in answer.json()["error"]["message"]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with_size(width: int, height: int, more: bytes = b"") -> bytes:
    """A PNG whose header claims a size, with hardly any pixels. more: chunks before the pixels"""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "is an SVG drawing"),
        (b"<!doctype html><script>alert(1)</script>", "is a web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run", "is not a photo"),
        (b"%PDF-1.7", "is not a photo"),
        (b"", "is empty"),
        (png_with_size(60_000, 60_000), "60,000 x 60,000 pixels"),
        (png_with_size(7_000, 7_000), "is not a photo"),
        (png_with_size(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**22)))), "too large"),
        (png_with_size(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**22)))), "too large"),
    ],
    ids=["svg", "html", "postscript", "pdf", "nothing", "bomb", "liar", "text bomb", "profile bomb"],
)
def test_malicious_and_broken_uploads_are_rejected(client: TestClient, content: bytes, reason: str) -> None:
    answer = client.post("/api/search", files={"photo": ("x.png", content, "image/png")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "photo")
    assert reason in answer.json()["error"]["message"]


def test_a_photo_with_too_many_pixels_is_rejected(shops: dict[str, Path]) -> None:
    with client_of(shops, max_upload_pixels=63) as small:
        answer = until_ready(small).post("/api/search", files={"photo": png()})
    assert answer.status_code == 422
    assert "8 x 8 pixels; the limit is 63" in answer.json()["error"]["message"]


@pytest.mark.parametrize("size", [160, 320, 640, 1280])
def test_thumbnails_are_at_most_the_requested_size(client: TestClient, size: int) -> None:
    answer = client.get("/api/photos/boots-red.png", params={"size": size})
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) <= size
    cached = client.get(
        "/api/photos/boots-red.png", params={"size": size}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (cached.status_code, cached.content) == (304, b"")


def test_a_photo_without_size_is_the_original_file(client: TestClient, shops: dict[str, Path]) -> None:
    answer = client.get("/api/photos/boots-red.png")
    assert answer.content == opened(shops["three"]).photo_path("boots-red.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.png",
        "..%2fshop%2fshop.json",
        "%2e%2e/shop/shop.json",
        "..%5c..%5cetc%5cpasswd",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "a%00.png",
        "secret.txt",
        "out.png",
        "x" * 5000,
    ],
)
def test_only_photos_of_the_shop_are_served(client: TestClient, shops: dict[str, Path], name: str) -> None:
    folder = Path(opened(shops["three"]).build_info.catalogue)
    (folder / "secret.txt").write_text("secret")
    (folder.parent / "outside.png").write_bytes(png())
    (folder / "out.png").unlink(missing_ok=True)
    (folder / "out.png").symlink_to(folder.parent / "outside.png")
    answer = client.get(f"/api/photos/{name}")
    assert answer.status_code == 404
    assert str(folder) not in answer.text


def test_a_listing_can_name_an_uploaded_photo(writable: TestClient) -> None:
    name = writable.post("/api/photos", files={"photo": png("blue")}).json()["name"]
    assert writable.post("/api/photos", files={"photo": png("blue")}).json()["name"] == name
    writable.put("/api/listings/hat", json={"title": "Hat", "images": [name]})
    best = writable.post("/api/search", files={"photo": png("blue")}).json()["hits"][:2]
    assert {hit["id"] for hit in best} == {"scarf", "hat"}
    assert {hit["photo"] for hit in best} == {"scarf-blue.png", name}
    assert writable.get(f"/api/photos/{name}", params={"size": 160}).status_code == 200
    refused_photo = writable.post("/api/photos", files={"photo": b"no photo"})
    assert (refused_photo.status_code, refused_photo.json()["error"]["code"]) == (422, "photo")
