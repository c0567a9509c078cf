"""Published cross-encoders against sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ranker_cases import PUBLISHED
from tiny_models import save_cross_encoder

from wares.core.errors import ModelError
from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.rankers.base import Ranker
from wares.ranking.rankers.registry import get_ranker


def test_a_published_cross_encoder_scores_as_sentence_transformers(
    make: Callable[[str], Ranker], shelf: Path, corpus: Corpus
) -> None:
    from sentence_transformers import CrossEncoder

    query, indices = Query("1", "red scarf"), np.arange(len(corpus))
    scores = make(PUBLISHED).fit(corpus, seed=0).scorer().score([query], indices[None])[0]
    library = CrossEncoder(f"{shelf}/cross-encoder", device="cpu")
    pairs = [(query.text, corpus.texts[index]) for index in indices]
    np.testing.assert_allclose(scores, library.predict(pairs, activation_fn=torch.nn.Identity()), rtol=1e-4, atol=1e-4)


def test_other_models_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        get_ranker("cross-encoder(model='./nowhere')").fit(corpus, 0)
    save_cross_encoder(tmp_path / "classes", outputs=3)
    with pytest.raises(ModelError, match=r"has 3 outputs\. Choose a cross-encoder with one"):
        get_ranker(f"cross-encoder(model={str(tmp_path / 'classes')!r})").fit(corpus, 0)
