"""Requests per second and latency of a server, against the same searches in process.

    python benchmarks/serving.py [--shop SHOP | --listings 200000] [--seconds 40] [--minutes 10] [--out FOLDER]

Cost        33 loads of --seconds each, then --minutes; needs no network.
Writes      serving-LISTINGS.json and .png in --out; a table goes to stdout.
Target      at saturation at least .8 of the rate of `search` in process, also while listings change

Without --shop, listings are synthetic (wares.evaluation.synthetic_shops), and the offline text tower encodes queries.
The shop of --shop is copied first. Queries are two or three words of titles and hardly repeat, so the cache of query
vectors has no effect. Server and client run on the same cores, so the client's work counts against the server.

In process  as many threads as concurrent requests call `search(shop, text, k=20)`
Server      as many connections request GET /api/search?q=…&per_page=20 from `wares serve` in a process of its own
Changing    the same, while one more connection puts listings, one after the other
Saturation  16 concurrent requests, alternating the three loads, five times; a ratio is of two loads of one round
Best        the highest rate in process and of the server over the numbers of concurrent requests
Memory      of the server: every five seconds of a long load of 8 concurrent requests while listings change
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

import cyclopts
import httpx2
import numpy as np
import psutil
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
ROUNDS, SATURATION = 5, 16
LONG_CONCURRENCY, SAMPLE_INTERVAL = 8, 5.0  # concurrent requests, and seconds between samples of memory
KINDS = ("in process", "server", "server, changing")
KEY = "the key of this benchmark"


@dataclass(frozen=True)
class Load:
    """Result of a load. seconds: of each request, in the order of responses; failed: number of failed requests"""

    kind: str
    concurrent: int
    wall: float
    seconds: Sequence[float]
    failed: int = 0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.seconds) / self.wall

    def quantile(self, q: float) -> float:
        """Quantile q of the latency in milliseconds."""
        return 1000 * float(np.quantile(self.seconds, q))

    def figures(self) -> dict[str, Any]:
        """Return the printed figures by name."""
        times = {f"p{100 * q:.0f} ms": self.quantile(q) for q in (0.5, 0.95, 0.99)}
        about = {"kind": self.kind, "concurrent": self.concurrent, "requests per second": self.rate}
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
            catalogue, towers = SyntheticCatalogue(listings), build_towers("offline")
            vectors = SyntheticTowers(towers.dimension, towers.fusion)
            write_shop(summarize_catalogue(catalogue), TowersEncoder(towers), vectors.chunks(catalogue, CHUNK), folder)
        else:
            shutil.copytree(shop, folder)
        figures, loads = measured(folder, seconds, minutes)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"serving-{figures['settings']['listings']}.json"
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    show(figures)
    draw(loads, file.with_suffix(".png"))


def measured(folder: Path, seconds: float, minutes: float) -> tuple[dict[str, Any], list[Load]]:
    """Run all loads on a shop; return all figures, and the loads of different concurrency."""
    shop = open_shop(folder)
    queries = random_queries(shop)
    search(shop, next(queries))
    loads: list[Load] = []
    with served(folder) as (address, process):
        asyncio.run(over_http(address, queries, LONG_CONCURRENCY, seconds))
        for concurrent in (*LEVELS, *[SATURATION] * ROUNDS):
            loads.append(in_process(shop, queries, concurrent, seconds))
            loads.append(asyncio.run(over_http(address, queries, concurrent, seconds)))
            loads.append(asyncio.run(over_http(address, queries, concurrent, seconds, changing=True)))
        memory = asyncio.run(over_time(address, process, queries, 60 * minutes))
    levels, rounds = loads[: 3 * len(LEVELS)], loads[3 * len(LEVELS) :]
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": {"listings": len(shop), "seconds": seconds, "minutes": minutes, "k": K},
        "loads": [load.figures() for load in levels],
        "rounds": [load.figures() for load in rounds],
        "saturated": saturated(rounds),
        "best": {kind: max(load.rate for load in levels if load.kind == kind) for kind in KINDS},
        "memory": memory,
    }
    return figures, levels


# Queries


def random_queries(shop: Shop) -> Iterator[str]:
    """Return an endless iterator of queries: two or three words of the shop's titles."""
    titles = column_values(shop, scan(shop, TITLES, Filter()), ["title"])["title"]
    words, random = sorted({word for title in titles for word in title.split()}), np.random.default_rng(1)
    return (" ".join(random.choice(words, random.integers(2, 4))) for _ in count())


# Loads


def in_process(shop: Shop, queries: Iterator[str], concurrent: int, seconds: float) -> Load:
    """Search with threads, each one query after the other."""
    times: list[float] = []
    lock, ends = threading.Lock(), time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < ends:
            with lock:
                query = next(queries)
            began = time.monotonic()
            search(shop, query, k=K)
            times.append(time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(concurrent)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(KINDS[0], concurrent, time.monotonic() - began, times)


async def over_http(
    address: str, queries: Iterator[str], concurrent: int, seconds: float, changing: bool = False
) -> Load:
    """Search over connections, each one query after the other; with `changing`, one more puts listings."""
    times: list[float] = []
    failed, ends = 0, time.monotonic() + seconds

    async def query(client: httpx2.AsyncClient) -> None:
        nonlocal failed
        while time.monotonic() < ends:
            began = time.monotonic()
            response = await client.get("/api/search", params={"q": next(queries), "per_page": K})
            times.append(time.monotonic() - began)
            failed += is_failure(response)

    async def change(client: httpx2.AsyncClient) -> None:
        nonlocal failed
        for number in count():
            if time.monotonic() >= ends:
                return
            listing = {"title": next(queries), "price": float(number)}
            response = await client.put(f"/api/listings/new{number % 100}", json=listing, timeout=60)
            failed += is_failure(response)

    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        began = time.monotonic()
        await asyncio.gather(*(query(client) for _ in range(concurrent)), *([change(client)] if changing else []))
        wall = time.monotonic() - began
    return Load(KINDS[2] if changing else KINDS[1], concurrent, wall, times, failed)


async def over_time(
    address: str, process: psutil.Process, queries: Iterator[str], seconds: float
) -> list[dict[str, float]]:
    """Sample the memory of the server during a load with changes."""
    began, samples = time.monotonic(), []
    load = asyncio.ensure_future(over_http(address, queries, LONG_CONCURRENCY, seconds, changing=True))
    while not load.done():
        samples.append({"seconds": time.monotonic() - began, "MiB": memory_of(process)})
        await asyncio.wait([load], timeout=SAMPLE_INTERVAL)
    return samples


def is_failure(response: httpx2.Response) -> bool:
    """True for a status other than 200, which is printed."""
    if response.status_code != 200:
        request = response.request
        print(request.method, request.url, response.status_code, response.text, file=sys.stderr, flush=True)
    return response.status_code != 200


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run `wares serve`; yield its address and process, and print its errors in the end."""
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
    """Resident memory of a process in MiB."""
    return float(process.memory_info().rss) / 2**20


# Reporting


def saturated(rounds: Sequence[Load]) -> dict[str, list[float]]:
    """Return minimum, median and maximum over rounds of each kind's rate relative to the one in process."""
    rates = np.array([load.rate for load in rounds]).reshape(-1, 3)
    ratios = np.quantile(rates / rates[:, :1], (0, 0.5, 1), axis=0).T
    kinds = [load.kind for load in rounds[:3]]
    return {f"{kind} / in process": ratio.tolist() for kind, ratio in zip(kinds[1:], ratios[1:], strict=True)}


def show(figures: dict[str, Any]) -> None:
    """Print the loads as a table."""
    table = Table(*figures["loads"][0], title=f"{figures['settings']['listings']:,} listings")
    for load in [*figures["loads"], *figures["rounds"]]:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in load.values()))
    console = Console()
    console.print(table)
    console.print(figures["saturated"], figures["best"])
    memory = [sample["MiB"] for sample in figures["memory"]]
    console.print("MiB of the server:", *(f"{mib:.0f}" for mib in memory[:: max(1, len(memory) // 20)]))


def draw(loads: Sequence[Load], path: Path) -> None:
    """Draw rate and latency against the number of concurrent requests."""
    import matplotlib.pyplot as plt

    figure, (rates, times) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for kind in dict.fromkeys(load.kind for load in loads):
        of_kind = [load for load in loads if load.kind == kind]
        concurrent = [load.concurrent for load in of_kind]
        rates.plot(concurrent, [load.rate for load in of_kind], marker="o", label=kind)
        [line] = times.plot(concurrent, [load.quantile(0.5) for load in of_kind], marker="o", label=f"{kind}, median")
        times.plot(concurrent, [load.quantile(0.99) for load in of_kind], "--", color=line.get_color(), label="99 %")
    rates.set(xlabel="concurrent requests", ylabel="requests per second", xscale="log", ylim=(0, None))
    times.set(xlabel="concurrent requests", ylabel="latency, ms", xscale="log", yscale="log")
    for axes in (rates, times):
        axes.set_xticks(LEVELS, [str(level) for level in LEVELS])
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    cyclopts.run(main)
