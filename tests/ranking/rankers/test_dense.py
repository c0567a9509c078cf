"""Dense retrieval against sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.rankers.base import Ranker
from wares.ranking.rankers.bi_encoder import BiEncoder


def test_untrained_frozen_dense_equals_the_encoder(make: Callable[[str], Ranker], corpus: Corpus, shelf: Path) -> None:
    """Heads start as the identity, so cosines are those of sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    model = make("dense").fit(corpus, seed=0)
    assert isinstance(model, BiEncoder)
    encoder = SentenceTransformer(str(shelf / "text"))
    queries = [Query("1", "red wool"), Query("2", "winter mug")]
    vectors = [encoder.encode(texts, normalize_embeddings=True) for texts in ([q.text for q in queries], corpus.texts)]
    listings = np.broadcast_to(np.arange(len(corpus)), (2, len(corpus)))
    scale = float(model.log_scale.detach().exp())
    np.testing.assert_allclose(model.scorer().score(queries, listings), scale * vectors[0] @ vectors[1].T, atol=2e-2)
