"""Helpers of several benchmarks: alternating timing by two clocks, memory, and means over seeds."""

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
    """Return name -> (rounds, clocks) seconds of alternating calls, after a warm-up round."""
    times: dict[str, list[list[float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name in sorted(works, reverse=number % 2 == 0):
            times[name].append(seconds(works[name]))
    return {name: np.array(seconds_by_round[1:]) for name, seconds_by_round in times.items()}


def seconds(work: Callable[[], Any]) -> list[float]:
    """Return the seconds of a call by each clock."""
    began = [clock() for clock in CLOCKS.values()]
    work()
    return [clock() - start for clock, start in zip(CLOCKS.values(), began, strict=True)]


def peak_memory() -> float:
    """Return the peak resident memory of this process in MiB, on Linux.

    It reads VmHWM, because ru_maxrss of a child starts at the peak of its parent.
    """
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024


def rates(times: Mapping[str, npt.NDArray[np.float64]], size: int) -> dict[str, dict[str, float]]:
    """Return clock → name → items per second over all rounds. size: items of a round"""
    return {
        clock: {name: size * len(seconds) / float(seconds[:, column].sum()) for name, seconds in times.items()}
        for column, clock in enumerate(CLOCKS)
    }


def show_rates(title: str, by_clock: Mapping[str, Mapping[str, float]], ratios: Mapping[str, float]) -> None:
    """Print the rates as a table, a row for each clock."""
    table = Table("clock", title=title)
    for name in (*next(iter(by_clock.values())), "ratio"):
        table.add_column(name, justify="right")
    for clock, rates in by_clock.items():
        table.add_row(clock, *(f"{rate:.4g}" for rate in rates.values()), f"{ratios[clock]:.2f}")
    Console().print(table)


# Seeds


def mean_of(seeds: Sequence[PerQuery]) -> PerQuery:
    """Return the mean over seeds of each query's values."""
    return {
        name: {query: float(np.mean([values[name][query] for values in seeds])) for query in seeds[0][name]}
        for name in seeds[0]
    }


def means(values: PerQuery) -> dict[str, float]:
    """Return measure → mean over queries."""
    return {name: float(np.mean(list(by_query.values()))) for name, by_query in values.items()}
