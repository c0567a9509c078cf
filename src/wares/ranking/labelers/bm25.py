"""BM25 over the terms of `wares.data.terms`: of a corpus, and of a shop (`wares.shop.word_index`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wares.core.errors import SettingsError
from wares.ranking.labelers.term_matching import query_matrix, sparse_retrieve, sparse_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from scipy.sparse import csc_array, csr_array

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.terms import Counts, TermCounts
    from wares.ranking.scoring import Indices, Labels, Scores


@dataclass(frozen=True)
class BM25:
    """BM25 in the form of Lucene, whose scores are all positive.

    k1: saturation of term frequency, >= 0; 0 ignores repetitions
    b: length normalisation, in [0, 1]
    """

    source: ClassVar[str] = "Robertson et al., TREC-3, 1994"
    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < math.inf:
            raise SettingsError(f"k1 of bm25 must be 0 or more, not {self.k1}.")
        if not 0 <= self.b <= 1:
            raise SettingsError(f"b of bm25 must be in [0, 1], not {self.b}.")

    def fit(self, corpus: Corpus) -> BM25Scorer:
        """Index the corpus."""
        return BM25Scorer(self, corpus.term_counts)


class BM25Scorer:
    """BM25 over one corpus. It abstains from queries that share no term with the corpus."""

    single_threaded: ClassVar[bool] = True

    def __init__(self, settings: BM25, terms: TermCounts) -> None:
        self.terms = terms
        self.weights = bm25_weights(settings, terms)
        self._last: tuple[tuple[Query, ...], csr_array[Any]] | None = None

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with the query."""
        return sparse_retrieve(self._query_matrix(queries), self.weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) scores of given listings; NaN for queries that share no term with the corpus."""
        return sparse_score(self._query_matrix(queries), self.weights, listings)

    def corpus_scores(self, queries: Sequence[Query]) -> Scores:
        """(Q,) mean score over all listings, including those that share no term with the query."""
        scores: Scores = (self._query_matrix(queries) @ self._mean_weights).astype(np.float32)
        return scores

    def _query_matrix(self, queries: Sequence[Query]) -> csr_array[Any]:
        """(Q, V) term counts of the queries. The last ones are cached: retrieval is usually followed by scoring."""
        key = tuple(queries)
        if self._last is None or self._last[0] != key:
            self._last = (key, query_matrix(key, self.terms))
        return self._last[1]

    @cached_property
    def _mean_weights(self) -> Scores:
        """(V,) mean weight of each term over all listings."""
        return np.asarray(self.weights.sum(axis=0) / max(1, len(self.terms)), dtype=np.float32)


def bm25_idf(document_frequency: Counts, count: int) -> npt.NDArray[np.float64]:
    """ln(1 + (N - df + .5) / (df + .5)) of each term, in the form of Lucene. count: N, the number of listings"""
    frequency = np.asarray(document_frequency, dtype=np.float64)
    return np.asarray(np.log1p((count - frequency + 0.5) / (frequency + 0.5)))


def bm25_weights(settings: BM25, terms: TermCounts) -> csc_array[Any]:
    """(N, V) BM25 weight of each term in each listing, float32.

    idf · tf / (tf + k1 (1 - b + b · length / mean length)); stop words have weights, but do not count in the lengths.
    Source: "Lucene (accurate)" of Kamphuis et al., ECIR 2020.
    """
    from scipy.sparse import csc_array

    from wares.ranking.labelers.kernels import fill_bm25_weights

    counts = terms.counts.tocsc()
    weights = np.empty(counts.nnz, dtype=np.float32)
    idf = bm25_idf(terms.document_frequency, len(terms))
    mean_length = mean_text_length(int(terms.lengths.sum()), len(terms))
    fill_bm25_weights(*posting_arrays(counts), terms.lengths, idf, settings.k1, settings.b, mean_length, weights)
    return csc_array((weights, counts.indices, counts.indptr), shape=counts.shape)


def posting_arrays(counts: csc_array[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Columns, rows and counts of (N, V) term counts, as the kernels take them."""
    counts.sort_indices()
    # Of signed indices numba checks whether they are negative.
    return counts.indptr.astype(np.int64), counts.indices.astype(np.uint32, copy=False), counts.data.astype(np.int32)


def mean_text_length(total: int, count: int) -> float:
    """Mean number of terms of N texts; 1 if no text has any, so that it can be divided by."""
    return total / count if total else 1.0
