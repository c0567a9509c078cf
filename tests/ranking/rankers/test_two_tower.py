"""The two-tower ranker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from ranker_cases import word_labels

from wares.data.corpus import Corpus
from wares.ranking.rankers.base import Ranker, TrainingDefaults
from wares.ranking.rankers.bi_encoder import BiEncoder
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker


def test_training_does_not_change_listing_vectors(
    make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """So a shop need not encode them again."""
    model = make("two-tower").fit(corpus, seed=0)
    assert isinstance(model, BiEncoder)
    before = model.listing_vectors(torch.arange(len(corpus))).clone()
    train_ranker(
        model, word_labels(corpus), TrainingDefaults(1e-2, 6, 8), RankerTrainingSettings(epochs=5), 0, tmp_path
    )
    after = model.listing_vectors(torch.arange(len(corpus))).cpu()
    torch.testing.assert_close(after, before, rtol=0, atol=0)
