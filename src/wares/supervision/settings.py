"""Settings of a supervision run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from wares.core.errors import SettingsError
from wares.data.runs import Run
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.aggregation import log_probs
from wares.supervision.predictors.query_weights import get_query_weighting
from wares.supervision.predictors.registry import get_predictor
from wares.supervision.strategies import STRATEGIES, Strategy
from wares.supervision.strategies import teachers_for as teachers_of

if TYPE_CHECKING:
    from wares.data.listings import Query


MAX_NAME_BYTES = 120  # bytes of a name in a path; most file systems allow 255


@dataclass(frozen=True)
class SuperviseSettings:
    """How rankers are taught.

    strategy: who teaches whom (wares.supervision.strategies); labelers, rankers: their names, with settings if need be. A ranker named
        as a labeler labels as it is before it learned anything
    rounds: at most; a strategy of "weak" has one
    stop_overlap: rounds end when all rankers' results agree with those of the round before by so much, in [0, 1]
    depth: best listings of each teacher that are labelled; random_candidates: further listings, drawn from the corpus
    temperature: of weak labelers' labels, > 0: small values put all on the first listing
    query_predictor: name of a query performance predictor, or none; query_weighting: how predictions become weights
    start: each round from the untrained ranker ("fresh"), or from what it was ("warm")
    """

    strategy: Strategy = "weak"
    labelers: tuple[str, ...] = ("bm25",)
    rankers: tuple[str, ...] = ("dense",)
    rounds: int = 3
    stop_overlap: float = 0.98
    depth: int = 50
    random_candidates: int = 30
    temperature: float = 0.6
    query_predictor: str | None = None
    query_weighting: str = "rank"
    start: Literal["fresh", "warm"] = "fresh"
    training: RankerTrainingSettings = field(default_factory=RankerTrainingSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise SettingsError(f"no strategy {self.strategy!r}; there are {', '.join(STRATEGIES)}.")
        if not self.labelers or not self.rankers:
            raise SettingsError("name at least one labeler and one ranker.")
        for names, members in (
            (self.labelers, {get_teacher(name) for name in self.labelers}),
            (self.rankers, {get_ranker(name) for name in self.rankers}),
        ):
            if len(members) < len(names):
                raise SettingsError(f"each of {', '.join(names)} is to be named once.")
            if len({folder_name(name) for name in names}) < len(names):
                raise SettingsError(f"{' and '.join(names)} would be kept in the same folder. Rename what they name.")
        if min(self.rounds, self.depth) < 1 or self.random_candidates < 0:
            raise SettingsError("rounds and depth are 1 or more, random is 0 or more.")
        if not 0 <= self.stop_overlap <= 1:
            raise SettingsError(f"results agree by a share in [0, 1], not {self.stop_overlap}, when rounds end.")
        if self.start not in ("fresh", "warm"):
            raise SettingsError(f"a round starts fresh or warm, not {self.start!r}.")
        log_probs(np.zeros((1, 1)), self.temperature)
        get_query_weighting(self.query_weighting)
        if self.query_predictor is not None:
            get_predictor(self.query_predictor)
        for ranker in self.rankers:
            teachers_of(self.strategy, 2, ranker, self.rankers, self.labelers)


@dataclass(frozen=True)
class DevSet:
    """Queries whose answers somebody knows, by which greedy selection chooses instead of by its own criterion.

    metric: of results for these queries, higher is better; digest: what they and their judgments are, as a digest, so
    that a run is gone on with by the same ones only
    """

    queries: Sequence[Query]
    metric: Callable[[Run], float]
    digest: str


def folder_name(name: str) -> str:
    """A ranker's or labeler's name as part of a path; a long one is cut, and a hash tells it from others."""
    plain = re.sub(r"[^\w.=,+-]+", "_", name).strip("_")
    if len(plain.encode()) <= MAX_NAME_BYTES:
        return plain
    return f"{plain[: MAX_NAME_BYTES // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
