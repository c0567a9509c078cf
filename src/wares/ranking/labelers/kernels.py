"""Compiled loops of lexical labelers. They visit only the listings that contain a term of the query.

Queries are sparse rows of term counts (CSR: starts, terms, counts). Weights are one sparse column per term, with the
listings that contain it in ascending order (CSC: columns, rows, weights). The caller passes the arrays for the results.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]


def compile_kernel(function: Callable[..., Any]) -> Any:
    """The function compiled by numba, and cached on disk if there is a writable folder.

    Compiling takes seconds, which every labelling process would otherwise spend.
    """
    kernel = njit(nogil=True)(function)
    with suppress(RuntimeError):  # numba found no writable folder
        kernel.enable_caching()
    return kernel


@compile_kernel
def _bm25_weight(count: int, length: int, idf: float, k1: float, b: float, mean_length: float) -> np.float32:
    # pragma: no cover
    """BM25 weight of a term in a listing, in the form of Lucene: computed in float64 and rounded."""
    return np.float32(idf * count / (count + k1 * (1.0 - b + b * (length / mean_length))))


@compile_kernel
def fill_bm25_weights(
    columns: Array,
    rows: Array,
    counts: Array,
    lengths: Array,
    idf: Array,
    k1: float,
    b: float,
    mean_length: float,
    weights: Array,
) -> None:  # pragma: no cover
    """Write the BM25 weight of each entry.

    columns, rows, counts: (N, V) term counts as CSC; lengths: (N,); idf: (V,)
    """
    for column in range(len(idf)):
        for entry in range(columns[column], columns[column + 1]):
            weights[entry] = _bm25_weight(counts[entry], lengths[rows[entry]], idf[column], k1, b, mean_length)


@compile_kernel
def add_bm25_scores(
    columns: Array,
    rows: Array,
    counts: Array,
    lengths: Array,
    terms: Array,
    query_counts: Array,
    idf: Array,
    k1: float,
    b: float,
    mean_length: float,
    scores: Array,
    covered: Array,
) -> None:  # pragma: no cover
    """Add the BM25 weights of a query's terms to the scores of the listings, and the terms' idf to what they cover.

    columns, rows, counts, lengths: as in `fill_bm25_weights`; terms, query_counts, idf: (T,) of the query's terms
    scores: (N,) float32, the sums that `fill_best` computes from the weights; covered: (N,) float64
    """
    for i in range(len(terms)):
        for entry in range(columns[terms[i]], columns[terms[i] + 1]):
            row = rows[entry]
            scores[row] += query_counts[i] * _bm25_weight(counts[entry], lengths[row], idf[i], k1, b, mean_length)
            covered[row] += query_counts[i] * idf[i]


@compile_kernel
def _add(sums: Array, rows: Array, weights: Array, count: np.float32) -> None:  # pragma: no cover
    """Add a term's weights to the sums of the listings that contain it."""
    for entry in range(len(rows)):
        sums[rows[entry]] += count * weights[entry]


@compile_kernel
def _add_and_record(
    sums: Array, rows: Array, weights: Array, count: np.float32, touched: Array, end: int
) -> int:  # pragma: no cover
    """Add as `_add` does, and append listings whose sum was 0 to `touched[:end]`. Returns the new end."""
    for entry in range(len(rows)):
        row, weight = rows[entry], count * weights[entry]
        touched[end] = row
        end += (sums[row] == 0) & (weight > 0)
        sums[row] += weight
    return end


@compile_kernel
def _selection_threshold(values: Array, k: int) -> np.float32:  # pragma: no cover
    """A lower bound of the k-th largest value that few more than k values reach.

    It is the k-th largest of the maxima of 4 k strided parts, and costs one pass over the values. With fewer than 4 k
    values it is the lowest float32.
    """
    parts = 4 * k
    if len(values) < parts:
        return np.finfo(np.float32).min
    largest = values[:parts].copy()
    for start in range(parts, len(values) - parts + 1, parts):
        row = values[start : start + parts]  # parts are strided because neighbours are often similar
        for part in range(parts):
            largest[part] = row[part] if row[part] > largest[part] else largest[part]
    return max(np.partition(largest, parts - k)[parts - k], np.finfo(np.float32).min)


@compile_kernel
def _select_best(values: Array, candidates: Array, listings: Array, scores: Array) -> None:  # pragma: no cover
    """Write the best candidates and their values, best first, equal values by ascending index; -inf is no value."""
    k, selected, end = len(listings), np.empty(len(values), dtype=np.int64), 0
    threshold = _selection_threshold(values, k)
    for i in range(len(values)):
        if values[i] >= threshold:
            selected[end] = i
            end += 1
    selected = selected[:end]
    if end > 8 * k:  # most values equal the threshold, and at most k of these are needed
        tied = candidates[selected[values[selected] == threshold]]
        if len(tied) > k:
            is_needed = candidates[selected] <= np.partition(tied, k - 1)[k - 1]
            selected = selected[(values[selected] > threshold) | is_needed]
    selected = selected[np.argsort(candidates[selected], kind="mergesort")]
    selected = selected[np.argsort(-values[selected], kind="mergesort")][:k]
    listings[: len(selected)], scores[: len(selected)] = candidates[selected], values[selected]


@compile_kernel
def fill_best(
    starts: Array,
    terms: Array,
    counts: Array,
    columns: Array,
    rows: Array,
    weights: Array,
    offsets: Array,
    listings: Array,
    scores: Array,
) -> None:  # pragma: no cover
    """Write the best listings of each query among those that share a term with it, best first.

    counts: at least 0; weights: above 0, so that only listings that share no term have a sum of 0
    offsets: (N,) added once per unit of a query's counts; listings, scores: (Q, K)
    """
    size = len(offsets)
    sums, values = np.zeros(size, dtype=np.float32), np.empty(size, dtype=np.float32)
    all_rows, touched = np.arange(size), np.empty(size + 1, dtype=np.int64)
    for query in range(len(starts) - 1):
        total, entries, end = np.float32(0), 0, 0
        for position in range(starts[query], starts[query + 1]):
            total += counts[position]
            entries += columns[terms[position] + 1] - columns[terms[position]]
        dense = entries > size // 10  # then a pass over all listings is cheaper than recording the touched ones
        for position in range(starts[query], starts[query + 1]):
            first, last = columns[terms[position]], columns[terms[position] + 1]
            if dense:
                _add(sums, rows[first:last], weights[first:last], counts[position])
            else:
                end = _add_and_record(sums, rows[first:last], weights[first:last], counts[position], touched, end)
        if dense:
            for row in range(size):
                values[row] = sums[row] + offsets[row] * total if sums[row] != 0 else -np.inf
            sums[:] = 0
            _select_best(values, all_rows, listings[query], scores[query])
        else:
            for position in range(end):
                row = touched[position]
                values[position] = sums[row] + offsets[row] * total
                sums[row] = 0
            _select_best(values[:end], touched[:end], listings[query], scores[query])


@compile_kernel
def fill_known_scores(listings: Array, scores: Array, wanted: Array, wanted_scores: Array) -> None:  # pragma: no cover
    """Write the known scores of wanted listings; those of other listings and of padding are left as they are.

    listings, scores: (Q, J), each listing once in a row; wanted, wanted_scores: (Q, K)
    """
    size = listings.max() + 1 if listings.size else 0
    query_of, score_of = np.full(size, -1, dtype=np.int64), np.empty(size, dtype=np.float32)
    for query in range(len(listings)):
        for position in range(listings.shape[1]):
            row = listings[query, position]
            if row >= 0:
                query_of[row], score_of[row] = query, scores[query, position]
        for position in range(wanted.shape[1]):
            row = wanted[query, position]
            if 0 <= row < size and query_of[row] == query:
                wanted_scores[query, position] = score_of[row]


@compile_kernel
def _score_of(
    starts: Array, terms: Array, counts: Array, columns: Array, rows: Array, weights: Array, query: int, row: int
) -> np.float32:  # pragma: no cover
    """Score of one listing, by a binary search in each of the query's terms."""
    score = np.float32(0)
    for position in range(starts[query], starts[query + 1]):
        low, end = columns[terms[position]], columns[terms[position] + 1]
        high = end
        while low < high:
            middle = (low + high) // 2
            if rows[middle] < row:
                low = middle + 1
            else:
                high = middle
        if low < end and rows[low] == row:
            score += counts[position] * weights[low]
    return score


@compile_kernel
def fill_scores(
    starts: Array,
    terms: Array,
    counts: Array,
    columns: Array,
    rows: Array,
    weights: Array,
    offsets: Array,
    listings: Array,
    scores: Array,
) -> None:  # pragma: no cover
    """Write (Q, K) scores of given listings; those of padding and of queries without terms are left as they are.

    Terms are added in the same order as in `fill_best`, so that both give the same scores to the last bit.
    """
    sums = np.zeros(len(offsets), dtype=np.float32)
    query_of = np.full(len(offsets), -1, dtype=np.int64)  # query to which a sum belongs
    for query in range(len(starts) - 1):
        total, has_terms, entries = np.float32(0), False, 0
        for position in range(starts[query], starts[query + 1]):
            total += counts[position]
            has_terms |= counts[position] != 0
            entries += columns[terms[position] + 1] - columns[terms[position]]
        if not has_terms:
            continue
        candidates = listings[query]
        # Visiting an entry of a term costs one step; a binary search for one listing costs about ten.
        if entries < 10 * len(candidates) * (starts[query + 1] - starts[query]):
            for i in range(len(candidates)):
                if candidates[i] >= 0:
                    query_of[candidates[i]], sums[candidates[i]] = query, 0
            for position in range(starts[query], starts[query + 1]):
                for entry in range(columns[terms[position]], columns[terms[position] + 1]):
                    if query_of[rows[entry]] == query:
                        sums[rows[entry]] += counts[position] * weights[entry]
            for i in range(len(candidates)):
                if candidates[i] >= 0:
                    scores[query, i] = sums[candidates[i]] + offsets[candidates[i]] * total
        else:
            for i in range(len(candidates)):
                if candidates[i] >= 0:
                    score = _score_of(starts, terms, counts, columns, rows, weights, query, candidates[i])
                    scores[query, i] = score + offsets[candidates[i]] * total
