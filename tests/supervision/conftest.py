"""A tiny corpus and settings that train in no time, for all tests of supervision."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import BASELINES, small_corpus, small_settings

from wares.data.corpus import Corpus
from wares.supervision.settings import SuperviseSettings


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return small_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def settings(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SuperviseSettings:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("wares.supervision.recipe.BASELINES", BASELINES)
    return small_settings(shelf)
