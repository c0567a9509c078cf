"""Rankers: trainable models that score (query, listing) pairs, behind one protocol.

    ranker = get_ranker("dense(backbone='last-2')")
    model = ranker.build(corpus, seed=0)
    learn(model, lessons, ranker.pace, LearningSettings(), seed, folder)          # wares.ranking.training
    model.scorer().retrieve(queries, k=100)

A ranker is a frozen dataclass of settings; over a corpus it becomes a model. A trained model's scorer is what labelers
are too (wares.ranking.labelers.registry), so that it can teach in the next round. Which architecture it is makes no difference to how
it is taught: every model gives differentiable scores, and every loss takes them (wares.ranking.losses).
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
    """A ranker as it is before it learned anything, at work as a labeler."""

    ranker: Ranker

    def fit(self, corpus: Corpus) -> Scorer:
        """Its scores; what starts at random starts from seed 0."""
        return self.ranker.fit(corpus, seed=0).scorer()


def rankers() -> dict[str, type[Ranker]]:
    """Every ranker by its name."""
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
    """The ranker of this name, as in `dense(backbone='last-2')`. Raises SettingsError where there is none."""
    return parse_spec(name, rankers(), "ranker")


def get_teacher(name: str) -> Labeler:
    """The labeler of this name, or else the ranker, untrained. Raises SettingsError where there is neither."""
    known = rankers()
    kinds: dict[str, type[Any]] = {**labelers(), **known, **labelers()}  # labelers' names come first, and win
    found = parse_spec(name, kinds, "labeler")
    return UntrainedRanker(found) if type(found) in known.values() else found
