"""Records of a supervision run: one for each round, and the known-item checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundRecord:
    """What happened to one ranker in one round.

    teachers: their names; greedy_steps: (teacher, criterion) in the order of selection, empty without greedy selection
    queries: number of queries with labels; weight_percentiles: of the queries' weights, at 0, 25, 50, 75 and 100 %
    elbo: of the labels and the ranker before and after training (wares.supervision.aggregation.elbo)
    overlap: average overlap at 10 of its results with those of each teacher, and, under "before", with its own of the
        round before
    steps: training steps; losses: means over a tenth of the steps each; seconds: of labelling and of training
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
    """Known-item checks of labelers and rankers, without judgments (wares.supervision.known_item).

    labeler_mrr: labeler -> mean reciprocal rank for queries generated from listings; None for a run file, which only
        has results for its own queries; empty if no query can be generated
    unreliable_labelers: labelers with a mean reciprocal rank below `MIN_LABELER_MRR`
    ranker_mrr: ranker, untrained and after each round -> mean reciprocal rank for titles among listings without titles;
        empty if listings have nothing but titles
    best: ranker -> the best of these; worse_rounds: rounds significantly below the untrained ranker
    recommendations: for each ranker, which round to keep, in words
    """

    labeler_mrr: dict[str, float | None]
    unreliable_labelers: list[str]
    ranker_mrr: dict[str, float]
    best: dict[str, str]
    worse_rounds: list[str]
    recommendations: list[str]


@dataclass(frozen=True)
class SupervisionResult:
    """Records of all rounds, and the known-item checks."""

    rounds: list[RoundRecord]
    reliability: Reliability
