"""Queries as people also write them, and what every answer to them is."""

from __future__ import annotations

import numpy as np

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
