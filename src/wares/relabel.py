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
import numpy.typing as npt

from wares.errors import SettingsError
from wares.labelers import NONE, Labels, Places, Scores

Strategy = Literal["weak", "self", "cross", "joint", "greedy"]
STRATEGIES: tuple[Strategy, ...] = ("weak", "self", "cross", "joint", "greedy")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Teacher:
    """A labeler of round 0, or a ranker of a later round."""

    round: int
    name: str

    def __str__(self) -> str:
        return self.name if self.round == 0 else f"{self.name}, round {self.round}"


@dataclass(frozen=True)
class Greedy:
    """What greedy selection did: teachers in the order they were added, with the criterion after each, and the best
    value that any teacher left out would have reached next.

    steps: (teacher, criterion) of those chosen; refused: (teacher, criterion) of the best that did not help; None
    where all were taken
    """

    steps: tuple[tuple[Teacher, float], ...]
    refused: tuple[Teacher, float] | None

    @property
    def chosen(self) -> list[Teacher]:
        """The mixture."""
        return [teacher for teacher, _ in self.steps]


def teachers(
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


def union(found: Sequence[Labels], k: int) -> Places:
    """(Q, K) the listings that any teacher has among its best k, each once, K as many as a query has at most."""
    everything = np.concatenate([each.listings[:, :k] for each in found], axis=1)
    everything = np.sort(everything, axis=1)
    repeated = np.zeros(everything.shape, dtype=np.bool_)
    repeated[:, 1:] = everything[:, 1:] == everything[:, :-1]
    listings = np.where(repeated, NONE, everything)
    listings = -np.sort(-listings, axis=1)
    return listings[:, : max(1, int((listings != NONE).sum(axis=1).max(initial=0)))]


def centred(scores: Scores) -> Floats:
    """(Q, K) scores with mean 0 for each query; NaN stays, and what is not finite becomes NaN."""
    values = np.where(np.isfinite(scores), scores, np.nan).astype(np.float64)
    there = ~np.isnan(values)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    return np.asarray(values - np.where(there, values, 0.0).sum(axis=1, keepdims=True) / count)


def standardised(scores: Scores) -> Floats:
    """(Q, K) scores with mean 0 and deviation 1 for each query; NaN stays, and scores that are all alike become 0."""
    values = centred(scores)
    there = ~np.isnan(values)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    deviation = np.sqrt((np.where(there, values, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    # What differs by rounding only says nothing, and is not blown up to say something.
    largest = np.where(there, np.abs(scores), 0.0).max(axis=1, keepdims=True, initial=0.0)
    level = deviation <= 1e-6 * np.maximum(largest, 1e-30)
    return np.where(level, np.where(there, 0.0, np.nan), values / np.where(level, 1.0, deviation))


def mixed(scores: Sequence[Scores]) -> Floats:
    """(Q, K) mean over systems of their standardised scores of the same listings, so that scales do not matter.

    A system that abstains from a pair has no part in it; NaN where all do. Scores that are not finite count as
    abstaining.
    """
    return _mean([standardised(each) for each in scores])


def pooled(scores: Sequence[Scores], trained: Sequence[bool], temperature: float) -> Floats:
    """(Q, K) labels on the scale of logits: the geometric mean of the distributions that teachers give.

    scores: (Q, K) of each teacher; trained: whether it is a ranker; temperature: of labelers, > 0

    Scores of a labeler have no scale: they are standardised for each query, and divided by the temperature. A ranker
    was trained so that the softmax of its scores is what it says, so they are taken as they are: a ranker that teaches
    itself is then an exact E-step. Abstaining is as in `mixed`. Our reading.
    """
    return _mean(
        [
            centred(each) if of_ranker else standardised(each) / temperature
            for each, of_ranker in zip(scores, trained, strict=True)
        ]
    )


def _mean(values: Sequence[Floats]) -> Floats:
    stacked = np.stack(values)
    said = (~np.isnan(stacked)).sum(axis=0)
    total = np.where(np.isnan(stacked), 0.0, stacked).sum(axis=0)
    return np.where(said > 0, total / np.maximum(said, 1), np.nan)


def log_shares(labels: Floats, temperature: float) -> Floats:
    """(Q, K) log q(listing | query), q = softmax(labels / temperature); -inf where there is no label.

    Small temperatures put all on the first listing, large ones make all alike. Raises SettingsError where it is not
    above 0.
    """
    if not temperature > 0:
        raise SettingsError(f"the temperature of labels is above 0, not {temperature}.")
    logits = np.where(np.isnan(labels), -np.inf, labels / temperature)
    top = logits.max(axis=1, keepdims=True, initial=-np.inf)
    shifted = logits - np.where(np.isfinite(top), top, 0.0)
    totals = np.exp(shifted).sum(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.where(totals > 0, totals, 1.0)))


def agreement(first: Places, second: Places, depth: int = 10) -> Floats:
    """(Q,) average overlap of two rankings over the depths 1 to `depth`, in [0, 1] (Fagin et al., SODA 2003).

    first, second: (Q, K) the best first; 0 where either is empty
    """
    a, b = (np.pad(each, ((0, 0), (0, depth)), constant_values=NONE)[:, :depth] for each in (first, second))
    same = (a[:, :, None] == b[:, None, :]) & (a[:, :, None] != NONE)
    shared = np.cumsum(np.cumsum(same, axis=1), axis=2)
    depths = np.arange(depth)
    return np.asarray((shared[:, depths, depths] / (depths + 1)).mean(axis=1))


def greedy(pool: Sequence[Teacher], criterion: Callable[[Sequence[Teacher]], float]) -> Greedy:
    """Start with the teacher of highest criterion, then add the one that raises it most, while one does.

    A criterion of NaN, for a mixture that cannot be judged, is less than any other.
    """
    left, steps = list(pool), list[tuple[Teacher, float]]()
    while left:
        values = [criterion([*(each for each, _ in steps), teacher]) for teacher in left]
        best = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
        if steps and not values[best] > steps[-1][1]:
            return Greedy(tuple(steps), (left[best], values[best]))
        steps.append((left.pop(best), values[best]))
    return Greedy(tuple(steps), None)


def free_energy(log_q: Floats, log_p: Floats, weights: Floats) -> float:
    """Σ_q w_q (E_q[log p(listing | query)] + H(q)) / Σ_q w_q: what self-labeling raises, as Expectation-Maximization.

    log_q: (Q, K) labels; log_p: (Q, K) the ranker's log probabilities of the same listings; weights: (Q,)
    It is minus the mean KL divergence of p from q over the listings of each query, so that 0 is the most it can be.
    Source: our reading of the link to EM (arXiv 2304.08912), in the form of Neal & Hinton (1998).
    """
    q = np.exp(log_q)
    terms = np.where(q > 0, q * (np.where(q > 0, log_p, 0.0) - np.where(q > 0, log_q, 0.0)), 0.0)
    return float((weights * terms.sum(axis=1)).sum() / max(float(weights.sum()), 1e-12))
