"""Simulated searches, clicks and purchases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from wares.samples.listings import Offer
from wares.samples.queries import Query
from wares.samples.randomness import Rng

Row = dict[str, object]

STEPS: Mapping[str, tuple[float, float]] = {
    "click": (1, 1),
    "favourite": (2, 0.3),
    "cart": (3, 0.45),
    "purchase": (5, 0.5),
}
CLICKED = (0.03, 0.16, 0.42)  # by grade, at the first rank


def search(queries: Sequence[Query], searches: int, rng: Rng) -> list[tuple[Query, datetime]]:
    """Who searched what, when: frequencies follow Zipf's law over the queries."""
    if not queries:
        return []
    shares = 1 / (np.arange(len(queries)) + 2.0)
    drawn = rng.choice(len(queries), searches, p=shares / shares.sum())
    minutes = np.sort(rng.integers(0, 90 * 24 * 60, searches))
    start = datetime(2025, 3, 1)
    return [(queries[k], start + timedelta(minutes=int(when))) for k, when in zip(drawn, minutes, strict=True)]


def interact(searches: Iterable[tuple[Query, datetime]], offers: Sequence[Offer], rng: Rng) -> Iterator[Row]:
    """Clicks and what follows them. People see ten results of a mediocre engine that likes what is popular."""
    ids = [offer.id for offer in offers]
    fame = dict(zip(ids, rng.normal(0, 0.7, len(ids)), strict=True))
    for query, when in searches:
        pool = [*query.grades, *(ids[k] for k in rng.integers(0, len(ids), 8))]
        scores = [
            query.grades.get(name, 0) + fame[name] + noise
            for name, noise in zip(pool, rng.gumbel(0, 0.8, len(pool)), strict=True)
        ]
        for rank, k in enumerate(np.argsort(scores)[::-1][:10]):
            grade = query.grades.get(pool[k], 0)
            if rng.random() < CLICKED[grade] / (1 + rank) ** 0.7:
                yield from _visit(query.text, pool[k], grade, when, rng)


def _visit(query: str, listing: str, grade: int, when: datetime, rng: Rng) -> Iterator[Row]:
    """A click, and how far it leads: each step is rarer than the one before, and rarer where the goods are wrong."""
    for kind, (weight, chance) in STEPS.items():
        if kind != "click" and rng.random() >= chance * (0.4 + 0.3 * grade):
            return
        yield {"query": query, "listing": listing, "kind": kind, "weight": weight, "time": _iso(when)}
        when += timedelta(minutes=int(rng.integers(1, 30)))


def _iso(when: datetime) -> str:
    return when.isoformat() + "Z"
