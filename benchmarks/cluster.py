"""Builds of the same shop: local, with one and two workers on Ray, and with a worker, a machine or the driver killed.

    python benchmarks/cluster.py [--listings 320] [--out benchmarks/results]

Cost        4 minutes on 2 cores; needs no network.
Writes      cluster.json in --out; a table goes to stdout.
Target      no row lost or duplicated after any failure; two workers near half the time of one

The offline towers encode the photos of a sample marketplace in batches of 16 listings, with an empty feature cache for
each build. The machines of the cluster are processes on this one, each pinned to one core, so that one worker cannot
use the core of a second. A failure occurs when half of the batches are done. Seconds are of a whole build, including
the start of its workers, but not that of the cluster.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import psutil
import ray
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

from wares.core.runners import LocalRunner, RayRunner, Runner, connect_to_ray
from wares.data.catalogue import read_catalogue
from wares.encoders.registry import build_towers
from wares.samples.marketplace import write_marketplace
from wares.shop import encoding as rows
from wares.shop.build import build_shop
from wares.shop.shop import open_shop

BATCH_SIZE, COMMIT_ROWS = 16, 32  # listings per batch, and per commit
os.environ.setdefault("RAY_worker_niceness", "0")  # the priority of the driver, so that other load slows both
MEMORY = 200 * 2**20  # bytes of a machine's object store


@dataclass
class Disturbed:
    """A runner that calls `disturb` once, after `after` items."""

    runner: Runner
    after: int
    disturb: Callable[[], None]

    def workers_with(self, folder: str) -> int:
        return self.runner.workers_with(folder)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for done, result in enumerate(self.runner.map(work, items)):
            if done == self.after:
                self.disturb()
            yield result


def main(listings: int = 320, out: Path = Path("benchmarks/results")) -> None:
    """Build, kill, resume, print and write."""
    half = listings // BATCH_SIZE // 2
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_marketplace(folder / "goods", listings)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False},
        )
        try:
            nodes = [machine(cluster, core) for core in sorted(psutil.Process().cpu_affinity() or [])[:2]]
            seconds = {"local": build(folder, "local", LocalRunner())}
            killed_driver = build_twice(folder, cluster.address, half)
            connect_to_ray(cluster.address)
            warm = RayRunner(2)
            list(warm.map(str, range(2)))
            seconds["1 worker"] = build(folder, "1", RayRunner(1))
            seconds["2 workers"] = build(folder, "2", warm)
            seconds["2 workers, one killed"] = build(folder, "worker", Disturbed(warm, half, kill_worker))
            seconds["2 workers, driver killed and started again"] = killed_driver
            seconds["2 machines, one killed"] = build(
                folder, "machine", Disturbed(warm, half, lambda: cluster.remove_node(nodes[1], allow_graceful=False))
            )
        finally:
            ray.shutdown()
            cluster.shutdown()
        shops = dict(zip(seconds, ("local", "1", "2", "worker", "driver", "machine"), strict=True))
        differences = {name: compared(folder / "shop-local", folder / f"shop-{shop}") for name, shop in shops.items()}
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()},
        "settings": {"listings": listings, "chunk": BATCH_SIZE, "committed at once": COMMIT_ROWS},
        "builds": {
            name: {"seconds": took, "of 2 workers": took / seconds["2 workers"]} | differences[name]
            for name, took in seconds.items()
        },
        "speedup from 1 to 2 workers": seconds["1 worker"] / seconds["2 workers"],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "cluster.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    render(figures)


def machine(cluster: Cluster, core: int) -> Any:
    """Add a machine to the cluster whose processes run on one core."""
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    for started in node.all_processes["raylet"]:
        for process in (parent := psutil.Process(started.process.pid), *parent.children(recursive=True)):
            process.cpu_affinity([core])
    return node


def build(folder: Path, name: str, runner: Runner) -> float:
    """Seconds of a build."""
    rows.BATCH_SIZE, rows.COMMIT_ROWS = BATCH_SIZE, COMMIT_ROWS
    catalogue, towers = read_catalogue(folder / "goods"), build_towers("offline")
    began = time.monotonic()
    build_shop(catalogue, towers, folder / f"shop-{name}", cache=folder / f"cache-{name}", runner=runner)
    return time.monotonic() - began


def build_twice(folder: Path, address: str, half: int) -> float:
    """Seconds of a build whose driver is killed, and of the one that resumes it, each in a process of its own."""
    began = time.monotonic()
    for after in (half, None):
        driver = get_context("spawn").Process(target=_drive, args=(folder, address, after))
        driver.start()
        driver.join()
        assert driver.exitcode == (0 if after is None else -signal.SIGKILL), driver.exitcode
    return time.monotonic() - began


def _drive(folder: Path, address: str, half: int | None) -> None:
    connect_to_ray(address)
    runner: Runner = RayRunner(2)
    if half is not None:
        runner = Disturbed(runner, half, lambda: os.kill(os.getpid(), signal.SIGKILL))
    build(folder, "driver", runner)
    ray.shutdown()


def kill_worker() -> None:
    """Kill one of the encoding processes, which are descendants of this one."""
    processes = psutil.Process().children(recursive=True)
    workers = [process for process in processes if "MapWorker" in " ".join(process.cmdline())]
    workers[0].kill()


def compared(reference: Path, shop: Path) -> dict[str, int]:
    """Numbers of lost, duplicated and different rows of a shop, against the shop of an undisturbed build."""
    stored = [open_shop(path).table.search().limit(100_000).to_arrow().to_pylist() for path in (reference, shop)]
    expected, rebuilt = ({row["id"]: row for row in rows} for rows in stored)
    return {
        "lost": len(expected.keys() - rebuilt.keys()),
        "doubled": len(stored[1]) - len(rebuilt),
        "different": sum(rebuilt[id] != row for id, row in expected.items() if id in rebuilt),
    }


def render(figures: dict[str, Any]) -> None:
    """The builds as a table."""
    table = Table("build", "seconds", "of 2 workers", "lost", "doubled", "different")
    for name, build in figures["builds"].items():
        numbers = [str(build[key]) for key in ("lost", "doubled", "different")]
        table.add_row(name, f"{build['seconds']:.1f}", f"{build['of 2 workers']:.2f}", *numbers)
    Console().print(table)
    Console().print(f"speedup from 1 to 2 workers: {figures['speedup from 1 to 2 workers']:.2f}")


if __name__ == "__main__":
    cyclopts.run(main)
