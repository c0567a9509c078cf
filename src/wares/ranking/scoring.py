"""The scoring protocol: labelers, scorers, and the labels that scorers return."""

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
NO_LISTING = -1  # pads rows of listing indices


class Scorer(Protocol):
    """Scores how well the listings of one corpus answer queries. It may abstain from a query or from a pair.

    A scorer of arrays and Python objects that uses one thread sets `single_threaded = True`: many processes can run it.
    """

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings of the corpus per query; fewer, or none, if it abstains."""

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings; NaN if it abstains, and for padding.

        listings: (Q, K) indices into the corpus, or NO_LISTING
        """


class Labeler(Protocol):
    """Settings of a teacher, a frozen dataclass."""

    def fit(self, corpus: Corpus) -> Scorer:
        """The labeler as a scorer of a corpus."""


@dataclass(frozen=True)
class Labels:
    """Listings that a scorer ranks for each of Q queries, with their scores, best first.

    listings: (Q, K) indices into the corpus, padded with NO_LISTING
    scores: (Q, K), falling along each row, padded with NaN

    Example:
        >>> import numpy as np
        >>> labels = Labels.from_scores(np.array([[0, 1, 2]]), np.array([[0.5, np.nan, 2.0]], dtype=np.float32))
        >>> labels.listings.tolist(), labels.top(1).scores.tolist()
        ([[2, 0, -1]], [[2.0]])
    """

    listings: Indices
    scores: Scores

    def __len__(self) -> int:
        return len(self.listings)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(Q, K) bool, False for padding."""
        return np.asarray(self.listings != NO_LISTING)

    @classmethod
    def from_scores(cls, listings: Indices, scores: Scores) -> Labels:
        """Labels sorted best first, equal scores by ascending index. Listings whose score is NaN are dropped."""
        absent = np.isnan(scores) | (listings == NO_LISTING)
        order = np.lexsort((listings, np.where(absent, np.inf, -scores)), axis=1)
        absent = np.take_along_axis(absent, order, axis=1)
        sorted_listings = np.where(absent, NO_LISTING, np.take_along_axis(listings, order, axis=1))
        sorted_scores = np.where(absent, np.float32(np.nan), np.take_along_axis(scores, order, axis=1))
        return cls(sorted_listings, sorted_scores.astype(np.float32))

    def scores_of(self, listings: Indices) -> Scores:
        """(Q, K) scores of given listings; NaN for listings without a label and for padding."""
        from wares.ranking.labelers.kernels import fill_known_scores

        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        known = (self.listings, self.scores, listings)
        fill_known_scores(*(np.ascontiguousarray(array) for array in known), scores)
        return scores

    def select(self, queries: npt.NDArray[np.int64] | slice) -> Labels:
        """Labels of some of the queries."""
        return Labels(self.listings[queries], self.scores[queries])

    def top(self, k: int) -> Labels:
        """The k best listings of each query, padded to K = k columns."""
        listings, scores = self.listings[:, :k], self.scores[:, :k]
        padding = ((0, 0), (0, k - listings.shape[1]))
        return Labels(
            np.pad(listings, padding, constant_values=NO_LISTING), np.pad(scores, padding, constant_values=np.nan)
        )
