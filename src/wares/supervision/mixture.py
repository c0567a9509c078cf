"""A mixture of teachers that labels queries in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.ranking.labelers.bm25 import BM25, BM25Scorer
from wares.ranking.scoring import NONE, Labels, Places, Scorer, Scores
from wares.supervision.aggregation import log_shares, pooled, union
from wares.supervision.predictors.evidence import Evidence, Predictor
from wares.supervision.predictors.post_retrieval import Clarity
from wares.supervision.predictors.registry import PREDICTORS, get_predictor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wares.data.corpus import Corpus
    from wares.data.listings import Query


Floats = npt.NDArray[np.float64]
EVIDENCE = 500  # listings that a query performance predictor looks at


@dataclass(frozen=True)
class Performance:
    """How well queries are answered, predicted without judgments.

    Clarity looks at the labels' own ranking. All others look at BM25's, whose scores are positive, as they assume.
    """

    predictor: Predictor
    lexical: BM25Scorer

    def __call__(self, queries: Sequence[Query], labels: Labels) -> Floats:
        """(Q,) predictions; NaN where nothing can be said."""
        own = isinstance(self.predictor, Clarity)
        run = labels if own else self.lexical.retrieve(queries, EVIDENCE)
        terms = self.lexical.terms
        known = [terms.ids(query.text) for query in queries]
        evidence = Evidence(known, terms, run.listings, run.scores, self.lexical.corpus_scores(queries))
        return self.predictor(evidence)


@dataclass(frozen=True)
class Labelled:
    """What a mixture says of some queries.

    listings: (Q, K) places in the corpus, the largest share first; -1 where there are fewer than K
    log_shares: (Q, K) logarithm of each listing's share of its query; -inf where there is none
    predictions: (Q,) of the queries' performance; NaN where there is none
    """

    listings: Places
    log_shares: Floats
    predictions: Floats

    def __len__(self) -> int:
        return len(self.listings)


@dataclass(frozen=True)
class Mixture:
    """Teachers over one corpus, and what they are asked for.

    trained: which of them are rankers; ids: (N,) of the corpus's listings
    depth: best listings of each teacher that are labelled, >= 1; random: further ones, drawn from the corpus, >= 0
    temperature: of labelers, > 0 (wares.supervision.aggregation.pooled)
    seed: of what is drawn; performance: what predicts the queries' performance, where that is wanted
    """

    scorers: tuple[Scorer, ...]
    trained: tuple[bool, ...]
    ids: npt.NDArray[np.object_]
    depth: int
    random: int
    temperature: float
    seed: tuple[int, ...]
    performance: Performance | None = None

    def label(self, queries: Sequence[Query], block: int) -> Labelled:
        """Candidates are what any teacher puts first, and some that are drawn; labels are what all say of them.

        Queries from which all teachers abstain have no listings.
        """
        found = [scorer.retrieve(queries, self.depth) for scorer in self.scorers]
        listings = self.candidates(found, np.random.default_rng((*self.seed, block)))
        said = [_said(*each, queries, listings) for each in zip(self.scorers, found, strict=True)]
        labels = pooled(said, self.trained, self.temperature)
        order = np.argsort(-labels, axis=1, kind="stable")  # NaN comes last
        labels = np.take_along_axis(labels, order, axis=1)
        listings = np.where(np.isnan(labels), NONE, np.take_along_axis(listings, order, axis=1))
        predictions = np.full(len(queries), np.nan)
        if self.performance is not None:
            predictions = self.performance(queries, Labels(listings, labels.astype(np.float32)))
        return Labelled(listings, log_shares(labels, 1.0), predictions)

    def candidates(self, found: Sequence[Labels], random: np.random.Generator) -> Places:
        """(Q, K) places in the corpus, each once: what any teacher found, and some that are drawn."""
        best = union(found, self.depth)
        drawn = random.integers(0, len(self.ids), (len(best), self.random))
        drawn = np.where((best != NONE).any(axis=1, keepdims=True), drawn, NONE)
        repeated = (drawn[:, :, None] == best[:, None, :]).any(axis=2)
        for place in range(1, drawn.shape[1]):
            repeated[:, place] |= (drawn[:, :place] == drawn[:, place, None]).any(axis=1)
        return np.concatenate([best, np.where(repeated, NONE, drawn)], axis=1)


def _said(scorer: Scorer, found: Labels, queries: Sequence[Query], listings: Places) -> Scores:
    """(Q, K) a teacher's scores of these listings: those that it found are not scored again."""
    scores = found.scores_of(listings)
    others = np.where(np.isnan(scores), listings, NONE)
    return np.where(others == NONE, scores, scorer.score(queries, others)) if (others != NONE).any() else scores


@dataclass(frozen=True)
class Block:
    """Some of the queries, and the file of their labels."""

    number: int
    queries: Sequence[Query]
    path: Path


def predictions(corpus: Corpus, queries: Sequence[Query]) -> dict[str, dict[str, float]]:
    """Predictor -> query id -> how well it expects BM25 to answer the query; NaN where it expects nothing."""
    lexical = BM25().over(corpus)
    found = lexical.retrieve(queries, EVIDENCE)
    values = {name: Performance(get_predictor(name), lexical)(queries, found).tolist() for name in PREDICTORS}
    return {
        name: {query.id: value for query, value in zip(queries, each, strict=True)} for name, each in values.items()
    }
