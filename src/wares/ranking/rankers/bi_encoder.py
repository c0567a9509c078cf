"""Base classes of rankers that compare one vector of a query with one of a listing."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from wares.ranking.labelers.embedding_scorer import EmbeddingScorer
from wares.ranking.rankers.base import Ranker, RankerModel, best_device, load_trained
from wares.ranking.reranking import (
    LISTING_VECTORS_FILE,
    EmbeddingReranker,
    ListingData,
    placeholder_corpus,
    read_listing_vectors,
    write_listing_vectors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.encoders.features import Vectors


INITIAL_SCALE = 20.0  # of cosines; it is learned
INFERENCE_BATCH_SIZE = 256  # listings encoded at once outside training


class BiEncoderRanker(Ranker):
    """A ranker whose model compares vectors, so that a shop saves the vectors of its listings."""

    needs: ClassVar[ListingData] = "vectors"

    @abstractmethod
    def fit(self, corpus: Corpus, seed: int) -> BiEncoder:
        """The untrained model over a corpus. seed: of the random initialisation"""

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write the vectors of all listings."""
        vectors = load_trained(self.fit(corpus, seed), trained).scorer().listing_vectors.numpy()
        write_listing_vectors(corpus.ids.tolist(), vectors, out / LISTING_VECTORS_FILE)

    def open_reranker(self, folder: Path, seed: int, corpus: Callable[[], Corpus]) -> EmbeddingReranker:
        """From the saved vectors; the corpus is not read."""
        del corpus
        model = load_trained(self.fit(placeholder_corpus(), seed), folder)
        ids, vectors = read_listing_vectors(folder / LISTING_VECTORS_FILE)
        return EmbeddingReranker(model.scorer().encode, model.encode_new_listings, ids, vectors)


class BiEncoder(RankerModel):
    """Cosines of query vectors and listing vectors, times a learned scale."""

    log_scale: nn.Parameter

    def __init__(self, listing_count: int) -> None:
        super().__init__()
        self.listing_count = listing_count
        self.log_scale = nn.Parameter(torch.tensor(math.log(INITIAL_SCALE)))

    @property
    def scale(self) -> Tensor:
        """The scale of cosines, at most 100."""
        return self.log_scale.exp().clamp(max=100.0)

    @abstractmethod
    def query_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) unit vectors of queries."""

    @abstractmethod
    def listing_vectors(self, indices: Tensor) -> Tensor:
        """(n, d) unit vectors of listings of the corpus. indices: (n,)"""

    @abstractmethod
    def new_listing_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) unit vectors of listings outside of the corpus. texts: the joined texts of each"""

    def forward(self, queries: Sequence[str], listings: Tensor) -> Tensor:
        """(B, K) scores; each listing of a batch is encoded once."""
        indices, inverse = listings.clamp(min=0).unique(return_inverse=True)
        vectors = self.listing_vectors(indices)
        cosines = self.query_vectors(queries) @ vectors.T
        return cosines.gather(1, inverse) * self.scale

    def scorer(self) -> EmbeddingScorer:
        """Inner products with the scaled vectors of all listings."""
        self.eval().to(best_device())
        batches = torch.arange(self.listing_count, device=self.device).split(INFERENCE_BATCH_SIZE)
        with torch.inference_mode():
            vectors = torch.cat([self.listing_vectors(indices) for indices in batches]) * self.scale
        return EmbeddingScorer(vectors.cpu().numpy(), self._encode_queries)

    @torch.inference_mode()
    def encode_new_listings(self, texts: Sequence[str]) -> Vectors:
        """(n, d) scaled vectors of listings outside of the corpus, as the scorer has them for its own."""
        vectors: Vectors = (self.new_listing_vectors(texts) * self.scale).cpu().numpy()
        return vectors

    @torch.inference_mode()
    def _encode_queries(self, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = self.query_vectors(texts).cpu().numpy()
        return vectors


class FrozenBiEncoder(BiEncoder):
    """Trained heads over frozen vectors that are computed once, so that a training step is cheap.

    vectors: (N, d) of the listings; encode: texts -> (n, ...) inputs of `query_head`
    """

    def __init__(
        self,
        vectors: Tensor,
        encode: Callable[[Sequence[str]], Tensor],
        query_head: nn.Module,
        listing_head: nn.Module | None = None,
    ) -> None:
        super().__init__(len(vectors))
        self.register_buffer("vectors", vectors, persistent=False)
        self.encode = encode
        self.query_head = query_head
        self.listing_head = listing_head or nn.Identity()
        self.query_cache: dict[str, Tensor] = {}

    def prepare(self, queries: Sequence[Query]) -> None:
        """Encode the training queries once."""
        texts = sorted({query.text for query in queries} - set(self.query_cache))
        if texts:
            self.query_cache |= dict(zip(texts, self.encode(texts), strict=True))

    def query_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) the query head over cached or new encodings."""
        is_cached = all(text in self.query_cache for text in texts)
        features = torch.stack([self.query_cache[text] for text in texts]) if is_cached else self.encode(texts)
        vectors: Tensor = self.query_head(features.to(self.device))
        return vectors

    def listing_vectors(self, indices: Tensor) -> Tensor:
        """(n, d) the listing head over the frozen vectors."""
        vectors: Tensor = self.listing_head(self.get_buffer("vectors")[indices])
        return vectors

    def new_listing_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) the listing head over encoded texts. The frozen vectors must be of texts, too."""
        vectors: Tensor = self.listing_head(self.encode(texts).to(self.device))
        return vectors
