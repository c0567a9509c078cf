"""Query likelihood with Dirichlet smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
    """Log-likelihood of the query under a listing's smoothed language model.

    Scores are log p(query | listing) - log p(query | corpus); the second term is the same for all listings.

    mu: pseudo-count of corpus terms that is added to each listing, > 0; None: the mean number of terms of a listing,
        our reading, so that short and long listings are smoothed alike
    """

    source: ClassVar[str] = "Zhai & Lafferty, SIGIR 2001"
    mu: float | None = None

    def __post_init__(self) -> None:
        if self.mu is not None and not 0 < self.mu < math.inf:
            raise SettingsError(f"mu of query-likelihood must be above 0, not {self.mu}.")

    def fit(self, corpus: Corpus) -> QueryLikelihoodScorer:
        """Estimate the language models of the listings."""
        return QueryLikelihoodScorer(self, corpus.term_counts)


class QueryLikelihoodScorer:
    """Query likelihood over one corpus. It abstains from queries that share no term with the corpus.

    Query terms that are not in the corpus are ignored. Scores may be negative.
    """

    single_threaded: ClassVar[bool] = True

    def __init__(self, settings: QueryLikelihood, terms: TermCounts) -> None:
        # log((tf + mu p) / (n + mu)) - log p = log(1 + tf / (mu p)) + log(mu / (n + mu)); the first is 0 if tf = 0.
        self.terms = terms
        self.weights = terms.counts.astype(np.float32).tocsc()
        total = max(1, terms.lengths.sum())
        mu = settings.mu or total / max(1, len(terms))
        background = terms.collection_frequency / total
        per_entry = np.repeat(background, np.diff(self.weights.indptr))
        self.weights.data = np.log1p(self.weights.data / (mu * per_entry)).astype(np.float32)
        self.offsets: Scores = np.log(mu / (terms.lengths + mu)).astype(np.float32)

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with the query."""
        return sparse_retrieve(query_matrix(queries, self.terms), self.weights, k, self.offsets)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings; NaN for queries that share no term with the corpus."""
        return sparse_score(query_matrix(queries, self.terms), self.weights, listings, self.offsets)
