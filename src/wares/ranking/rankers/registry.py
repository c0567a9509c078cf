"""Rankers by name: trainable models that score (query, listing) pairs.

    ranker = get_ranker("dense(backbone='last-2')")
    model = ranker.fit(corpus, seed=0)
    train_ranker(model, soft_labels, ranker.training_defaults, RankerTrainingSettings(), seed, folder)
    model.scorer().retrieve(queries, k=100)

A ranker is a frozen dataclass of settings; `fit` makes it a model over a corpus. The scorer of a trained model has the
protocol of labelers, so it can teach in the next round. Training does not depend on the architecture: every model gives
differentiable scores, and every loss takes them (`wares.ranking.losses`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wares.core.specs import parse_spec
from wares.ranking.labelers.registry import labelers

if TYPE_CHECKING:
    from wares.data.corpus import Corpus
    from wares.ranking.rankers.base import Ranker
    from wares.ranking.scoring import Labeler, Scorer


@dataclass(frozen=True)
class UntrainedRanker:
    """An untrained ranker as a labeler."""

    ranker: Ranker

    def fit(self, corpus: Corpus) -> Scorer:
        """Scorer of the untrained model, initialised with seed 0."""
        return self.ranker.fit(corpus, seed=0).scorer()


def rankers() -> dict[str, type[Ranker]]:
    """All rankers by name."""
    from wares.ranking.rankers.cross_encoder import CrossEncoderRanker
    from wares.ranking.rankers.dense import DenseRanker
    from wares.ranking.rankers.late_interaction import LateInteractionRanker
    from wares.ranking.rankers.sparse import SparseRanker
    from wares.ranking.rankers.static import StaticRanker
    from wares.ranking.rankers.two_tower import TwoTowerRanker

    return {
        "static": StaticRanker,
        "dense": DenseRanker,
        "sparse": SparseRanker,
        "late-interaction": LateInteractionRanker,
        "cross-encoder": CrossEncoderRanker,
        "two-tower": TwoTowerRanker,
    }


def get_ranker(name: str) -> Ranker:
    """The ranker of a spec such as `dense(backbone='last-2')`. Raises SettingsError if there is none.

    Example:
        >>> get_ranker("dense(backbone='last-2')").training_defaults.batch_size
        128
    """
    return parse_spec(name, rankers(), "ranker")


def get_teacher(name: str) -> Labeler:
    """The labeler of a spec, or the untrained ranker if no labeler has its name. Raises SettingsError."""
    known = rankers()
    families: dict[str, type[Any]] = {**labelers(), **known, **labelers()}  # labelers are listed first, and win
    teacher = parse_spec(name, families, "labeler")
    return UntrainedRanker(teacher) if type(teacher) in known.values() else teacher
