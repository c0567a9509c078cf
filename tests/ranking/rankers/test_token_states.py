"""Token states: caching and batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_models import named

from wares.encoders.registry import build_towers
from wares.ranking.rankers.base import Ranker


def test_token_states_are_cached_and_do_not_depend_on_the_batch(
    make: Callable[[str], Ranker], shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wares.encoders.sentence import SentenceTower
    from wares.ranking.rankers import token_states as tokens

    make("late-interaction")  # gives the cache a folder of its own
    tower = build_towers(named("pair", shelf)).text
    assert isinstance(tower, SentenceTower)
    texts = ["red", "blue wool scarf", "mug", "red"]
    together = tokens.token_states(texts, tower)
    assert [len(states) for states in together] == [3, 5, 3, 3]
    with torch.inference_mode():
        alone = tower.backbone(tower.preprocess(["blue wool scarf"]))["token_embeddings"][0]
    torch.testing.assert_close(together[1].float(), alone, atol=1e-2, rtol=1e-2)
    monkeypatch.setattr(tokens, "_encode", None)
    torch.testing.assert_close(tokens.token_states(texts[::-1], tower)[2], together[1])
