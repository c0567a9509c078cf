"""Vendored files are those that vendor.json lists."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "src" / "wares" / "serve" / "page"


def test_vendored_files_match_vendor_json() -> None:
    folder = PAGE / "vendor"
    named = {file["file"]: file for each in json.loads((folder / "vendor.json").read_text()) for file in each["files"]}
    assert {path.name for path in folder.iterdir()} == {*named, "vendor.json", "README.md"}
    for name, file in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"], name
