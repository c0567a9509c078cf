"""Runs: ranked results as dictionaries, and as files in TREC format.

A run ranks listings by score, and listings of equal scores in the order in which it holds them. Runs that wares makes
hold their listings best first, so they are measured and written in the order that a search shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from wares.core.errors import EvaluationError
from wares.core.files import atomic_write

Run = dict[str, dict[str, float]]  # query id -> listing id -> score


def read_run(path: Path | str) -> Run:
    r"""Read ranked results in TREC format: `query Q0 listing rank score tag`, best first.

    The ranks of a query are its order if they are distinct integers along which scores never rise. Otherwise scores
    decide, and equal scores by descending id, as in trec_eval, which ignores ranks and compares 32-bit scores.

    Raises EvaluationError with file and line if a row is malformed or ranks a listing twice.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("run.txt").write_text("q1 Q0 boots 1 2.5 bm25\n")
        >>> read_run("run.txt")
        {'q1': {'boots': 2.5}}
    """
    run: Run = {}
    ranks: dict[str, dict[str, str]] = {}
    for location, (query, _, listing, rank, score, _) in read_trec_rows(path, "query Q0 listing rank score tag"):
        add_once(run.setdefault(query, {}), query, listing, _parse_score(score, location), location)
        ranks.setdefault(query, {})[listing] = rank
    return {query: _best_first(scores, ranks[query]) for query, scores in run.items()}


def _best_first(scores: dict[str, float], ranks: Mapping[str, str]) -> dict[str, float]:
    """The scores of a query in the order of the ranks if these agree with the scores, otherwise as trec_eval does."""
    order = sorted(scores, key=lambda listing: (scores[listing], listing), reverse=True)
    numbers = {listing: int(rank) for listing, rank in ranks.items() if re.fullmatch(r"\d{1,18}", rank)}
    if len(set(numbers.values())) == len(scores):
        by_rank = sorted(scores, key=numbers.__getitem__)
        if all(scores[one] >= scores[next_one] for one, next_one in pairwise(by_rank)):
            order = by_rank
    return {listing: scores[listing] for listing in order}


def write_run(run: Run, path: Path | str, tag: str = "wares") -> None:
    """Write ranked results in TREC format, best first; `read_run` restores scores and order exactly.

    Raises EvaluationError if an id has spaces.

    Example:
        >>> write_run({"q1": {"boots": 2.5, "mug": 1.0}}, "run.txt")
        >>> read_run("run.txt")["q1"]["mug"]
        1.0
    """
    lines = []
    for query, scores in run.items():
        for rank, listing in enumerate(ranked_ids(scores), start=1):
            fields = (query, "Q0", listing, str(rank), repr(float(scores[listing])), tag)
            if bad := [field for field in fields if not field or field.split() != [field]]:
                raise EvaluationError(
                    f"{bad[0]!r} is empty or contains spaces, which separate the columns of {path}. Rename it."
                )
            lines.append(" ".join(fields))
    with atomic_write(Path(path)) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def ranked_ids(scores: Mapping[str, float]) -> list[str]:
    """Listing ids, best first; equal scores keep their order in the run."""
    return sorted(scores, key=lambda listing: -scores[listing])


def read_trec_rows(path: Path | str, header: str) -> Iterator[tuple[str, list[str]]]:
    """Location (for messages) and columns of each line in a file in TREC format.

    header: names of the columns, separated by spaces

    Raises EvaluationError if the file is unreadable or empty, or a line has another number of columns.
    """
    path, columns, is_empty = Path(path), header.split(), True
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 text. Convert it, or name another file.") from error
    for number, line in enumerate(lines, start=1):
        if fields := line.split():
            is_empty, location = False, f"{path.name}, line {number}"
            if len(fields) != len(columns):
                raise EvaluationError(f"{location}: expected {len(columns)} columns ({header}), found {len(fields)}.")
            yield location, fields
    if is_empty:
        raise EvaluationError(f"{path} is empty: expected lines of {header!r}.")


def _parse_score(text: str, location: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise EvaluationError(f"{location}: score must be a finite number, not {text!r}.")
    return score


def add_once(row: dict[str, Any], query: str, listing: str, value: float, location: str) -> None:
    """Store the value of a listing. Raises EvaluationError if the listing has one already."""
    if listing in row:
        raise EvaluationError(
            f"{location}: duplicate listing {listing} for query {query}. Remove one of the two lines."
        )
    row[listing] = value
