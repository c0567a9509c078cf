"""Measures of rankings that are given as hits: which ranks hold a relevant listing.

Training without labels and evaluation with judgments compute them from here, so both mean the same by a name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def average_precision(hits: Hits) -> Floats:
    """(Q,) mean precision at the ranks of the relevant listings.

    hits: (Q, N) relevance by rank, best first; each row has at least one
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    values: Floats = (precision * hits).sum(axis=1) / hits.sum(axis=1, dtype=np.float64)
    return values


def reciprocal_rank(hits: Hits) -> Floats:
    """(Q,) one over the rank of the first relevant listing; 0 in a row without any.

    hits: (Q, N) relevance by rank, best first
    """
    values: Floats = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
    return values
