"""BM25 with RM3 feedback: the query is extended by what its first results have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    """The third relevance model (Abdul-Jaleel et al., TREC 2004; after Lavrenko & Croft, SIGIR 2001), over BM25.

    feedback_listings: first results that feedback is taken from, >= 1; feedback_terms: how many of their terms are kept, >= 1
    original_weight: weight of the query as it was asked, in [0, 1]; k1, b: of BM25
    """

    feedback_listings: int = 10
    feedback_terms: int = 10
    original_weight: float = 0.5
    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if min(self.feedback_listings, self.feedback_terms) < 1:
            raise SettingsError("listings and terms of rm3 are 1 or more.")
        if not 0 <= self.original_weight <= 1:
            raise SettingsError(f"original of rm3 is a weight in [0, 1], not {self.original_weight}.")
        BM25(self.k1, self.b)  # raises where they are out of range

    def fit(self, corpus: Corpus) -> RM3Scorer:
        """Index the corpus."""
        return RM3Scorer(self, BM25(self.k1, self.b).fit(corpus))


class RM3Scorer:
    """RM3 over one corpus. Abstains where BM25 does."""

    def __init__(self, settings: RM3, bm25: BM25Scorer) -> None:
        self.settings, self.bm25 = settings, bm25

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with the extended query."""
        return sparse_retrieve(self.expand(queries), self.bm25.weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these listings under the extended query; NaN for queries that share no term with the corpus."""
        return sparse_score(self.expand(queries), self.bm25.weights, listings)

    def expand(self, queries: Sequence[Query]) -> csr_array[Any]:
        """(Q, V) weights of the extended queries, each row summing to 1, or empty.

        p(t | R) = Σ_d p(t | d) p(d | query), p(d | query) in proportion to the listing's BM25 score.
        """
        from scipy.sparse import csr_array, diags_array, vstack

        terms = self.bm25.terms
        asked = query_matrix(queries, terms)
        asked = diags_array(1 / np.maximum(np.asarray(asked.sum(axis=1)).ravel(), 1)) @ asked
        labels = self.bm25.retrieve(queries, self.settings.feedback_listings)
        likely = diags_array(1 / np.maximum(terms.lengths, 1)) @ terms.counts
        rows = []
        for found, scores in zip(labels.listings, labels.scores, strict=True):
            there = ~np.isnan(scores)
            weights = scores[there] / max(float(scores[there].sum()), 1e-12)
            rows.append(self._kept(csr_array(weights[None]) @ likely[found[there]]))
        feedback = vstack(rows, format="csr") if rows else asked
        share = self.settings.original_weight
        extended: csr_array[Any] = (share * asked + (1 - share) * feedback).tocsr().astype(np.float32)
        return extended

    def _kept(self, row: csr_array[Any]) -> csr_array[Any]:
        """The most likely terms, on a scale that sums to 1."""
        from scipy.sparse import csr_array

        best = np.argsort(-row.data, kind="stable")[: self.settings.feedback_terms]
        data = row.data[best] / max(float(row.data[best].sum()), 1e-12)
        return csr_array((data, row.indices[best], [0, len(best)]), shape=(1, self.bm25.terms.vocabulary_size))
