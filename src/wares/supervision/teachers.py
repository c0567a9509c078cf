"""The pool of teachers of a supervision run: labelers, and rankers of earlier rounds."""

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
from wares.supervision.labelling import label_queries
from wares.supervision.mixture import QueryPerformancePredictor, TeacherEnsemble
from wares.supervision.predictors.evidence import Evidence
from wares.supervision.predictors.post_retrieval import Clarity
from wares.supervision.predictors.query_weights import get_query_weighting
from wares.supervision.predictors.registry import get_predictor
from wares.supervision.strategies import Teacher

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.rankers.base import RankerModel
    from wares.supervision.settings import DevSet, SuperviseSettings


RESULT_DEPTH = 500  # results written for a test query
MAX_SAMPLED_QUERIES = 500  # queries that greedy selection and agreement look at


class TeacherPool:
    """Corpus, queries, and everybody who has something to say about them so far."""

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
        places = np.random.default_rng(settings.seed).permutation(len(queries))[:MAX_SAMPLED_QUERIES]
        self.sampled_queries = [queries[place] for place in np.sort(places)]

    def add(self, teacher: Teacher, scorer: Scorer) -> None:
        """Let somebody teach from here on."""
        self.scorers[teacher] = scorer

    def labeler(self, name: str) -> Scorer:
        """A labeler of round 0; the corpus is indexed for it once."""
        teacher, labeler = Teacher(0, name), get_teacher(name)
        if teacher not in self.scorers:
            self.scorers[teacher] = self.bm25 if labeler == BM25() else labeler.fit(self.corpus)
        return self.scorers[teacher]

    def untrained_ranker(self, name: str) -> RankerModel:
        """A ranker as it is before anything was learned."""
        return get_ranker(name).fit(self.corpus, self.settings.seed)

    def load_ranker(self, name: str, folder: Path) -> Scorer:
        """A ranker as a round left it in its folder."""
        model = self.untrained_ranker(name)
        model.load(folder)
        return model.scorer()

    def soft_labels(self, mixture: Sequence[Teacher], round: int, folder: Path) -> SoftLabels:
        """What a mixture of teachers says of all queries, candidates retrieved afresh; `folder` keeps it."""
        settings = self.settings
        predictor = None if settings.query_predictor is None else get_predictor(settings.query_predictor)
        asked = TeacherEnsemble(
            tuple(self.scorers[each] for each in mixture),
            tuple(each.round > 0 for each in mixture),
            self.corpus.ids,
            settings.depth,
            settings.random_candidates,
            settings.temperature,
            (settings.seed, round),
            None if predictor is None else QueryPerformancePredictor(predictor, self.bm25),
        )
        labels = label_queries(asked, self.queries, folder, self.processes, self.runner)
        weights = np.ones(len(labels))
        if predictor is not None:
            weights = get_query_weighting(settings.query_weighting)(labels.predictions)
        return SoftLabels(self.queries, labels.listings, labels.log_probs, weights)

    def overlap_criterion(self, pool: Sequence[Teacher]) -> Callable[[Sequence[Teacher]], float]:
        """How much a mixture's results agree with what each of the pool says, the clearer voices counting more.

        A voice is the mean Clarity of a teacher's results, which needs no judgments and no scores. Our reading.
        """
        found = {each: self.scorers[each].retrieve(self.sampled_queries, self.settings.depth) for each in pool}
        listings = candidate_pool(list(found.values()), self.settings.depth)
        scores = {each: self.scorers[each].score(self.sampled_queries, listings) for each in pool}
        voices = np.array([self.mean_clarity(found[each]) for each in pool])
        voices = voices / voices.sum() if voices.sum() > 0 else np.full(len(pool), 1 / len(pool))

        def value(mixture: Sequence[Teacher]) -> float:
            ranking = self.aggregate(mixture, listings, scores).listings
            agreed = [float(average_overlap(ranking, found[each].listings).mean()) for each in pool]
            return float(voices @ np.array(agreed))

        return value

    def dev_criterion(self, pool: Sequence[Teacher], dev: DevSet) -> Callable[[Sequence[Teacher]], float]:
        """How well a mixture answers the dev queries, as whoever judged them says."""
        found = [self.scorers[each].retrieve(dev.queries, self.settings.depth) for each in pool]
        listings = candidate_pool(found, self.settings.depth)
        scores = {each: self.scorers[each].score(dev.queries, listings) for each in pool}

        def value(mixture: Sequence[Teacher]) -> float:
            return dev.metric(labels_to_run(self.corpus, dev.queries, self.aggregate(mixture, listings, scores)))

        return value

    def aggregate(self, mixture: Sequence[Teacher], listings: Indices, scores: Mapping[Teacher, Scores]) -> Labels:
        """What a mixture says of these listings, as it teaches."""
        said = [scores[each] for each in mixture]
        labels = product_of_experts(said, [each.round > 0 for each in mixture], self.settings.temperature)
        return Labels.from_scores(listings, labels.astype(np.float32))

    def mean_clarity(self, found: Labels) -> float:
        """Mean Clarity of results for the queries that are looked at; 0 where there is none."""
        terms = [self.corpus.term_counts.term_ids(query.text) for query in self.sampled_queries]
        nothing = np.zeros(len(terms))
        values = Clarity()(Evidence(terms, self.corpus.term_counts, found.listings, found.scores, nothing))
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0

    def overlaps(self, scorer: Scorer, others: dict[str, Scorer]) -> dict[str, float]:
        """Mean agreement of a scorer's results with others'."""
        own = scorer.retrieve(self.sampled_queries, 10).listings
        return {
            name: float(average_overlap(own, other.retrieve(self.sampled_queries, 10).listings).mean())
            for name, other in others.items()
        }


def labels_to_run(corpus: Corpus, queries: Sequence[Query], labels: Labels) -> Run:
    """Labels by the ids of queries and listings, the best `RESULT_DEPTH` of each."""
    return {
        query.id: {
            str(corpus.ids[place]): float(score)
            for place, score in zip(listings[:RESULT_DEPTH], scores[:RESULT_DEPTH], strict=True)
            if place != NO_LISTING
        }
        for query, listings, scores in zip(queries, labels.listings, labels.scores, strict=True)
    }
