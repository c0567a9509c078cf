"""Labels by nearness of vectors: what an embedding model and the two-tower model have in common."""

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


QUERY_BATCH_SIZE = 256  # queries whose scores are held at once


class EmbeddingScorer:
    """Inner products of query vectors and listing vectors. It never abstains, but from empty queries.

    listing_vectors: (N, d); encode: texts -> (n, d)
    """

    def __init__(self, listing_vectors: Vectors, encode: Callable[[Sequence[str]], Vectors]) -> None:
        self.listing_vectors, self.encode = torch.from_numpy(np.ascontiguousarray(listing_vectors)), encode

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k nearest listings of each query."""
        depth = min(k, len(self.listing_vectors))
        listings = np.full((len(queries), k), NO_LISTING, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        asking = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(asking), QUERY_BATCH_SIZE):
            places = asking[start : start + QUERY_BATCH_SIZE]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in places]))
            best = (vectors @ self.listing_vectors.T).topk(depth, dim=1)
            listings[places, :depth], scores[places, :depth] = best.indices.numpy(), best.values.numpy()
        return Labels.from_scores(listings, scores)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """Inner products with these listings."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        asking = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(asking), QUERY_BATCH_SIZE):
            places = asking[start : start + QUERY_BATCH_SIZE]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in places]))
            rows = torch.from_numpy(np.maximum(listings[places], 0))
            found[places] = torch.einsum("qd,qkd->qk", vectors, self.listing_vectors[rows]).numpy()
        return np.where(listings == NO_LISTING, np.float32(np.nan), found)
