"""Queries to learn from: those of a log, or, for a shop that has none, queries written from its listings.

No judgment and no language model is needed: a query is written from a listing by term statistics. How written
queries look beside those of a log is what `query_statistics` measures. What scores listings for them is next door, in
`labelers`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import collect_valid_rows, read_rows
from wares.data.listings import OnError, Problem, Query
from wares.data.terms import TOKEN_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_QUERY_LENGTH = 1_000  # characters; what is longer was pasted, not typed
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


# A log -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueryLog:
    """The distinct queries of a log, and what became of the others.

    wordless: queries left out because there is no letter or digit in them (nothing, spaces, signs, emoji)
    duplicates: queries left out because they are there already
    truncated: queries that were cut to MAX_QUERY characters
    problems: rows that are no queries
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
            f"{self.duplicates:,} repeated and {self.wordless:,} without a word are left out, "
            f"{self.truncated:,} are cut to {MAX_QUERY_LENGTH:,} characters."
        )

    def to_json(self) -> dict[str, int]:
        return {"wordless": self.wordless, "repeated": self.duplicates, "shortened": self.truncated}


def read_query_log(path: str | Path, on_error: OnError = "stop") -> tuple[list[Query], list[Problem]]:
    """Every query of a log, and the rows that are none: queries with a "text", or interactions with a "query".

    path: a .jsonl, .csv or .parquet file
    on_error: "stop" raises at the first row that is no query; "skip" leaves it out and lists it

    Ids are `log-` and the line, since the same query may stand in many lines; it may be empty, too.
    Raises CatalogueError, also where there is no query.
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} is no file. A log has a row of "text" or "query" for each query.')
    rows = read_rows(source, (), ("text", "query"))
    queries, problems = collect_valid_rows(rows, lambda line, row: _query_from_row(source.name, line, row), on_error)
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one "text" a row.')
    return queries, problems


def _query_from_row(file: str, line: int, row: dict[str, Any]) -> Query | Problem:
    text = row.get("text", row.get("query"))
    if isinstance(text, str):
        return Query(f"log-{line}", text)
    return Problem(
        file, line, "text", 'neither "text" nor "query" is a text', "Write what was typed", "no query", "row"
    )


def clean_query_log(path: str | Path, on_error: OnError = "stop") -> QueryLog:
    """The distinct queries of a log file, read as `read_query_log` does.

    Raises CatalogueError where it has none that can be used.
    """
    queries, problems = read_query_log(path, on_error)
    log = replace(clean_queries(queries), problems=tuple(problems))
    if not log.queries:
        raise CatalogueError(f"{path}: no query has a letter or a digit in it. Is this a log of queries?")
    return log


def clean_queries(queries: Sequence[Query]) -> QueryLog:
    """Normalise the queries of a log and keep each once, the first of those that differ in case and spacing only."""
    kept: dict[str, Query] = {}
    wordless = shortened = 0
    for query in queries:
        text = normalise_text(query.text)
        short = _truncate(text)
        shortened += short != text
        if TOKEN_PATTERN.search(short):
            kept.setdefault(short.casefold(), Query(query.id, short))
        else:
            wordless += 1
    return QueryLog(tuple(kept.values()), wordless, len(queries) - wordless - len(kept), shortened)


def normalise_text(text: str) -> str:
    """The text with its signs in one form (Unicode NFKC) and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _truncate(text: str) -> str:
    """The text up to the last space within MAX_QUERY characters; where there is none, cut through."""
    if len(text) <= MAX_QUERY_LENGTH:
        return text
    cut = text[: MAX_QUERY_LENGTH + 1]
    return cut[: cut.rfind(" ")] if " " in cut else cut[:MAX_QUERY_LENGTH]


def split_queries(queries: Sequence[Query], held_out_fraction: float, seed: int = 0) -> tuple[list[Query], list[Query]]:
    """Queries to learn from, and about this share of them held out, both in their order.

    held_out_fraction: in [0, 1)

    A query's side follows from its text and the seed alone, whatever else is in the log.
    """
    if not 0.0 <= held_out_fraction < 1.0:
        raise SettingsError(f"the share held out is in [0, 1), not {held_out_fraction}.")
    sides: tuple[list[Query], list[Query]] = ([], [])
    for query in queries:
        sides[_pseudo_random(query.text, seed) < held_out_fraction].append(query)
    return sides


def _pseudo_random(text: str, seed: int) -> float:
    """A number in [0, 1) that looks drawn, and is the same wherever the text comes up."""
    digest = hashlib.blake2b(
        f"{seed} {normalise_text(text).casefold()}".encode("utf-8", "surrogatepass"), digest_size=8
    )
    return (int.from_bytes(digest.digest(), "big") >> 11) / 2**53
