"""Is a labeler worth learning from, and is a ranker better than what there was? Asked without judgments.

Known-item search: a query made from one listing should find that listing. Queries written from listings, searched in
the whole corpus, tell whether a weak labeler finds anything at all. Titles, searched among listings whose titles were
taken away, tell rankers apart: words that query and listing share by construction are gone, and what is left is what
a ranker knows of photos and other texts.

Source: known-item search as a stand-in for judgments is Azzopardi, de Rijke & Balog (SIGIR 2007); taking the view away
that the query came from, and what follows from it for rounds of supervision, is our reading.
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

    from wares.ranking.scoring import Scorer


Floats = npt.NDArray[np.float64]
MAX_QUERIES = 500  # queries, at most
MAX_LISTINGS = 2000  # listings without titles, at most
SEARCH_DEPTH = 100  # results looked at
MIN_LABELER_MRR = 0.2  # mean reciprocal rank below which a labeler hardly finds anything
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class KnownItemTask:
    """Queries whose answers are known because they were made from them.

    corpus: that is searched; targets: for each query, the places of its listing and of what is the same item
    """

    corpus: Corpus
    queries: Sequence[Query]
    targets: Sequence[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class PairedDifference:
    """Of one scorer's reciprocal ranks from another's. p: two-sided paired t-test"""

    mean: float
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether it is below, and not by chance."""
        return self.mean < 0 and self.p < SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class KnownItemResult:
    """A system and how it did in known-item search. reciprocal_ranks: (Q,) reciprocal"""

    name: str
    reciprocal_ranks: Floats

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank."""
        return float(self.reciprocal_ranks.mean())


@dataclass(frozen=True)
class Recommendation:
    """What is kept of one ranker, and in which rounds it was worse than untrained.

    rounds: one or more; best: the best of all, untrained included; worse_rounds: rounds that are below `untrained`, and not by
    chance
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
            return f"No round is better than {self.untrained.name}. Keep what there was."
        return f"Keep {self.best.name}."


def recommend(untrained: KnownItemResult, rounds: Sequence[KnownItemResult]) -> Recommendation:
    """Compare a ranker's rounds with what it was before. rounds: one or more

    Rankers of one kind only are compared: known-item search favours those that go by words, whatever their worth.
    """
    best = max(rounds, key=lambda each: each.mrr)
    found = [(each, paired_difference(each.reciprocal_ranks, untrained.reciprocal_ranks)) for each in rounds]
    kept = best if best.mrr > untrained.mrr else untrained
    return Recommendation(
        untrained, tuple(rounds), kept, tuple((each, apart) for each, apart in found if apart.is_worse)
    )


def generated_query_task(corpus: Corpus, seed: int = 0) -> KnownItemTask | None:
    """Queries written from listings, for the whole corpus; None where none can be written."""
    try:
        found = generate_queries(corpus, MAX_QUERIES, seed)
    except CatalogueError:
        return None
    return KnownItemTask(corpus, found.queries, _same_items(corpus, found.sources))


def title_query_task(corpus: Corpus, seed: int = 0) -> KnownItemTask | None:
    """Titles, for listings without titles, at most `MAX_LISTINGS`; None where listings have nothing else to be found by."""
    listings = corpus.catalogue.listings
    order = np.random.default_rng(seed).permutation(len(listings))
    found = np.array([bool(listings[i].images) or len(listing_texts(listings[i])) > 1 for i in order], dtype=np.bool_)
    searched = np.sort(order[np.argsort(~found, kind="stable")][:MAX_LISTINGS])
    asking = np.intersect1d(order[found][:MAX_QUERIES], searched, return_indices=True)[2]
    if not len(asking):
        return None
    some = replace(corpus, catalogue=corpus.catalogue.subset(searched.tolist()))
    queries = [Query(f"t{place}", some.catalogue.listings[place].title) for place in asking.tolist()]
    untitled = tuple(replace(each, title="") for each in some.catalogue.listings)
    without = replace(some, catalogue=replace(some.catalogue, listings=untitled))
    return KnownItemTask(without, queries, _same_items(some, asking.tolist()))


def reciprocal_ranks(scorer: Scorer, task: KnownItemTask) -> Floats:
    """(Q,) of the best listing that is wanted; 0 where none is among the first `SEARCH_DEPTH`. scorer: over `task.corpus`"""
    listings = scorer.retrieve(task.queries, SEARCH_DEPTH).listings
    hits = np.array(
        [np.isin(row, wanted) & (row != NO_LISTING) for row, wanted in zip(listings, task.targets, strict=True)]
    )
    return reciprocal_rank(hits)


def paired_difference(values: Floats, reference: Floats) -> PairedDifference:
    """Query by query; p is 1 where nothing differs."""
    from scipy.stats import ttest_rel

    if np.array_equal(values, reference):
        return PairedDifference(0.0, 1.0)
    return PairedDifference(float((values - reference).mean()), float(ttest_rel(values, reference).pvalue))


def _same_items(corpus: Corpus, sources: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    labels = duplicate_labels(corpus.catalogue.listings)
    return [np.flatnonzero(duplicate_mask(labels[[index]], labels)[0]) for index in sources]
