"""Hypothesis strategies shared by the tests: scores, unit vectors, marginals, view batches, embeddings and fusions."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import strategies as st

from wares.data.views import Views
from wares.encoders.features import Embeddings, Vectors
from wares.encoders.marginals import ViewBatch
from wares.encoders.settings import MARGINAL_KINDS, Fusion, Marginals

# Rows of scores, some absent. Integers of moderate size, so that affine maps of them exceed rounding errors in float32.
score_tables = st.tuples(st.integers(1, 4), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(
            st.one_of(st.integers(-50, 50).map(float), st.sampled_from([math.nan, math.inf, -math.inf])),
            min_size=shape[1],
            max_size=shape[1],
        ),
        min_size=shape[0],
        max_size=shape[0],
    )
)


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


def fusions() -> st.SearchStrategy[Fusion]:
    """Marginals of any kind and any gamma, the ends of every range included."""
    weights = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0))
    marginals = st.builds(Marginals, st.sampled_from(MARGINAL_KINDS), weights, weights, st.floats(0.1, 5.0))
    return st.builds(Fusion, marginals, weights)


@st.composite
def embeddings(draw: st.DrawFn, dimension: int = 6, most: int = 4) -> Embeddings:
    """Up to five listings with up to `most` photos and texts each, perhaps none, as random unit vectors."""
    listings = draw(st.integers(1, 5))
    counts = st.lists(st.integers(0, most), min_size=listings, max_size=listings)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return embeddings_of(draw(counts), draw(counts), random, dimension)


def embeddings_of(photos: list[int], texts: list[int], random: np.random.Generator, dimension: int = 6) -> Embeddings:
    """Random unit vectors of listings with so many photos and texts."""
    tables = (*_table(photos, random, dimension), *_table(texts, random, dimension))
    return Embeddings(*tables, photo_attention=random.normal(size=dimension).astype(np.float32))


def _table(counts: list[int], random: np.random.Generator, dimension: int) -> tuple[Views, Vectors]:
    names = [f"{listing}-{view}" for listing, count in enumerate(counts) for view in range(count)]
    vectors = random.normal(size=(len(names), dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Views(names, names, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)), vectors
