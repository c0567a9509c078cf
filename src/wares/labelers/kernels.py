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


def compiled(function: Callable[..., Any]) -> Any:
    """Compile once a machine rather than once a process, where there is a folder that can be written to.

    Compiling takes seconds, and every process that labels would begin with it.
    """
    kernel = njit(nogil=True)(function)
    with suppress(RuntimeError):  # numba knows of no such folder
        kernel.enable_caching()
    return kernel


@compiled
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

    offsets: (N,) added for each unit of a query's counts; listings, scores: (Q, K)
    """
    sums = np.zeros(len(offsets), dtype=np.float32)
    touched = np.empty(len(offsets), dtype=np.int64)
    last = np.full(len(offsets), -1, dtype=np.int64)  # query that a sum belongs to
    for query in range(len(starts) - 1):
        many, total = 0, np.float32(0)
        for place in range(starts[query], starts[query + 1]):
            count, term = counts[place], terms[place]
            if count == 0:
                continue
            total += count
            for entry in range(columns[term], columns[term + 1]):
                row = rows[entry]
                if last[row] != query:
                    last[row], sums[row], touched[many] = query, 0, row
                    many += 1
                sums[row] += count * weights[entry]
        if not many:
            continue
        among = touched[:many]
        values = sums[among] + offsets[among] * total
        if many > listings.shape[1]:
            floor = np.partition(values, many - listings.shape[1])[many - listings.shape[1]]
            among, values = among[values >= floor], values[values >= floor]
        by_row = np.argsort(among)  # equal scores stand in the order of the corpus
        best = by_row[np.argsort(-values[by_row], kind="mergesort")][: listings.shape[1]]
        listings[query, : len(best)], scores[query, : len(best)] = among[best], values[best]


@compiled
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


@compiled
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
