"""Records that a supervision run writes about each round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundRecord:
    """What happened to one ranker in one round.

    teachers: by name; greedy: how they were chosen, where they were
    queries: that it learned from; weights: quartiles of the queries' weights
    free_energy: of the labels and the ranker before it learned, and after (wares.supervision.aggregation.free_energy)
    agreement: mean agreement of its results with those of each teacher, and with its own of the round before
    """

    round: int
    ranker: str
    teachers: list[str]
    greedy: list[tuple[str, float]]
    queries: int
    weights: list[float]
    free_energy: tuple[float, float]
    agreement: dict[str, float]
    steps: int
    losses: list[float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Reliability:
    """What known-item search says, without judgments (wares.supervision.known_item).

    labelers: weak labeler -> mean reciprocal rank for queries written from listings, None for a run file, which answers
        no others than its own; nothing where no query can be written
    unreliable: labelers that are hardly worth learning from
    titles: ranker, untrained and round by round -> mean reciprocal rank for titles among listings without titles;
        nothing where listings have nothing but titles
    kept: ranker -> the best of these; worse: rounds below the untrained ranker, and not by chance
    """

    labelers: dict[str, float | None]
    unreliable: list[str]
    titles: dict[str, float]
    kept: dict[str, str]
    worse: list[str]
    verdicts: list[str]


@dataclass(frozen=True)
class Supervised:
    """What came of a run."""

    rounds: list[RoundRecord]
    reliability: Reliability
