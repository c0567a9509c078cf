"""Queries that have answers, and how well each listing answers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wares.samples import wording
from wares.samples.items import Item
from wares.samples.kinds import GROUPS, KINDS
from wares.samples.listings import Facts, Offer
from wares.samples.palette import COLOURS
from wares.samples.randomness import Rng, pick

QUERIES = 300


@dataclass(frozen=True)
class Query:
    """What is typed, what is wanted, and how well each listing answers (2 fully, 1 nearly)."""

    text: str
    wants: wording.Wants
    misspelt: bool
    grades: Mapping[str, int]


def ask(offers: Sequence[Offer], rng: Rng) -> list[Query]:
    """Distinct queries that have answers, the likeliest to be typed first."""
    forms, odds = zip(*wording.FORMS, strict=True)
    shares = np.array(odds) / sum(odds)
    goal = min(QUERIES, max(12, len(offers) // 3))
    facts = {offer.id: facts_of(offer.item) for offer in offers}
    asked: dict[str, Query] = {}
    for _ in range(goal * 60):
        if len(asked) == goal:
            break
        form = forms[int(rng.choice(len(forms), p=shares))]
        item = pick(rng, offers).item
        wants = {name: facts_of(item)[name] for name in form}
        grades = judge(wants, facts) if _askable(wants) else {}
        if 2 <= sum(grade == 2 for grade in grades.values()) <= 60:
            plain = wording.phrase(wants, item, rng)
            text = wording.mistyped(plain, rng) if rng.random() < 0.1 else plain
            asked.setdefault(text, Query(text, wants, text != plain, grades))
    rank = {text: len(query.wants) + query.misspelt + float(rng.gumbel(0, 0.8)) for text, query in asked.items()}
    return sorted(asked.values(), key=lambda query: rank[query.text])


def _askable(wants: wording.Wants) -> bool:
    """Nobody asks for a plain pattern, or by a group that has no name."""
    return wants.get("pattern") != "plain" and wants.get("group", "shoes") in GROUPS


def facts_of(item: Item) -> Facts:
    """Everything a query may ask of an item."""
    return {**item.truth(), "group": KINDS[item.kind].group}


def judge(wants: wording.Wants, facts: Mapping[str, Facts]) -> dict[str, int]:
    """Grades by listing, where there is one."""
    grades = {listing: grade_of(wants, known) for listing, known in facts.items()}
    return {listing: grade for listing, grade in grades.items() if grade}


def grade_of(wants: wording.Wants, facts: Facts) -> int:
    """How well an item answers: 2 fully, 1 for the right goods with one constraint missed, 0 otherwise.

    Missing the only constraint there is beside the goods is forgiven where the colour is a neighbour.
    """
    missed = [name for name, value in wants.items() if facts[name] != value]
    if not missed:
        return 2
    if len(missed) > 1 or missed[0] in ("kind", "group"):
        return 0
    near = missed == ["colour"] and facts["colour"] in COLOURS[wants["colour"]].near
    return 1 if near or len(wants) > 2 else 0
