"""Retrieval measures of runs against judgments, through ir_measures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wares.core.errors import EvaluationError, condensed
from wares.data.runs import Run, add_once, ranked_ids, read_trec_rows

Qrels = dict[str, dict[str, int]]  # query id -> listing id -> relevance; 1 and above is relevant
PerQuery = dict[str, dict[str, float]]  # measure -> query id -> value
DEFAULT_MEASURES = ("nDCG@10", "R@10", "R@100", "R@500", "AP", "RR")
# Condensed lists: Sakai, "Alternatives to Bpref", 2007.
POOLED_MEASURES = ("nDCG(judged_only=True)@10", "Judged@10")  # reported as well if judgments are pooled
POOL_DEPTH = 10  # results that are looked at for that


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

    A query without results scores 0; `coverage` returns which queries are excluded. Equal scores keep their order in
    the run (wares.data.runs).
    measures: names of ir_measures; relevance 1 and above is relevant unless a name has another `rel`

    Raises EvaluationError for a measure that is unknown or cannot be computed, and if no query has a relevant listing.

    Example:
        >>> from wares.evaluation import measure
        >>> measure({"q1": {"boots": 0.9, "mug": 0.4}}, {"q1": {"mug": 1}}, ["RR"])
        {'RR': {'q1': 0.5}}
    """
    judged = coverage(run, qrels).judged
    values: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in measures}
    queries = [query for query in judged if run.get(query)]
    numbers: dict[str, str] = {}
    relevance, ranked = {}, {}
    for index, query in enumerate(queries):
        # The script behind ERR reads no ids but numbers. Ranks replace scores, so that the order of ties does not
        # depend on the library that computes a measure.
        relevance[str(index)] = {_number(listing, numbers): grade for listing, grade in qrels[query].items()}
        order = [_number(listing, numbers) for listing in ranked_ids(run[query])]
        ranked[str(index)] = {listing: float(-rank) for rank, listing in enumerate(order)}
    for name, by_number in _calculate(measures, relevance, ranked).items() if queries else ():
        values[name].update({queries[int(number)]: value for number, value in by_number.items()})
    return values


def _number(listing: str, numbers: dict[str, str]) -> str:
    return numbers.setdefault(listing, str(len(numbers)))


def is_pooled(runs: Iterable[Run], qrels: Qrels) -> bool:
    """True if judgments look pooled: they name listings without relevance, and leave out results of the first ten.

    Then a listing that is not judged is not known to be irrelevant.
    """
    judged = {query: row for query, row in qrels.items() if max(row.values(), default=0) >= 1}
    if all(min(row.values()) >= 1 for row in judged.values()):
        return False
    return any(listing not in row for run in runs for query, row in judged.items() for listing in _first(run, query))


def _first(run: Run, query: str) -> list[str]:
    return ranked_ids(run.get(query, {}))[:POOL_DEPTH]


def check_measures(names: Sequence[str]) -> None:
    """Raise EvaluationError if a name is not a measure of ir_measures, or if it cannot be computed here."""
    _calculate(names, {"0": {"1": 1, "2": 0}}, {"0": {"1": 0.0, "2": -1.0}})


def _calculate(names: Sequence[str], relevance: Qrels, ranked: Run) -> PerQuery:
    """Values by measure and query. Raises EvaluationError with the measure that cannot be computed, and the reason."""
    import ir_measures

    parsed = {name: _parse(name) for name in names}
    values: dict[Any, dict[str, float]] = {measure: {} for measure in parsed.values()}
    try:
        for metric in ir_measures.iter_calc(list(values), relevance, ranked):
            values[metric.measure][metric.query_id] = float(metric.value)
    except Exception as error:  # each of its libraries has errors of its own
        if len(names) == 1:
            raise EvaluationError(
                f"{names[0]!r} cannot be computed ({_reason(error)}). Use another measure."
            ) from error
        return {name: _calculate([name], relevance, ranked)[name] for name in names}
    return {name: values[measure] for name, measure in parsed.items()}


def _parse(name: str) -> Any:
    import ir_measures

    try:
        parsed = ir_measures.parse_measure(name)
    except Exception as error:  # it compiles the name, so that any error of the compiler may occur
        known = ", ".join(DEFAULT_MEASURES)
        raise EvaluationError(f"{name!r} is not a measure. Use a name of ir_measures, such as {known}.") from error
    if unknown := [parameter for parameter in parsed.params if parameter not in parsed.SUPPORTED_PARAMS]:
        known = ", ".join(parsed.SUPPORTED_PARAMS) or "none"
        raise EvaluationError(f"{name!r} has no parameter {unknown[0]}. Use its parameters ({known}).")
    cutoff = parsed.params.get("cutoff", 1)
    if type(cutoff) is not int or cutoff < 1:  # trec_eval ends the process
        raise EvaluationError(f"the cut-off of {name!r} is {cutoff}. Use a whole number of at least 1.")
    return parsed


def _reason(error: Exception) -> str:
    match error:
        case AssertionError() if "<object" in str(error):  # a parameter without default
            return f"it needs a value for {str(error).partition('=')[0].removeprefix('invalid param ')}"
        case _:
            return condensed(error)
