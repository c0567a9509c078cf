"""A mixture of teachers that labels queries in blocks."""

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
PREDICTOR_DEPTH = 500  # listings that a query performance predictor looks at


@dataclass(frozen=True)
class QueryPerformancePredictor:
    """How well queries are answered, predicted without judgments.

    Clarity looks at the labels' own ranking. All others look at BM25's, whose scores are positive, as they assume.
    """

    predictor: Predictor
    bm25: BM25Scorer

    def __call__(self, queries: Sequence[Query], labels: Labels) -> Floats:
        """(Q,) predictions; NaN where nothing can be said."""
        own = isinstance(self.predictor, Clarity)
        run = labels if own else self.bm25.retrieve(queries, PREDICTOR_DEPTH)
        terms = self.bm25.terms
        known = [terms.term_ids(query.text) for query in queries]
        evidence = Evidence(known, terms, run.listings, run.scores, self.bm25.corpus_scores(queries))
        return self.predictor(evidence)


@dataclass(frozen=True)
class AggregatedLabels:
    """What a mixture says of some queries.

    listings: (Q, K) places in the corpus, the largest share first; -1 where there are fewer than K
    log_probs: (Q, K) logarithm of each listing's share of its query; -inf where there is none
    predictions: (Q,) of the queries' performance; NaN where there is none
    """

    listings: Indices
    log_probs: Floats
    predictions: Floats

    def __len__(self) -> int:
        return len(self.listings)


@dataclass(frozen=True)
class TeacherEnsemble:
    """Teachers over one corpus, and what they are asked for.

    is_ranker: which of them are rankers; ids: (N,) of the corpus's listings
    depth: best listings of each teacher that are labelled, >= 1; random_candidates: further ones, drawn from the corpus, >= 0
    temperature: of labelers, > 0 (wares.supervision.aggregation.pooled)
    seed: of what is drawn; predictor: what predicts the queries' performance, where that is wanted
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
        """Candidates are what any teacher puts first, and some that are drawn; labels are what all say of them.

        Queries from which all teachers abstain have no listings.
        """
        found = [scorer.retrieve(queries, self.depth) for scorer in self.scorers]
        listings = self.candidates(found, np.random.default_rng((*self.seed, block)))
        said = [_said(*each, queries, listings) for each in zip(self.scorers, found, strict=True)]
        labels = product_of_experts(said, self.is_ranker, self.temperature)
        order = np.argsort(-labels, axis=1, kind="stable")  # NaN comes last
        labels = np.take_along_axis(labels, order, axis=1)
        listings = np.where(np.isnan(labels), NO_LISTING, np.take_along_axis(listings, order, axis=1))
        predictions = np.full(len(queries), np.nan)
        if self.predictor is not None:
            predictions = self.predictor(queries, Labels(listings, labels.astype(np.float32)))
        return AggregatedLabels(listings, log_probs(labels, 1.0), predictions)

    def candidates(self, found: Sequence[Labels], random: np.random.Generator) -> Indices:
        """(Q, K) places in the corpus, each once: what any teacher found, and some that are drawn."""
        best = candidate_pool(found, self.depth)
        drawn = random.integers(0, len(self.ids), (len(best), self.random_candidates))
        drawn = np.where((best != NO_LISTING).any(axis=1, keepdims=True), drawn, NO_LISTING)
        repeated = (drawn[:, :, None] == best[:, None, :]).any(axis=2)
        for place in range(1, drawn.shape[1]):
            repeated[:, place] |= (drawn[:, :place] == drawn[:, place, None]).any(axis=1)
        return np.concatenate([best, np.where(repeated, NO_LISTING, drawn)], axis=1)


def _said(scorer: Scorer, found: Labels, queries: Sequence[Query], listings: Indices) -> Scores:
    """(Q, K) a teacher's scores of these listings: those that it found are not scored again."""
    scores = found.scores_of(listings)
    others = np.where(np.isnan(scores), listings, NO_LISTING)
    return (
        np.where(others == NO_LISTING, scores, scorer.score(queries, others))
        if (others != NO_LISTING).any()
        else scores
    )


@dataclass(frozen=True)
class QueryBlock:
    """Some of the queries, and the file of their labels."""

    number: int
    queries: Sequence[Query]
    path: Path


def predict_performance(corpus: Corpus, queries: Sequence[Query]) -> dict[str, dict[str, float]]:
    """Predictor -> query id -> how well it expects BM25 to answer the query; NaN where it expects nothing."""
    lexical = BM25().fit(corpus)
    found = lexical.retrieve(queries, PREDICTOR_DEPTH)
    values = {
        name: QueryPerformancePredictor(get_predictor(name), lexical)(queries, found).tolist() for name in PREDICTORS
    }
    return {
        name: {query.id: value for query, value in zip(queries, each, strict=True)} for name, each in values.items()
    }
