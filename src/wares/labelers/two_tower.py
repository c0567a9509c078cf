"""The pretrained two-tower model as a labeler: queries against fused embeddings of photos and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wares.errors import SettingsError
from wares.labelers.embeddings import EmbeddingScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.corpus import Corpus
    from wares.encode import Vectors


@dataclass(frozen=True)
class TwoTower:
    """A model folder of `wares pretrain` or `wares finetune`."""

    model: str = ""

    def __post_init__(self) -> None:
        if not self.model:
            raise SettingsError("two-tower needs a model: two-tower(model='FOLDER'), as `wares pretrain` writes it.")

    def over(self, corpus: Corpus) -> EmbeddingScorer:
        """Embed and fuse the corpus, from cached features where they are there."""
        from wares.encode import embed, project, text_features
        from wares.fuse import fuse
        from wares.towers import load_towers

        towers = load_towers(self.model)

        def encode(texts: Sequence[str]) -> Vectors:
            return project(towers.text, text_features(texts, towers.text), towers.dimension)

        return EmbeddingScorer(fuse(embed(corpus.catalogue, towers, on_error="skip"), towers.fusion).vectors, encode)
