"""Catalogues that commands of tests work on, and a marketplace that went through `pretrain` and `index`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from processes import Answer, done

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "yellow": (230, 210, 40)}


@dataclass(frozen=True)
class Shop:
    """A sample marketplace that went through `pretrain` and `index`."""

    catalogue: Path
    model: Path
    path: Path
    pretrain: Answer
    index: Answer

    @property
    def judged(self) -> tuple[object, ...]:
        return ("--queries", self.catalogue / "queries.jsonl", "--qrels", self.catalogue / "qrels.txt")

    def evaluate(self, *arguments: object) -> dict[str, Any]:
        file = self.path.parent / "evaluation.json"
        done("evaluate", *arguments, *self.judged, "--json", file)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


def first(shop: Shop) -> dict[str, Any]:
    line = (shop.catalogue / "listings.jsonl").read_text(encoding="utf-8").splitlines()[0]
    row: dict[str, Any] = json.loads(line)
    return row


def goods(folder: Path, *rows: dict[str, Any], raw: bytes = b"") -> Path:
    """Four good listings with a photo each, and what is given."""
    folder.mkdir(parents=True)
    good = [{"id": name, "title": f"{name} mug", "images": [f"{name}.png"]} for name in COLOURS]
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    lines = "".join(json.dumps(row) + "\n" for row in [*good, *rows])
    (folder / "listings.jsonl").write_bytes(lines.encode() + raw)
    return folder
