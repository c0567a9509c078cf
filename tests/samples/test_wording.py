"""Phrases and typos of sellers."""

from __future__ import annotations

import numpy as np
import pytest

from wares.samples.phrases import PHRASES
from wares.samples.wording import misspell


def test_every_phrase_can_be_filled_in() -> None:
    values = {"size": "M", "rrp": 20, "word": "red", "Word": "Red", "colour": "red", "kind": "mug"}
    title, description = PHRASES.title, PHRASES.description
    for phrase in (*title.sizes, *title.closers, *description.fit, *description.other_items):
        assert phrase.format(**values) or not phrase
    assert set(description.sentences) == {"kind", "colour", "pattern", "material", "shape", "occasion"}
    for sentences in description.sentences.values():
        assert all("red" in sentence.format(**values).lower() for sentence in sentences)


@pytest.mark.parametrize("word", ["dress", "coat", "14k", "off-white"])
def test_a_typo_keeps_the_first_letter_and_changes_the_length_by_one_at_most(word: str) -> None:
    typos = {misspell(word, np.random.default_rng(seed)) for seed in range(40)}
    assert all(typo[0] == word[0] and abs(len(typo) - len(word)) <= 1 for typo in typos)
    assert len(typos) > 2 or typos == {"14k"}
