"""Settings of a supervision run: the fields are the options of `wares supervise`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wares.core.errors import SettingsError
from wares.data.listings import Query
from wares.data.runs import Run
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.strategies import STRATEGIES, Strategy, teachers_for

MAX_NAME_BYTES = 120  # of a name in a path; most file systems allow 255


@dataclass(frozen=True)
class SuperviseSettings:
    """How rankers learn from labelers and from each other.

    Names of labelers and rankers may carry settings, as in `bm25(k1=0.9)`. A ranker that is named as a labeler labels
    untrained.

    Example:
        >>> from wares import SuperviseSettings
        >>> SuperviseSettings(strategy="self", labelers=("bm25", "rm3"), rankers=("static",)).rounds
        3
    """

    strategy: Strategy = "weak"
    """Who teaches a ranker from round 2 on: the labelers, itself, the other rankers, all of them, or a selection."""

    labelers: tuple[str, ...] = ("bm25",)
    """Teachers of the first round, as in bm25,late-interaction or bm25(k1=.9)."""

    rankers: tuple[str, ...] = ("dense",)
    """Rankers to train, as in dense,cross-encoder."""

    rounds: int = 3
    """Maximum number of rounds; the strategy weak has one."""

    stop_overlap: float = 0.98
    """Stop if the results of all rankers overlap this much with the round before: average overlap at 10, 0 to 1."""

    depth: int = 50
    """Listings that each teacher retrieves for a query, to be labelled."""

    random_candidates: int = 30
    """Listings that are drawn from the whole corpus for each query, to be labelled as well."""

    temperature: float = 0.6
    """Softmax temperature of the labelers' scores, above 0; small values favour the best listing."""

    query_predictor: str | None = None
    """Query performance predictor that weights queries in training, as in nqc; without one all weigh the same."""

    query_weighting: str = "rank"
    """How predictions become weights of queries: rank, min-max, soft-max or threshold."""

    start: Literal["fresh", "warm"] = "fresh"
    """Weights that a round starts from: the untrained ranker's (fresh) or those of the round before (warm)."""

    training: RankerTrainingSettings = field(default_factory=RankerTrainingSettings)
    """Loss and epochs of each round."""

    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        from wares.ranking.rankers.registry import get_ranker, get_teacher
        from wares.supervision.aggregation import check_temperature
        from wares.supervision.predictors.query_weighting import get_query_weighting
        from wares.supervision.predictors.registry import get_predictor

        if self.strategy not in STRATEGIES:
            raise SettingsError(f"no strategy {self.strategy!r}; there are {', '.join(STRATEGIES)}.")
        if not self.labelers or not self.rankers:
            raise SettingsError("a run needs labelers and rankers. Name at least one of each.")
        _check_names(self.labelers, {get_teacher(name) for name in self.labelers})
        _check_names(self.rankers, {get_ranker(name) for name in self.rankers})
        for name, minimum in (("rounds", 1), ("depth", 1), ("random_candidates", 0), ("seed", 0)):
            if getattr(self, name) < minimum:
                raise SettingsError(f"{name} must be at least {minimum}, not {getattr(self, name)}.")
        if not 0 <= self.stop_overlap <= 1:
            raise SettingsError(f"stop_overlap must be in [0, 1], not {self.stop_overlap}.")
        if self.start not in ("fresh", "warm"):
            raise SettingsError(f"start must be fresh or warm, not {self.start!r}.")
        check_temperature(self.temperature)
        get_query_weighting(self.query_weighting)
        if self.query_predictor is not None:
            get_predictor(self.query_predictor)
        for ranker in self.rankers:
            teachers_for(self.strategy, 2, ranker, self.rankers, self.labelers)


@dataclass(frozen=True)
class DevSet:
    """Judged queries by which greedy selection chooses teachers, in place of its own criterion.

    metric: value of results for these queries; higher is better
    digest: of the queries and their judgments, so that a run resumes only with the same ones
    """

    queries: Sequence[Query]
    metric: Callable[[Run], float]
    digest: str


def folder_name(name: str) -> str:
    """A ranker's or labeler's name as a folder name; a long one ends with its hash."""
    plain = re.sub(r"[^\w.=,+-]+", "_", name).strip("_")
    if len(plain.encode()) <= MAX_NAME_BYTES:
        return plain
    return f"{plain[: MAX_NAME_BYTES // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _check_names(names: Sequence[str], members: set[object]) -> None:
    if len(members) < len(names):
        raise SettingsError(f"{', '.join(names)} name the same part twice. Remove one.")
    if len({folder_name(name) for name in names}) < len(names):
        raise SettingsError(f"{' and '.join(names)} need the same folder name. Rename the files that they name.")
