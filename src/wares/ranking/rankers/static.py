"""Static embeddings: a text is the weighted mean of its tokens' vectors. It trains in seconds on a CPU.

Source: Model2Vec (Tulkens & van Dongen, 2024). Vectors are initialised to a text encoder's embedding of each token
alone, weights to the inverse document frequency of the token in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, normalize

from wares.encoders.features import project_features, text_features
from wares.encoders.registry import build_towers
from wares.ranking.rankers.base import require_sentence_tower
from wares.ranking.rankers.bi_encoder import BiEncoder, BiEncoderRanker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query


@dataclass(frozen=True)
class StaticRanker(BiEncoderRanker):
    """Weighted means of token vectors that are distilled from a sentence encoder, as in Model2Vec.

    towers: a name, as for `wares pretrain --towers`
    """

    requires: ClassVar[str] = "towers with a sentence encoder"
    source: ClassVar[str] = "Tulkens & van Dongen, 2024"
    towers: str = "offline"
    learning_rate: float = 3e-3
    batch_size: int = 64
    listings_per_query: int = 16

    def fit(self, corpus: Corpus, seed: int) -> StaticModel:
        """Token vectors are distilled once and cached. Raises SettingsError for towers without a sentence encoder."""
        towers = build_towers(self.towers, seed)
        tokenizer = require_sentence_tower("static", self.towers, towers.text).backbone.tokenizer
        token_texts = [tokenizer.decode([token]).removeprefix("##") for token in range(len(tokenizer))]
        vectors = project_features(towers.text, text_features(token_texts, towers.text), towers.dimension)
        return StaticModel(tokenizer, torch.from_numpy(vectors), corpus.texts)


class StaticModel(BiEncoder):
    """Token vectors and token weights, shared by queries and listings."""

    def __init__(self, tokenizer: Any, vectors: Tensor, texts: Sequence[str]) -> None:
        super().__init__(len(texts))
        self.tokenizer = tokenizer
        self.token_vectors = nn.Parameter(vectors.clone())
        self.listing_token_ids = self._token_ids(texts)
        document_frequency = np.bincount(
            np.concatenate([np.unique(ids) for ids in self.listing_token_ids]), minlength=len(vectors)
        )
        self.token_weights = nn.Parameter(torch.from_numpy(np.log1p(len(texts) / (1 + document_frequency))).float())

    def prepare(self, queries: Sequence[Query]) -> None:
        """Nothing: tokenising is fast."""

    def query_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) normalised weighted means of token vectors."""
        return self._means(self._token_ids(texts))

    def listing_vectors(self, indices: Tensor) -> Tensor:
        """(n, d) normalised means over the listings' tokens, which are cached."""
        return self._means([self.listing_token_ids[index] for index in indices.tolist()])

    def new_listing_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) the same means as for queries."""
        return self.query_vectors(texts)

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [ids or [self.tokenizer.unk_token_id] for ids in rows]

    def _means(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        flat = torch.tensor(list(chain.from_iterable(tokens)), device=self.device)
        offsets = torch.tensor([0, *(len(ids) for ids in tokens[:-1])], device=self.device).cumsum(0)
        weights = self.token_weights[flat].clamp(min=0)
        return normalize(
            embedding_bag(flat, self.token_vectors, offsets, mode="sum", per_sample_weights=weights), dim=-1
        )
