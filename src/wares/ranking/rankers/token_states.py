"""Token states of texts in a sentence encoder, for rankers that compare single tokens.

The encoder is frozen, so states are computed once and cached on disk as float16: 768 bytes per token of MiniLM.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wares.core.cache import FeatureCache, default_cache
from wares.core.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wares.encoders.base import Features
    from wares.encoders.sentence import SentenceTower


TEXT_BATCH_SIZE = 16  # texts encoded at once


@dataclass(frozen=True)
class PackedTokens:
    """Vectors of the tokens of N texts, concatenated.

    vectors: (T + 1, d), of which the last row is padding; ends: (N,) index after each text's last token
    """

    vectors: Tensor
    ends: Tensor

    @classmethod
    def pack(cls, texts: Sequence[Tensor]) -> PackedTokens:
        """Concatenate the (t, d) vectors of one text or more."""
        padding = texts[0].new_zeros(1, texts[0].shape[1])
        return cls(torch.cat([*texts, padding]), torch.tensor([len(vectors) for vectors in texts]).cumsum(0))

    @property
    def lengths(self) -> Tensor:
        """(N,) number of tokens of each text."""
        return self.ends.diff(prepend=torch.zeros(1, dtype=torch.int64))

    def padded(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(n, t, d) float32 vectors of n texts, padded to the longest, and their (n, t) mask."""
        lengths, ends = self.lengths[indices], self.ends[indices]
        columns = torch.arange(max(1, int(lengths.max())))
        rows = ((ends - lengths)[:, None] + columns).clamp(max=len(self.vectors) - 1)
        return self.vectors[rows].float(), columns < lengths[:, None]

    def concatenated(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(T, d) float32 vectors of n texts, concatenated, and their (n,) lengths."""
        lengths, ends = self.lengths[indices], self.ends[indices]
        rows = torch.arange(int(lengths.sum())) + (ends - lengths.cumsum(0)).repeat_interleave(lengths)
        return self.vectors[rows].float(), lengths


def token_ids(texts: Sequence[str], tower: SentenceTower) -> list[list[int]]:
    """Token ids of each text, truncated as the encoder truncates it, with special tokens."""
    if not texts:
        return []
    limit = tower.backbone.max_seq_length
    tokenizer = tower.backbone.tokenizer
    ids: list[list[int]] = tokenizer(list(texts), truncation=limit is not None, max_length=limit)["input_ids"]
    return ids


def token_states(texts: Sequence[str], tower: SentenceTower) -> list[Tensor]:
    """(t, h) float16 states of each text's tokens; states that were computed before are read from the cache.

    Texts of the same length are encoded together, so that nothing is padded.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, ids in enumerate(token_ids(texts, tower)):
        by_length[len(ids)].append(index)
    states: dict[int, Tensor] = {}
    with (
        closing(FeatureCache(default_cache(), f"{tower.cache_key}, token states")) as cache,
        progress(None, "encoding tokens", total=len(texts), unit="texts") as bar,
    ):
        for indices in by_length.values():
            batch = [texts[index] for index in indices]
            keys = [hashlib.sha256(text.encode()).hexdigest() for text in batch]
            features, _ = cache.get_or_compute(keys, lambda new, batch=batch: _encode([batch[i] for i in new], tower))  # type: ignore[misc]
            states |= dict(zip(indices, torch.from_numpy(features), strict=True))
            bar.update(len(indices))
    return [states[index] for index in range(len(texts))]


@torch.inference_mode()
def _encode(texts: Sequence[str], tower: SentenceTower) -> Iterator[Features]:
    for start in range(0, len(texts), TEXT_BATCH_SIZE):
        inputs = tower.preprocess(texts[start : start + TEXT_BATCH_SIZE])
        states: Tensor = tower.backbone(dict(inputs))["token_embeddings"]
        yield from states.half().numpy()
