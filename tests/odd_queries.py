"""Queries as people also write them, and what every answer to them is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from tiny_models import WORDS

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.encoders.registry import build_towers
from wares.ranking.rankers.base import Ranker
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.scoring import NO_LISTING, Labels

ODD = {
    "empty": "",
    "spaces": " \n\t ",
    "unknown": "zzyzx qwrtp",
    "stop words": "the of and",
    "signs": "?!, --",
    "one word": "boots",
    "long": ("red leather boots for the winter " * 400)[:10_000],
    "one long word": "boots" * 2_000,
    "Chinese": "红色的鞋子",
    "Arabic": "حذاء جلد أحمر",
    "Cyrillic": "красные ботинки",
    "emoji": "👟🔥",
    "invisible": "\0 \u202e\u200b",
}
WORDLESS = ["empty", "spaces"]
UNKNOWN = ["unknown", "signs", "Chinese", "Arabic", "emoji", "invisible"]

GOOD = [Query(f"g{i}", f"{one} {other}") for i, (one, other) in enumerate(pairwise(WORDS[:7]))]
HARD = [Query(f"h{i}", text) for i, text in enumerate(ODD.values())]


def word_pairs(folder: Path) -> Corpus:
    """Twelve listings of two or three words each."""
    pairs = [(one, other) for i, one in enumerate(WORDS) for other in WORDS[i + 1 :]][::3]
    listings = [Listing(f"l{i}", f"{one} {other}", f"{other} mug") for i, (one, other) in enumerate(pairs)]
    return Corpus(Catalogue(folder, tuple(listings)))


def tiny_ranker(name: str, towers: str, folder: Path) -> Ranker:
    """A ranker by its name, on a tiny encoder. folder: of the model of a two-tower ranker"""
    if name != "two-tower":
        return get_ranker(f"{name}(towers={towers!r})")
    if not (folder / "model").exists():
        build_towers(towers).save(folder / "model")
    return get_ranker(f"two-tower(model={str(folder / 'model')!r})")


def check(labels: Labels, queries: int, k: int, listings: int) -> None:
    """What all labels are."""
    assert labels.listings.shape == labels.scores.shape == (queries, k)
    assert (str(labels.listings.dtype), str(labels.scores.dtype)) == ("int64", "float32")
    assert len(labels) == queries
    np.testing.assert_array_equal(labels.listings == NO_LISTING, np.isnan(labels.scores))
    np.testing.assert_array_equal(labels.present, ~np.isnan(labels.scores))
    for row, values, there in zip(labels.listings, labels.scores, labels.present, strict=True):
        assert not there[int(there.sum()) :].any(), "what is absent comes last"
        assert len(set(row[there].tolist())) == there.sum(), "no listing twice"
        assert ((row[there] >= 0) & (row[there] < listings)).all()
        assert (np.diff(values[there]) <= 0).all(), "the best first"
