"""What a finished run shows without judgments: known-item checks, and the queries whose results changed most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from wares.ranking.labelers.run_file import RunScorer
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.scoring import NO_LISTING
from wares.supervision.aggregation import average_overlap
from wares.supervision.known_item import (
    MIN_LABELER_MRR,
    KnownItemResult,
    KnownItemTask,
    Recommendation,
    generated_query_task,
    known_item_reciprocal_rank,
    recommend,
    title_query_task,
)
from wares.supervision.records import Reliability, RoundRecord
from wares.supervision.strategies import Teacher

if TYPE_CHECKING:
    from wares.supervision.run_folder import RunFolder
    from wares.supervision.teacher_pool import TeacherPool


MAX_CHANGES = 5  # queries that changed most, and results shown of each


def check_known_items(teachers: TeacherPool, records: Sequence[RoundRecord], run: RunFolder) -> Reliability:
    """Known-item checks of all labelers and rankers; they are run once and read from the run folder afterwards."""
    if (checked := run.reliability()) is not None:
        return checked
    labeler_mrr = check_labelers(teachers)
    recommendations: dict[str, Recommendation] = {}
    if (task := title_query_task(teachers.corpus, teachers.settings.seed)) is not None:
        recommendations = {name: check_rounds(teachers, task, name, records, run) for name in teachers.settings.rankers}
    reliability = Reliability(
        labeler_mrr=labeler_mrr,
        unreliable_labelers=[name for name, mrr in labeler_mrr.items() if mrr is not None and mrr < MIN_LABELER_MRR],
        ranker_mrr={system.name: system.mrr for each in recommendations.values() for system in each.systems},
        best={name: recommendation.best.name for name, recommendation in recommendations.items()},
        worse_rounds=[result.name for each in recommendations.values() for result, _ in each.worse_rounds],
        recommendations=[str(recommendation) for recommendation in recommendations.values()],
    )
    run.write_reliability(reliability)
    return reliability


def check_labelers(teachers: TeacherPool) -> dict[str, float | None]:
    """Labeler -> mean reciprocal rank for generated queries; None for a run file, which has its own queries."""
    task = generated_query_task(teachers.corpus, teachers.settings.seed)
    if task is None:
        return {}
    scorers = {name: teachers.labeler(name) for name in teachers.settings.labelers}
    return {
        name: None if isinstance(scorer, RunScorer) else float(known_item_reciprocal_rank(scorer, task).mean())
        for name, scorer in scorers.items()
    }


def check_rounds(
    teachers: TeacherPool, task: KnownItemTask, ranker: str, records: Sequence[RoundRecord], run: RunFolder
) -> Recommendation:
    """Known-item results of a ranker untrained and after each of its rounds, and which to keep."""
    model = get_ranker(ranker).fit(task.corpus, teachers.settings.seed)
    untrained, rounds = KnownItemResult(f"{ranker}, untrained", known_item_reciprocal_rank(model.scorer(), task)), []
    for record in records:
        if record.ranker == ranker:
            model.load(run.round(record.round, ranker).model)
            name = str(Teacher(record.round, ranker))
            rounds.append(KnownItemResult(name, known_item_reciprocal_rank(model.scorer(), task)))
    return recommend(untrained, rounds)


def changes(teachers: TeacherPool, last: RoundRecord) -> dict[str, Any]:
    """The queries with the least overlap between the last ranker and its first round, or its teacher in a first round.

    Returns JSON: the names of both systems, and for each query its text, overlap, and the titles of the best results.
    """
    before = Teacher(1, last.ranker) if last.round > 1 else Teacher(0, teachers.settings.labelers[0])
    after, queries = Teacher(last.round, last.ranker), teachers.sampled_queries
    results = {teacher: teachers.scorers[teacher].retrieve(queries, 10).listings for teacher in (before, after)}
    overlaps = average_overlap(results[before], results[after])
    titles = [listing.title or listing.id for listing in teachers.corpus.catalogue.listings]

    def best_titles(teacher: Teacher, index: int) -> list[str]:
        return [titles[listing] for listing in results[teacher][index, :MAX_CHANGES] if listing != NO_LISTING]

    rows = [
        {
            "query": queries[index].text,
            "overlap": float(overlaps[index]),
            "before": best_titles(before, index),
            "after": best_titles(after, index),
        }
        for index in np.argsort(overlaps, kind="stable")[:MAX_CHANGES].tolist()
    ]
    return {"before": str(before), "after": str(after), "queries": rows}
