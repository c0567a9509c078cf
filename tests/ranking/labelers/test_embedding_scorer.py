"""Scores by inner products of vectors."""

from __future__ import annotations

import numpy as np
from labeler_cases import (
    make_queries,
)

from wares.ranking.labelers.embedding_scorer import QUERY_BATCH_SIZE, EmbeddingScorer


def test_nearest_vectors_are_sorted_as_by_numpy() -> None:
    random = np.random.default_rng(6)
    listings = random.normal(size=(40, 8)).astype(np.float32)
    vectors = random.normal(size=(QUERY_BATCH_SIZE + 44, 8)).astype(np.float32)
    scorer = EmbeddingScorer(listings, lambda texts: vectors[[int(text) for text in texts]])
    queries = make_queries(*map(str, range(len(vectors))))
    products = vectors @ listings.T
    labels = scorer.retrieve(queries, 5)
    np.testing.assert_array_equal(labels.listings, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(labels.scores, -np.sort(-products, axis=1)[:, :5], rtol=1e-5, atol=1e-5)
    few = random.integers(0, 40, size=(len(queries), 3))
    np.testing.assert_allclose(
        scorer.score(queries, few), np.take_along_axis(products, few, axis=1), rtol=1e-5, atol=1e-5
    )
