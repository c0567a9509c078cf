"""A corpus of word pairs, and rankers on a tiny encoder, for the tests of rankers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ranker_cases import PUBLISHED
from tiny_models import WORDS, named

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing
from wares.encoders.registry import build_towers
from wares.ranking.rankers.base import Ranker
from wares.ranking.rankers.registry import get_ranker


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twelve listings of two words each."""
    pairs = [(one, other) for i, one in enumerate(WORDS[:6]) for other in WORDS[i + 1 : 6]][:12]
    listings = [Listing(f"l{i}", f"{one} {other}", "", (), (), None, {}) for i, (one, other) in enumerate(pairs)]
    return Corpus(Catalogue(tmp_path_factory.mktemp("corpus"), tuple(listings)))


@pytest.fixture
def make(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ranker]:
    """A ranker by its name, on the tiny sentence encoder."""
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))

    def ranker(name: str) -> Ranker:
        found = get_ranker(name if name != "two-tower" else "two-tower(model='unset')")
        if name == "two-tower":
            build_towers(named("pair", shelf)).save(tmp_path / "model")
            return replace(found, model=str(tmp_path / "model"))  # type: ignore[type-var]
        if name == PUBLISHED:
            return replace(found, model=f"{shelf}/cross-encoder")  # type: ignore[type-var]
        return replace(found, towers=named("pair", shelf))  # type: ignore[type-var]

    return ranker
