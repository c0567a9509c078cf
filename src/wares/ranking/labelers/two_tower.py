"""A trained two-tower model as a labeler: queries against fused embeddings of photos and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wares.core.errors import SettingsError
from wares.ranking.labelers.embedding_scorer import EmbeddingScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.encoders.features import Vectors
    from wares.encoders.towers import Towers


@dataclass(frozen=True)
class TwoTowerLabeler:
    """Inner product of a query with the fused embeddings of a trained model. model: its folder"""

    requires: ClassVar[str] = "a model folder of wares pretrain or wares finetune"
    model: str = ""

    def __post_init__(self) -> None:
        if not self.model:
            raise SettingsError(
                "two-tower needs a model. Write two-tower(model='FOLDER'), with a folder of `wares pretrain`."
            )

    def fit(self, corpus: Corpus) -> EmbeddingScorer:
        """Embed and fuse the corpus; cached features are reused."""
        from wares.encoders.features import project_features, text_features
        from wares.encoders.registry import load_towers

        towers = load_towers(self.model)

        def encode(texts: Sequence[str]) -> Vectors:
            return project_features(towers.text, text_features(texts, towers.text), towers.dimension)

        return EmbeddingScorer(fused_embeddings(corpus, towers), encode)


def fused_embeddings(corpus: Corpus, towers: Towers) -> Vectors:
    """(N, d) fused embeddings of a corpus.

    Raises PhotoError for a photo that cannot be read, unless the corpus skips such photos; then it records the problem.
    """
    from wares.encoders.features import embed
    from wares.encoders.fusion import fuse

    embeddings = embed(corpus.catalogue, towers, on_error=corpus.on_error)
    corpus.add_problems(embeddings.problems)
    return fuse(embeddings, towers.fusion).vectors
