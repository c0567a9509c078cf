"""The contact sheet."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from wares.samples import Marketplace, contact_sheet


def test_contact_sheet_is_a_picture_of_the_first_listings(market: Marketplace, tmp_path: Path) -> None:
    out = contact_sheet(market.folder, tmp_path / "sheet.png", rows=2, columns=2)
    with Image.open(out) as sheet:
        assert sheet.width > 1000
        assert len(sheet.convert("P").getcolors(256) or []) > 50
