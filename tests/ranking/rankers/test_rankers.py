"""One contract for all rankers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ranker_cases import LAYERED, MEMBERS, precision, train_and_save, word_labels

from wares.core.errors import ModelError, SettingsError
from wares.core.specs import format_spec
from wares.data.corpus import Corpus
from wares.data.listings import Listing, Query
from wares.ranking.rankers.base import Ranker, TrainingDefaults
from wares.ranking.rankers.registry import get_ranker, rankers
from wares.ranking.scoring import NO_LISTING
from wares.ranking.settings import RankerTrainingSettings
from wares.ranking.training import train_ranker


def test_every_ranker_is_tested() -> None:
    assert {name.split("(")[0] for name in MEMBERS} == set(rankers())


@pytest.mark.parametrize("name", MEMBERS)
def test_specs_print_and_parse_to_the_same_ranker(name: str, make: Callable[[str], Ranker]) -> None:
    ranker = make(name)
    assert get_ranker(format_spec(ranker, rankers())) == ranker


@pytest.mark.parametrize("name", MEMBERS)
def test_training_scores_equal_the_scorers(name: str, make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """What is taught is what ranks: one score for one pair, on one scale."""
    model = make(name).fit(corpus, seed=1)
    listings = np.array([[0, 3, 5], [7, NO_LISTING, 2]])
    queries = [Query("1", "red scarf"), Query("2", "boots")]
    with torch.inference_mode():
        found = model.eval()([query.text for query in queries], torch.from_numpy(listings)).numpy()
    scores = model.scorer().score(queries, listings)
    assert np.isnan(scores).tolist() == (listings == NO_LISTING).tolist()
    np.testing.assert_allclose(found[listings != NO_LISTING], scores[listings != NO_LISTING], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_retrieved_scores_fall_and_equal_scores_of_the_pairs(
    name: str, make: Callable[[str], Ranker], corpus: Corpus
) -> None:
    scorer = make(name).fit(corpus, seed=1).scorer()
    queries = [Query("1", "red boots"), Query("2", "wool"), Query("3", "")]
    found = scorer.retrieve(queries, 5)
    assert found.listings.shape == (3, 5)
    assert (found.listings[2] == NO_LISTING).all(), "there is nothing to answer"
    assert found.present[:2, :3].all()
    assert not (np.diff(found.scores) > 0).any()
    np.testing.assert_allclose(scorer.score(queries, found.listings)[:2], found.scores[:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_training_reproduces_the_soft_labels(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    model, soft_labels = make(name).fit(corpus, seed=1), word_labels(corpus)
    rate, epochs = (5e-3, 90) if name in LAYERED else (2e-2, 60)
    record = train_ranker(
        model, soft_labels, TrainingDefaults(rate, 3, 8), RankerTrainingSettings(epochs=epochs), 2, tmp_path
    )
    assert record.steps == 2 * epochs
    assert record.losses[-1] < 0.8 * record.losses[0]
    assert precision(model, soft_labels) > (0.45 if name in LAYERED else 0.9), "1/3 of listings hold a word"
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loaded_ranker_gives_the_same_scores(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    ranker, soft_labels = make(name), word_labels(corpus)
    model = train_and_save(ranker, soft_labels, corpus, tmp_path)
    loaded = ranker.fit(corpus, seed=5)
    loaded.load(tmp_path / "ranker")
    listings = np.broadcast_to(np.arange(len(corpus)), (6, len(corpus)))
    before, after = (ranker_model.scorer().score(soft_labels.queries, listings) for ranker_model in (model, loaded))
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4)
    untaught = ranker.fit(corpus, seed=1).scorer().score(soft_labels.queries, listings)
    assert np.abs(before - untaught).max() > 1e-3


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loaded_ranker_ranks_other_listings(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    """Of which some words are new and most are gone, as in known-item search."""
    ranker, soft_labels = make(name), word_labels(corpus)
    model = train_and_save(ranker, soft_labels, corpus, tmp_path)
    kept = np.arange(4)
    few = Corpus(corpus.catalogue.subset(kept.tolist()))
    few = Corpus(replace(few.catalogue, listings=(*few.catalogue.listings, Listing("new", "an aubergine"))))
    loaded = ranker.fit(few, seed=1)
    loaded.load(tmp_path / "ranker")
    listings = np.broadcast_to(kept, (6, 4))
    before, after = (ranker_model.scorer().score(soft_labels.queries, listings) for ranker_model in (model, loaded))
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4)
    assert loaded.scorer().retrieve([Query("1", "aubergine")], 5).listings.shape == (1, 5)


@pytest.mark.parametrize("name", ["static", "sparse", "late-interaction", "cross-encoder"])
def test_the_seed_determines_the_weights(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    soft_labels, scores = word_labels(corpus), []
    listings = np.broadcast_to(np.arange(len(corpus)), (6, len(corpus)))
    for seed in (3, 3, 4):
        model = make(name).fit(corpus, seed)
        train_ranker(model, soft_labels, TrainingDefaults(1e-2, 2, 4), RankerTrainingSettings(epochs=2), seed, tmp_path)
        scores.append(model.scorer().score(soft_labels.queries, listings))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 1e-4


@pytest.mark.parametrize("name", MEMBERS)
def test_queries_without_weight_cannot_be_trained_on(
    name: str, make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path
) -> None:
    soft_labels = word_labels(corpus)
    unweighted = replace(soft_labels, weights=np.zeros(6))
    with pytest.raises(SettingsError, match="nothing to learn from"):
        train_ranker(
            make(name).fit(corpus, 0), unweighted, TrainingDefaults(1e-2, 2, 4), RankerTrainingSettings(), 0, tmp_path
        )


def test_a_damaged_or_foreign_ranker_is_refused(make: Callable[[str], Ranker], corpus: Corpus, tmp_path: Path) -> None:
    make("static").fit(corpus, 0).save(tmp_path)
    with pytest.raises(ModelError, match="belongs to another ranker"):
        make("dense").fit(corpus, 0).load(tmp_path)
    (tmp_path / "ranker.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not load"):
        make("static").fit(corpus, 0).load(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "no ranker 'tree'; there are static, dense"),
        ("dense(layers=3)", "dense has no setting 'layers'"),
        ("dense(backbone='most')", '"last-N"'),
        ("dense(learning_rate=0)", "learning_rate must be above 0, not 0"),
        ("static(listings_per_query=1)", "listings_per_query must be 2 or more, not 1"),
        ("cross-encoder(depth=0)", "layers and depth of cross-encoder must be 1 or more, not 3 and 0"),
        (
            "cross-encoder(model='published', layers=2)",
            "a cross-encoder takes a model with all its layers, or towers and layers",
        ),
        ("sparse(flops_weight=-1)", "flops_weight of sparse must be 0 or more, not -1"),
        ("late-interaction(dimensions=0)", "dimensions and depth of late-interaction must be 1 or more, not 0 and 100"),
        ("two-tower", "needs a model"),
        ("static(towers='small')", "static needs a sentence encoder"),
        ("cross-encoder(towers='small')", "cross-encoder needs a sentence encoder"),
        ("sparse(towers='small')", "sparse needs a sentence encoder"),
        ("late-interaction(towers='small')", "late-interaction needs a sentence encoder"),
    ],
)
def test_invalid_settings_are_refused(name: str, message: str, corpus: Corpus) -> None:
    with pytest.raises(SettingsError, match=message):
        get_ranker(name).fit(corpus, 0)


@pytest.mark.parametrize("name", ["cross-encoder", "late-interaction"])
def test_a_reranker_ranks_the_results_of_its_first_stage(
    name: str, make: Callable[[str], Ranker], corpus: Corpus
) -> None:
    found = make(name).fit(corpus, seed=0).scorer().retrieve([Query("1", "red"), Query("2", "xyzzy")], 10)
    holding = [index for index, text in enumerate(corpus.texts) if "red" in text]
    assert sorted(found.listings[0][found.present[0]].tolist()) == holding
    assert (found.listings[1] == NO_LISTING).all()


def test_only_sparse_adds_to_the_loss(make: Callable[[str], Ranker], corpus: Corpus) -> None:
    for name in MEMBERS:
        model = make(name).fit(corpus, seed=0)
        model(["red boots", "wool"], torch.tensor([[0, 1], [2, 3]]))
        assert (model.regulariser().item() > 0) == (name == "sparse")


@pytest.mark.parametrize("name", ["static", "sparse", "late-interaction"])
def test_a_query_of_unknown_words(name: str, make: Callable[[str], Ranker], corpus: Corpus) -> None:
    """Sparse has no weight for it, and BM25 finds nothing to rerank; static has a vector for whatever is asked."""
    scorer = make(name).fit(corpus, seed=0).scorer()
    queries, listings = [Query("1", "xyzzy"), Query("2", "red boots")], np.array([[0, 1], [0, 1]])
    abstains = name == "sparse"
    assert (scorer.retrieve(queries, 3).listings[0] == NO_LISTING).all() == (name != "static")
    assert np.isnan(scorer.score(queries, listings)).tolist() == [[abstains, abstains], [False, False]]
    assert scorer.retrieve([], 3).listings.shape == (0, 3)
