"""Retrieval measures of runs against judgments, through ir_measures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wares.core.errors import EvaluationError
from wares.data.runs import Run, add_once, ranked_ids, read_trec_rows

Qrels = dict[str, dict[str, int]]  # query id -> listing id -> relevance; 1 and above is relevant
PerQuery = dict[str, dict[str, float]]  # measure -> query id -> value
DEFAULT_MEASURES = ("nDCG@10", "R@10", "R@100", "R@500", "AP", "RR")


def read_qrels(path: Path | str) -> Qrels:
    r"""Read judgments in TREC format: lines of `query iteration listing relevance`, relevance an integer.

    Returns query id -> listing id -> relevance. Raises EvaluationError with file and line for a row that is malformed
    or repeats a pair.

    Example:
        >>> from pathlib import Path
        >>> from wares import read_qrels
        >>> _ = Path("qrels.txt").write_text("q1 0 boots 2\nq1 0 mug 0\n")
        >>> read_qrels("qrels.txt")
        {'q1': {'boots': 2, 'mug': 0}}
    """
    qrels: Qrels = {}
    for where, (query, _, listing, relevance) in read_trec_rows(path, "query iteration listing relevance"):
        if not re.fullmatch(r"[+-]?\d+", relevance):
            raise EvaluationError(f"{where}: relevance is {relevance!r}. Use a whole number.")
        add_once(qrels.setdefault(query, {}), query, listing, int(relevance), where)
    return qrels


@dataclass(frozen=True)
class Coverage:
    """Which queries of a run and its judgments a mean includes, and which not.

    judged: queries with a relevant listing, with or without results in the run: those that a mean includes
    without_relevant: judged queries without a relevant listing, excluded because no measure is defined for them
    unanswered: queries in `judged` without results in the run, which score 0
    unjudged: queries of the run without judgments, which are ignored
    """

    judged: tuple[str, ...]
    without_relevant: tuple[str, ...]
    unanswered: tuple[str, ...]
    unjudged: tuple[str, ...]


def coverage(run: Run, qrels: Qrels) -> Coverage:
    """Sort the queries by whether a mean includes them. Raises EvaluationError if it would include none."""
    judged = tuple(query for query, row in qrels.items() if max(row.values(), default=0) >= 1)
    if not judged:
        raise EvaluationError(
            "no listing has a relevance of 1 or above, so no measure is defined. Use other judgments."
        )
    if run and not any(query in qrels for query in run):
        examples = f"{next(iter(run))!r} against {next(iter(qrels))!r}"
        raise EvaluationError(f"the run and the judgments share no query id ({examples}). Use other judgments.")
    return Coverage(
        judged,
        tuple(query for query in qrels if query not in set(judged)),
        tuple(query for query in judged if not run.get(query)),
        tuple(query for query in run if query not in qrels),
    )


def measure(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> PerQuery:
    """Return measure -> query -> value for the judged queries, in the order of the judgments.

    A query without results scores 0; `coverage` returns which queries are excluded. Equal scores: greater id first.
    measures: names of ir_measures; relevance 1 and above is relevant unless a name has another `rel`

    Raises EvaluationError for an unknown measure, and if no query has a relevant listing.

    Example:
        >>> from wares.evaluation import measure
        >>> measure({"q1": {"boots": 0.9, "mug": 0.4}}, {"q1": {"mug": 1}}, ["RR"])
        {'RR': {'q1': 0.5}}
    """
    import ir_measures

    judged = coverage(run, qrels).judged
    parsed = {_parse(name): name for name in measures}
    values: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in measures}
    # Ranks replace scores, so that the order of ties does not depend on the library that computes the measure.
    ranked = {query: _by_rank(run[query]) for query in judged if run.get(query)}
    relevance = {query: qrels[query] for query in ranked}
    if ranked:
        for metric in ir_measures.iter_calc(list(parsed), relevance, ranked):
            values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    return values


def _by_rank(scores: Mapping[str, float]) -> dict[str, float]:
    return {listing: float(-rank) for rank, listing in enumerate(ranked_ids(scores))}


def check_measures(names: Sequence[str]) -> None:
    """Raise EvaluationError if a name is not a measure of ir_measures."""
    for name in names:
        _parse(name)


def _parse(name: str) -> Any:
    import ir_measures

    try:
        parsed = ir_measures.parse_measure(name)
        list(ir_measures.iter_calc([parsed], {"query": {"listing": 1}}, {"query": {"listing": 1.0}}))
    except (NameError, ValueError, SyntaxError, AssertionError) as error:
        known = ", ".join(DEFAULT_MEASURES)
        raise EvaluationError(f"{name!r} is not a measure. Use a name of ir_measures, such as {known}.") from error
    return parsed
