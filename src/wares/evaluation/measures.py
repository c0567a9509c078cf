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
    """Judgments in TREC format: `query iteration listing relevance`, relevance a whole number.

    Raises EvaluationError with file and line where a row cannot be read or judges the same pair twice.
    """
    qrels: Qrels = {}
    for where, (query, _, listing, relevance) in read_trec_rows(path, "query iteration listing relevance"):
        if not re.fullmatch(r"[+-]?\d+", relevance):
            raise EvaluationError(f"{where}: relevance is a whole number, not {relevance!r}.")
        add_once(qrels.setdefault(query, {}), query, listing, int(relevance), where)
    return qrels


# Measures


@dataclass(frozen=True)
class Coverage:
    """How a run and the judgments meet.

    judged: queries that count: those with a relevant listing, whether the run answers them or not
    without_relevant: judged queries with no relevant listing; no measure is defined there, so they are left out
    unanswered: queries among `judged` that the run has no results for; they score 0
    unjudged: queries of the run without judgments; they are ignored
    """

    judged: tuple[str, ...]
    without_relevant: tuple[str, ...]
    unanswered: tuple[str, ...]
    unjudged: tuple[str, ...]


def coverage(run: Run, qrels: Qrels) -> Coverage:
    """Which queries a measure counts, and which not. Raises EvaluationError where none can."""
    judged = tuple(query for query, row in qrels.items() if max(row.values(), default=0) >= 1)
    if not judged:
        raise EvaluationError("the judgments call no listing relevant (1 or above), so nothing can be measured.")
    if run and not any(query in qrels for query in run):
        examples = f"{next(iter(run))!r} against {next(iter(qrels))!r}"
        raise EvaluationError(f"the run and the judgments share no query id ({examples}). Do they belong together?")
    return Coverage(
        judged,
        tuple(query for query in qrels if query not in set(judged)),
        tuple(query for query in judged if not run.get(query)),
        tuple(query for query in run if query not in qrels),
    )


def measure(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> PerQuery:
    """Each measure of each judged query. A query without results scores 0; see `coverage` for what is left out.

    measures: ir_measures names; relevance 1 and above counts as relevant unless `rel` says otherwise

    Returns measure -> query -> value, queries in the order of the judgments.
    """
    import ir_measures

    judged = coverage(run, qrels).judged
    parsed = {_parse(name): name for name in measures}
    values: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in measures}
    # Ranks in place of scores: ties are settled here, whatever library computes the measure.
    ranked = {query: _by_rank(run[query]) for query in judged if run.get(query)}
    relevance = {query: qrels[query] for query in ranked}
    if ranked:
        for metric in ir_measures.iter_calc(list(parsed), relevance, ranked):
            values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    return values


def _by_rank(scores: Mapping[str, float]) -> dict[str, float]:
    return {listing: float(-rank) for rank, listing in enumerate(ranked_ids(scores))}


def check_measures(names: Sequence[str]) -> None:
    """Raise EvaluationError where a name is none of ir_measures."""
    for name in names:
        _parse(name)


def _parse(name: str) -> Any:
    import ir_measures

    try:
        parsed = ir_measures.parse_measure(name)
        list(ir_measures.iter_calc([parsed], {"query": {"listing": 1}}, {"query": {"listing": 1.0}}))
    except (NameError, ValueError, SyntaxError, AssertionError) as error:
        known = ", ".join(DEFAULT_MEASURES)
        raise EvaluationError(f"{name!r} is not a measure; write it as ir_measures does: {known}.") from error
    return parsed
