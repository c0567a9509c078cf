"""Simulated behaviour of buyers: a log of searches, and clicks that may lead to a purchase."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from wares.samples.listings import PlannedListing
from wares.samples.queries import Query
from wares.samples.randomness import Rng

Row = dict[str, object]
# Steps towards a purchase: the weight in interactions.jsonl, and the chance after the step before.
FUNNEL: Mapping[str, tuple[float, float]] = {
    "click": (1, 1),
    "favourite": (2, 0.3),
    "cart": (3, 0.45),
    "purchase": (5, 0.5),
}
CLICK_SHARES = (0.03, 0.16, 0.42)  # by grade, at the first rank
START, DAYS = datetime(2025, 3, 1), 90
DEPTH = 10  # results on a page


def simulate_searches(queries: Sequence[Query], count: int, rng: Rng) -> list[tuple[Query, datetime]]:
    """Draw searches in order of time; the frequencies of queries follow Zipf's law."""
    if not queries:
        return []
    shares = 1 / (np.arange(len(queries)) + 2.0)
    indices = rng.choice(len(queries), count, p=shares / shares.sum())
    minutes = np.sort(rng.integers(0, DAYS * 24 * 60, count))
    return [(queries[k], START + timedelta(minutes=int(minute))) for k, minute in zip(indices, minutes, strict=True)]


def simulate_interactions(
    searches: Iterable[tuple[Query, datetime]], listings: Sequence[PlannedListing], rng: Rng
) -> Iterator[Row]:
    """Yield clicks and what follows them, search by search.

    Buyers see the results of a mediocre search engine that favours popular listings.
    """
    ids = [listing.id for listing in listings]
    popularity = dict(zip(ids, rng.normal(0, 0.7, len(ids)), strict=True))
    for query, time in searches:
        candidates = [*query.grades, *(ids[k] for k in rng.integers(0, len(ids), 8))]
        scores = [
            query.grades.get(listing, 0) + popularity[listing] + noise
            for listing, noise in zip(candidates, rng.gumbel(0, 0.8, len(candidates)), strict=True)
        ]
        for rank, k in enumerate(np.argsort(scores)[::-1][:DEPTH]):
            grade = query.grades.get(candidates[k], 0)
            if rng.random() < CLICK_SHARES[grade] / (1 + rank) ** 0.7:
                yield from _visit(query.text, candidates[k], grade, time, rng)


def _visit(query: str, listing: str, grade: int, time: datetime, rng: Rng) -> Iterator[Row]:
    """Yield a click and the steps after it; each step is rarer for listings of a lower grade."""
    for kind, (weight, chance) in FUNNEL.items():
        if kind != "click" and rng.random() >= chance * (0.4 + 0.3 * grade):
            return
        yield {"query": query, "listing": listing, "kind": kind, "weight": weight, "time": iso_time(time)}
        time += timedelta(minutes=int(rng.integers(1, 30)))


def iso_time(time: datetime) -> str:
    """Return a time in UTC as files have it."""
    return time.isoformat() + "Z"
