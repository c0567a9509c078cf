"""Scores that are sums over shared terms, as sparse products: what lexical labelers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wares.labelers import NONE, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scipy.sparse import csc_array, csr_array

    from wares.catalogue import Query
    from wares.labelers import Places, Scores
    from wares.terms import Terms

BLOCK = 256  # queries whose scores are held at once


def query_matrix(queries: Sequence[Query], terms: Terms) -> csr_array[Any]:
    """(Q, V) how often each known term stands in each query."""
    from scipy.sparse import csr_array

    rows = [terms.ids(query.text) for query in queries]
    columns = np.concatenate([*rows, np.zeros(0, dtype=np.int64)])
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    counts = csr_array((np.ones(len(columns), dtype=np.float32), columns, offsets), shape=(len(rows), terms.size))
    counts.sum_duplicates()
    return counts


def sparse_retrieve(queries: csr_array[Any], weights: csc_array[Any], k: int, offsets: Scores | None = None) -> Labels:
    """The k listings of highest score for each query, among those that share a term with it.

    queries: (Q, V); weights: (N, V) what a term of a query is worth to a listing
    offsets: (N,) added once for each unit of a query's weight, where a listing shares a term at all
    """
    found = [_block(queries[start : start + BLOCK], weights, k, offsets) for start in range(0, queries.shape[0], BLOCK)]
    listings = np.concatenate([each.listings for each in found] or [np.zeros((0, k), dtype=np.int64)])
    scores = np.concatenate([each.scores for each in found] or [np.zeros((0, k), dtype=np.float32)])
    return Labels(listings, scores)


def sparse_score(
    queries: csr_array[Any], weights: csc_array[Any], listings: Places, offsets: Scores | None = None
) -> Scores:
    """(Q, K) scores of given listings; 0, and the offset, where no term is shared.

    NaN where there is no listing, and for queries without a term.
    """
    found = np.full(listings.shape, np.nan, dtype=np.float32)
    rows = weights.tocsr()
    for place, row in enumerate(listings):
        there = row != NONE
        query = queries[[place]].toarray()[0]
        if not query.any():
            continue
        found[place, there] = rows[row[there]] @ query
        if offsets is not None:
            found[place, there] += offsets[row[there]] * query.sum()
    return found


def _block(queries: csr_array[Any], weights: csc_array[Any], k: int, offsets: Scores | None) -> Labels:
    scores = queries @ weights.T
    totals = np.asarray(queries.sum(axis=1)).ravel()
    listings = np.full((queries.shape[0], k), NONE, dtype=np.int64)
    values = np.full((queries.shape[0], k), np.nan, dtype=np.float32)
    for place in range(queries.shape[0]):
        span = slice(scores.indptr[place], scores.indptr[place + 1])
        columns, row = scores.indices[span], scores.data[span]
        if offsets is not None:
            row = row + offsets[columns] * totals[place]
        best = np.argpartition(-row, k - 1)[:k] if len(row) > k else np.arange(len(row))
        listings[place, : len(best)], values[place, : len(best)] = columns[best], row[best]
    return Labels.of(listings, values)
