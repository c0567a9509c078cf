"""Interactions of shoppers with listings, such as clicks and purchases: read, checked and split by time.

A file has one {"query", "listing", "kind", "weight", "time"} per line. Interactions are behaviour, not judgments:
shoppers click only on listings that they see.
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
    """A shopper's interaction with a listing after a query.

    kind: "click", "purchase", ...; weight: importance, > 0; time: seconds since 1970 (UTC)
    """

    query: str
    listing: str
    kind: str
    weight: float
    time: float


@dataclass(frozen=True)
class Interactions:
    """Interactions in order of time, and the problems of skipped rows."""

    rows: tuple[Interaction, ...]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, test_fraction: float) -> tuple[Interactions, Interactions]:
        """The earlier and the later interactions; equal times are not separated.

        test_fraction: maximal fraction of later interactions, in [0, 1)
        """
        if not 0.0 <= test_fraction < 1.0:
            raise SettingsError(f"test fraction must be in [0, 1), not {test_fraction}.")
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
    """Read and check interactions, one per row.

    path: a .jsonl, .csv or .parquet file
    listings: ids of the catalogue; a row with another id is a problem
    kind_weights: weights by kind, which replace the weights of rows; 0 leaves a kind out
    on_error: "stop" raises at the first problem; "skip" leaves the row out and lists it in `problems`

    The default weight is 1. Queries are lower-cased with single spaces. Raises CatalogueError at a problem, or if no
    interaction is left.

    Example:
        >>> from pathlib import Path
        >>> row = '{"query": "Red boots", "listing": "1", "kind": "click", "time": "2025-03-01T12:00:00Z"}'
        >>> _ = Path("interactions.jsonl").write_text(row)
        >>> read_interactions("interactions.jsonl", ["1"]).rows[0].query
        'red boots'
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Write rows with "query", "listing" and "time".')
    ids = frozenset(listings)

    def parse(line: int, row: dict[str, Any]) -> Interaction | Problem:
        return _parse_row(source.name, line, row, ids, kind_weights or {})

    rows, problems = collect_valid_rows(read_rows(source, ("query", "listing")), parse, on_error)
    rows = [row for row in rows if row.weight > 0]
    if not rows:
        raise CatalogueError(f"{source} has no usable interaction. Check its ids, and the weights of kinds.")
    return Interactions(tuple(sorted(rows, key=lambda row: row.time)), tuple(problems))


def _parse_row(
    file: str, line: int, row: dict[str, Any], listings: frozenset[str], kinds: Mapping[str, float]
) -> Interaction | Problem:
    def problem(field: str, message: str, remedy: str) -> Problem:
        return Problem(file, line, field, message, remedy, "unusable interaction", "row")

    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        return problem("query", '"query" is missing or empty', "Write the search query")
    listing = str(row.get("listing", "")).strip()
    if listing not in listings:
        return problem("listing", f'"listing" {listing!r} is not in the catalogue', "Correct it, or remove the row")
    kind = row.get("kind", "")
    if not isinstance(kind, str):
        return problem("kind", f'"kind" is {kind!r}, not text', "Write a word, such as click")
    weight = _number(kinds.get(kind, row.get("weight", 1.0)))
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        return problem("weight", f'"weight" is {weight!r}, not a number of 0 or more', "Write a number")
    time = _seconds(row.get("time"))
    if time is None:
        return problem("time", f'"time" is {row.get("time")!r}', "Write it as 2025-03-01T12:00:00Z, or in seconds")
    return Interaction(" ".join(query.casefold().split()), listing, kind, float(weight), time)


def _number(value: object) -> object:
    """A text as a number if it is one; other values unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _seconds(value: object) -> float | None:
    """Seconds since 1970 of a number or an ISO 8601 text (UTC unless it names a zone), or None."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        number = _number(value)
        return number if isinstance(number, float) else None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def interaction_weights(interactions: Interactions) -> dict[str, dict[str, float]]:
    """Summed weight by query and listing; queries in order of their first interaction."""
    weights: dict[str, dict[str, float]] = {}
    for row in interactions.rows:
        listings = weights.setdefault(row.query, {})
        listings[row.listing] = listings.get(row.listing, 0.0) + row.weight
    return weights


def interactions_to_queries(interactions: Interactions) -> tuple[list[Query], dict[str, dict[str, int]]]:
    """Distinct queries, and relevance 1 for each listing with an interaction, in the form of judgments.

    Listings that shoppers never saw are missing, so these are not judgments.
    """
    listings = interaction_weights(interactions)
    queries = [Query(f"asked-{number}", text) for number, text in enumerate(listings, 1)]
    return queries, {query.id: dict.fromkeys(listings[query.text], 1) for query in queries}


def without_queries(interactions: Interactions, queries: Sequence[str] | set[str]) -> Interactions:
    """Interactions of all other queries."""
    excluded = set(queries)
    return Interactions(tuple(row for row in interactions.rows if row.query not in excluded))
