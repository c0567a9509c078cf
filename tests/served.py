"""A server in a process of its own, over a small catalogue with photos."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from processes import command, environment

from wares.data.listings import Listing
from wares.data.writers import write_listings

KEY = "a key for these tests"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}


def goods(folder: Path, count: int) -> Path:
    """A catalogue of `count` listings; every second one has a photo."""
    folder.mkdir(parents=True, exist_ok=True)
    colours = ("red", "green", "blue")
    for colour in colours:
        Image.new("RGB", (32, 32), colour).save(folder / f"{colour}.png")
    listings = [
        Listing(f"g{i}", f"{colours[i % 3]} thing {i}", images=(f"{colours[i % 3]}.png",) * (i % 2), price=float(i))
        for i in range(count)
    ]
    write_listings(listings, folder / "listings.jsonl")
    return folder


@dataclass(frozen=True)
class Served:
    """A running server."""

    address: str
    process: subprocess.Popen[str]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def get(self, path: str, **parameters: Any) -> httpx2.Response:
        return httpx2.get(self.address + path, params=parameters, timeout=60)

    def put(self, id: str, title: str = "new thing", **more: Any) -> httpx2.Response:
        listing = {"title": title, **more}
        return httpx2.put(f"{self.address}api/listings/{id}", json=listing, headers=AUTHORISED, timeout=60)

    def total(self) -> int:
        return int(self.get("api/search").json()["total"])


@contextmanager
def served(shop: Path | str, *options: object, log: Path | None = None) -> Iterator[Served]:
    log = log or Path(shop).with_suffix(".log")
    environ = environment() | {"WARES_API_KEY": KEY, "OMP_NUM_THREADS": "1"}
    arguments = command("serve", shop, "--port", 0, *options)
    with (
        log.open("a") as errors,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            server = Served(line.split()[-1], process, log)
            until(lambda: server.get("readyz").status_code == 200)
            yield server
        finally:
            process.terminate()


def until(true: Callable[[], bool]) -> None:
    """Wait until a condition is true; the test run's timeout ends an endless wait."""
    while True:
        with suppress(httpx2.TransportError):
            if true():
                return
