"""Cross-view retrieval: views of listings as queries, views or means of views of other listings as candidates."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import EvaluationError
from wares.core.hits import average_precision, reciprocal_rank
from wares.evaluation.measures import DEFAULT_MEASURES

Floats = npt.NDArray[np.float64]
GroupLabels = npt.NDArray[np.int64]
Relevance = npt.NDArray[np.bool_]
SIMILARITIES_PER_BLOCK = 2**21  # similarities in memory at a time


def measure_cross_view(
    queries: npt.NDArray[np.floating[Any]],
    candidates: npt.NDArray[np.floating[Any]],
    relevant: Relevance | tuple[GroupLabels, GroupLabels],
    measures: Sequence[str] = DEFAULT_MEASURES,
) -> dict[str, Floats]:
    """Measure the ranking of all candidates by inner product with each query.

    queries: (Q, d); candidates: (N, d); candidates with equal scores stay in their order
    relevant: (Q, N) booleans, or the group labels of queries (Q,) and candidates (N,): equal labels are relevant
    measures: names among nDCG@k, R@k, P@k, AP, RR, with any k

    Returns measure -> (Q,) values. Raises EvaluationError if a query has no relevant candidate.
    """
    count = len(candidates)
    by_name = {name: _parse_measure(name) for name in measures}
    values = {name: np.empty(len(queries)) for name in measures}
    step = max(1, SIMILARITIES_PER_BLOCK // max(1, count))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        truth = relevant[0][rows, None] == relevant[1] if isinstance(relevant, tuple) else relevant[rows]
        if not truth.any(axis=1).all():
            without = start + int(np.argmin(truth.any(axis=1)))
            raise EvaluationError(f"cross-view query {without} has no relevant candidate. Leave the query out.")
        order = np.argsort(-(queries[rows] @ candidates.T), axis=1, kind="stable")
        hits = np.take_along_axis(truth, order, axis=1)
        for name, function in by_name.items():
            values[name][rows] = function(hits)
    return values


def _parse_measure(name: str) -> Callable[[Relevance], Floats]:
    """A measure as a function of hits: (Q, N) relevance by rank, at least one relevant candidate in each row."""
    match = re.fullmatch(r"(nDCG|R|P)@([1-9]\d*)|(AP|RR)", name)
    if not match:
        raise EvaluationError(f"{name!r} is no cross-view measure. Choose among nDCG@k, R@k, P@k, AP, RR.")
    function, cutoff = CROSS_VIEW_MEASURES[match[1] or match[3]], int(match[2] or 0)
    return lambda hits: function(hits, cutoff or hits.shape[1])


def _ndcg(hits: Relevance, k: int) -> Floats:
    discounts = 1 / np.log2(np.arange(2, min(k, hits.shape[1]) + 2))
    ideal = np.cumsum(discounts)[np.minimum(hits.sum(axis=1), len(discounts)) - 1]
    values: Floats = (hits[:, :k] * discounts).sum(axis=1) / ideal
    return values


def _recall(hits: Relevance, k: int) -> Floats:
    return _hit_count(hits, k) / _hit_count(hits, hits.shape[1])


def _precision(hits: Relevance, k: int) -> Floats:
    return _hit_count(hits, k) / k


def _hit_count(hits: Relevance, k: int) -> Floats:
    """(Q,) number of relevant candidates among the first k."""
    values: Floats = hits[:, :k].sum(axis=1, dtype=np.float64)
    return values


# One line for each measure: its name without the cutoff, and a function of hits and cutoff.
CROSS_VIEW_MEASURES: dict[str, Callable[[Relevance, int], Floats]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "AP": lambda hits, _: average_precision(hits),
    "RR": lambda hits, _: reciprocal_rank(hits),
}
