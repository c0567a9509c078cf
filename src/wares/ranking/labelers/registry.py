"""Labelers: whatever scores (query, listing) pairs and is used as a teacher, behind one protocol.

    labeler = get_labeler("bm25(k1=0.9, b=0.4)")
    labels = labeler.over(corpus).retrieve([Query("1", "red boots")], k=100)

A labeler is a frozen dataclass of settings; over a corpus it becomes a scorer. A scorer may abstain: from a query,
which then has no labels, or from a pair, whose score is NaN. Rankers (wares.ranking.rankers.registry) are scorers too, so that what was
trained in one round labels in the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.core.specs import parse_spec

if TYPE_CHECKING:
    from wares.ranking.scoring import Labeler


def labelers() -> dict[str, type[Labeler]]:
    """Every labeler by its name. In a program, a function becomes one by `wares.ranking.labelers.function.labeler`."""
    from wares.ranking.labelers.bm25 import BM25
    from wares.ranking.labelers.dense import DenseLabeler
    from wares.ranking.labelers.function import FileFunctionLabeler
    from wares.ranking.labelers.query_likelihood import QueryLikelihood
    from wares.ranking.labelers.rm3 import RM3
    from wares.ranking.labelers.run_file import RunLabeler
    from wares.ranking.labelers.two_tower import TwoTowerLabeler

    return {
        "bm25": BM25,
        "query-likelihood": QueryLikelihood,
        "rm3": RM3,
        "dense": DenseLabeler,
        "two-tower": TwoTowerLabeler,
        "run": RunLabeler,
        "function": FileFunctionLabeler,
    }


def get_labeler(name: str) -> Labeler:
    """The labeler of this name, as in `bm25(k1=0.9, b=0.4)`. Raises SettingsError where there is none."""
    return parse_spec(name, labelers(), "labeler")
