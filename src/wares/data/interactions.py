"""Interactions of shoppers with listings, such as clicks and purchases: read, checked and split by time.

A file has one {"query", "listing", "kind", "weight", "time"} per line. Interactions are behaviour, not judgments:
shoppers click only on listings that they see.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import collect_valid_rows, json_excerpt, read_rows
from wares.data.listings import OnError, Problem, Query
from wares.data.query_log import normalise_text, query_key
from wares.data.times import parse_number, parse_time


@dataclass(frozen=True, slots=True)
class Interaction:
    """A shopper's interaction with a listing after a query.

    query: text of the query, the same for all spellings of it; kind: "click", "purchase", ...; weight: importance, > 0;
    time: seconds since 1970 (UTC)
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

    def listings_by_query(self) -> dict[str, set[str]]:
        """The listings that shoppers chose after each query."""
        return {query: set(listings) for query, listings in interaction_weights(self).items()}

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

    The default weight is 1. Queries that differ in case, spacing or Unicode form only are one query, which has its most
    frequent spelling: models read what shoppers type. Times are from 1970 to 2199, all of one form (see `parse_time`):
    a row whose time has another form than most is a problem. Raises CatalogueError at a problem, or if no interaction
    is left.

    Example:
        >>> from pathlib import Path
        >>> row = '{"query": "Red boots", "listing": "1", "kind": "click", "time": "2025-03-01T12:00:00Z"}'
        >>> _ = Path("interactions.jsonl").write_text(row)
        >>> read_interactions("interactions.jsonl", ["1"]).rows[0].query
        'Red boots'
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Write rows with "query", "listing" and "time".')
    ids = frozenset(listings)

    def parse(line: int, row: dict[str, Any]) -> _TimedRow | Problem:
        return _parse_row(source.name, line, row, ids, kind_weights or {})

    timed, problems = collect_valid_rows(read_rows(source, ("query", "listing")), parse, on_error)
    rows, mixed = collect_valid_rows(_check_units(source.name, timed), lambda _, row: row.interaction, on_error)
    rows = [row for row in rows if row.weight > 0]
    if not rows:
        raise CatalogueError(f"{source} has no usable interaction. Check its ids, and the weights of kinds.")
    problems = sorted([*problems, *mixed], key=lambda problem: problem.line)
    return Interactions(tuple(sorted(_with_one_spelling(rows), key=lambda row: row.time)), tuple(problems))


def _with_one_spelling(rows: Sequence[Interaction]) -> Iterator[Interaction]:
    """Each row with the most frequent spelling of its query, of equally frequent ones the first."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        spellings[query_key(row.query)][row.query] += 1
    chosen = {key: counts.most_common(1)[0][0] for key, counts in spellings.items()}
    return (replace(row, query=chosen[query_key(row.query)]) for row in rows)


@dataclass(frozen=True, slots=True)
class _TimedRow:
    """An interaction with its line, and its time as the file has it."""

    interaction: Interaction
    line: int
    time: object
    unit: str


def _parse_row(
    file: str, line: int, row: dict[str, Any], listings: frozenset[str], kinds: Mapping[str, float]
) -> _TimedRow | Problem:
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
    raw_weight = kinds.get(kind, row.get("weight", 1.0))
    weight = parse_number(raw_weight)
    if weight is None or weight < 0:
        return problem("weight", f'"weight" is {raw_weight!r}, not a number of 0 or more', "Write a number")
    time = row.get("time")
    parsed = parse_time(time)
    if parsed is None:
        message = (
            '"time" is missing' if time is None else f'"time" is {json_excerpt(time)}, not a time from 1970 to 2199'
        )
        return problem("time", message, "Write it as 2025-03-01T12:00:00Z, or in seconds since 1970")
    seconds, unit = parsed
    return _TimedRow(Interaction(normalise_text(query), listing, kind, weight, seconds), line, time, unit)


def _check_units(file: str, rows: Sequence[_TimedRow]) -> Iterator[tuple[int, _TimedRow | Problem]]:
    """Each row by its line, or a problem if its time has another unit than most."""
    counts = Counter(row.unit for row in rows)
    for row in rows:
        unit, count = counts.most_common(1)[0]
        if row.unit == unit:
            yield row.line, row
            continue
        message = (
            f'"time" is {json_excerpt(row.time)} ({row.unit}), but {count:,} of {len(rows):,} rows have times in {unit}'
        )
        remedy = "Write all times in one unit"
        yield row.line, Problem(file, row.line, "time", message, remedy, "unusable interaction", "row")


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
