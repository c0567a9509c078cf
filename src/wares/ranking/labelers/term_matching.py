"""Sparse products of queries and listings over their terms, shared by all lexical labelers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csc_array, csr_array

    from wares.data.listings import Query
    from wares.data.terms import TermCounts
    from wares.ranking.scoring import Indices, Scores


def query_matrix(queries: Sequence[Query], terms: TermCounts) -> csr_array[Any]:
    """(Q, V) counts of the corpus's terms in each query, in alphabetical order.

    Sums over terms in that order do not depend on the numbers of the columns, hence not on the order of the listings.
    """
    from scipy.sparse import csr_array

    rows = [terms.query_terms(query.text) for query in queries]
    columns = np.concatenate([*(columns for columns, _ in rows), np.zeros(0, dtype=np.int64)])
    counts = np.concatenate([*(counts for _, counts in rows), np.zeros(0, dtype=np.float32)])
    offsets = np.cumsum([0, *(len(columns) for columns, _ in rows)], dtype=np.int64)
    return csr_array((counts, columns, offsets), shape=(len(rows), terms.vocabulary_size))


def sparse_retrieve(queries: csr_array[Any], weights: csc_array[Any], k: int, offsets: Scores | None = None) -> Labels:
    """The k best listings per query, among those that share a term with it.

    queries: (Q, V) term counts; weights: (N, V) score of each term in each listing
    offsets: (N,) added to a listing's score once per unit of the query's counts
    """
    from wares.ranking.labelers.kernels import fill_best

    listings = np.full((queries.shape[0], k), NO_LISTING, dtype=np.int64)
    scores = np.full((queries.shape[0], k), np.nan, dtype=np.float32)
    fill_best(*_arrays(queries, weights, offsets), listings, scores)
    return Labels(listings, scores)


def sparse_score(
    queries: csr_array[Any], weights: csc_array[Any], listings: Indices, offsets: Scores | None = None
) -> Scores:
    """(Q, K) scores of given listings; 0 plus the offset for listings that share no term.

    NaN for padding, and for queries without a term.
    """
    from wares.ranking.labelers.kernels import fill_scores

    scores = np.full(listings.shape, np.nan, dtype=np.float32)
    fill_scores(*_arrays(queries, weights, offsets), np.ascontiguousarray(listings, dtype=np.int64), scores)
    return scores


def _arrays(queries: csr_array[Any], weights: csc_array[Any], offsets: Scores | None) -> tuple[npt.NDArray[Any], ...]:
    """Arguments of the kernels, always of the same types, so that each kernel is compiled once."""
    weights.sort_indices()  # returns at once if they are sorted
    if offsets is None:
        offsets = np.zeros(weights.shape[0], dtype=np.float32)
    typed = {
        "starts": (queries.indptr, np.int64),
        "terms": (queries.indices, np.int64),
        "counts": (queries.data, np.float32),
        "columns": (weights.indptr, np.int64),
        "rows": (weights.indices, np.int32),
        "weights": (weights.data, np.float32),
        "offsets": (offsets, np.float32),
    }
    arrays = {name: np.ascontiguousarray(array, dtype=dtype) for name, (array, dtype) in typed.items()}
    arrays["rows"] = arrays["rows"].view(np.uint32)  # of signed indices numba checks whether they are negative
    return tuple(arrays.values())
