"""Compiled loops of lexical labelers: over the listings of each term that a query asks for, and no others.

A query is a row of terms and what each counts (CSR: starts, terms, counts); weights are a column a term, with the
listings that hold it in rising order (CSC: columns, rows, weights). Results are filled into arrays that are given.
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
    """Compile once a machine rather than once a process, where there is a folder that can be written to.

    Compiling takes seconds, and every process that labels would begin with it.
    """
    kernel = njit(nogil=True)(function)
    with suppress(RuntimeError):  # numba knows of no such folder
        kernel.enable_caching()
    return kernel


@compile_kernel
def _add(sums: Array, rows: Array, weights: Array, count: np.float32) -> None:  # pragma: no cover
    """What a term is worth to the listings that hold it."""
    for entry in range(len(rows)):
        sums[rows[entry]] += count * weights[entry]


@compile_kernel
def _add_and_note(
    sums: Array, rows: Array, weights: Array, count: np.float32, touched: Array, end: int
) -> int:  # pragma: no cover
    """The same; listings that had nothing before are noted from place `end` on. Returns where they end now."""
    for entry in range(len(rows)):
        row, worth = rows[entry], count * weights[entry]
        touched[end] = row
        end += (sums[row] == 0) & (worth > 0)
        sums[row] += worth
    return end


@compile_kernel
def _least(values: Array, k: int) -> np.float32:  # pragma: no cover
    """A value that at least k of these reach, and hardly more: the k-th largest of the largest of 4 k parts.

    It costs one look at each value. Lowest of all where there are not so many.
    """
    parts = 4 * k
    if len(values) < parts:
        return np.finfo(np.float32).min
    largest = values[:parts].copy()
    for start in range(parts, len(values) - parts + 1, parts):
        row = values[start : start + parts]  # a part is every 4 k-th, for neighbours are often alike
        for part in range(parts):
            largest[part] = row[part] if row[part] > largest[part] else largest[part]
    return max(np.partition(largest, parts - k)[parts - k], np.finfo(np.float32).min)


@compile_kernel
def _keep_best(values: Array, among: Array, listings: Array, scores: Array) -> None:  # pragma: no cover
    """Fill in the best of `among` by their values, -inf is none; equal values in the order of the corpus."""
    k, found, end = len(listings), np.empty(len(values), dtype=np.int64), 0
    least = _least(values, k)
    for place in range(len(values)):
        if values[place] >= least:
            found[end] = place
            end += 1
    found = found[:end]
    if end > 8 * k:  # most are as low as the lowest: no more than k of them are wanted
        level = among[found[values[found] == least]]
        if len(level) > k:
            found = found[(values[found] > least) | (among[found] <= np.partition(level, k - 1)[k - 1])]
    found = found[np.argsort(among[found], kind="mergesort")]
    found = found[np.argsort(-values[found], kind="mergesort")][:k]
    listings[: len(found)], scores[: len(found)] = among[found], values[found]


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
    """The best listings of each query among those that share a term with it, the best first, from the left.

    counts: at least 0; weights: above 0, so that a sum of 0 is that of a listing that shares no term
    offsets: (N,) added for each unit of a query's counts; listings, scores: (Q, K)
    """
    many = len(offsets)
    sums, values = np.zeros(many, dtype=np.float32), np.empty(many, dtype=np.float32)
    every, touched = np.arange(many), np.empty(many + 1, dtype=np.int64)
    for query in range(len(starts) - 1):
        total, entries, end = np.float32(0), 0, 0
        for place in range(starts[query], starts[query + 1]):
            total += counts[place]
            entries += columns[terms[place] + 1] - columns[terms[place]]
        common = entries > many // 10  # looking at all listings then costs less than noting those that share a term
        for place in range(starts[query], starts[query + 1]):
            first, last = columns[terms[place]], columns[terms[place] + 1]
            if common:
                _add(sums, rows[first:last], weights[first:last], counts[place])
            else:
                end = _add_and_note(sums, rows[first:last], weights[first:last], counts[place], touched, end)
        if common:
            for row in range(many):
                values[row] = sums[row] + offsets[row] * total if sums[row] != 0 else -np.inf
            sums[:] = 0
            _keep_best(values, every, listings[query], scores[query])
        else:
            for place in range(end):
                row = touched[place]
                values[place] = sums[row] + offsets[row] * total
                sums[row] = 0
            _keep_best(values[:end], touched[:end], listings[query], scores[query])


@compile_kernel
def fill_known_scores(listings: Array, scores: Array, wanted: Array, known_scores: Array) -> None:  # pragma: no cover
    """What is known of the listings that are asked for, (Q, K); nothing is filled in of others, or for no listing.

    listings, scores: (Q, J), each listing once in a row
    """
    many = listings.max() + 1 if listings.size else 0
    last, held = np.full(many, -1, dtype=np.int64), np.empty(many, dtype=np.float32)  # query that a score belongs to
    for query in range(len(listings)):
        for place in range(listings.shape[1]):
            row = listings[query, place]
            if row >= 0:
                last[row], held[row] = query, scores[query, place]
        for place in range(wanted.shape[1]):
            row = wanted[query, place]
            if 0 <= row < many and last[row] == query:
                known_scores[query, place] = held[row]


@compile_kernel
def _summed(
    starts: Array, terms: Array, counts: Array, columns: Array, rows: Array, weights: Array, query: int, row: int
) -> np.float32:  # pragma: no cover
    """What a query's terms are worth to one listing, looked up term by term."""
    score = np.float32(0)
    for place in range(starts[query], starts[query + 1]):
        low, end = columns[terms[place]], columns[terms[place] + 1]
        high = end
        while low < high:
            middle = (low + high) // 2
            if rows[middle] < row:
                low = middle + 1
            else:
                high = middle
        if low < end and rows[low] == row:
            score += counts[place] * weights[low]
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
    """Scores of given listings, (Q, K); nothing is filled in for a query without terms, or where a place is negative.

    They are summed in the same order as in `fill_best`, so that both say the same to the last bit.
    """
    sums = np.zeros(len(offsets), dtype=np.float32)
    last = np.full(len(offsets), -1, dtype=np.int64)  # query that a sum belongs to
    for query in range(len(starts) - 1):
        total, asked, entries = np.float32(0), False, 0
        for place in range(starts[query], starts[query + 1]):
            total += counts[place]
            asked |= counts[place] != 0
            entries += columns[terms[place] + 1] - columns[terms[place]]
        if not asked:
            continue
        row_of = listings[query]
        # Going through all entries of a term costs one step each; to look one listing up costs about ten.
        if entries < 10 * len(row_of) * (starts[query + 1] - starts[query]):
            for at in range(len(row_of)):
                if row_of[at] >= 0:
                    last[row_of[at]], sums[row_of[at]] = query, 0
            for place in range(starts[query], starts[query + 1]):
                for entry in range(columns[terms[place]], columns[terms[place] + 1]):
                    if last[rows[entry]] == query:
                        sums[rows[entry]] += counts[place] * weights[entry]
            for at in range(len(row_of)):
                if row_of[at] >= 0:
                    scores[query, at] = sums[row_of[at]] + offsets[row_of[at]] * total
        else:
            for at in range(len(row_of)):
                if row_of[at] >= 0:
                    found = _summed(starts, terms, counts, columns, rows, weights, query, row_of[at])
                    scores[query, at] = found + offsets[row_of[at]] * total
