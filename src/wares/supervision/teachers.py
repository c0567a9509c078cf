"""The pool of teachers of a supervision run: labelers, and rankers of earlier rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wares.data.runs import Run
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.rankers.base import Lessons
from wares.ranking.rankers.registry import get_ranker, get_teacher
from wares.ranking.scoring import NONE, Labels, Places, Scorer, Scores
from wares.supervision.aggregation import agreement, pooled, union
from wares.supervision.labelling import label
from wares.supervision.mixture import Mixture, Performance
from wares.supervision.predictors.evidence import Evidence
from wares.supervision.predictors.post_retrieval import Clarity
from wares.supervision.predictors.query_weights import get_weight_map
from wares.supervision.predictors.registry import get_predictor
from wares.supervision.strategies import Teacher

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.rankers.base import RankerModel
    from wares.supervision.settings import Dev, SuperviseSettings


DEPTH = 500  # results written for a test query
LOOKED_AT = 500  # queries that greedy selection and agreement look at


class Classroom:
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
        self.lexical = BM25().over(corpus)
        self.scorers: dict[Teacher, Scorer] = {}
        for name in settings.labelers:
            self.weak(name)
        places = np.random.default_rng(settings.seed).permutation(len(queries))[:LOOKED_AT]
        self.looked_at = [queries[place] for place in np.sort(places)]

    def enter(self, teacher: Teacher, scorer: Scorer) -> None:
        """Let somebody teach from here on."""
        self.scorers[teacher] = scorer

    def weak(self, name: str) -> Scorer:
        """A labeler of round 0; the corpus is indexed for it once."""
        teacher, labeler = Teacher(0, name), get_teacher(name)
        if teacher not in self.scorers:
            self.scorers[teacher] = self.lexical if labeler == BM25() else labeler.over(self.corpus)
        return self.scorers[teacher]

    def model(self, name: str) -> RankerModel:
        """A ranker as it is before anything was learned."""
        return get_ranker(name).build(self.corpus, self.settings.seed)

    def trained(self, name: str, folder: Path) -> Scorer:
        """A ranker as a round left it in its folder."""
        model = self.model(name)
        model.load(folder)
        return model.scorer()

    def lessons(self, mixture: Sequence[Teacher], round: int, folder: Path) -> Lessons:
        """What a mixture of teachers says of all queries, candidates retrieved afresh; `folder` keeps it."""
        settings = self.settings
        predictor = None if settings.weights is None else get_predictor(settings.weights)
        asked = Mixture(
            tuple(self.scorers[each] for each in mixture),
            tuple(each.round > 0 for each in mixture),
            self.corpus.ids,
            settings.depth,
            settings.random,
            settings.temperature,
            (settings.seed, round),
            None if predictor is None else Performance(predictor, self.lexical),
        )
        labels = label(asked, self.queries, folder, self.processes, self.runner)
        weights = np.ones(len(labels))
        if predictor is not None:
            weights = get_weight_map(settings.weight_map)(labels.predictions)
        return Lessons(self.queries, labels.listings, labels.log_shares, weights)

    def criterion(self, pool: Sequence[Teacher]) -> Callable[[Sequence[Teacher]], float]:
        """How much a mixture's results agree with what each of the pool says, the clearer voices counting more.

        A voice is the mean Clarity of a teacher's results, which needs no judgments and no scores. Our reading.
        """
        found = {each: self.scorers[each].retrieve(self.looked_at, self.settings.depth) for each in pool}
        listings = union(list(found.values()), self.settings.depth)
        scores = {each: self.scorers[each].score(self.looked_at, listings) for each in pool}
        voices = np.array([self.clarity(found[each]) for each in pool])
        voices = voices / voices.sum() if voices.sum() > 0 else np.full(len(pool), 1 / len(pool))

        def value(mixture: Sequence[Teacher]) -> float:
            ranking = self.together(mixture, listings, scores).listings
            agreed = [float(agreement(ranking, found[each].listings).mean()) for each in pool]
            return float(voices @ np.array(agreed))

        return value

    def judged(self, pool: Sequence[Teacher], dev: Dev) -> Callable[[Sequence[Teacher]], float]:
        """How well a mixture answers the dev queries, as whoever judged them says."""
        found = [self.scorers[each].retrieve(dev.queries, self.settings.depth) for each in pool]
        listings = union(found, self.settings.depth)
        scores = {each: self.scorers[each].score(dev.queries, listings) for each in pool}

        def value(mixture: Sequence[Teacher]) -> float:
            return dev.value(as_run(self.corpus, dev.queries, self.together(mixture, listings, scores)))

        return value

    def together(self, mixture: Sequence[Teacher], listings: Places, scores: Mapping[Teacher, Scores]) -> Labels:
        """What a mixture says of these listings, as it teaches."""
        said = [scores[each] for each in mixture]
        labels = pooled(said, [each.round > 0 for each in mixture], self.settings.temperature)
        return Labels.of(listings, labels.astype(np.float32))

    def clarity(self, found: Labels) -> float:
        """Mean Clarity of results for the queries that are looked at; 0 where there is none."""
        terms = [self.corpus.terms.ids(query.text) for query in self.looked_at]
        nothing = np.zeros(len(terms))
        values = Clarity()(Evidence(terms, self.corpus.terms, found.listings, found.scores, nothing))
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0

    def agreements(self, scorer: Scorer, others: dict[str, Scorer]) -> dict[str, float]:
        """Mean agreement of a scorer's results with others'."""
        own = scorer.retrieve(self.looked_at, 10).listings
        return {
            name: float(agreement(own, other.retrieve(self.looked_at, 10).listings).mean())
            for name, other in others.items()
        }


def as_run(corpus: Corpus, queries: Sequence[Query], labels: Labels) -> Run:
    """Labels by the ids of queries and listings, the best `DEPTH` of each."""
    return {
        query.id: {
            str(corpus.ids[place]): float(score)
            for place, score in zip(listings[:DEPTH], scores[:DEPTH], strict=True)
            if place != NONE
        }
        for query, listings, scores in zip(queries, labels.listings, labels.scores, strict=True)
    }
