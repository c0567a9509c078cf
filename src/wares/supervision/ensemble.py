"""An ensemble of teachers that labels queries in blocks, and predicts how well queries are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.ranking.labelers.bm25 import BM25, BM25Scorer
from wares.ranking.scoring import NO_LISTING, Indices, Labels, Scorer, Scores
from wares.supervision.aggregation import candidate_pool, log_probs, product_of_experts
from wares.supervision.predictors.evidence import Evidence, Predictor
from wares.supervision.predictors.post_retrieval import Clarity
from wares.supervision.predictors.registry import PREDICTORS, get_predictor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.data.corpus import Corpus
    from wares.data.listings import Query


Floats = npt.NDArray[np.float64]
PREDICTOR_DEPTH = 500  # results that a query performance predictor reads


@dataclass(frozen=True)
class QueryPerformancePredictor:
    """A predictor of how well queries are answered, over one corpus.

    Clarity reads the ranking of the labels. All others read BM25's, because they assume positive scores.
    """

    predictor: Predictor
    bm25: BM25Scorer

    def __call__(self, queries: Sequence[Query], labels: Labels) -> Floats:
        """(Q,) predictions; NaN if there is nothing to predict from."""
        results = labels if isinstance(self.predictor, Clarity) else self.bm25.retrieve(queries, PREDICTOR_DEPTH)
        terms = self.bm25.terms
        query_terms = [terms.term_ids(query.text) for query in queries]
        evidence = Evidence(query_terms, terms, results.listings, results.scores, self.bm25.corpus_scores(queries))
        return self.predictor(evidence)


@dataclass(frozen=True)
class AggregatedLabels:
    """The labels of an ensemble for some queries.

    listings: (Q, K) indices in the corpus, the most probable first; -1 after the last
    log_probs: (Q, K) log-probability of each listing given its query; -inf after the last
    predictions: (Q,) predicted performance of the queries; NaN without one
    """

    listings: Indices
    log_probs: Floats
    predictions: Floats

    def __len__(self) -> int:
        return len(self.listings)


@dataclass(frozen=True)
class TeacherEnsemble:
    """Teachers over one corpus that label queries together.

    is_ranker: whether each scorer is a ranker; ids: (N,) of the corpus's listings
    depth: listings that each teacher retrieves, >= 1; random_candidates: listings drawn from the corpus, >= 0
    temperature: of labelers, > 0 (wares.supervision.aggregation.product_of_experts)
    seed: of the random candidates; predictor: of the queries' performance, if queries are weighted
    """

    scorers: tuple[Scorer, ...]
    is_ranker: tuple[bool, ...]
    ids: npt.NDArray[np.object_]
    depth: int
    random_candidates: int
    temperature: float
    seed: tuple[int, ...]
    predictor: QueryPerformancePredictor | None = None

    def label(self, queries: Sequence[Query], block: int) -> AggregatedLabels:
        """Retrieve candidates, let every teacher score all of them, and aggregate the scores.

        block: number of the block of queries, which seeds its random candidates

        A query from which all teachers abstain gets no listings.
        """
        retrieved = [scorer.retrieve(queries, self.depth) for scorer in self.scorers]
        listings = self.candidates(retrieved, np.random.default_rng((*self.seed, block)))
        scores = [_scores(*teacher, queries, listings) for teacher in zip(self.scorers, retrieved, strict=True)]
        logits = product_of_experts(scores, self.is_ranker, self.temperature)
        order = np.argsort(-logits, axis=1, kind="stable")  # NaN comes last
        logits = np.take_along_axis(logits, order, axis=1)
        listings = np.where(np.isnan(logits), NO_LISTING, np.take_along_axis(listings, order, axis=1))
        predictions = np.full(len(queries), np.nan)
        if self.predictor is not None:
            predictions = self.predictor(queries, Labels(listings, logits.astype(np.float32)))
        return AggregatedLabels(listings, log_probs(logits, 1.0), predictions)

    def candidates(self, retrieved: Sequence[Labels], random: np.random.Generator) -> Indices:
        """(Q, K) listings that the teachers retrieved and random ones, each once."""
        pool = candidate_pool(retrieved, self.depth)
        drawn = random.integers(0, len(self.ids), (len(pool), self.random_candidates))
        drawn = np.where((pool != NO_LISTING).any(axis=1, keepdims=True), drawn, NO_LISTING)
        repeated = (drawn[:, :, None] == pool[:, None, :]).any(axis=2)
        for column in range(1, drawn.shape[1]):
            repeated[:, column] |= (drawn[:, :column] == drawn[:, column, None]).any(axis=1)
        return np.concatenate([pool, np.where(repeated, NO_LISTING, drawn)], axis=1)


def _scores(scorer: Scorer, retrieved: Labels, queries: Sequence[Query], listings: Indices) -> Scores:
    """(Q, K) a teacher's scores of these listings; those that it retrieved are not scored again."""
    scores = retrieved.scores_of(listings)
    unscored = np.where(np.isnan(scores), listings, NO_LISTING)
    if (unscored == NO_LISTING).all():
        return scores
    return np.where(unscored == NO_LISTING, scores, scorer.score(queries, unscored))


@dataclass(frozen=True)
class QueryBlock:
    """Some of the queries, and the file of their labels."""

    number: int
    queries: Sequence[Query]
    path: Path


def predict_performance(corpus: Corpus, queries: Sequence[Query]) -> dict[str, dict[str, float]]:
    """Predictor -> query id -> predicted performance of BM25 on the query; NaN without a prediction."""
    bm25 = BM25().fit(corpus)
    results = bm25.retrieve(queries, PREDICTOR_DEPTH)
    predictions = {
        name: QueryPerformancePredictor(get_predictor(name), bm25)(queries, results).tolist() for name in PREDICTORS
    }
    return {
        name: {query.id: value for query, value in zip(queries, values, strict=True)}
        for name, values in predictions.items()
    }
