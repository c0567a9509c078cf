"""Measures of rankings as hits: True at each rank of a relevant listing.

Label-free training and evaluation share them, so a measure means the same in both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def average_precision(hits: Hits) -> Floats:
    """(Q,) mean precision at the ranks of the relevant listings.

    hits: (Q, N) relevance by rank, best first; each row has a relevant listing
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    values: Floats = (precision * hits).sum(axis=1) / hits.sum(axis=1, dtype=np.float64)
    return values


def reciprocal_rank(hits: Hits) -> Floats:
    """(Q,) one over the rank of the first relevant listing, 0 if a row has none.

    hits: (Q, N) relevance by rank, best first
    """
    values: Floats = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)
    return values
