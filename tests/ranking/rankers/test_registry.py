"""Untrained rankers as teachers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ranker_cases import word_labels
from tiny_models import named

from wares.core.errors import SettingsError
from wares.data.corpus import Corpus
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.rankers.base import Ranker
from wares.ranking.rankers.registry import get_teacher


def test_an_untrained_ranker_is_a_teacher(make: Callable[[str], Ranker], shelf: Path, corpus: Corpus) -> None:
    queries, listings = word_labels(corpus).queries, word_labels(corpus).listings
    teacher = get_teacher(f"late-interaction(towers={named('pair', shelf)!r})").fit(corpus)
    expected = make("late-interaction").fit(corpus, seed=0).scorer().score(queries, listings)
    np.testing.assert_array_equal(teacher.score(queries, listings), expected)


def test_a_labelers_name_wins_over_a_rankers() -> None:
    """`dense` is both, and the untrained ranker is what the labeler is."""
    assert get_teacher("dense") == get_labeler("dense")
    with pytest.raises(SettingsError, match=r"no labeler 'colbert'; there are bm25, .*late-interaction"):
        get_teacher("colbert")
