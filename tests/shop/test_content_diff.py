"""Content hashes: what changes them, and which photos are read again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import BOOTS, write_photos

from wares.core.errors import PhotoError
from wares.data.digests import photo_digests
from wares.data.listings import Catalogue, Listing
from wares.shop.content_diff import content_hashes


def test_every_field_is_content(tmp_path: Path) -> None:
    full = Listing(
        "a", "t", "d", ("x", "y"), ("red.png",), 1.0, {"n": 1.0, "l": ["p", "q"]}, "p", {"review": "good"}
    )  # fmt: skip
    changes: dict[str, Any] = {
        "id": "b", "title": "T", "description": "D", "tags": ("x", "z"), "images": (), "price": 2.0,
        "attributes": {"n": 1.0, "l": ["p"]}, "product": None, "texts": {"review": "bad"},
    }  # fmt: skip
    others = [replace(full, **{name: value}) for name, value in changes.items()]
    write_photos(tmp_path, [full])
    assert len(set(content_hashes(Catalogue(tmp_path, (full, *others))))) == 1 + len(others)
    reordered = replace(full, attributes={"l": ["p", "q"], "n": 1.0})
    assert content_hashes(Catalogue(tmp_path, (full,))) == content_hashes(Catalogue(tmp_path, (reordered,)))


def test_a_photo_that_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, [BOOTS])
    paths = [tmp_path / name for name in (*BOOTS.images, BOOTS.images[0], "missing.png")]
    for path in paths[:-2]:
        os.utime(path, (1, 1))
    monkeypatch.setattr("wares.data.digests.MIN_AGE_NS", -(10**18))
    first = photo_digests(paths, tmp_path / "cache")
    assert first[0] == first[-2] and isinstance(first[-1], PhotoError)
    monkeypatch.setattr(
        "wares.data.digests.file_digests", lambda paths: first[-1:] if len(paths) == 1 else pytest.fail("read")
    )
    assert photo_digests(paths, tmp_path / "cache") == first


def test_a_photo_that_may_still_change_is_read_again(tmp_path: Path) -> None:
    write_photos(tmp_path, [BOOTS])
    path = tmp_path / BOOTS.images[0]
    [before] = photo_digests([path], tmp_path / "cache")
    found = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert photo_digests([path], tmp_path / "cache") != [before]
