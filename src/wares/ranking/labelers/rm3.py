"""BM25 with RM3 feedback: the query is expanded by terms of its first results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.labelers.bm25 import BM25, BM25Scorer
from wares.ranking.labelers.term_matching import query_matrix, sparse_retrieve, sparse_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csr_array

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.scoring import Indices, Labels, Scores


@dataclass(frozen=True)
class RM3:
    """BM25 over a query that is expanded by pseudo-relevance feedback (RM3).

    feedback_listings: number of first results whose terms are used, >= 1
    feedback_terms: number of terms that are added, >= 1
    original_weight: weight of the original query, in [0, 1]
    k1, b: of BM25
    """

    source: ClassVar[str] = "Abdul-Jaleel et al., TREC 2004; Lavrenko & Croft, SIGIR 2001"
    feedback_listings: int = 10
    feedback_terms: int = 10
    original_weight: float = 0.5
    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if min(self.feedback_listings, self.feedback_terms) < 1:
            raise SettingsError(
                "feedback_listings and feedback_terms of rm3 must be 1 or more, "
                f"not {self.feedback_listings} and {self.feedback_terms}."
            )
        if not 0 <= self.original_weight <= 1:
            raise SettingsError(f"original_weight of rm3 must be in [0, 1], not {self.original_weight}.")
        BM25(self.k1, self.b)  # raises SettingsError if they are out of range

    def fit(self, corpus: Corpus) -> RM3Scorer:
        """Index the corpus."""
        return RM3Scorer(self, BM25(self.k1, self.b).fit(corpus))


class RM3Scorer:
    """RM3 over one corpus. It abstains from the queries that BM25 abstains from."""

    single_threaded: ClassVar[bool] = True

    def __init__(self, settings: RM3, bm25: BM25Scorer) -> None:
        self.settings, self.bm25 = settings, bm25

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with the expanded query."""
        return sparse_retrieve(self.expand(queries), self.bm25.weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings; NaN for queries that share no term with the corpus."""
        return sparse_score(self.expand(queries), self.bm25.weights, listings)

    def expand(self, queries: Sequence[Query]) -> csr_array[Any]:
        """(Q, V) term weights of the expanded queries; each row sums to 1 or is empty.

        p(t | R) = Σ_d p(t | d) p(d | query), with p(d | query) proportional to the BM25 score of listing d.
        """
        from scipy.sparse import csr_array, diags_array, vstack

        terms = self.bm25.terms
        original = query_matrix(queries, terms)
        original = diags_array(1 / np.maximum(np.asarray(original.sum(axis=1)).ravel(), 1)) @ original
        labels = self.bm25.retrieve(queries, self.settings.feedback_listings)
        listing_models = diags_array(1 / np.maximum(terms.lengths, 1)) @ terms.counts
        rows = []
        for listings, scores in zip(labels.listings, labels.scores, strict=True):
            present = ~np.isnan(scores)
            weights = scores[present] / max(float(scores[present].sum()), 1e-12)
            rows.append(self._likeliest_terms(csr_array(weights[None]) @ listing_models[listings[present]]))
        feedback = vstack(rows, format="csr") if rows else original
        weight = self.settings.original_weight
        expanded: csr_array[Any] = (weight * original + (1 - weight) * feedback).tocsr().astype(np.float32)
        return expanded

    def _likeliest_terms(self, row: csr_array[Any]) -> csr_array[Any]:
        """The likeliest terms of a (1, V) feedback model that are no stop words, rescaled to sum to 1."""
        from scipy.sparse import csr_array

        content = np.flatnonzero(~self.bm25.terms.is_stop_word[row.indices])
        best = content[np.argsort(-row.data[content], kind="stable")][: self.settings.feedback_terms]
        data = row.data[best] / max(float(row.data[best].sum()), 1e-12)
        return csr_array((data, row.indices[best], [0, len(best)]), shape=(1, self.bm25.terms.vocabulary_size))
