"""Scores that are sums over shared terms, as sparse products: what lexical labelers have in common."""

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
    """(Q, V) how often each known term stands in each query."""
    from scipy.sparse import csr_array

    rows = [terms.term_ids(query.text) for query in queries]
    columns = np.concatenate([*rows, np.zeros(0, dtype=np.int64)])
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    counts = csr_array(
        (np.ones(len(columns), dtype=np.float32), columns, offsets), shape=(len(rows), terms.vocabulary_size)
    )
    counts.sum_duplicates()
    return counts


def sparse_retrieve(queries: csr_array[Any], weights: csc_array[Any], k: int, offsets: Scores | None = None) -> Labels:
    """The k listings of highest score for each query, among those that share a term with it.

    queries: (Q, V); weights: (N, V) what a term of a query is worth to a listing
    offsets: (N,) added once for each unit of a query's weight, where a listing shares a term at all
    """
    from wares.ranking.labelers.kernels import fill_best

    listings = np.full((queries.shape[0], k), NO_LISTING, dtype=np.int64)
    scores = np.full((queries.shape[0], k), np.nan, dtype=np.float32)
    fill_best(*_arrays(queries, weights, offsets), listings, scores)
    return Labels(listings, scores)


def sparse_score(
    queries: csr_array[Any], weights: csc_array[Any], listings: Indices, offsets: Scores | None = None
) -> Scores:
    """(Q, K) scores of given listings; 0, and the offset, where no term is shared.

    NaN where there is no listing, and for queries without a term.
    """
    from wares.ranking.labelers.kernels import fill_scores

    scores = np.full(listings.shape, np.nan, dtype=np.float32)
    fill_scores(*_arrays(queries, weights, offsets), np.ascontiguousarray(listings, dtype=np.int64), scores)
    return scores


def _arrays(queries: csr_array[Any], weights: csc_array[Any], offsets: Scores | None) -> tuple[npt.NDArray[Any], ...]:
    """Queries, weights and offsets as the kernels take them, always of the same types, for which they are compiled."""
    weights.sort_indices()  # at once where they are
    if offsets is None:
        offsets = np.zeros(weights.shape[0], dtype=np.float32)
    kinds = {
        "starts": (queries.indptr, np.int64),
        "terms": (queries.indices, np.int64),
        "counts": (queries.data, np.float32),
        "columns": (weights.indptr, np.int64),
        "rows": (weights.indices, np.int32),
        "weights": (weights.data, np.float32),
        "offsets": (offsets, np.float32),
    }
    arrays = {name: np.ascontiguousarray(array, dtype=kind) for name, (array, kind) in kinds.items()}
    arrays["rows"] = arrays["rows"].view(np.uint32)  # numba looks whether a signed place counts from the end
    return tuple(arrays.values())
