"""Sentence embeddings from any sentence-transformers model, loaded when first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence


class SentenceFeatures:
    """A frozen sentence-transformers model by name or folder."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.model = SentenceTransformer(name)

    @property
    def dimension(self) -> int:
        """Size of an embedding."""
        return int(self.model.get_sentence_embedding_dimension() or 0)

    def encode(self, texts: list[str]) -> npt.NDArray[np.float16]:
        """(n, dimension) float16, unit vectors."""
        vectors = self.model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float16)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Which texts have more tokens than the model reads."""
        limit = self.model.max_seq_length
        if limit is None or not texts:
            return [False] * len(texts)
        lengths = self.model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return [len(tokens) > limit for tokens in lengths]
