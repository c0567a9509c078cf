"""Queries to learn from: those of a log, or, for a shop that has none, queries written from its listings.

No judgment and no language model is needed: a query is written from a listing by term statistics. How written
queries look beside those of a log is what `likeness` measures. What scores listings for them is next door, in
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
from wares.data.formats import rows_of, usable
from wares.data.listings import OnError, Problem, Query
from wares.data.terms import WORD

if TYPE_CHECKING:
    from collections.abc import Sequence


MAX_QUERY = 1_000  # characters; what is longer was pasted, not typed
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


# A log -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Log:
    """The distinct queries of a log, and what became of the others.

    wordless: queries left out because there is no letter or digit in them (nothing, spaces, signs, emoji)
    repeated: queries left out because they are there already
    shortened: queries that were cut to MAX_QUERY characters
    problems: rows that are no queries
    """

    queries: tuple[Query, ...]
    wordless: int
    repeated: int
    shortened: int
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        return (
            f"{len(self):,} distinct queries of {len(self) + self.wordless + self.repeated:,} in the log: "
            f"{self.repeated:,} repeated and {self.wordless:,} without a word are left out, "
            f"{self.shortened:,} are cut to {MAX_QUERY:,} characters."
        )

    def to_json(self) -> dict[str, int]:
        return {"wordless": self.wordless, "repeated": self.repeated, "shortened": self.shortened}


def read_log(path: str | Path, on_error: OnError = "stop") -> tuple[list[Query], list[Problem]]:
    """Every query of a log, and the rows that are none: queries with a "text", or interactions with a "query".

    path: a .jsonl, .csv or .parquet file
    on_error: "stop" raises at the first row that is no query; "skip" leaves it out and lists it

    Ids are `log-` and the line, since the same query may stand in many lines; it may be empty, too.
    Raises CatalogueError, also where there is no query.
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} is no file. A log has a row of "text" or "query" for each query.')
    rows = rows_of(source, (), ("text", "query"))
    queries, problems = usable(rows, lambda line, row: _logged(source.name, line, row), on_error)
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one "text" a row.')
    return queries, problems


def _logged(file: str, line: int, row: dict[str, Any]) -> Query | Problem:
    text = row.get("text", row.get("query"))
    if isinstance(text, str):
        return Query(f"log-{line}", text)
    return Problem(
        file, line, "text", 'neither "text" nor "query" is a text', "Write what was typed", "no query", "row"
    )


def tidied(path: str | Path, on_error: OnError = "stop") -> Log:
    """The distinct queries of a log file, read as `read_log` does.

    Raises CatalogueError where it has none that can be used.
    """
    queries, problems = read_log(path, on_error)
    log = replace(from_log(queries), problems=tuple(problems))
    if not log.queries:
        raise CatalogueError(f"{path}: no query has a letter or a digit in it. Is this a log of queries?")
    return log


def from_log(queries: Sequence[Query]) -> Log:
    """Normalise the queries of a log and keep each once, the first of those that differ in case and spacing only."""
    kept: dict[str, Query] = {}
    wordless = shortened = 0
    for query in queries:
        text = normalised(query.text)
        short = _shortened(text)
        shortened += short != text
        if WORD.search(short):
            kept.setdefault(short.casefold(), Query(query.id, short))
        else:
            wordless += 1
    return Log(tuple(kept.values()), wordless, len(queries) - wordless - len(kept), shortened)


def normalised(text: str) -> str:
    """The text with its signs in one form (Unicode NFKC) and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _shortened(text: str) -> str:
    """The text up to the last space within MAX_QUERY characters; where there is none, cut through."""
    if len(text) <= MAX_QUERY:
        return text
    cut = text[: MAX_QUERY + 1]
    return cut[: cut.rfind(" ")] if " " in cut else cut[:MAX_QUERY]


def split(queries: Sequence[Query], share: float, seed: int = 0) -> tuple[list[Query], list[Query]]:
    """Queries to learn from, and about this share of them held out, both in their order.

    share: in [0, 1)

    A query's side follows from its text and the seed alone, whatever else is in the log.
    """
    if not 0.0 <= share < 1.0:
        raise SettingsError(f"the share held out is in [0, 1), not {share}.")
    sides: tuple[list[Query], list[Query]] = ([], [])
    for query in queries:
        sides[_lot(query.text, seed) < share].append(query)
    return sides


def _lot(text: str, seed: int) -> float:
    """A number in [0, 1) that looks drawn, and is the same wherever the text comes up."""
    digest = hashlib.blake2b(f"{seed} {normalised(text).casefold()}".encode("utf-8", "surrogatepass"), digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / 2**53
