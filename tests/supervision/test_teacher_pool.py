"""The pool of teachers: labels, weights of queries, and criteria of greedy selection, by eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import QUERIES

from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.ranking.labelers.embedding_scorer import EmbeddingScorer
from wares.ranking.scoring import NO_LISTING
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import Teacher
from wares.supervision.teacher_pool import TeacherPool


def test_greedy_selection_ranks_listings_as_the_labels_do(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    """Rankers' scores as they are, labelers' standardised: the order of the labels."""
    teachers = TeacherPool(corpus, QUERIES, settings)
    loud = np.random.default_rng(1).permutation(len(corpus)).astype(np.float32) * 9
    teachers.add(Teacher(1, "loud"), EmbeddingScorer(loud[:, None], lambda texts: np.ones((len(texts), 1), np.float32)))
    mixture = [Teacher(0, "bm25"), Teacher(1, "loud")]
    listings = teachers.soft_labels(mixture, 2, tmp_path / "labels").listings
    scores = {each: teachers.scorers[each].score(QUERIES, listings) for each in mixture}
    assert teachers.aggregate(mixture, listings, scores).listings.tolist() == listings.tolist()
    alone = teachers.aggregate(mixture[:1], listings, scores).listings
    assert alone.tolist() != listings.tolist()


def test_labels_cover_retrieved_and_random_candidates(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    teachers = TeacherPool(corpus, QUERIES, settings)
    soft_labels = teachers.soft_labels([Teacher(0, "bm25")], 1, tmp_path / "labels")
    for query, listings, shares in zip(QUERIES, soft_labels.listings, soft_labels.log_probs, strict=True):
        there = listings[listings != NO_LISTING]
        assert len(set(there)) == len(there) <= settings.depth + settings.random_candidates
        assert np.exp(shares[listings != NO_LISTING]).sum() == pytest.approx(1)
        best = listings == teachers.bm25.retrieve([query], 1).listings[0, 0]
        assert shares[best] == [shares.max()]
    assert (soft_labels.weights == 1).all()


def test_queries_without_results_have_no_labels(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    queries = [*QUERIES, Query("x", "xyzzy"), Query("y", ""), Query("z", "雨傘"), Query("w", "red " * 2500)]
    teachers = TeacherPool(corpus, queries, settings)
    soft_labels = teachers.soft_labels([Teacher(0, "bm25")], 1, tmp_path / "labels")
    assert np.isfinite(soft_labels.log_probs).any(axis=1).tolist() == [True] * len(QUERIES) + [False] * 3 + [True]


def test_query_weights_come_from_the_predictor(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(
        settings, rankers=settings.rankers[:1], query_predictor="max-idf", query_weighting="threshold(fraction=0.5)"
    )
    (record,) = supervise(corpus, QUERIES, settings, tmp_path / "run").rounds
    table = pq.read_table(next(tmp_path.glob("run/round-1/*/weights.parquet")))
    weights = np.array(table["weight"].to_pylist())
    assert weights.mean() == pytest.approx(1)
    assert 0 < (weights == 0).sum() < len(QUERIES)
    assert record.weight_percentiles[0] == 0
    teachers = TeacherPool(corpus, QUERIES, settings)
    rarest = [
        teachers.corpus.term_counts.document_frequency[corpus.term_counts.term_ids(query.text)].min()
        for query in QUERIES
    ]
    assert max(rare for rare, weight in zip(rarest, weights, strict=True) if weight) <= min(
        rare for rare, weight in zip(rarest, weights, strict=True) if not weight
    )


def test_clarity_reads_the_ranking_of_the_labels(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """So another teacher makes other weights, which NQC, always of BM25, does not."""
    for predictor, differs in (("clarity(k=2)", True), ("nqc", False)):
        teachers = TeacherPool(
            corpus, QUERIES, replace(settings, query_predictor=predictor, depth=2, random_candidates=0)
        )
        one, other = (
            teachers.soft_labels([Teacher(0, name)], 1, tmp_path / predictor / name) for name in settings.labelers
        )
        same = bool(np.array_equal(one.listings, other.listings))
        assert np.array_equal(one.weights, other.weights) == (same if differs else True)
