"""Hypothesis strategies shared by the tests: unit vectors, marginals and padded view batches."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from wares.transport import ViewBatch


@st.composite
def view_batches(draw: st.DrawFn, listings: int, dimension: int = 6, most: int = 5, least: int = 1) -> ViewBatch:
    """`listings` listings with `least` to `most` views each, random unit vectors and random marginals."""
    counts = draw(st.lists(st.integers(least, most), min_size=listings, max_size=listings))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vectors = random.normal(size=(listings, max(1, *counts), dimension))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    weights = random.uniform(0.05, 1.0, size=vectors.shape[:2])
    weights[np.arange(vectors.shape[1])[None] >= np.asarray(counts)[:, None]] = 0.0
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
    return ViewBatch(torch.from_numpy(vectors).float(), torch.from_numpy(weights).float())
