"""What shoppers did with what they were shown: read, check, and split by time.

A file has one {"query", "listing", "kind", "weight", "time"} a line. They are behaviour, not judgments: a listing
that was clicked was shown first, and one that was not may never have been.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import collect_valid_rows, read_rows
from wares.data.listings import OnError, Problem, Query


@dataclass(frozen=True, slots=True)
class Interaction:
    """Somebody typed a query and did something with a listing.

    kind: "click", "purchase", ...; weight: importance, > 0; time: seconds since 1970, UTC
    """

    query: str
    listing: str
    kind: str
    weight: float
    time: float


@dataclass(frozen=True)
class Interactions:
    """Interactions in the order of time, and the problems of the rows that are left out."""

    rows: tuple[Interaction, ...]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, test_fraction: float) -> tuple[Interactions, Interactions]:
        """The earlier and the later ones; rows of the same moment stay together.

        test_fraction: share of the interactions that come after the cut, in [0, 1)
        """
        if not 0.0 <= test_fraction < 1.0:
            raise SettingsError(f"the later share is in [0, 1), not {test_fraction}.")
        cut = len(self.rows) - int(len(self.rows) * test_fraction)
        while 0 < cut < len(self.rows) and self.rows[cut].time == self.rows[cut - 1].time:
            cut += 1
        return Interactions(self.rows[:cut]), Interactions(self.rows[cut:])


def read_interactions(
    path: str | Path,
    listings: Collection[str],
    kind_weights: Mapping[str, float] | None = None,
    on_error: OnError = "stop",
) -> Interactions:
    """Read and check interactions, a row each.

    path: a .jsonl, .csv or .parquet file
    listings: ids that exist; a row of another listing is a problem
    kind_weights: what a row of this kind counts, in place of its own weight; a kind of weight 0 is left out, as asked
    on_error: "stop" raises at the first problem; "skip" leaves the row out and lists it in `problems`

    A row without a weight counts 1. Queries are compared without regard to case and spacing. Raises CatalogueError,
    also where nothing is left.
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Interactions are rows of "query", "listing" and "time".')
    known = frozenset(listings)

    def read(line: int, row: dict[str, Any]) -> Interaction | Problem:
        return _checked(source.name, line, row, known, kind_weights or {})

    rows, problems = collect_valid_rows(read_rows(source, ("query", "listing")), read, on_error)
    rows = [row for row in rows if row.weight > 0]
    if not rows:
        raise CatalogueError(f"{source} has no interaction that can be used.")
    return Interactions(tuple(sorted(rows, key=lambda row: row.time)), tuple(problems))


def _checked(
    file: str, line: int, row: dict[str, Any], listings: frozenset[str], kinds: Mapping[str, float]
) -> Interaction | Problem:
    def wrong(field: str, message: str, remedy: str) -> Problem:
        return Problem(file, line, field, message, remedy, "unusable interaction", "row")

    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        return wrong("query", '"query" is missing or empty', "Write what was typed")
    listing = str(row.get("listing", "")).strip()
    if listing not in listings:
        return wrong("listing", f'"listing" {listing!r} is not in the catalogue', "Correct it, or remove the row")
    kind = row.get("kind", "")
    if not isinstance(kind, str):
        return wrong("kind", f'"kind" is {kind!r}, not text', "Write a word, as click")
    weight = _number(kinds.get(kind, row.get("weight", 1.0)))
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        return wrong("weight", f'"weight" is {weight!r}, not a number of 0 or more', "Write a number")
    time = _seconds(row.get("time"))
    if time is None:
        return wrong("time", f'"time" is {row.get("time")!r}', "Write it as 2025-03-01T12:00:00Z, or in seconds")
    return Interaction(" ".join(query.casefold().split()), listing, kind, float(weight), time)


def _number(value: object) -> object:
    """The number that a text of a table is; what is none stays as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _seconds(value: object) -> float | None:
    """Seconds since 1970 of a number or of an ISO 8601 text, UTC where it names no zone."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        number = _number(value)
        return number if isinstance(number, float) else None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def interaction_weights(interactions: Interactions) -> dict[str, dict[str, float]]:
    """Query → listing → summed weight, in the order in which the queries were first asked."""
    found: dict[str, dict[str, float]] = {}
    for row in interactions.rows:
        listings = found.setdefault(row.query, {})
        listings[row.listing] = listings.get(row.listing, 0.0) + row.weight
    return found


def interactions_to_queries(interactions: Interactions) -> tuple[list[Query], dict[str, dict[str, int]]]:
    """Every query that was asked, and what was interacted with after it, in the shape of judgments.

    They say what shoppers chose among what they were shown, and nothing of what they were not shown.
    """
    listings = interaction_weights(interactions)
    queries = [Query(f"asked-{number}", text) for number, text in enumerate(listings, 1)]
    return queries, {query.id: dict.fromkeys(listings[query.text], 1) for query in queries}


def without_queries(interactions: Interactions, queries: Sequence[str] | set[str]) -> Interactions:
    """The interactions of all other queries."""
    left_out = set(queries)
    return Interactions(tuple(row for row in interactions.rows if row.query not in left_out))
