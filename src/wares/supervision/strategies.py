"""Strategies: which teachers each ranker learns from in each round.

In round 1 every ranker learns from the weak labelers (round 0). In each later round:

    weak    from the weak labelers again
    self    from itself after the round before
    cross   from the other rankers after the round before
    joint   from all rankers after the round before
    greedy  from an ensemble chosen among the labelers and the rankers of all rounds before: first the teacher with the
            highest criterion, then the one that raises it most, until none does

Source: arXiv 2304.08912, whose abstract names the four ways; all details are our reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from wares.core.errors import SettingsError

Strategy = Literal["weak", "self", "cross", "joint", "greedy"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True, order=True)
class Teacher:
    """A labeler (round 0), or a ranker after a round."""

    round: int
    name: str

    def __str__(self) -> str:
        return self.name if self.round == 0 else f"{self.name}, round {self.round}"


@dataclass(frozen=True)
class GreedySelection:
    """Teachers that greedy selection chose, and why it stopped.

    steps: (teacher, criterion of the ensemble with it), in the order of selection
    rejected: (teacher, criterion) of the best teacher that did not raise the criterion; None if all were selected
    """

    steps: tuple[tuple[Teacher, float], ...]
    rejected: tuple[Teacher, float] | None

    @property
    def selected(self) -> list[Teacher]:
        """The selected ensemble."""
        return [teacher for teacher, _ in self.steps]


def teachers_for(
    strategy: Strategy, round: int, ranker: str, rankers: Sequence[str], labelers: Sequence[str]
) -> list[Teacher]:
    """Teachers of a ranker in a round, counted from 1; for greedy, the pool to select from.

    Raises SettingsError if no teacher is left.
    """
    weak = [Teacher(0, name) for name in labelers]
    previous = [Teacher(round - 1, name) for name in rankers]
    if strategy == "cross" and len(rankers) < 2:
        raise SettingsError("cross-labeling needs two rankers or more. Name another, or use --strategy self.")
    if round == 1 or strategy == "weak":
        return weak
    if strategy == "self":
        return [Teacher(round - 1, ranker)]
    if strategy == "cross":
        return [teacher for teacher in previous if teacher.name != ranker]
    if strategy == "joint":
        return previous
    return weak + [Teacher(earlier, name) for earlier in range(1, round) for name in rankers]


def select_teachers(pool: Sequence[Teacher], criterion: Callable[[Sequence[Teacher]], float]) -> GreedySelection:
    """Start with the teacher of highest criterion, then add the one that raises it most, until none does.

    A criterion of NaN, of an ensemble that cannot be judged, counts as the lowest.
    """
    remaining, steps = list(pool), list[tuple[Teacher, float]]()
    while remaining:
        selected = [teacher for teacher, _ in steps]
        values = [criterion([*selected, teacher]) for teacher in remaining]
        best = max(range(len(values)), key=lambda index: -math.inf if math.isnan(values[index]) else values[index])
        if steps and not values[best] > steps[-1][1]:
            return GreedySelection(tuple(steps), (remaining[best], values[best]))
        steps.append((remaining.pop(best), values[best]))
    return GreedySelection(tuple(steps), None)
