"""Labelers by name: whatever scores (query, listing) pairs and is used as a teacher.

    scorer = get_labeler("bm25(k1=0.9, b=0.4)").fit(corpus)
    labels = scorer.retrieve([Query("1", "red boots")], k=100)

A labeler is a frozen dataclass of settings; `fit` makes it a scorer of a corpus. A scorer may abstain from a query,
which then has no labels, or from a pair, whose score is NaN. Trained rankers (`wares.ranking.rankers`) give scorers
too, so the ranker of one round is a teacher in the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.core.specs import parse_spec

if TYPE_CHECKING:
    from wares.ranking.scoring import Labeler


def labelers() -> dict[str, type[Labeler]]:
    """All labelers by name. `@labeler` makes a labeler of a Python function, which has no name."""
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
    """The labeler of a spec such as `bm25(k1=0.9, b=0.4)`. Raises SettingsError if there is none.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query
        >>> from wares.data.corpus import Corpus
        >>> corpus = Corpus(Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue mug"))))
        >>> get_labeler("bm25(k1=0.9)").fit(corpus).retrieve([Query("q", "mugs")], k=2).listings.tolist()
        [[1, -1]]
    """
    return parse_spec(name, labelers(), "labeler")
