"""A text tower around any sentence-transformers model."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import normalize

from wares.encoders.base import Features, Inputs, LinearHead, TextTower

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentence_transformers import SentenceTransformer


class SentenceTower(TextTower):
    """A frozen sentence-transformers model and a linear head that starts as the identity.

    load: returns the model; called when the model is first used
    key: names the model and its weights
    dimension: dimension of the model's embeddings
    """

    def __init__(self, load: Callable[[], SentenceTransformer], key: str, dimension: int) -> None:
        super().__init__()
        self.key = key
        self.head = LinearHead(dimension)
        self._load = load

    @cached_property
    def backbone(self) -> SentenceTransformer:
        """The sentence-transformers model, which is not a submodule: its weights are frozen."""
        return self._load()

    @cached_property
    def _counting_tokenizer(self) -> Any:
        """A copy of the tokenizer: counting without truncation changes a tokenizer, even for other threads."""
        return deepcopy(self.backbone.tokenizer)

    def preprocess(self, items: Sequence[Any]) -> Inputs:
        """Token ids and masks, padded to the longest text."""
        tokens = self.backbone.preprocess(list(items))
        return {name: value for name, value in tokens.items() if isinstance(value, Tensor)}

    def encode(self, inputs: Inputs) -> Tensor:
        """(n, d) unit vectors."""
        vectors: Tensor = self.backbone.to(self.device)(dict(inputs))["sentence_embedding"]
        return normalize(vectors, dim=-1)

    def trainable_backbone(self) -> nn.Module:
        return self.backbone

    def features(self, items: Sequence[Any]) -> Features:
        """(n, d) float16 unit vectors."""
        vectors = self.backbone.encode(list(items), batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float16)

    def truncation_mask(self, texts: Sequence[str]) -> list[bool]:
        limit = self.backbone.max_seq_length
        if limit is None or not texts:
            return [False] * len(texts)
        lengths = self._counting_tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > limit for tokens in lengths]

    def forward(self, features: Tensor) -> Tensor:
        vectors: Tensor = self.head(features)
        return vectors


def load_sentence_model(name: str) -> SentenceTransformer:
    """Load a sentence-transformers model by name or folder, without progress bars."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    return SentenceTransformer(name)
