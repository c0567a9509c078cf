"""The sample marketplace: listings, photos, queries, judgments, a query log and interactions, all invented.

Everything follows from the seed: each listing has random generators of its own, derived from (seed, listing number,
purpose), so that the files are the same bytes for any number of workers.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from wares.core.processes import worker_pool
from wares.samples.interactions import Row, iso_time, simulate_interactions, simulate_searches
from wares.samples.kinds import KINDS
from wares.samples.listings import PlannedListing, plan_listings, random_sellers
from wares.samples.photography.camera import Seller
from wares.samples.photography.photo_shoot import Photo, take_photos
from wares.samples.phrases import PHRASES
from wares.samples.queries import Query, random_queries
from wares.samples.randomness import pick
from wares.samples.wording import write_texts

TEXT_STREAM, PHOTO_STREAM, MARKET_STREAM = 1, 2, 4  # random streams of a seed
BATCH = 20  # listings that a worker draws at a time
SERIAL_LISTINGS = 100  # fewer than these are drawn in this process
MIN_SEARCHES, SEARCHES_PER_LISTING = 3000, 6


@dataclass(frozen=True)
class Marketplace:
    """A marketplace on disk: its folder, and the number of rows in its files."""

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
    """Draw the sample marketplace into a folder.

    progress: called with the numbers of listings drawn so far and in all
    workers: processes that draw; by default two, or none for fewer than 100 listings. A script that uses workers calls
        this function under `if __name__ == "__main__":`

    Raises WaresError if a worker is killed.

    Example:
        >>> from pathlib import Path
        >>> from wares.samples import write_marketplace
        >>> write_marketplace(Path("market"), listings=3, seed=1).listings
        3
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    planned = plan_listings(listings, seed)
    rows: list[tuple[Row, Row]] = []
    for batch in _draw_listings(planned, folder, seed, workers):
        rows += batch
        if progress:
            progress(len(rows), listings)
    _write_rows(folder / "listings.jsonl", (listing for listing, _ in rows))
    _write_rows(folder / "truth.jsonl", (truth for _, truth in rows))
    rng = np.random.default_rng([seed, 0, MARKET_STREAM])
    queries = {f"q{number:03d}": query for number, query in enumerate(random_queries(planned, rng), 1)}
    judgments = _write_queries(folder, queries)
    searches = simulate_searches(list(queries.values()), max(MIN_SEARCHES, SEARCHES_PER_LISTING * listings), rng)
    _write_query_log(folder, searches)
    interactions = sorted(simulate_interactions(searches, planned, rng), key=lambda row: str(row["time"]))
    _write_rows(folder / "interactions.jsonl", interactions)
    photos = sum(len(listing.roles) for listing in planned)
    return Marketplace(folder, listings, photos, len(queries), judgments, len(interactions))


def _draw_listings(
    planned: Sequence[PlannedListing], folder: Path, seed: int, workers: int | None
) -> Iterator[list[tuple[Row, Row]]]:
    """Yield the rows of the listings, a batch at a time, in order."""
    batches = [planned[start : start + BATCH] for start in range(0, len(planned), BATCH)]
    if workers is None:
        workers = 1 if len(planned) < SERIAL_LISTINGS else min(2, os.cpu_count() or 1)
    draw = partial(_draw_batch, folder=folder, seed=seed)
    if workers <= 1:
        yield from map(draw, batches)
        return
    with worker_pool(workers, "drawing listings", "Pass workers=1.") as pool:
        yield from pool.map(draw, batches)


def _draw_batch(planned: Sequence[PlannedListing], folder: Path, seed: int) -> list[tuple[Row, Row]]:
    sellers = random_sellers(seed)
    return [_draw_listing(listing, sellers[listing.seller], folder, seed) for listing in planned]


def _draw_listing(planned: PlannedListing, seller: Seller, folder: Path, seed: int) -> tuple[Row, Row]:
    """Write the photos of a listing; return its row in listings.jsonl and its row in truth.jsonl."""
    item = planned.item
    rng = np.random.default_rng([seed, planned.number, PHOTO_STREAM])
    photos = {
        f"images/{planned.number:04d}-{number}.jpg": photo
        for number, photo in enumerate(take_photos(item, planned.roles, seed, seller, rng, planned.flawed), 1)
    }
    for name, photo in photos.items():
        (folder / name).write_bytes(photo.file)
    rng = np.random.default_rng([seed, planned.number, TEXT_STREAM])
    price = round(float(KINDS[item.kind].price * np.exp(rng.normal(0, 0.38)))) - (0.01 if rng.random() < 0.3 else 0)
    texts = write_texts(item, rng, price)
    attributes = {
        "condition": pick(rng, PHRASES.listing.conditions),
        "ships_from": pick(rng, PHRASES.listing.places),
        "seller": seller.name,
        **({"size": item.size} if item.size else {}),
    }
    product: Row = {"product": planned.product} if planned.product else {}
    listing: Row = {
        "id": planned.id,
        "title": texts.title,
        "description": texts.description,
        "tags": texts.tags,
        "images": list(photos),
        "price": price,
        "attributes": attributes,
        **product,
    }
    truth = {"id": planned.id, **item.attributes(), **product, "tells": texts.mentions, "photos": _photo_truth(photos)}
    return listing, truth


def _photo_truth(photos: Mapping[str, Photo]) -> list[Row]:
    return [
        {"image": name, "role": photo.role, "shows": photo.shows, "colour": photo.colour, "flaw": photo.flaw}
        for name, photo in photos.items()
    ]


def _write_queries(folder: Path, queries: Mapping[str, Query]) -> int:
    """Write the queries, the truth about them and their judgments; return the number of judgments."""
    _write_rows(folder / "queries.jsonl", ({"id": name, "text": query.text} for name, query in queries.items()))
    truth = ({"id": name, "wants": query.wants, "misspelt": query.misspelt} for name, query in queries.items())
    _write_rows(folder / "truth-queries.jsonl", truth)
    judgments = [
        f"{name} 0 {listing} {grade}\n" for name, query in queries.items() for listing, grade in query.grades.items()
    ]
    (folder / "qrels.txt").write_text("".join(judgments), encoding="utf-8")
    return len(judgments)


def _write_query_log(folder: Path, searches: Sequence[tuple[Query, datetime]]) -> None:
    """Write how often each query was typed, and when last."""
    counts = Counter(query.text for query, _ in searches)
    last = {query.text: iso_time(time) for query, time in searches}
    rows = ({"query": text, "count": count, "last": last[text]} for text, count in counts.most_common())
    _write_rows(folder / "query_log.jsonl", rows)


def _write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
