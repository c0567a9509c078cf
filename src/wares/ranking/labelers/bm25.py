"""BM25 (Robertson et al., TREC-3, 1994), indexed by bm25s: the weak labeler that everybody has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
    """Lucene's form of it: all scores are positive.

    k1: how soon repetitions of a term stop counting, >= 0; b: how much long listings are played down, in [0, 1]
    """

    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < math.inf:
            raise SettingsError(f"k1 of bm25 is 0 or more, not {self.k1}.")
        if not 0 <= self.b <= 1:
            raise SettingsError(f"b of bm25 is in [0, 1], not {self.b}.")

    def fit(self, corpus: Corpus) -> BM25Scorer:
        """Index the corpus."""
        return BM25Scorer(self, corpus.term_counts)


class BM25Scorer:
    """BM25 over one corpus. Abstains from queries that share no term with it."""

    def __init__(self, settings: BM25, terms: TermCounts) -> None:
        self.terms = terms
        self.weights = bm25_weights(settings, terms)
        self._last: tuple[tuple[Query, ...], csr_array[Any]] | None = None

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with each query."""
        return sparse_retrieve(self._counted(queries), self.weights, k)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Scores of these listings; NaN for queries that share no term with the corpus."""
        return sparse_score(self._counted(queries), self.weights, listings)

    def corpus_scores(self, queries: Sequence[Query]) -> Scores:
        """(Q,) mean score of all listings, those that share no term with the query included."""
        scores: Scores = (self._counted(queries) @ self._mean).astype(np.float32)
        return scores

    def _counted(self, queries: Sequence[Query]) -> csr_array[Any]:
        """Their terms, kept until other queries come: who is asked to retrieve is asked to score next."""
        asked = tuple(queries)
        if self._last is None or self._last[0] != asked:
            self._last = (asked, query_matrix(asked, self.terms))
        return self._last[1]

    @cached_property
    def _mean(self) -> Scores:
        """(V,) what each term is worth to a listing on average."""
        return np.asarray(self.weights.sum(axis=0) / max(1, len(self.terms)), dtype=np.float32)


def bm25_weights(settings: BM25, terms: TermCounts) -> csc_array[Any]:
    """(N, V) what each term is worth in each listing, as bm25s counts it."""
    import bm25s
    from scipy.sparse import csc_array

    shape = (len(terms), terms.vocabulary_size)
    if not terms.vocabulary_size:
        return csc_array(shape, dtype=np.float32)
    index = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
    repeated = np.repeat(terms.counts.indices, terms.counts.data)
    tokens = [each.tolist() for each in np.split(repeated, np.cumsum(terms.lengths)[:-1])]
    index.index((tokens, dict(terms.vocabulary)), show_progress=False)
    data, rows, starts = (index.scores[name] for name in ("data", "indices", "indptr"))
    # SciPy makes all indices as wide as the widest of them: in 32 bits they take half as much memory.
    starts = starts[: terms.vocabulary_size + 1].astype(np.int32 if len(data) < 2**31 else np.int64)
    return csc_array((data, rows, starts), shape=shape)
