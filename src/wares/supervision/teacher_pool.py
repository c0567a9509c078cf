"""The teachers of a supervision run: labelers, and rankers after earlier rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wares.data.runs import Run
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.rankers.base import SoftLabels
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.ranking.scoring import NO_LISTING, Indices, Labels, Scorer, Scores
from wares.supervision.aggregation import average_overlap, candidate_pool, product_of_experts
from wares.supervision.ensemble import QueryPerformancePredictor, TeacherEnsemble
from wares.supervision.labelling import label_queries
from wares.supervision.predictors.evidence import Evidence
from wares.supervision.predictors.post_retrieval import Clarity
from wares.supervision.predictors.query_weighting import get_query_weighting
from wares.supervision.predictors.registry import get_predictor
from wares.supervision.strategies import Teacher

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.rankers.base import RankerModel
    from wares.supervision.settings import DevSet, SuperviseSettings


RESULT_DEPTH = 500  # results written for a test query
MAX_SAMPLED_QUERIES = 500  # queries from which overlap and greedy selection are estimated


class TeacherPool:
    """The scorers of all teachers over one corpus, and what they make of the queries."""

    def __init__(
        self,
        corpus: Corpus,
        queries: Sequence[Query],
        settings: SuperviseSettings,
        processes: int | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.corpus, self.queries, self.settings = corpus, queries, settings
        self.processes, self.runner = processes, runner
        self.bm25 = BM25().fit(corpus)
        self.scorers: dict[Teacher, Scorer] = {}
        for name in settings.labelers:
            self.labeler(name)
        sampled = np.random.default_rng(settings.seed).permutation(len(queries))[:MAX_SAMPLED_QUERIES]
        self.sampled_queries = [queries[index] for index in np.sort(sampled)]

    def add(self, teacher: Teacher, scorer: Scorer) -> None:
        """Add a teacher."""
        self.scorers[teacher] = scorer

    def labeler(self, name: str) -> Scorer:
        """The scorer of a labeler, which is fitted to the corpus once."""
        teacher, labeler = Teacher(0, name), get_teacher(name)
        if teacher not in self.scorers:
            self.scorers[teacher] = self.bm25 if labeler == BM25() else labeler.fit(self.corpus)
        return self.scorers[teacher]

    def untrained_ranker(self, name: str) -> RankerModel:
        """A ranker before training."""
        return get_ranker(name).fit(self.corpus, self.settings.seed)

    def load_ranker(self, name: str, folder: Path) -> Scorer:
        """The scorer of a trained ranker. folder: of its model"""
        model = self.untrained_ranker(name)
        model.load(folder)
        return model.scorer()

    def soft_labels(self, teachers: Sequence[Teacher], round: int, folder: Path) -> SoftLabels:
        """Labels of an ensemble of teachers for all queries, and the queries' weights.

        folder: of the label files; blocks that are there are read
        """
        settings = self.settings
        predictor = None if settings.query_predictor is None else get_predictor(settings.query_predictor)
        ensemble = TeacherEnsemble(
            tuple(self.scorers[teacher] for teacher in teachers),
            _are_rankers(teachers),
            self.corpus.ids,
            settings.depth,
            settings.random_candidates,
            settings.temperature,
            (settings.seed, round),
            None if predictor is None else QueryPerformancePredictor(predictor, self.bm25),
        )
        labels = label_queries(ensemble, self.queries, folder, self.processes, self.runner)
        weights = np.ones(len(labels))
        if predictor is not None:
            weights = get_query_weighting(settings.query_weighting)(labels.predictions)
        return SoftLabels(self.queries, labels.listings, labels.log_probs, weights)

    def overlap_criterion(self, pool: Sequence[Teacher]) -> Callable[[Sequence[Teacher]], float]:
        """Criterion of greedy selection: overlap of an ensemble's results with those of each teacher of the pool.

        Teachers of the pool are weighted by the mean Clarity of their results, which needs no judgments and no scores.
        Our reading.
        """
        results = {
            teacher: self.scorers[teacher].retrieve(self.sampled_queries, self.settings.depth) for teacher in pool
        }
        listings = candidate_pool(list(results.values()), self.settings.depth)
        scores = {teacher: self.scorers[teacher].score(self.sampled_queries, listings) for teacher in pool}
        clarity = np.array([self.mean_clarity(results[teacher]) for teacher in pool])
        weights = clarity / clarity.sum() if clarity.sum() > 0 else np.full(len(pool), 1 / len(pool))

        def criterion(ensemble: Sequence[Teacher]) -> float:
            ranking = self.aggregate(ensemble, listings, scores).listings
            overlaps = [float(average_overlap(ranking, results[teacher].listings).mean()) for teacher in pool]
            return float(weights @ np.array(overlaps))

        return criterion

    def dev_criterion(self, pool: Sequence[Teacher], dev: DevSet) -> Callable[[Sequence[Teacher]], float]:
        """Criterion of greedy selection: the dev set's metric of an ensemble's results."""
        results = [self.scorers[teacher].retrieve(dev.queries, self.settings.depth) for teacher in pool]
        listings = candidate_pool(results, self.settings.depth)
        scores = {teacher: self.scorers[teacher].score(dev.queries, listings) for teacher in pool}

        def criterion(ensemble: Sequence[Teacher]) -> float:
            labels = self.aggregate(ensemble, listings, scores)
            return dev.metric(labels_to_run(self.corpus, dev.queries, labels))

        return criterion

    def aggregate(self, ensemble: Sequence[Teacher], listings: Indices, scores: Mapping[Teacher, Scores]) -> Labels:
        """Labels of an ensemble for these listings. scores: (Q, K) of each teacher for the listings"""
        logits = product_of_experts(
            [scores[teacher] for teacher in ensemble], _are_rankers(ensemble), self.settings.temperature
        )
        return Labels.from_scores(listings, logits.astype(np.float32))

    def mean_clarity(self, results: Labels) -> float:
        """Mean Clarity of results for the sampled queries; 0 if no query has one."""
        counts = self.corpus.term_counts
        query_terms = [counts.term_ids(query.text) for query in self.sampled_queries]
        no_scores = np.zeros(len(query_terms))
        values = Clarity()(Evidence(query_terms, counts, results.listings, results.scores, no_scores))
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0

    def overlaps(self, scorer: Scorer, others: dict[str, Scorer]) -> dict[str, float]:
        """Average overlap at 10 of a scorer's results with those of each other scorer, over the sampled queries."""
        own = scorer.retrieve(self.sampled_queries, 10).listings
        return {
            name: float(average_overlap(own, other.retrieve(self.sampled_queries, 10).listings).mean())
            for name, other in others.items()
        }


def labels_to_run(corpus: Corpus, queries: Sequence[Query], labels: Labels) -> Run:
    """The best `RESULT_DEPTH` listings of each query, by the ids of queries and listings."""
    return {
        query.id: {
            str(corpus.ids[index]): float(score)
            for index, score in zip(listings[:RESULT_DEPTH], scores[:RESULT_DEPTH], strict=True)
            if index != NO_LISTING
        }
        for query, listings, scores in zip(queries, labels.listings, labels.scores, strict=True)
    }


def _are_rankers(teachers: Sequence[Teacher]) -> tuple[bool, ...]:
    return tuple(teacher.round > 0 for teacher in teachers)
