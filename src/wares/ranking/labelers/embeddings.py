"""Labels by nearness of vectors: what an embedding model and the two-tower model have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wares.ranking.scoring import NONE, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wares.data.listings import Query
    from wares.encoders.features import Vectors
    from wares.ranking.scoring import Places, Scores


BLOCK = 256  # queries whose scores are held at once


class EmbeddingScorer:
    """Inner products of query vectors and listing vectors. It never abstains, but from empty queries.

    listings: (N, d); encode: texts -> (n, d)
    """

    def __init__(self, listings: Vectors, encode: Callable[[Sequence[str]], Vectors]) -> None:
        self.listings, self.encode = torch.from_numpy(np.ascontiguousarray(listings)), encode

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k nearest listings of each query."""
        depth = min(k, len(self.listings))
        listings = np.full((len(queries), k), NONE, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        asking = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(asking), BLOCK):
            places = asking[start : start + BLOCK]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in places]))
            best = (vectors @ self.listings.T).topk(depth, dim=1)
            listings[places, :depth], scores[places, :depth] = best.indices.numpy(), best.values.numpy()
        return Labels.of(listings, scores)

    def score(self, queries: Sequence[Query], listings: Places) -> Scores:
        """Inner products with these listings."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        asking = np.flatnonzero([bool(query.text.strip()) for query in queries])
        for start in range(0, len(asking), BLOCK):
            places = asking[start : start + BLOCK]
            vectors = torch.from_numpy(self.encode([queries[i].text for i in places]))
            rows = torch.from_numpy(np.maximum(listings[places], 0))
            found[places] = torch.einsum("qd,qkd->qk", vectors, self.listings[rows]).numpy()
        return np.where(listings == NONE, np.float32(np.nan), found)
