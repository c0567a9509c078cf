"""The same shop built here, by one and two workers on Ray, and while a worker, a machine and the driver are killed.

    python benchmarks/cluster.py [--listings 320] [--out benchmarks/results]

Cost        4 minutes on 2 cores; needs no network.
Writes      cluster.json in --out; a table goes to stdout.
Aim         nothing lost and nothing doubled, whatever dies; 2 workers as near to half the time of 1 as two cores allow

A sample marketplace, whose photos are encoded by the offline towers, in chunks of 16 listings; each build with an empty
cache of features. The machines of the cluster are processes of this one, each kept to a core of its own, so that one
worker cannot use what a second would bring. What dies does so when half of the chunks are done. Seconds are of a whole
build, its workers' start included, but not the cluster's.
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

import psutil
import ray
import typer
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

CHUNK, WRITTEN = 16, 32  # listings encoded, and committed, at once
os.environ.setdefault("RAY_worker_niceness", "0")  # as the driver, so that other work on the machine slows both
MEMORY = 200 * 2**20  # bytes of a machine's object store


@dataclass
class Disturbed:
    """A runner that does something once when so many items are done."""

    runner: Runner
    after: int
    disturb: Callable[[], None]

    def workers_with(self, folder: str) -> int:
        return self.runner.workers_with(folder)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for done, made in enumerate(self.runner.map(work, items)):
            if done == self.after:
                self.disturb()
            yield made


def main(listings: int = 320, out: Path = Path("benchmarks/results")) -> None:
    """Build, kill, build on, print and write."""
    half = listings // CHUNK // 2
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
        found = {name: compared(folder / "shop-local", folder / f"shop-{shop}") for name, shop in shops.items()}
    figures = {
        "date": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()},
        "settings": {"listings": listings, "chunk": CHUNK, "committed at once": WRITTEN},
        "builds": {
            name: {"seconds": took, "of 2 workers": took / seconds["2 workers"]} | found[name]
            for name, took in seconds.items()
        },
        "speedup from 1 to 2 workers": seconds["1 worker"] / seconds["2 workers"],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "cluster.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    render(figures)


def machine(cluster: Cluster, core: int) -> Any:
    """Another machine of the cluster, whose processes, and theirs, run on one core."""
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    for started in node.all_processes["raylet"]:
        for process in (parent := psutil.Process(started.process.pid), *parent.children(recursive=True)):
            process.cpu_affinity([core])
    return node


def build(folder: Path, name: str, runner: Runner) -> float:
    """Seconds of a build."""
    rows.BATCH_SIZE, rows.COMMIT_ROWS = CHUNK, WRITTEN
    catalogue, towers = read_catalogue(folder / "goods"), build_towers("offline")
    began = time.monotonic()
    build_shop(catalogue, towers, folder / f"shop-{name}", cache=folder / f"cache-{name}", runner=runner)
    return time.monotonic() - began


def build_twice(folder: Path, address: str, half: int) -> float:
    """Seconds of a build whose driver is killed, and of the one that goes on, each in a process of its own."""
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
    """Kill one of the processes that encode, which are descendants of this one."""
    workers = [each for each in psutil.Process().children(recursive=True) if "MapWorker" in " ".join(each.cmdline())]
    workers[0].kill()


def compared(whole: Path, shop: Path) -> dict[str, int]:
    """Rows of a shop that are missing, there twice, or other than in the shop that was built undisturbed."""
    stored = [open_shop(path).table.search().limit(100_000).to_arrow().to_pylist() for path in (whole, shop)]
    expected, found = ({row["id"]: row for row in each} for each in stored)
    return {
        "lost": len(expected.keys() - found.keys()),
        "doubled": len(stored[1]) - len(found),
        "different": sum(found[id] != row for id, row in expected.items() if id in found),
    }


def render(figures: dict[str, Any]) -> None:
    """The builds as a table."""
    table = Table("build", "seconds", "of 2 workers", "lost", "doubled", "different")
    for name, of in figures["builds"].items():
        numbers = [str(of[each]) for each in ("lost", "doubled", "different")]
        table.add_row(name, f"{of['seconds']:.1f}", f"{of['of 2 workers']:.2f}", *numbers)
    Console().print(table)
    Console().print(f"speedup from 1 to 2 workers: {figures['speedup from 1 to 2 workers']:.2f}")


if __name__ == "__main__":
    typer.run(main)
