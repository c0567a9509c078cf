"""BM25 (Robertson et al., TREC-3, 1994), by bm25s: the weak labeler that everybody has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.errors import SettingsError
from wares.labelers import NONE, Labels
from wares.labelers.sparse import query_matrix, sparse_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csc_array

    from wares.catalogue import Query
    from wares.corpus import Corpus
    from wares.labelers import Places, Scores
    from wares.terms import Terms


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

    def over(self, corpus: Corpus) -> BM25Scorer:
        """Index the corpus."""
        return BM25Scorer(self, corpus.terms)


class BM25Scorer:
    """BM25 over one corpus. Abstains from queries that share no term with it."""

    def __init__(self, settings: BM25, terms: Terms) -> None:
        import bm25s

        self.terms = terms
        self.index = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene", backend="numba")
        repeated = np.repeat(terms.counts.indices, terms.counts.data)
        tokens = [each.tolist() for each in np.split(repeated, np.cumsum(terms.lengths)[:-1])]
        if terms.size:
            self.index.index((tokens, dict(terms.vocabulary)), show_progress=False)

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k best listings that share a term with each query."""
        listings = np.full((len(queries), k), NONE, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        tokens = [self.terms.ids(query.text).tolist() for query in queries]
        asking = np.flatnonzero([len(each) > 0 for each in tokens])
        depth = min(k, len(self.terms))
        if len(asking) and depth:
            # One thread: labelling in bulk is shared out over processes.
            found = self.index.retrieve([tokens[i] for i in asking], k=depth, show_progress=False, n_threads=1)
            listings[asking, :depth], scores[asking, :depth] = found.documents, found.scores
        # bm25s fills up with listings of score 0, which share nothing with the query.
        return Labels.of(listings, np.where(scores > 0, scores, np.float32(np.nan)))

    def score(self, queries: Sequence[Query], listings: Places) -> Scores:
        """Scores of these listings; NaN for queries that share no term with the corpus."""
        return sparse_score(query_matrix(queries, self.terms), self.weights, listings)

    def corpus_scores(self, queries: Sequence[Query]) -> Scores:
        """(Q,) mean score of all listings, those that share no term with the query included."""
        mean = np.asarray(self.weights.sum(axis=0)).ravel() / max(1, len(self.terms))
        scores: Scores = (query_matrix(queries, self.terms) @ mean).astype(np.float32)
        return scores

    @cached_property
    def weights(self) -> csc_array[Any]:
        """(N, V) what each term is worth in each listing."""
        from scipy.sparse import csc_array

        if not self.terms.size:
            return csc_array((len(self.terms), 0), dtype=np.float32)
        data, rows, offsets = (self.index.scores[name] for name in ("data", "indices", "indptr"))
        return csc_array((data, rows, offsets[: self.terms.size + 1]), shape=(len(self.terms), self.terms.size))
