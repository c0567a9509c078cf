"""A two-tower model as a ranker: the query tower is trained, the fused embeddings of listings are frozen.

So a shop can replace its query tower without encoding its listings again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from wares.core.errors import ModelError, SettingsError, condensed
from wares.encoders.features import text_features
from wares.encoders.registry import load_towers
from wares.encoders.towers import Towers
from wares.ranking.labelers.two_tower import fused_embeddings
from wares.ranking.rankers.base import WEIGHTS_FILE, Ranker
from wares.ranking.rankers.bi_encoder import FrozenBiEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from wares.data.corpus import Corpus


QUERY_HEAD_PREFIX = "query_head."  # of the names of the text tower's weights


@dataclass(frozen=True)
class TwoTowerRanker(Ranker):
    """The query tower of a trained model, against the fused embeddings of listings. model: its folder"""

    replaces_query_tower: ClassVar[bool] = True
    requires: ClassVar[str] = "a model folder of wares pretrain or wares finetune"
    model: str = ""
    learning_rate: float = 1e-4
    batch_size: int = 128
    listings_per_query: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model:
            raise SettingsError(
                "two-tower needs a model. Write two-tower(model='FOLDER'), with a folder of `wares pretrain`."
            )

    def fit(self, corpus: Corpus, seed: int) -> FrozenBiEncoder:
        """The model as it was saved; only the head of its text tower is trained, on queries."""
        del seed  # there is no random initialisation
        towers = load_towers(self.model)
        towers.requires_grad_(False)
        listings = fused_embeddings(corpus, towers)
        head: nn.Module = towers.text.requires_grad_(True)
        return FrozenBiEncoder(
            torch.from_numpy(np.ascontiguousarray(listings)),
            lambda texts: torch.from_numpy(text_features(list(texts), towers.text)),
            head,
        )

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write nothing: listings keep their fused embeddings."""

    def check_towers(self, identity: str, run: Path) -> None:
        """Raise ModelError if the query tower was trained for another model."""
        trained_for = load_towers(self.model).identity
        if trained_for != identity:
            raise ModelError(
                f"{run}: the query tower was trained for {self.model} (model {trained_for[:8]}…), but the shop has "
                f"model {identity[:8]}…. Index with --model {self.model}, or train a ranker for the shop's model."
            )

    def query_towers(self, folder: Path, towers: Towers) -> Towers:
        """The towers with the trained query tower; frozen parts are shared. Raises ModelError."""
        text = towers.text.copy_sharing_backbone()
        try:
            saved = load_file(str(folder / WEIGHTS_FILE))
            head = {
                name.removeprefix(QUERY_HEAD_PREFIX): value
                for name, value in saved.items()
                if name.startswith(QUERY_HEAD_PREFIX)
            }
            unknown = text.load_state_dict(head, strict=False).unexpected_keys
        except (OSError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{folder} is damaged ({condensed(error)}).") from error
        if unknown or not head:
            raise ModelError(f"{folder} belongs to other towers than the shop's.")
        query_towers = Towers(towers.name, towers.image, text, towers.dimension)
        query_towers.aligned = towers.aligned
        return query_towers
