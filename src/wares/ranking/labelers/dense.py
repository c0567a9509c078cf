"""An embedding model as a labeler: cosine of the query with the joined texts of a listing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wares.ranking.labelers.embedding_scorer import EmbeddingScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.encoders.features import Vectors


@dataclass(frozen=True)
class DenseLabeler:
    """Cosine similarity by a published text encoder, untrained. towers: a name, as for `wares pretrain --towers`"""

    towers: str = "offline"

    def fit(self, corpus: Corpus) -> EmbeddingScorer:
        """Embed the corpus; texts that were embedded before are read from the cache."""
        from wares.encoders.features import notice_truncated, project_features, text_features
        from wares.encoders.registry import build_towers

        towers = build_towers(self.towers)
        notice_truncated(corpus.texts, towers.text, "dense")

        def encode(texts: Sequence[str]) -> Vectors:
            return project_features(towers.text, text_features(texts, towers.text), towers.dimension)

        return EmbeddingScorer(encode(corpus.texts), encode)
