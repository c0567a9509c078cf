"""Known-item search: checks of labelers and rankers without judgments.

A query made from one listing should find that listing. Queries generated from listings, searched in the whole corpus,
show whether a weak labeler finds anything at all. Titles, searched among listings without their titles, compare the
rounds of a ranker: query and listing no longer share words by construction, so what the ranker has learned of photos
and other texts decides.

Source: known-item search in place of judgments is Azzopardi, de Rijke & Balog (SIGIR 2007); removing the view that the
query comes from, and what follows for rounds of supervision, is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.errors import CatalogueError
from wares.core.hits import reciprocal_rank
from wares.data.corpus import Corpus
from wares.data.duplicates import duplicate_labels, duplicate_mask
from wares.data.listings import Query
from wares.data.views import listing_texts
from wares.ranking.scoring import NO_LISTING
from wares.supervision.query_generation import generate_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.ranking.scoring import Indices, Scorer


Floats = npt.NDArray[np.float64]
MAX_QUERIES = 500  # of a task
MAX_LISTINGS = 2000  # without titles, that titles are searched among
SEARCH_DEPTH = 100  # results read for a query
MIN_LABELER_MRR = 0.2  # mean reciprocal rank below which a labeler is unreliable
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class KnownItemTask:
    """Queries with known answers, because they were made from listings.

    corpus: to search; targets: for each query, the indices of its listing and of its duplicates
    """

    corpus: Corpus
    queries: Sequence[Query]
    targets: Sequence[Indices]


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of two scorers' reciprocal ranks. p: of a two-sided paired t-test"""

    mean: float
    p: float

    @property
    def is_worse(self) -> bool:
        """True if the mean is significantly below 0."""
        return self.mean < 0 and self.p < SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class KnownItemResult:
    """A system's result in known-item search. reciprocal_rank: (Q,)"""

    name: str
    reciprocal_rank: Floats

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank."""
        return float(self.reciprocal_rank.mean())


@dataclass(frozen=True)
class Recommendation:
    """Which round of a ranker to keep.

    rounds: one or more; best: of all, the untrained ranker included
    worse_rounds: rounds significantly below the untrained ranker, with the difference
    """

    untrained: KnownItemResult
    rounds: tuple[KnownItemResult, ...]
    best: KnownItemResult
    worse_rounds: tuple[tuple[KnownItemResult, PairedDifference], ...]

    @property
    def systems(self) -> tuple[KnownItemResult, ...]:
        """The ranker untrained, and after each round."""
        return (self.untrained, *self.rounds)

    def __str__(self) -> str:
        if self.best is self.untrained:
            return f"No round is better than {self.untrained.name}. Keep the untrained ranker."
        return f"Keep {self.best.name}."


def recommend(untrained: KnownItemResult, rounds: Sequence[KnownItemResult]) -> Recommendation:
    """Compare a ranker's rounds with the untrained ranker. rounds: one or more

    Compare only rounds of one ranker: known-item search favours rankers that match words over others.
    """
    differences = [(result, paired_difference(result.reciprocal_rank, untrained.reciprocal_rank)) for result in rounds]
    best = max(rounds, key=lambda result: result.mrr)
    return Recommendation(
        untrained,
        tuple(rounds),
        best if best.mrr > untrained.mrr else untrained,
        tuple((result, difference) for result, difference in differences if difference.is_worse),
    )


def generated_query_task(corpus: Corpus, seed: int = 0) -> KnownItemTask | None:
    """Queries generated from listings, for the whole corpus; None if no query can be generated."""
    try:
        generated = generate_queries(corpus, MAX_QUERIES, seed)
    except CatalogueError:
        return None
    return KnownItemTask(corpus, generated.queries, _with_duplicates(corpus, generated.sources))


def title_query_task(corpus: Corpus, seed: int = 0) -> KnownItemTask | None:
    """Titles, for at most `MAX_LISTINGS` listings without titles; None if listings have nothing but titles."""
    listings = corpus.catalogue.listings
    order = np.random.default_rng(seed).permutation(len(listings))
    findable = np.array(
        [bool(listings[index].images) or len(listing_texts(listings[index])) > 1 for index in order], dtype=np.bool_
    )
    searched = np.sort(order[np.argsort(~findable, kind="stable")][:MAX_LISTINGS])
    sources = np.intersect1d(order[findable][:MAX_QUERIES], searched, return_indices=True)[2].tolist()
    if not sources:
        return None
    titled = replace(corpus, catalogue=corpus.catalogue.subset(searched.tolist()))
    queries = [Query(f"t{index}", titled.catalogue.listings[index].title) for index in sources]
    without_titles = tuple(replace(listing, title="") for listing in titled.catalogue.listings)
    untitled = replace(titled, catalogue=replace(titled.catalogue, listings=without_titles))
    return KnownItemTask(untitled, queries, _with_duplicates(titled, sources))


def known_item_reciprocal_rank(scorer: Scorer, task: KnownItemTask) -> Floats:
    """(Q,) reciprocal rank of the best target; 0 if none is among the first `SEARCH_DEPTH` results.

    scorer: fitted to `task.corpus`
    """
    listings = scorer.retrieve(task.queries, SEARCH_DEPTH).listings
    hits = [np.isin(row, targets) & (row != NO_LISTING) for row, targets in zip(listings, task.targets, strict=True)]
    return reciprocal_rank(np.array(hits))


def paired_difference(values: Floats, reference: Floats) -> PairedDifference:
    """Mean difference query by query; p is 1 if all values are equal."""
    from scipy.stats import ttest_rel

    if np.array_equal(values, reference):
        return PairedDifference(0.0, 1.0)
    return PairedDifference(float((values - reference).mean()), float(ttest_rel(values, reference).pvalue))


def _with_duplicates(corpus: Corpus, sources: Sequence[int]) -> list[Indices]:
    labels = duplicate_labels(corpus.catalogue.listings)
    return [np.flatnonzero(duplicate_mask(labels[[index]], labels)[0]) for index in sources]
