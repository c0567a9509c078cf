"""Cross-view retrieval: one view of a listing as the query, listings of the same product as relevant."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import EvaluationError
from wares.core.hits import average_precision, reciprocal_rank
from wares.evaluation.measures import DEFAULT_MEASURES

if TYPE_CHECKING:
    pass


Floats = npt.NDArray[np.float64]
GroupLabels = npt.NDArray[np.int64]
Relevance = npt.NDArray[np.bool_]
SIMILARITIES_PER_BLOCK = 2**21  # similarities held at once in a cross-view protocol


# Cross-view protocols


def measure_cross_view(
    queries: npt.NDArray[np.floating[Any]],
    candidates: npt.NDArray[np.floating[Any]],
    relevant: Relevance | tuple[GroupLabels, GroupLabels],
    measures: Sequence[str] = DEFAULT_MEASURES,
) -> dict[str, Floats]:
    """Rank all candidates by inner product with every query; binary relevance; equal scores in candidate order.

    queries: (Q, d); candidates: (N, d)
    relevant: (Q, N) booleans, or the group labels of queries (Q,) and candidates (N,): equal labels are relevant
    measures: among nDCG@k, R@k, P@k, AP, RR, any k

    Returns measure -> (Q,) values. Raises EvaluationError where a query has no relevant candidate: leave such
    queries out, and say so.
    """
    count = len(candidates)
    by_name = {name: _ranked_measure(name) for name in measures}
    values = {name: np.empty(len(queries)) for name in measures}
    step = max(1, SIMILARITIES_PER_BLOCK // max(1, count))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        truth = relevant[0][rows, None] == relevant[1] if isinstance(relevant, tuple) else relevant[rows]
        if not truth.any(axis=1).all():
            without = start + int(np.argmin(truth.any(axis=1)))
            raise EvaluationError(f"cross-view query {without} has no relevant candidate. Leave it out, and say so.")
        order = np.argsort(-(queries[rows] @ candidates.T), axis=1, kind="stable")
        hits = np.take_along_axis(truth, order, axis=1)
        for name, function in by_name.items():
            values[name][rows] = function(hits)
    return values


def _ranked_measure(name: str) -> Callable[[Relevance], Floats]:
    """A measure of hits (Q, N): relevance by rank, at least one relevant in each row."""
    found = re.fullmatch(r"(nDCG|R|P)@([1-9]\d*)|(AP|RR)", name)
    if not found:
        raise EvaluationError(f"{name!r} is no cross-view measure; choose among nDCG@k, R@k, P@k, AP, RR.")
    function, cutoff = _RANKED[found[1] or found[3]], int(found[2] or 0)
    return lambda hits: function(hits, cutoff or hits.shape[1])


def _ndcg(hits: Relevance, k: int) -> Floats:
    discounts = 1 / np.log2(np.arange(2, min(k, hits.shape[1]) + 2))
    ideal = np.cumsum(discounts)[np.minimum(hits.sum(axis=1), len(discounts)) - 1]
    values: Floats = (hits[:, :k] * discounts).sum(axis=1) / ideal
    return values


def _recall(hits: Relevance, k: int) -> Floats:
    return _found(hits, k) / _found(hits, hits.shape[1])


def _precision(hits: Relevance, k: int) -> Floats:
    return _found(hits, k) / k


def _found(hits: Relevance, k: int) -> Floats:
    values: Floats = hits[:, :k].sum(axis=1, dtype=np.float64)
    return values


_RANKED: dict[str, Callable[[Relevance, int], Floats]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "AP": lambda hits, _: average_precision(hits),
    "RR": lambda hits, _: reciprocal_rank(hits),
}
