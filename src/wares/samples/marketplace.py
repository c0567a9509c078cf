"""The sample marketplace: listings, photos, queries, judgments, a query log and interactions, all invented.

Nothing here is a real offer. Everything follows from the seed: each listing has its own random
generators, derived from (seed, listing number, purpose), so that the files are the same bytes however
many processes draw.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from wares.core.errors import WaresError
from wares.samples import wording
from wares.samples.camera import Seller, shoot
from wares.samples.goods import COLOURS, GROUPS, KINDS, Item, invent, jittered, pick

Rng = np.random.Generator
Row = dict[str, object]
Facts = dict[str, str]
ITEM, TEXT, SHOOT, MARKET, SELLER = 0, 1, 2, 4, 5
RELISTED, BAD_FIRST, SELLERS, QUERIES = 0.06, 0.07, 60, 300
STEPS: Mapping[str, tuple[float, float]] = {
    "click": (1, 1),
    "favourite": (2, 0.3),
    "cart": (3, 0.45),
    "purchase": (5, 0.5),
}
CLICKED = (0.03, 0.16, 0.42)  # by grade, at the first rank
_SMALL = 100


@dataclass(frozen=True)
class Marketplace:
    """Where the sample marketplace lies, and how much of it there is."""

    folder: Path
    listings: int
    photos: int
    queries: int
    judgments: int
    interactions: int


@dataclass(frozen=True)
class Offer:
    """One listing before it is drawn and worded."""

    number: int
    item: Item
    product: str
    seller: int
    roles: tuple[str, ...]
    flawed: bool

    @property
    def id(self) -> str:
        return f"w{self.number:04d}"


@dataclass(frozen=True)
class Query:
    """What is typed, what is wanted, and how well each listing answers (2 fully, 1 nearly)."""

    text: str
    wants: wording.Wants
    misspelt: bool
    grades: Mapping[str, int]


def write_marketplace(
    folder: Path,
    listings: int = 1200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> Marketplace:
    """Write the sample marketplace into a folder.

    progress: called with (listings drawn, listings in all)
    workers: processes that draw; by default two, or none for a handful of listings. A script that calls this guards
        its own start with `if __name__ == "__main__":`
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    offers = plan(listings, seed)
    drawn: list[tuple[Row, Row]] = []
    for rows in _drawn(offers, folder, seed, workers):
        drawn += rows
        if progress:
            progress(len(drawn), listings)
    _write(folder / "listings.jsonl", (listing for listing, _ in drawn))
    _write(folder / "truth.jsonl", (truth for _, truth in drawn))
    rng = np.random.default_rng([seed, 0, MARKET])
    queries = ask(offers, rng)
    named = {f"q{k:03d}": query for k, query in enumerate(queries, 1)}
    _write(folder / "queries.jsonl", ({"id": name, "text": query.text} for name, query in named.items()))
    _write(
        folder / "truth-queries.jsonl",
        ({"id": name, "wants": query.wants, "misspelt": query.misspelt} for name, query in named.items()),
    )
    judgments = [
        f"{name} 0 {listing} {grade}\n" for name, query in named.items() for listing, grade in query.grades.items()
    ]
    (folder / "qrels.txt").write_text("".join(judgments), encoding="utf-8")
    searches = search(queries, max(3000, 6 * listings), rng)
    counts = Counter(query.text for query, _ in searches)
    last = {query.text: _iso(when) for query, when in searches}
    _write(
        folder / "query_log.jsonl",
        ({"query": text, "count": count, "last": last[text]} for text, count in counts.most_common()),
    )
    clicks = sorted(interact(searches, offers, rng), key=lambda row: str(row["time"]))
    _write(folder / "interactions.jsonl", clicks)
    photos = sum(len(offer.roles) for offer in offers)
    return Marketplace(folder, listings, photos, len(queries), len(judgments), len(clicks))


# Listings


def plan(listings: int, seed: int) -> list[Offer]:
    """Who offers what, and which photos they take of it."""
    offers: list[Offer] = []
    again: dict[int, int] = {}
    for number in range(1, listings + 1):
        rng = np.random.default_rng([seed, number, ITEM])
        earlier = offers[int(rng.integers(len(offers)))] if offers and rng.random() < RELISTED else None
        item = earlier.item if earlier else invent(rng, number)
        if earlier:
            again[number] = item.origin
        flawed = bool(rng.random() < BAD_FIRST)
        roles, flawed = _roles(item, rng, flawed)
        offers.append(Offer(number, item, "", int(rng.integers(SELLERS)), roles, flawed))
    relisted = set(again.values())
    return [
        Offer(
            o.number, o.item, f"p{o.item.origin:04d}" if o.item.origin in relisted else "", o.seller, o.roles, o.flawed
        )
        for o in offers
    ]


def _roles(item: Item, rng: Rng, flawed: bool) -> tuple[tuple[str, ...], bool]:
    """The roles of a listing's photos in order, and whether the first photo itself is spoiled."""
    odds = {
        "angle": 0.55,
        "detail": 0.42,
        "in-use": 0.6,
        "other-colour": 0.14,
        "size-chart": 0.2 if item.size else 0.08,
        "logo": 0.14,
        "wrong": 0.05,
    }
    roles = [role for role, chance in odds.items() if rng.random() < chance]
    if rng.random() < 0.15:
        roles.append("in-use")
    rng.shuffle(roles)
    roles = ["front", *roles[: 5 if rng.random() < 0.93 else 0]]
    if flawed and rng.random() < 0.45:
        bad = next((role for role in roles if role in ("size-chart", "logo", "wrong")), "logo")
        rest = [role for role in roles if role != bad]
        return (bad, *rest)[:6], False
    return tuple(roles), flawed


def _sellers(seed: int) -> list[Seller]:
    rng = np.random.default_rng([seed, 0, SELLER])
    papers = (
        (250, 249, 246),
        (246, 240, 230),
        (240, 242, 244),
        (245, 230, 226),
        (230, 237, 231),
        (252, 252, 252),
        (228, 234, 242),
        (242, 234, 218),
    )
    grounds = ("sweep",) * 9 + ("bedsheet", "linen", "oak", "whitewood")
    shades = [shade for tone in COLOURS.values() for shade in tone.shades if 40 < sum(shade) / 3 < 150]
    first, second = wording.SELLERS
    return [
        Seller(
            f"{pick(rng, first)} {pick(rng, second)}",
            pick(rng, shades),
            jittered(pick(rng, papers), rng, 2),
            pick(rng, grounds),
            float(rng.normal(0.01, 0.025)),
            float(rng.normal(1.02, 0.035)),
            int(rng.integers(1, 5)),
        )
        for _ in range(SELLERS)
    ]


def _drawn(offers: Sequence[Offer], folder: Path, seed: int, workers: int | None) -> Iterator[list[tuple[Row, Row]]]:
    batches = [offers[at : at + 20] for at in range(0, len(offers), 20)]
    if workers is None:
        workers = 1 if len(offers) < _SMALL else min(2, os.cpu_count() or 1)
    work = partial(_draw, folder=folder, seed=seed)
    if workers <= 1:
        yield from map(work, batches)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(work, batches)
    except BrokenProcessPool as error:
        raise WaresError(
            "A process that draws listings ended without a word: killed, perhaps for want of memory. Use one worker; "
            'in a script of your own, start under `if __name__ == "__main__":`.'
        ) from error


def _draw(offers: Sequence[Offer], folder: Path, seed: int) -> list[tuple[Row, Row]]:
    sellers = _sellers(seed)
    return [_listing(offer, sellers[offer.seller], folder, seed) for offer in offers]


def _listing(offer: Offer, seller: Seller, folder: Path, seed: int) -> tuple[Row, Row]:
    """Draw the photos, write the texts: the listing as the shop sees it, and the truth about it."""
    item = offer.item
    photos = shoot(item, offer.roles, seed, seller, np.random.default_rng([seed, offer.number, SHOOT]), offer.flawed)
    names = [f"images/{offer.number:04d}-{k}.jpg" for k in range(1, len(photos) + 1)]
    for name, photo in zip(names, photos, strict=True):
        (folder / name).write_bytes(photo.file)
    rng = np.random.default_rng([seed, offer.number, TEXT])
    price = round(float(KINDS[item.kind].price * np.exp(rng.normal(0, 0.38)))) - (0.01 if rng.random() < 0.3 else 0)
    texts = wording.write(item, rng, price)
    attributes = {
        "condition": pick(rng, wording.CONDITIONS),
        "ships_from": pick(rng, wording.PLACES),
        "seller": seller.name,
    }
    if item.size:
        attributes["size"] = item.size
    product: Row = {"product": offer.product} if offer.product else {}
    listing: Row = {
        "id": offer.id,
        "title": texts.title,
        "description": texts.description,
        "tags": texts.tags,
        "images": names,
        "price": price,
        "attributes": attributes,
        **product,
    }
    taken = [
        {"image": name, "role": photo.role, "shows": photo.shows, "colour": photo.colour, "flaw": photo.flaw}
        for name, photo in zip(names, photos, strict=True)
    ]
    return listing, {"id": offer.id, **item.truth(), **product, "tells": texts.tells, "photos": taken}


# Queries and judgments


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


# Behaviour


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


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
