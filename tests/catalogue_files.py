"""Hand-written catalogue files, and strategies for their texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

from wares.data.catalogue import read_catalogue
from wares.data.listings import OnError

BOOT = {"id": "b1", "title": "Red boot"}
MUG = {"id": "m1", "title": "Blue mug"}
TEXTS = st.text(max_size=40).filter(lambda text: text == "" or bool(text.strip()))
NONBLANK_TEXTS = st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
IDS = NONBLANK_TEXTS.map(str.strip)


def write_lines(folder: Path, *rows: Mapping[str, object] | str | bytes, name: str = "listings.jsonl") -> Path:
    """Write rows to a file, one per line: texts and bytes as they are, others as JSON. Returns the folder."""
    texts = [row if isinstance(row, str | bytes) else json.dumps(row) for row in rows]
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    (folder / name).write_bytes(b"\n".join(raw) + b"\n")
    return folder


def skipped_problems(folder: Path, on_error: OnError = "skip") -> list[str]:
    """Problems of a catalogue, as sentences."""
    return [str(problem) for problem in read_catalogue(folder, on_error).problems]
