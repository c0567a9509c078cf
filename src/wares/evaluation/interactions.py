"""Evaluation on later interactions of shoppers: pairs that training had, and new ones, apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from wares.data.interactions import interactions_to_queries
from wares.evaluation.evaluator import Evaluation, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wares.data.interactions import Interactions
    from wares.data.runs import Run


Novelty: TypeAlias = Literal["new", "learned"]


def evaluate_interactions(
    runs: Mapping[str, Run], training: Interactions, test: Interactions, baseline: str
) -> dict[Novelty, Evaluation]:
    """Measure systems on pairs of a query and a listing that are new, and on those that they learned from.

    runs: system -> run for the queries of `interactions_to_queries(test)`
    training, test: interactions; a pair of test that is also one of training is learned, whatever its time

    Results for new pairs leave out the listings that the query had in training: they rank first if training worked, and
    would count as wrong. A kind of pair that test does not have is missing.
    """
    queries, relevant = interactions_to_queries(test)
    trained = training.listings_by_query()
    learned = {query.id: trained.get(query.text, set()) for query in queries}
    qrels: dict[Novelty, dict[str, dict[str, int]]] = {
        "new": {id: {name: 1 for name in row if name not in learned[id]} for id, row in relevant.items()},
        "learned": {id: {name: 1 for name in row if name in learned[id]} for id, row in relevant.items()},
    }
    measured: dict[Novelty, Evaluation] = {}
    for novelty, judged in qrels.items():
        answerable = {id: row for id, row in judged.items() if row}
        left_out = learned if novelty == "new" else {}
        if answerable:
            results = {name: _select(run, answerable, left_out) for name, run in runs.items()}
            measured[novelty] = evaluate(results, answerable, baseline)
    return measured


def _select(run: Run, queries: Mapping[str, object], left_out: Mapping[str, set[str]]) -> Run:
    """The results for some queries, without the listings that a query leaves out."""
    return {
        id: {listing: score for listing, score in run[id].items() if listing not in left_out.get(id, ())}
        for id in queries
        if id in run
    }
