"""Queries of the marketplace, each with listings that answer it, and how well each listing does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wares.samples.items import Item
from wares.samples.kinds import GROUPS, KINDS
from wares.samples.listings import PlannedListing
from wares.samples.palette import COLOURS
from wares.samples.randomness import Rng, pick
from wares.samples.wording import misspell, word_for

Attributes = dict[str, str]  # value by name of attribute
MIN_QUERIES, MAX_QUERIES = 12, 300
MIN_ANSWERS, MAX_ANSWERS = 2, 60  # listings that answer a query fully
# The attributes that a query names, with the share of queries that name them.
FORMS: Sequence[tuple[tuple[str, ...], float]] = (
    (("kind",), 0.05),
    (("kind", "colour"), 0.24),
    (("kind", "pattern"), 0.15),
    (("kind", "material"), 0.11),
    (("kind", "occasion"), 0.12),
    (("kind", "shape"), 0.08),
    (("kind", "colour", "material"), 0.06),
    (("kind", "colour", "pattern"), 0.06),
    (("kind", "colour", "occasion"), 0.03),
    (("group", "colour"), 0.05),
    (("group", "pattern"), 0.03),
    (("group", "occasion"), 0.02),
)
ORDER = ("occasion", "colour", "pattern", "material", "shape", "kind", "group")


@dataclass(frozen=True)
class Query:
    """A query: its text, the attributes that it asks for, and the grades of listings (2 or 1) by id."""

    text: str
    wants: Attributes
    misspelt: bool
    grades: Mapping[str, int]


def random_queries(listings: Sequence[PlannedListing], rng: Rng) -> list[Query]:
    """Draw distinct queries that some listings answer, in the order in which the log favours them."""
    forms, weights = zip(*FORMS, strict=True)
    shares = np.array(weights) / sum(weights)
    count = min(MAX_QUERIES, max(MIN_QUERIES, len(listings) // 3))
    attributes = {listing.id: query_attributes(listing.item) for listing in listings}
    queries: dict[str, Query] = {}
    for _ in range(count * 60):
        if len(queries) == count:
            break
        form = forms[int(rng.choice(len(forms), p=shares))]
        item = pick(rng, listings).item
        wants = {name: query_attributes(item)[name] for name in form}
        grades = grade_listings(wants, attributes) if _is_plausible(wants) else {}
        if MIN_ANSWERS <= sum(grade == 2 for grade in grades.values()) <= MAX_ANSWERS:
            correct = query_text(wants, item, rng)
            text = _misspell_longest(correct, rng) if rng.random() < 0.1 else correct
            queries.setdefault(text, Query(text, wants, text != correct, grades))
    rank = {text: len(query.wants) + query.misspelt + float(rng.gumbel(0, 0.8)) for text, query in queries.items()}
    return sorted(queries.values(), key=lambda query: rank[query.text])


def query_attributes(item: Item) -> Attributes:
    """Return everything that a query may ask of an item."""
    return {**item.attributes(), "group": KINDS[item.kind].group}


def _is_plausible(wants: Attributes) -> bool:
    """Return whether people type such a query: not for a plain pattern, nor for a group without words."""
    return wants.get("pattern") != "plain" and wants.get("group", "shoes") in GROUPS


def grade_listings(wants: Attributes, attributes: Mapping[str, Attributes]) -> dict[str, int]:
    """Return the grades of listings by id, without those of grade 0."""
    grades = {listing: grade(wants, known) for listing, known in attributes.items()}
    return {listing: value for listing, value in grades.items() if value}


def grade(wants: Attributes, attributes: Attributes) -> int:
    """Return how well an item answers a query: 2 fully, 1 nearly, 0 not.

    An item of the right kind or group answers nearly if it misses one of several other attributes, or if its colour is
    a neighbour of the colour, which is the only other attribute.
    """
    missed = [name for name, value in wants.items() if attributes[name] != value]
    if not missed:
        return 2
    if len(missed) > 1 or missed[0] in ("kind", "group"):
        return 0
    near = missed == ["colour"] and attributes["colour"] in COLOURS[wants["colour"]].near
    return 1 if near or len(wants) > 2 else 0


def query_text(wants: Attributes, item: Item, rng: Rng) -> str:
    """Write the query of a buyer who wants an item with these attributes."""
    words = {
        name: pick(rng, GROUPS[value]) if name == "group" else word_for(name, item, rng, 0.55)
        for name, value in wants.items()
    }
    order = [name for name in ORDER if name in words]
    if "occasion" in words and rng.random() < 0.4:
        order = [*order[1:], "occasion"]
        words["occasion"] = "for " + words["occasion"]
    elif len(order) > 1 and rng.random() < 0.15:
        order = order[::-1]
    if words.get("group", "").startswith(("gift", "something")):
        others = [name for name in order if name != "group"]
        order = [*others, "group"] if rng.random() < 0.5 else ["group", *others]
    return " ".join(words[name] for name in order)


def _misspell_longest(text: str, rng: Rng) -> str:
    """Misspell the longest word of a query."""
    longest = max(text.split(" "), key=len)
    return text.replace(longest, misspell(longest, rng), 1)
