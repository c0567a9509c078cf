"""Static embeddings: a text is the mean of its tokens' vectors, each with a weight. It trains in seconds on a CPU.

The vectors start as what a text encoder says of each token alone (distillation as in Model2Vec, Tulkens & van Dongen,
2024), the weights as how telling a token is in the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

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
    """Token vectors distilled from a text tower. towers: a name as `wares pretrain --towers` takes it"""

    towers: str = "offline"
    learning_rate: float = 3e-3
    batch_size: int = 64
    listings_per_query: int = 16

    def fit(self, corpus: Corpus, seed: int) -> StaticModel:
        """Distilled once, cached from then on. Raises SettingsError for towers whose texts have no tokens."""
        towers = build_towers(self.towers, seed)
        tokenizer = require_sentence_tower("static", self.towers, towers.text).backbone.tokenizer
        words = [tokenizer.decode([token]).removeprefix("##") for token in range(len(tokenizer))]
        vectors = project_features(towers.text, text_features(words, towers.text), towers.dimension)
        return StaticModel(tokenizer, torch.from_numpy(vectors), corpus.texts)


class StaticModel(BiEncoder):
    """A table of token vectors and weights, shared by queries and listings."""

    def __init__(self, tokenizer: Any, vectors: Tensor, texts: Sequence[str]) -> None:
        super().__init__(len(texts))
        self.tokenizer = tokenizer
        self.token_vectors = nn.Parameter(vectors.clone())
        self.max_tokens = self._tokens(texts)
        in_texts = np.bincount(np.concatenate([np.unique(each) for each in self.max_tokens]), minlength=len(vectors))
        self.token_weights = nn.Parameter(torch.from_numpy(np.log1p(len(texts) / (1 + in_texts))).float())

    def prepare(self, queries: Sequence[Query]) -> None:
        """Tokens are quick to find."""

    def query_vectors(self, texts: Sequence[str]) -> Tensor:
        """Weighted means of token vectors."""
        return self._means(self._tokens(texts))

    def listing_vectors(self, indices: Tensor) -> Tensor:
        """Of tokens that were found once."""
        return self._means([self.max_tokens[place] for place in indices.tolist()])

    def new_listing_vectors(self, texts: Sequence[str]) -> Tensor:
        """The same means."""
        return self.query_vectors(texts)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [each or [self.tokenizer.unk_token_id] for each in ids]

    def _means(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        flat = torch.tensor(list(chain.from_iterable(tokens)), device=self.device)
        offsets = torch.tensor([0, *(len(each) for each in tokens[:-1])], device=self.device).cumsum(0)
        weights = self.token_weights[flat].clamp(min=0)
        return normalize(
            embedding_bag(flat, self.token_vectors, offsets, mode="sum", per_sample_weights=weights), dim=-1
        )
