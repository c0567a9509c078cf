"""Names of all rankers, and a small training set, for tests of rankers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_models import WORDS

from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.rankers.base import Ranker, RankerModel, SoftLabels, TrainingDefaults
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker

PUBLISHED = "cross-encoder(model='unset')"
LAYERED = ["dense(backbone='last-1')", "dense(backbone='lora')", "cross-encoder", PUBLISHED]  # learn slowly
MEMBERS = ["static", "dense", "sparse", "late-interaction", "two-tower", *LAYERED]


def train_and_save(ranker: Ranker, soft_labels: SoftLabels, corpus: Corpus, folder: Path) -> RankerModel:
    """A model that has learned a little, and its weights in `folder/ranker`."""
    model = ranker.fit(corpus, seed=1)
    train_ranker(model, soft_labels, TrainingDefaults(1e-2, 6, 8), RankerTrainingSettings(epochs=3), 0, folder)
    model.save(folder / "ranker")
    return model


def word_labels(corpus: Corpus) -> SoftLabels:
    """For each word, all listings; those that hold it share the query among themselves."""
    queries = [Query(word, word) for word in WORDS[:6]]
    holds = np.array([[query.text in text for text in corpus.texts] for query in queries])
    with np.errstate(divide="ignore"):
        shares = np.log(holds / holds.sum(1, keepdims=True))
    shares[~holds] = np.log(1e-6)
    listings = np.broadcast_to(np.arange(len(corpus)), holds.shape).copy()
    return SoftLabels(queries, listings, shares, np.ones(len(queries)))


def precision(model: RankerModel, soft_labels: SoftLabels) -> float:
    """How many of the first two results are as taught."""
    found = model.scorer().retrieve(soft_labels.queries, 2).listings
    shares = np.take_along_axis(soft_labels.log_probs, found, axis=1)
    return float((shares > np.log(1e-6)).mean())
