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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wares.errors import WaresError
from wares.samples import wording
from wares.samples.interactions import Row, _iso, interact, search
from wares.samples.kinds import KINDS
from wares.samples.listings import Offer, _sellers, plan
from wares.samples.photography.camera import Seller
from wares.samples.photography.photo_shoot import take_photos
from wares.samples.phrases import PHRASES
from wares.samples.queries import ask
from wares.samples.randomness import pick

TEXT, SHOOT, MARKET = 1, 2, 4
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
    photos = take_photos(
        item, offer.roles, seed, seller, np.random.default_rng([seed, offer.number, SHOOT]), offer.flawed
    )
    names = [f"images/{offer.number:04d}-{k}.jpg" for k in range(1, len(photos) + 1)]
    for name, photo in zip(names, photos, strict=True):
        (folder / name).write_bytes(photo.file)
    rng = np.random.default_rng([seed, offer.number, TEXT])
    price = round(float(KINDS[item.kind].price * np.exp(rng.normal(0, 0.38)))) - (0.01 if rng.random() < 0.3 else 0)
    texts = wording.write(item, rng, price)
    attributes = {
        "condition": pick(rng, PHRASES.listing.conditions),
        "ships_from": pick(rng, PHRASES.listing.places),
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


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
