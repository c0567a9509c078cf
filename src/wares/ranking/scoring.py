"""The scoring protocol: labelers, scorers, and the scored listings that they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query


Indices = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
NO_LISTING = -1  # in the place of a listing, where there is none


class Scorer(Protocol):
    """What tells how well listings of one corpus answer queries."""

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings of the corpus for each query; fewer, or none, where it has nothing to say."""

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of these listings, (Q, K) places in the corpus; NaN where it abstains or there is none."""


class Labeler(Protocol):
    """Settings of a teacher."""

    def fit(self, corpus: Corpus) -> Scorer:
        """The labeler at work on a corpus."""


@dataclass(frozen=True)
class Labels:
    """What a scorer says of some queries: for each, listings and their scores, the best first.

    listings: (Q, K) places in the corpus; `NO_LISTING` where there are fewer than K
    scores: (Q, K), falling along each row; NaN where there is no listing
    """

    listings: Indices
    scores: Scores

    def __len__(self) -> int:
        return len(self.listings)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(Q, K) where there is a listing."""
        return np.asarray(self.listings != NO_LISTING)

    @classmethod
    def from_scores(cls, listings: Indices, scores: Scores) -> Labels:
        """Sorted, the best first; equal scores in the order of the corpus; NaN is no label, and comes last."""
        absent = np.isnan(scores) | (listings == NO_LISTING)
        order = np.lexsort((listings, np.where(absent, np.inf, -scores)), axis=1)
        absent = np.take_along_axis(absent, order, axis=1)
        sorted_listings = np.where(absent, NO_LISTING, np.take_along_axis(listings, order, axis=1))
        sorted_scores = np.where(absent, np.float32(np.nan), np.take_along_axis(scores, order, axis=1))
        return cls(sorted_listings, sorted_scores.astype(np.float32))

    def scores_of(self, listings: Indices) -> Scores:
        """(Q, K) what was said of these listings; NaN of others, and where there is none."""
        from wares.ranking.labelers.kernels import fill_known_scores

        said = np.full(listings.shape, np.nan, dtype=np.float32)
        fill_known_scores(*(np.ascontiguousarray(each) for each in (self.listings, self.scores, listings)), said)
        return said

    def select(self, queries: npt.NDArray[np.int64] | slice) -> Labels:
        """Of some of the queries."""
        return Labels(self.listings[queries], self.scores[queries])

    def top(self, k: int) -> Labels:
        """The k best of each query, in K = k columns however many there are."""
        listings, scores = self.listings[:, :k], self.scores[:, :k]
        missing = ((0, 0), (0, k - listings.shape[1]))
        return Labels(
            np.pad(listings, missing, constant_values=NO_LISTING), np.pad(scores, missing, constant_values=np.nan)
        )
