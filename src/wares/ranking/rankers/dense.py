"""Dense retrieval: one text encoder for queries and listings, of which any layers can be trained.

Source: two encoders as in DPR (Karpukhin et al., EMNLP 2020) that share a backbone as in Sentence-BERT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from wares.encoders.backbones import unfreeze_backbone
from wares.encoders.base import LinearHead
from wares.encoders.features import notice_truncated, project_features, text_features
from wares.encoders.registry import build_towers
from wares.encoders.settings import FROZEN, check_backbone_mode
from wares.ranking.rankers.bi_encoder import BiEncoder, BiEncoderRanker, FrozenBiEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.encoders.base import TextTower


@dataclass(frozen=True)
class DenseRanker(BiEncoderRanker):
    """A text encoder over queries and the joined texts of listings, as in DPR.

    towers: a name, as for `wares pretrain --towers`
    backbone: "frozen" trains a head for queries and one for listings; "last-N", "lora" or "all" train the encoder
    """

    source: ClassVar[str] = "Karpukhin et al., EMNLP 2020"
    towers: str = "offline"
    backbone: str = FROZEN
    learning_rate: float = 3e-4
    batch_size: int = 128
    listings_per_query: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_backbone_mode(self.backbone)

    def fit(self, corpus: Corpus, seed: int) -> BiEncoder:
        """The published encoder; heads are initialised to the identity."""
        towers = build_towers(self.towers, seed)
        notice_truncated(corpus.texts, towers.text, "dense")
        if self.backbone != FROZEN:
            unfreeze_backbone(towers.text, self.backbone)
            return DenseModel(towers.text, corpus.texts)

        def encode(texts: Sequence[str]) -> Tensor:
            return torch.from_numpy(project_features(towers.text, text_features(texts, towers.text), towers.dimension))

        return FrozenBiEncoder(encode(corpus.texts), encode, LinearHead(towers.dimension), LinearHead(towers.dimension))


class DenseModel(BiEncoder):
    """A trained text tower over one corpus."""

    def __init__(self, tower: TextTower, texts: Sequence[str]) -> None:
        super().__init__(len(texts))
        self.tower, self.texts = tower, texts

    def prepare(self, queries: Sequence[Query]) -> None:
        """Nothing: encodings change during training."""

    def query_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) the tower over the texts."""
        inputs = {name: value.to(self.tower.device) for name, value in self.tower.preprocess(list(texts)).items()}
        vectors: Tensor = self.tower(self.tower.encode(inputs))
        return vectors

    def listing_vectors(self, indices: Tensor) -> Tensor:
        """(n, d) the tower over the joined texts of each listing."""
        return self.query_vectors([self.texts[index] for index in indices.tolist()])

    def new_listing_vectors(self, texts: Sequence[str]) -> Tensor:
        """(n, d) the tower over the texts."""
        return self.query_vectors(texts)
