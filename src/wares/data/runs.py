"""Runs: ranked results, as files in TREC format and as plain dictionaries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wares.core.errors import EvaluationError
from wares.core.files import atomic_write

Run = dict[str, dict[str, float]]  # query id -> listing id -> score


def read_run(path: Path | str) -> Run:
    """Ranked results in TREC format: `query Q0 listing rank score tag`. The scores count, not the ranks.

    Raises EvaluationError with file and line where a row cannot be read or ranks a listing twice.
    """
    run: Run = {}
    for where, (query, _, listing, _, score, _) in read_trec_rows(path, "query Q0 listing rank score tag"):
        add_once(run.setdefault(query, {}), query, listing, _score(score, where), where)
    return run


def write_run(run: Run, path: Path | str, tag: str = "wares") -> None:
    """Write ranked results in TREC format, best first; `read_run` reads the same scores back."""
    lines = []
    for query, scores in run.items():
        for rank, listing in enumerate(ranked_ids(scores), start=1):
            fields = (query, "Q0", listing, str(rank), repr(float(scores[listing])), tag)
            if bad := [field for field in fields if not field or field.split() != [field]]:
                raise EvaluationError(
                    f"{bad[0]!r} cannot stand in {path}, where columns are separated by spaces. Rename it."
                )
            lines.append(" ".join(fields))
    with atomic_write(Path(path)) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def ranked_ids(scores: Mapping[str, float]) -> list[str]:
    """Listing ids, best first; equal scores by descending id, as trec_eval does."""
    return sorted(scores, key=lambda listing: (scores[listing], listing), reverse=True)


def read_trec_rows(path: Path | str, header: str) -> Iterator[tuple[str, list[str]]]:
    """Lines of a file in TREC format as columns, each with its place for messages. header: names of the columns"""
    path, columns, empty = Path(path), header.split(), True
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 text. Convert it, or name another file.") from error
    for number, line in enumerate(lines, start=1):
        if fields := line.split():
            empty, where = False, f"{path.name}, line {number}"
            if len(fields) != len(columns):
                raise EvaluationError(f"{where}: expected {len(columns)} columns ({header}), found {len(fields)}.")
            yield where, fields
    if empty:
        raise EvaluationError(f"{path} is empty: expected lines of {header!r}.")


def _score(text: str, where: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise EvaluationError(f"{where}: score is a finite number, not {text!r}.")
    return score


def add_once(row: dict[str, Any], query: str, listing: str, value: float, where: str) -> None:
    """Put a value under a listing. Raises EvaluationError where there is one already."""
    if listing in row:
        raise EvaluationError(f"{where}: listing {listing} stands twice under query {query}. Remove one line.")
    row[listing] = value
