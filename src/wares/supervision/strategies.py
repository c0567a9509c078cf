"""Relabeling: who teaches whom in each round, and how what teachers say becomes labels.

Pure: names and arrays in, names and arrays out. Round 0 is the weak labelers; in round t every ranker learns from a
mixture of teachers (arXiv 2304.08912; the abstract names the four ways, all details are our reading):

    weak    the weak labelers, in every round
    self    the ranker itself, of the round before
    cross   the other rankers, of the round before
    joint   all rankers, of the round before
    greedy  from the weak labelers and every ranker of every round before: first the best one by a criterion, then
            whichever helps the mixture most, until none does
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wares.core.errors import SettingsError

Strategy = Literal["weak", "self", "cross", "joint", "greedy"]
STRATEGIES: tuple[Strategy, ...] = ("weak", "self", "cross", "joint", "greedy")


@dataclass(frozen=True, order=True)
class Teacher:
    """A labeler of round 0, or a ranker of a later round."""

    round: int
    name: str

    def __str__(self) -> str:
        return self.name if self.round == 0 else f"{self.name}, round {self.round}"


@dataclass(frozen=True)
class GreedySelection:
    """What greedy selection did: teachers in the order they were added, with the criterion after each, and the best
    value that any teacher left out would have reached next.

    steps: (teacher, criterion) of those chosen; rejected: (teacher, criterion) of the best that did not help; None
    where all were taken
    """

    steps: tuple[tuple[Teacher, float], ...]
    rejected: tuple[Teacher, float] | None

    @property
    def selected(self) -> list[Teacher]:
        """The mixture."""
        return [teacher for teacher, _ in self.steps]


def teachers_for(
    strategy: Strategy, round: int, ranker: str, rankers: Sequence[str], labelers: Sequence[str]
) -> list[Teacher]:
    """Of a ranker in a round, counted from 1. In the first round everybody learns from the weak labelers.

    For greedy it is the pool that is chosen from. Raises SettingsError where nobody is left to teach.
    """
    weak = [Teacher(0, name) for name in labelers]
    before = [Teacher(round - 1, name) for name in rankers]
    if strategy == "cross" and len(rankers) < 2:
        raise SettingsError("cross-labeling needs two rankers or more. Name another, or use --strategy self.")
    if round == 1 or strategy == "weak":
        return weak
    if strategy == "self":
        return [Teacher(round - 1, ranker)]
    if strategy == "cross":
        return [each for each in before if each.name != ranker]
    if strategy == "joint":
        return before
    return weak + [Teacher(earlier, name) for earlier in range(1, round) for name in rankers]


def select_teachers(pool: Sequence[Teacher], criterion: Callable[[Sequence[Teacher]], float]) -> GreedySelection:
    """Start with the teacher of highest criterion, then add the one that raises it most, while one does.

    A criterion of NaN, for a mixture that cannot be judged, is less than any other.
    """
    left, steps = list(pool), list[tuple[Teacher, float]]()
    while left:
        values = [criterion([*(each for each, _ in steps), teacher]) for teacher in left]
        best = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
        if steps and not values[best] > steps[-1][1]:
            return GreedySelection(tuple(steps), (left[best], values[best]))
        steps.append((left.pop(best), values[best]))
    return GreedySelection(tuple(steps), None)
