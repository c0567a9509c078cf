"""Odd queries over every ranker: scores are finite numbers, and training on them works.

Every labeler meets the same queries in the tests of labelers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from odd_queries import GOOD, HARD, ODD, check, tiny_ranker, word_pairs
from tiny_models import named

from wares.core.progress import notice
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.rankers.base import Ranker, SoftLabels, TrainingDefaults
from wares.ranking.rankers.registry import rankers
from wares.ranking.scoring import NO_LISTING
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return word_pairs(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def towers(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    return named("pair", shelf)


@pytest.fixture
def make(towers: str, tmp_path: Path) -> Callable[[str], Ranker]:
    """A ranker by its name, on the tiny sentence encoder."""
    return lambda name: tiny_ranker(name, towers, tmp_path)


@pytest.mark.parametrize("name", rankers())
def test_rankers_score_hard_queries_with_finite_numbers(
    name: str, make: Callable[[str], Ranker], corpus: Corpus
) -> None:
    """Among others as alone; all scores are numbers; what has no word has no answer."""
    scorer = make(name).fit(corpus, seed=1).scorer()
    queries = [GOOD[0], *HARD, GOOD[1]]
    labels = scorer.retrieve(queries, 20)
    check(labels, len(queries), 20, len(corpus))
    assert np.isfinite(labels.scores[labels.present]).all()
    scores = scorer.score(queries, np.tile(np.arange(len(corpus)), (len(queries), 1)))
    assert not np.isinf(scores).any()
    for place, query in enumerate(queries):
        alone = scorer.retrieve([query], 20)
        np.testing.assert_array_equal(alone.present[0], labels.present[place])
        np.testing.assert_allclose(alone.scores[0], labels.scores[place], rtol=1e-4, atol=1e-4)
        if not query.text.strip():
            assert not labels.present[place].any()
    assert labels.present[[0, -1]].any(axis=1).all()


@pytest.mark.parametrize("name", rankers())
def test_rankers_train_on_hard_queries(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """Labels are random where there are any; some queries have none, some one, some no weight."""
    random, queries = np.random.default_rng(3), [*GOOD, *HARD]
    listings = np.tile(np.arange(len(corpus)), (len(queries), 1))
    shares = np.log(random.dirichlet(np.ones(len(corpus)), len(queries)))
    listings[len(GOOD) : len(GOOD) + 2], shares[len(GOOD) : len(GOOD) + 2] = NO_LISTING, -np.inf
    listings[0, 1:], shares[0, 1:], shares[0, 0] = NO_LISTING, -np.inf, 0.0
    weights = np.ones(len(queries))
    weights[1] = 0.0
    model, soft_labels = make(name).fit(corpus, seed=1), SoftLabels(queries, listings, shares, weights)
    record = train_ranker(
        model, soft_labels, TrainingDefaults(1e-2, 4, 4), RankerTrainingSettings(epochs=1), 0, tmp_path
    )
    assert record.steps > 0
    assert np.isfinite(record.losses).all()
    assert all(torch.isfinite(value).all() for value in model.trained_state().values())


def test_a_cross_encoder_truncates_long_queries(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    scorer = make("cross-encoder").fit(corpus, seed=1).scorer()
    assert scorer.retrieve([Query("long", ODD["long"])], 3).present.any()


@pytest.mark.parametrize("name", ["dense", "sparse", "late-interaction", "cross-encoder"])
def test_truncated_texts_are_counted(
    name: str, make: Callable[[str], Ranker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notice.cache_clear()
    listings = (Listing("1", "red boots " * 40), Listing("2", "red boots"), Listing("3", "wool mug"))
    make(name).fit(Corpus(Catalogue(tmp_path, listings)), seed=1)
    lines = [line for line in capsys.readouterr().err.splitlines() if "truncated" in line]
    assert len(lines) == 1
    assert lines[0].startswith("1 of 3 texts are longer than ") and name in lines[0]


def test_the_dense_labeler_counts_truncated_texts(
    towers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notice.cache_clear()
    corpus = Corpus(Catalogue(tmp_path, (Listing("1", "red boots " * 40), Listing("2", "red boots"))))
    get_labeler(f"dense(towers={towers!r})").fit(corpus)
    assert "1 of 2 texts are longer than dense reads, and are truncated." in capsys.readouterr().err
