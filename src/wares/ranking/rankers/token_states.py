"""Texts as the states of their tokens in a sentence encoder, for rankers that look at single tokens.

The encoder is frozen, so states are computed once and cached on disk: two bytes a number, 768 a token of MiniLM.
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


TEXT_BATCH_SIZE = 16  # read at once


@dataclass(frozen=True)
class PackedTokens:
    """Vectors of the tokens of some texts, one text after the other.

    vectors: (T + 1, d), the last of no text; ends: (N,) where each text ends
    """

    vectors: Tensor
    ends: Tensor

    @classmethod
    def pack(cls, texts: Sequence[Tensor]) -> PackedTokens:
        """texts: (t, d) of each, one or more"""
        nothing = texts[0].new_zeros(1, texts[0].shape[1])  # so that there is a row to pad with
        return cls(torch.cat([*texts, nothing]), torch.tensor([len(each) for each in texts]).cumsum(0))

    @property
    def lengths(self) -> Tensor:
        """(N,) tokens of each text."""
        return self.ends.diff(prepend=torch.zeros(1, dtype=torch.int64))

    def padded(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(n, t, d) float vectors of the texts at these places, t as in the longest, and (n, t) where there is one."""
        lengths, ends = self.lengths[indices], self.ends[indices]
        columns = torch.arange(max(1, int(lengths.max())))
        rows = ((ends - lengths)[:, None] + columns).clamp(max=len(self.vectors) - 1)
        return self.vectors[rows].float(), columns < lengths[:, None]

    def concatenated(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(T, d) float vectors of the texts at these places, one after the other, and (n,) their lengths."""
        lengths, ends = self.lengths[indices], self.ends[indices]
        rows = torch.arange(int(lengths.sum())) + (ends - lengths.cumsum(0)).repeat_interleave(lengths)
        return self.vectors[rows].float(), lengths


def token_ids(texts: Sequence[str], tower: SentenceTower) -> list[list[int]]:
    """The tokens of each text as far as the encoder reads, special ones too."""
    if not texts:
        return []
    limit = tower.backbone.max_seq_length
    tokenizer = tower.backbone.tokenizer
    ids: list[list[int]] = tokenizer(list(texts), truncation=limit is not None, max_length=limit)["input_ids"]
    return ids


def token_states(texts: Sequence[str], tower: SentenceTower) -> list[Tensor]:
    """(t, h) float16 states of each text's tokens; those that were read before come from the cache.

    Texts of as many tokens are read together, so that nothing is padded.
    """
    alike: dict[int, list[int]] = defaultdict(list)
    for place, ids in enumerate(token_ids(texts, tower)):
        alike[len(ids)].append(place)
    found: dict[int, Tensor] = {}
    with (
        closing(FeatureCache(default_cache(), f"{tower.cache_key}, token states")) as store,
        progress(None, "reading tokens", total=len(texts), unit="texts") as bar,
    ):
        for places in alike.values():
            chosen = [texts[place] for place in places]
            keys = [hashlib.sha256(text.encode()).hexdigest() for text in chosen]
            states, _ = store.get_or_compute(keys, lambda new, chosen=chosen: _read([chosen[i] for i in new], tower))  # type: ignore[misc]
            found |= dict(zip(places, torch.from_numpy(states), strict=True))
            bar.update(len(places))
    return [found[place] for place in range(len(texts))]


@torch.inference_mode()
def _read(texts: Sequence[str], tower: SentenceTower) -> Iterator[Features]:
    for start in range(0, len(texts), TEXT_BATCH_SIZE):
        inputs = tower.preprocess(texts[start : start + TEXT_BATCH_SIZE])
        states: Tensor = tower.backbone(dict(inputs))["token_embeddings"]
        yield from states.half().numpy()
