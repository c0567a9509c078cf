"""Labelers: whatever scores (query, listing) pairs and is used as a teacher, behind one protocol.

    labeler = get_labeler("bm25(k1=0.9, b=0.4)")
    labels = labeler.over(corpus).retrieve([Query("1", "red boots")], k=100)

A labeler is a frozen dataclass of settings; over a corpus it becomes a scorer. A scorer may abstain: from a query,
which then has no labels, or from a pair, whose score is NaN. Rankers (wares.rankers) are scorers too, so that what was
trained in one round labels in the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from wares.naming import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.catalogue import Query
    from wares.corpus import Corpus

Places = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

NONE = -1  # in the place of a listing, where there is none


class Scorer(Protocol):
    """What tells how well listings of one corpus answer queries."""

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings of the corpus for each query; fewer, or none, where it has nothing to say."""

    def score(self, queries: Sequence[Query], listings: Places) -> Scores:
        """(Q, K) scores of these listings, (Q, K) places in the corpus; NaN where it abstains or there is none."""


class Labeler(Protocol):
    """Settings of a teacher."""

    def over(self, corpus: Corpus) -> Scorer:
        """The labeler at work on a corpus."""


@dataclass(frozen=True)
class Labels:
    """What a scorer says of some queries: for each, listings and their scores, the best first.

    listings: (Q, K) places in the corpus; `NONE` where there are fewer than K
    scores: (Q, K), falling along each row; NaN where there is no listing
    """

    listings: Places
    scores: Scores

    def __len__(self) -> int:
        return len(self.listings)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(Q, K) where there is a listing."""
        return np.asarray(self.listings != NONE)

    @classmethod
    def of(cls, listings: Places, scores: Scores) -> Labels:
        """Sorted, the best first; equal scores in the order of the corpus; NaN is no label, and comes last."""
        absent = np.isnan(scores) | (listings == NONE)
        order = np.lexsort((listings, np.where(absent, np.inf, -scores)), axis=1)
        absent = np.take_along_axis(absent, order, axis=1)
        sorted_listings = np.where(absent, NONE, np.take_along_axis(listings, order, axis=1))
        sorted_scores = np.where(absent, np.float32(np.nan), np.take_along_axis(scores, order, axis=1))
        return cls(sorted_listings, sorted_scores.astype(np.float32))

    def scores_of(self, listings: Places) -> Scores:
        """(Q, K) what was said of these listings; NaN of others, and where there is none."""
        from wares.labelers.kernels import fill_known

        said = np.full(listings.shape, np.nan, dtype=np.float32)
        fill_known(*(np.ascontiguousarray(each) for each in (self.listings, self.scores, listings)), said)
        return said

    def select(self, queries: npt.NDArray[np.int64] | slice) -> Labels:
        """Of some of the queries."""
        return Labels(self.listings[queries], self.scores[queries])

    def top(self, k: int) -> Labels:
        """The k best of each query, in K = k columns however many there are."""
        listings, scores = self.listings[:, :k], self.scores[:, :k]
        missing = ((0, 0), (0, k - listings.shape[1]))
        return Labels(np.pad(listings, missing, constant_values=NONE), np.pad(scores, missing, constant_values=np.nan))


def labelers() -> dict[str, type[Labeler]]:
    """Every labeler by its name. In a program, a function becomes one by `wares.labelers.function.labeler`."""
    from wares.labelers.bm25 import BM25
    from wares.labelers.dense import Dense
    from wares.labelers.function import FileFunction
    from wares.labelers.query_likelihood import QueryLikelihood
    from wares.labelers.rm3 import RM3
    from wares.labelers.run_file import RunFile
    from wares.labelers.two_tower import TwoTower

    return {
        "bm25": BM25,
        "query-likelihood": QueryLikelihood,
        "rm3": RM3,
        "dense": Dense,
        "two-tower": TwoTower,
        "run": RunFile,
        "function": FileFunction,
    }


def get_labeler(name: str) -> Labeler:
    """The labeler of this name, as in `bm25(k1=0.9, b=0.4)`. Raises SettingsError where there is none."""
    return parse(name, labelers(), "labeler")
