"""A server's requests a second and how long they take, beside the same searches called in process.

    python benchmarks/serving.py [--shop SHOP | --listings 200000] [--seconds 40] [--minutes 10] [--out FOLDER]

Cost        as long as is asked for: 33 loads of --seconds each, then --minutes; needs no network.
Writes      serving-LISTINGS.json and .png in --out; a table goes to stdout.
Aim         at saturation at least .8 of what `search` gives in process, with listings being changed meanwhile

Without --shop, listings are clouds (wares.evaluation.synthetic_shops), and the offline text tower encodes queries. A shop that is
given is copied first. Queries are two or three words of the titles, and hardly any comes twice, so that nothing is
answered from memory. Server and
client share the cores, so the client's own work counts against the server.

In process  as many threads as requests under way call `search(shop, text, k=20)`
Server      as many connections ask GET /api/search?q=…&per_page=20 of `wares serve` in a process of its own
Changing    the same, while one more connection puts listings, one after the other
Saturation  16 requests under way, the three loads by turns, five times; a ratio is of two loads of one round
Best        in process and of the server, each at the number under way that suits it most
Memory      of the server: every five seconds of a load that goes on, 8 requests under way while listings are put
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import httpx2
import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from wares.encoders.registry import build_towers
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.encoder import TowersEncoder
from wares.shop.filters import Filter
from wares.shop.retrieval import column_values, scan
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop

TITLES, CHUNK, K = 10_000, 2_048, 20
LEVELS = (1, 2, 4, 8, 16, 32)
ROUNDS, SATURATED = 5, 16
LONG, LOOK = 8, 5.0  # requests under way, and seconds between looks at memory
KINDS = ("in process", "server", "server, changing")
KEY = "the key of this benchmark"


@dataclass(frozen=True)
class Load:
    """What came of a load. seconds: of each request, in the order of answers; failed: requests refused or lost"""

    kind: str
    under_way: int
    wall: float
    seconds: Sequence[float]
    failed: int = 0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.wall

    def quantile(self, q: float) -> float:
        """Milliseconds that a share q of the requests took at most."""
        return 1000 * float(np.quantile(self.seconds, q))

    def figures(self) -> dict[str, Any]:
        """As they are printed."""
        times = {f"p{100 * q:.0f} ms": self.quantile(q) for q in (0.5, 0.95, 0.99)}
        about = {"kind": self.kind, "under way": self.under_way, "requests a second": self.rate}
        return about | times | {"failed": self.failed}


def main(
    shop: Path | None = None,
    listings: int = 200_000,
    seconds: float = 40.0,
    minutes: float = 10.0,
    out: Path = Path("benchmarks/results"),
) -> None:
    """Build, load, print and write."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "shop"
        if shop is None:
            clouds, towers = SyntheticCatalogue(listings), build_towers("offline")
            vectors = SyntheticTowers(towers.dimension, towers.fusion)
            write_shop(summarize_catalogue(clouds), TowersEncoder(towers), vectors.chunks(clouds, CHUNK), folder)
        else:
            shutil.copytree(shop, folder)
        figures, found = measured(folder, seconds, minutes)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"serving-{figures['settings']['listings']}.json"
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    show(figures)
    draw(found, file.with_suffix(".png"))


def measured(folder: Path, seconds: float, minutes: float) -> tuple[dict[str, Any], list[Load]]:
    """Every load on a shop, as figures and one by one."""
    shop = open_shop(folder)
    queries = written(shop)
    search(shop, next(queries))
    found: list[Load] = []
    with served(folder) as (address, process):
        asyncio.run(over_http(address, queries, LONG, seconds))
        for under_way in (*LEVELS, *[SATURATED] * ROUNDS):
            found.append(in_process(shop, queries, under_way, seconds))
            found.append(asyncio.run(over_http(address, queries, under_way, seconds)))
            found.append(asyncio.run(over_http(address, queries, under_way, seconds, changing=True)))
        held = asyncio.run(over_time(address, process, queries, 60 * minutes))
    levels, rounds = found[: 3 * len(LEVELS)], found[3 * len(LEVELS) :]
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": {"listings": len(shop), "seconds": seconds, "minutes": minutes, "k": K},
        "loads": [load.figures() for load in levels],
        "rounds": [load.figures() for load in rounds],
        "saturated": saturated(rounds),
        "best": {kind: max(load.rate for load in levels if load.kind == kind) for kind in KINDS},
        "memory": held,
    }
    return figures, levels


# What is looked for


def written(shop: Shop) -> Iterator[str]:
    """Queries without end, each two or three words of the shop's titles."""
    titles = column_values(shop, scan(shop, TITLES, Filter()), ["title"])["title"]
    words, random = sorted({word for title in titles for word in title.split()}), np.random.default_rng(1)
    return (" ".join(random.choice(words, random.integers(2, 4))) for _ in count())


# Loads


def in_process(shop: Shop, queries: Iterator[str], under_way: int, seconds: float) -> Load:
    """Threads that search, each one query after the other."""
    took: list[float] = []
    lock, ends = threading.Lock(), time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < ends:
            with lock:
                query = next(queries)
            began = time.monotonic()
            search(shop, query, k=K)
            took.append(time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(under_way)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(KINDS[0], under_way, time.monotonic() - began, took)


async def over_http(
    address: str, queries: Iterator[str], under_way: int, seconds: float, changing: bool = False
) -> Load:
    """Connections that ask, each one query after the other; with `changing`, one more puts listings meanwhile."""
    took: list[float] = []
    failed, ends = 0, time.monotonic() + seconds

    async def ask(client: httpx2.AsyncClient) -> None:
        nonlocal failed
        while time.monotonic() < ends:
            began = time.monotonic()
            answer = await client.get("/api/search", params={"q": next(queries), "per_page": K})
            took.append(time.monotonic() - began)
            failed += refused(answer)

    async def change(client: httpx2.AsyncClient) -> None:
        nonlocal failed
        for number in count():
            if time.monotonic() >= ends:
                return
            listing = {"title": next(queries), "price": float(number)}
            answer = await client.put(f"/api/listings/new{number % 100}", json=listing, timeout=60)
            failed += refused(answer)

    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        began = time.monotonic()
        await asyncio.gather(*(ask(client) for _ in range(under_way)), *([change(client)] if changing else []))
        wall = time.monotonic() - began
    return Load(KINDS[2] if changing else KINDS[1], under_way, wall, took, failed)


async def over_time(
    address: str, process: psutil.Process, queries: Iterator[str], seconds: float
) -> list[dict[str, float]]:
    """What the server holds while it is asked and changed."""
    began, held = time.monotonic(), []
    load = asyncio.ensure_future(over_http(address, queries, LONG, seconds, changing=True))
    while not load.done():
        held.append({"seconds": time.monotonic() - began, "MiB": memory_of(process)})
        await asyncio.wait([load], timeout=LOOK)
    return held


def refused(answer: httpx2.Response) -> bool:
    """Whether a request was not answered as it should; it is then told."""
    if answer.status_code != 200:
        print(answer.request.method, answer.request.url, answer.status_code, answer.text, file=sys.stderr, flush=True)
    return answer.status_code != 200


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of `wares serve`, and its process. What went wrong in it is told in the end."""
    command = [sys.executable, "-c", "from wares.cli.main import main; main()", "serve", str(folder), "--port", "0"]
    environment = os.environ | {"WARES_API_KEY": KEY}
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as run,
    ):
        try:
            assert run.stdout is not None
            address = run.stdout.readline().split()[-1]
            while httpx2.get(f"{address}readyz", timeout=60).status_code != 200:
                pass
            yield address, psutil.Process(run.pid)
        finally:
            run.terminate()
            run.wait()
            log.seek(0)
            sys.stderr.writelines(line for line in log if '"level": "error"' in line)


def memory_of(process: psutil.Process) -> float:
    """MiB that a process holds."""
    return float(process.memory_info().rss) / 2**20


# Telling


def saturated(rounds: Sequence[Load]) -> dict[str, list[float]]:
    """Requests a second of each kind beside those in process: least, median and greatest ratio of the rounds."""
    rates = np.array([load.rate for load in rounds]).reshape(-1, 3)
    ratios = np.quantile(rates / rates[:, :1], (0, 0.5, 1), axis=0).T
    kinds = [load.kind for load in rounds[:3]]
    return {f"{kind} / in process": ratio.tolist() for kind, ratio in zip(kinds[1:], ratios[1:], strict=True)}


def show(figures: dict[str, Any]) -> None:
    """The loads as a table."""
    table = Table(*figures["loads"][0], title=f"{figures['settings']['listings']:,} listings")
    for load in [*figures["loads"], *figures["rounds"]]:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in load.values()))
    console = Console()
    console.print(table)
    console.print(figures["saturated"], figures["best"])
    held = [look["MiB"] for look in figures["memory"]]
    console.print("MiB that the server held:", *(f"{each:.0f}" for each in held[:: max(1, len(held) // 20)]))


def draw(found: Sequence[Load], path: Path) -> None:
    """Requests a second and times against requests under way."""
    import matplotlib.pyplot as plt

    figure, (rates, times) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for kind in dict.fromkeys(load.kind for load in found):
        loads = [load for load in found if load.kind == kind]
        under_way = [load.under_way for load in loads]
        rates.plot(under_way, [load.rate for load in loads], marker="o", label=kind)
        [line] = times.plot(under_way, [load.quantile(0.5) for load in loads], marker="o", label=f"{kind}, half")
        times.plot(under_way, [load.quantile(0.99) for load in loads], "--", color=line.get_color(), label="99 %")
    rates.set(xlabel="requests under way", ylabel="requests a second", xscale="log", ylim=(0, None))
    times.set(xlabel="requests under way", ylabel="milliseconds to the answer", xscale="log", yscale="log")
    for axes in (rates, times):
        axes.set_xticks(LEVELS, [str(level) for level in LEVELS])
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
