"""Scores by inner products of vectors, shared by the labelers and rankers that embed queries and listings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wares.data.listings import Query
    from wares.encoders.features import Vectors
    from wares.ranking.scoring import Indices, Scores


QUERY_BATCH_SIZE = 256  # queries scored at once


class EmbeddingScorer:
    """Inner products of query vectors and listing vectors. It abstains from empty queries only.

    listing_vectors: (N, d); encode: texts -> (n, d)
    """

    def __init__(self, listing_vectors: Vectors, encode: Callable[[Sequence[str]], Vectors]) -> None:
        self.listing_vectors, self.encode = torch.from_numpy(np.ascontiguousarray(listing_vectors)), encode

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k listings of the largest inner product per query."""
        depth = min(k, len(self.listing_vectors))
        listings = np.full((len(queries), k), NO_LISTING, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        with_text = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(with_text), QUERY_BATCH_SIZE):
            batch = with_text[start : start + QUERY_BATCH_SIZE]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in batch]))
            best = (vectors @ self.listing_vectors.T).topk(depth, dim=1)
            listings[batch, :depth], scores[batch, :depth] = best.indices.numpy(), best.values.numpy()
        return Labels.from_scores(listings, scores)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) inner products with given listings."""
        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        with_text = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(with_text), QUERY_BATCH_SIZE):
            batch = with_text[start : start + QUERY_BATCH_SIZE]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in batch]))
            rows = torch.from_numpy(np.maximum(listings[batch], 0))
            scores[batch] = torch.einsum("qd,qkd->qk", vectors, self.listing_vectors[rows]).numpy()
        return np.where(listings == NO_LISTING, np.float32(np.nan), scores)
