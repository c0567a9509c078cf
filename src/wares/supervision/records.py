"""Records that a supervision run writes about each round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundRecord:
    """What happened to one ranker in one round.

    teachers: by name; greedy_steps: how they were chosen, where they were
    queries: that it learned from; weight_percentiles: quartiles of the queries' weights
    elbo: of the labels and the ranker before it learned, and after (wares.supervision.aggregation.free_energy)
    overlap: mean agreement of its results with those of each teacher, and with its own of the round before
    """

    round: int
    ranker: str
    teachers: list[str]
    greedy_steps: list[tuple[str, float]]
    queries: int
    weight_percentiles: list[float]
    elbo: tuple[float, float]
    overlap: dict[str, float]
    steps: int
    losses: list[float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Reliability:
    """What known-item search says, without judgments (wares.supervision.known_item).

    labeler_mrr: weak labeler -> mean reciprocal rank for queries written from listings, None for a run file, which answers
        no others than its own; nothing where no query can be written
    unreliable_labelers: labelers that are hardly worth learning from
    ranker_mrr: ranker, untrained and round by round -> mean reciprocal rank for titles among listings without titles;
        nothing where listings have nothing but titles
    best: ranker -> the best of these; worse_rounds: rounds below the untrained ranker, and not by chance
    """

    labeler_mrr: dict[str, float | None]
    unreliable_labelers: list[str]
    ranker_mrr: dict[str, float]
    best: dict[str, str]
    worse_rounds: list[str]
    recommendations: list[str]


@dataclass(frozen=True)
class SupervisionResult:
    """What came of a run."""

    rounds: list[RoundRecord]
    reliability: Reliability
