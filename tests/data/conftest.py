"""Fixtures of tests of data."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue's folder with three photos in it."""
    (tmp_path / "shop" / "photos").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / "shop" / "photos" / name).write_bytes(b"photo")
    return tmp_path / "shop"
