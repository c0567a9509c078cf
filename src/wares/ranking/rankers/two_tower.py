"""The pretrained two-tower model as a ranker: the query side is trained, the listings' fused embeddings stay.

So a trained query tower takes the place of the old one in a shop, and no listing is encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from wares.core.errors import SettingsError
from wares.encoders.features import text_features
from wares.encoders.registry import load_towers
from wares.ranking.labelers.two_tower import fused_embeddings
from wares.ranking.rankers.base import TrainingDefaults
from wares.ranking.rankers.bi_encoder import FrozenBiEncoder

if TYPE_CHECKING:
    from wares.data.corpus import Corpus


@dataclass(frozen=True)
class TwoTowerRanker:
    """A model folder of `wares pretrain` or `wares finetune`; photos and texts count as its fusion says."""

    model: str = ""
    learning_rate: float = 1e-4
    batch_size: int = 128
    listings_per_query: int = 64

    def __post_init__(self) -> None:
        _ = self.training_defaults
        if not self.model:
            raise SettingsError("two-tower needs a model: two-tower(model='FOLDER'), as `wares pretrain` writes it.")

    @property
    def training_defaults(self) -> TrainingDefaults:
        """As the settings say."""
        return TrainingDefaults(self.learning_rate, self.batch_size, self.listings_per_query)

    def fit(self, corpus: Corpus, seed: int) -> FrozenBiEncoder:
        """The model as it was trained; the head of its text tower learns, from queries only."""
        del seed  # nothing starts at random
        towers = load_towers(self.model)
        towers.requires_grad_(False)
        listings = fused_embeddings(corpus, towers)
        head: nn.Module = towers.text.requires_grad_(True)
        return FrozenBiEncoder(
            torch.from_numpy(np.ascontiguousarray(listings)),
            lambda texts: torch.from_numpy(text_features(list(texts), towers.text)),
            head,
        )
