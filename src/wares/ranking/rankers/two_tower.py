"""The pretrained two-tower model as a ranker: the query side is trained, the listings' fused embeddings stay.

So a trained query tower takes the place of the old one in a shop, and no listing is encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from wares.core.errors import ModelError, SettingsError
from wares.encoders.features import text_features
from wares.encoders.registry import load_towers
from wares.encoders.towers import Towers
from wares.ranking.labelers.two_tower import fused_embeddings
from wares.ranking.rankers.base import WEIGHTS_FILE, Ranker
from wares.ranking.rankers.bi_encoder import FrozenBiEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from wares.data.corpus import Corpus


QUERY_HEAD_PREFIX = "query_head."  # before the names of the weights of the text tower


@dataclass(frozen=True)
class TwoTowerRanker(Ranker):
    """A model folder of `wares pretrain` or `wares finetune`; photos and texts count as its fusion says."""

    replaces_query_tower: ClassVar[bool] = True

    model: str = ""
    learning_rate: float = 1e-4
    batch_size: int = 128
    listings_per_query: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model:
            raise SettingsError("two-tower needs a model: two-tower(model='FOLDER'), as `wares pretrain` writes it.")

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

    def write_listing_side(self, trained: Path, seed: int, corpus: Corpus, out: Path) -> None:
        """Write nothing: listings keep their fused embeddings."""

    def check_towers(self, identity: str, run: Path) -> None:
        """Raise ModelError if the query tower was trained for another model than this."""
        trained_for = load_towers(self.model).identity
        if trained_for != identity:
            raise ModelError(
                f"{run}: its query tower was trained for {self.model}, which is model {trained_for[:8]}…, and the "
                f"shop's is {identity[:8]}…. Index with --model {self.model}, or train a ranker of this model."
            )

    def query_towers(self, folder: Path, towers: Towers) -> Towers:
        """The towers with the trained query side. Both share their frozen parts. Raises ModelError."""
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
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise ModelError(f"{folder} is damaged ({reason}).") from error
        if unknown or not head:
            raise ModelError(f"{folder} is of other towers than the shop's.")
        return Towers(towers.name, towers.image, text, towers.dimension)
