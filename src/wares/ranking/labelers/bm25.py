"""BM25 over the terms of `wares.data.terms`, weighted by bm25s.

A shop's own BM25 is the full-text index of LanceDB, with another tokenizer: their scores differ.
"""

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

    from scipy.sparse import csc_array, csr_array

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.terms import TermCounts
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


def bm25_weights(settings: BM25, terms: TermCounts) -> csc_array[Any]:
    """(N, V) BM25 weight of each term in each listing, as bm25s computes it."""
    import bm25s
    from scipy.sparse import csc_array

    shape = (len(terms), terms.vocabulary_size)
    if not terms.vocabulary_size:
        return csc_array(shape, dtype=np.float32)
    index = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
    repeated = np.repeat(terms.counts.indices, terms.counts.data)
    tokens = [ids.tolist() for ids in np.split(repeated, np.cumsum(terms.lengths)[:-1])]
    index.index((tokens, dict(terms.vocabulary)), show_progress=False)
    data, rows, starts = (index.scores[name] for name in ("data", "indices", "indptr"))
    # SciPy gives all index arrays the widest of their types; 32 bits take half the memory.
    starts = starts[: terms.vocabulary_size + 1].astype(np.int32 if len(data) < 2**31 else np.int64)
    return csc_array((data, rows, starts), shape=shape)
