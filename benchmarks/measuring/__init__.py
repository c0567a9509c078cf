"""What benchmarks share: work timed in turns by two clocks, memory, and values averaged over seeds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from wares.evaluation.measures import PerQuery

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.monotonic, "processor": time.process_time}


# Clocks


def alternated(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, npt.NDArray[np.float64]]:
    """(rounds, clocks) seconds of each, in turns, after a round that does not count."""
    times: dict[str, list[list[float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name in sorted(works, reverse=number % 2 == 0):
            times[name].append(seconds(works[name]))
    return {name: np.array(each[1:]) for name, each in times.items()}


def seconds(work: Callable[[], Any]) -> list[float]:
    """How long something takes, by each clock."""
    began = [clock() for clock in CLOCKS.values()]
    work()
    return [clock() - start for clock, start in zip(CLOCKS.values(), began, strict=True)]


def peak_memory() -> float:
    """MiB that this process has held at most, on Linux.

    Not ru_maxrss, which is that of the process that started this one, where that held more.
    """
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024


def rates(times: Mapping[str, npt.NDArray[np.float64]], size: int) -> dict[str, dict[str, float]]:
    """Clock → what was timed → how many things of `size` a round it did in a second, over all rounds."""
    return {
        clock: {name: size * len(each) / float(each[:, column].sum()) for name, each in times.items()}
        for column, clock in enumerate(CLOCKS)
    }


def show_rates(title: str, found: Mapping[str, Mapping[str, float]], ratios: Mapping[str, float]) -> None:
    """The rates as a table, a row a clock."""
    table = Table("clock", title=title)
    for name in (*next(iter(found.values())), "ratio"):
        table.add_column(name, justify="right")
    for clock, each in found.items():
        table.add_row(clock, *(f"{rate:.4g}" for rate in each.values()), f"{ratios[clock]:.2f}")
    Console().print(table)


# Seeds


def mean_of(seeds: Sequence[PerQuery]) -> PerQuery:
    """Each query's values averaged over seeds."""
    return {
        name: {query: float(np.mean([each[name][query] for each in seeds])) for query in seeds[0][name]}
        for name in seeds[0]
    }


def means(values: PerQuery) -> dict[str, float]:
    """Measure → mean over queries."""
    return {name: float(np.mean(list(each.values()))) for name, each in values.items()}
