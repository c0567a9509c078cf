"""Query logs: read, cleaned, deduplicated and split."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import collect_valid_rows, read_rows
from wares.data.listings import OnError, Problem, Query
from wares.data.terms import TOKEN_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


MAX_QUERY_LENGTH = 1_000  # characters; longer queries are pasted, not typed


@dataclass(frozen=True)
class QueryLog:
    """Distinct queries of a log, and counts of the others.

    wordless: queries without a letter or digit (empty, punctuation, emoji), which are left out
    duplicates: repetitions, which are left out
    truncated: queries cut to MAX_QUERY_LENGTH characters
    problems: rows that are not queries
    """

    queries: tuple[Query, ...]
    wordless: int
    duplicates: int
    truncated: int
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        return (
            f"{len(self):,} distinct queries of {len(self) + self.wordless + self.duplicates:,} in the log: "
            f"{self.duplicates:,} duplicates and {self.wordless:,} queries without a word are left out, "
            f"{self.truncated:,} are cut to {MAX_QUERY_LENGTH:,} characters."
        )

    def to_json(self) -> dict[str, int]:
        return {"wordless": self.wordless, "duplicates": self.duplicates, "truncated": self.truncated}


def read_query_log(path: str | Path, on_error: OnError = "stop") -> tuple[list[Query], list[Problem]]:
    """All queries of a log, and the problems of rows without one.

    path: a .jsonl, .csv or .parquet file; rows have a "text", or a "query" as interactions do
    on_error: "stop" raises at the first row without a query; "skip" lists it as a problem

    Queries may be empty or duplicates. The id of a query is "log-" and its line. Raises CatalogueError at a problem, or
    if there is no query.
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Name a file with a "text" or "query" per row.')
    rows = read_rows(source, (), ("text", "query"))
    queries, problems = collect_valid_rows(rows, lambda line, row: _query_from_row(source.name, line, row), on_error)
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one "text" per row.')
    return queries, problems


def _query_from_row(file: str, line: int, row: dict[str, Any]) -> Query | Problem:
    text = row.get("text", row.get("query"))
    if isinstance(text, str):
        return Query(f"log-{line}", text)
    return Problem(
        file, line, "text", 'neither "text" nor "query" is a text', "Write the search query", "no query", "row"
    )


def clean_query_log(path: str | Path, on_error: OnError = "stop") -> QueryLog:
    """Distinct, normalised queries of a log file; see `read_query_log` and `clean_queries`.

    Raises CatalogueError if no query has a letter or digit.
    """
    queries, problems = read_query_log(path, on_error)
    log = replace(clean_queries(queries), problems=tuple(problems))
    if not log.queries:
        raise CatalogueError(f"{path}: no query has a letter or a digit in it. Is this a log of queries?")
    return log


def clean_queries(queries: Sequence[Query]) -> QueryLog:
    """Normalise the queries of a log and drop duplicates, ignoring case and spacing."""
    distinct: dict[str, Query] = {}
    wordless = truncated = 0
    for query in queries:
        text = normalise_text(query.text)
        query_text = _truncate(text)
        truncated += query_text != text
        if TOKEN_PATTERN.search(query_text):
            distinct.setdefault(query_key(query_text), Query(query.id, query_text))
        else:
            wordless += 1
    return QueryLog(tuple(distinct.values()), wordless, len(queries) - wordless - len(distinct), truncated)


def normalise_text(text: str) -> str:
    """A text in Unicode NFKC with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def query_key(text: str) -> str:
    """The text by which equal queries are recognised, ignoring case, spacing and Unicode form."""
    return normalise_text(text).casefold()


def shared_queries(queries: Iterable[Query], others: Iterable[Query]) -> list[Query]:
    """The queries whose text is also that of one of the others, as `query_key` compares them."""
    keys = {query_key(query.text) for query in others}
    return [query for query in queries if query_key(query.text) in keys]


def unshared_queries(queries: Iterable[Query], others: Iterable[Query]) -> list[Query]:
    """The queries whose text is none of the others', as for training queries without the test queries.

    Example:
        >>> from wares import Query
        >>> unshared_queries([Query("1", "Red  boots"), Query("2", "mug")], [Query("t1", "red boots")])
        [Query(id='2', text='mug')]
    """
    keys = {query_key(query.text) for query in others}
    return [query for query in queries if query_key(query.text) not in keys]


def _truncate(text: str) -> str:
    """A text cut at the last space within MAX_QUERY_LENGTH characters, or at that length if it has none."""
    if len(text) <= MAX_QUERY_LENGTH:
        return text
    cut = text[: MAX_QUERY_LENGTH + 1]
    return cut[: cut.rfind(" ")] if " " in cut else cut[:MAX_QUERY_LENGTH]


def split_queries(queries: Sequence[Query], held_out_fraction: float, seed: int = 0) -> tuple[list[Query], list[Query]]:
    """Queries for training, and held-out queries, both in order.

    held_out_fraction: expected fraction of held-out queries, in [0, 1)

    Whether a query is held out depends only on its text and the seed, not on other queries.
    """
    if not 0.0 <= held_out_fraction < 1.0:
        raise SettingsError(f"held-out fraction must be in [0, 1), not {held_out_fraction}.")
    sides: tuple[list[Query], list[Query]] = ([], [])
    for query in queries:
        sides[_pseudo_random(query.text, seed) < held_out_fraction].append(query)
    return sides


def _pseudo_random(text: str, seed: int) -> float:
    """A hash of text and seed, uniform in [0, 1)."""
    digest = hashlib.blake2b(f"{seed} {query_key(text)}".encode("utf-8", "surrogatepass"), digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / 2**53
