"""Query likelihood with Dirichlet smoothing (Zhai & Lafferty, SIGIR 2001)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.labelers.term_matching import query_matrix, sparse_retrieve, sparse_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.terms import TermCounts
    from wares.ranking.scoring import Indices, Labels, Scores


@dataclass(frozen=True)
class QueryLikelihood:
    """log p(query | listing), less log p(query | corpus), which is the same for all listings.

    mu: how many words of the corpus are added to each listing, > 0; short listings want small values
    """

    mu: float = 1000.0

    def __post_init__(self) -> None:
        if not 0 < self.mu < math.inf:
            raise SettingsError(f"mu of query-likelihood is above 0, not {self.mu}.")

    def fit(self, corpus: Corpus) -> QueryLikelihoodScorer:
        """Count the corpus."""
        return QueryLikelihoodScorer(self, corpus.term_counts)


class QueryLikelihoodScorer:
    """Query likelihood over one corpus. Abstains from queries that share no term with it.

    Terms that the corpus does not know have no part. Scores may be negative.
    """

    def __init__(self, settings: QueryLikelihood, terms: TermCounts) -> None:
        # log((tf + mu p) / (n + mu)) - log p = log(1 + tf / (mu p)) + log(mu / (n + mu)), 0 + the last where tf = 0.
        self.terms = terms
        self.weights = terms.counts.astype(np.float32).tocsc()
        share = terms.collection_frequency / max(1, terms.collection_frequency.sum())
        of_column = np.repeat(share, np.diff(self.weights.indptr))
        self.weights.data = np.log1p(self.weights.data / (settings.mu * of_column)).astype(np.float32)
        self.offsets: Scores = np.log(settings.mu / (terms.lengths + settings.mu)).astype(np.float32)

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings among those that share a term with each query."""
        return sparse_retrieve(query_matrix(queries, self.terms), self.weights, k, self.offsets)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these listings; NaN for queries that share no term with the corpus."""
        return sparse_score(query_matrix(queries, self.terms), self.weights, listings, self.offsets)
