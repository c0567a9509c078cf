"""Recipe: rankers from queries that nobody judged. Corpus and queries in, rankers out, round by round.

    settings = SuperviseSettings(strategy="self", labelers=("bm25", "dense"), rankers=("dense",), weights="nqc")
    supervise(corpus, queries, settings, Path("run"))

In the first round every ranker learns from the weak labelers; in each later one from whom the strategy names
(wares.supervision.strategies). The folder of the run is `run_folder`'s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import SettingsError
from wares.ranking.labelers.run_file import RunScorer
from wares.ranking.rankers.base import SoftLabels
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.score_fusion import zscore_fusion
from wares.ranking.scoring import NO_LISTING, Labels, Scorer
from wares.ranking.training import train_ranker
from wares.supervision.aggregation import average_overlap, candidate_pool, elbo, log_probs
from wares.supervision.known_item import (
    MIN_LABELER_MRR,
    KnownItemResult,
    KnownItemTask,
    Recommendation,
    generated_query_task,
    reciprocal_ranks,
    recommend,
    title_query_task,
)
from wares.supervision.records import Reliability, RoundRecord, SupervisionResult
from wares.supervision.run_folder import CHANGES, RELIABILITY, RoundFolder, RunFolder, run_identity
from wares.supervision.strategies import GreedySelection, Teacher, select_teachers
from wares.supervision.strategies import teachers_for as teachers_of
from wares.supervision.teachers import MAX_SAMPLED_QUERIES, RESULT_DEPTH, TeacherPool, labels_to_run

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.supervision.settings import DevSet, SuperviseSettings


Floats = npt.NDArray[np.float64]
WEIGHT_PERCENTILES = (0, 25, 50, 75, 100)  # of queries' weights that are written down
MAX_CHANGES = 5  # queries that changed most, and results of each, that are written down
BASELINES = ("bm25", "dense")
HYBRID_BASELINE = "bm25+dense"


def supervise(
    corpus: Corpus,
    queries: Sequence[Query],
    settings: SuperviseSettings,
    out: Path,
    test_queries: Sequence[Query] = (),
    processes: int | None = None,
    dev: DevSet | None = None,
    runner: Runner | None = None,
) -> SupervisionResult:
    """Train rankers in rounds and keep everything under `out`; what is there already of the same run is not redone.

    queries: to learn from; test_queries: queries whose results are written for every system, to be judged by whoever can;
        where they are others than before, all results are written anew
    processes: that label, at most; by default one a core; runner: labels in their place (wares.core.runners). What comes of
        the run depends on neither
    dev: what greedy selection goes by, where that is to be judged queries; nothing is learned from them
    Raises ModelError where `out` holds another run, SettingsError where there is nothing to learn from.
    """
    if dev is not None and settings.strategy != "greedy":
        raise SettingsError(f"judged dev queries choose teachers, which {settings.strategy} does not. Use greedy.")
    asked = run_identity(settings, corpus, queries) | ({} if dev is None else {"dev": [len(dev.queries), dev.digest]})
    folder = RunFolder(out)
    folder.check(asked)
    classroom = TeacherPool(corpus, queries, settings, processes, runner)
    folder.begin(asked)
    if test_queries:
        folder.begin_tests(test_queries)
        write_baselines(classroom, folder, test_queries)
    records: list[RoundRecord] = []
    for round in range(1, round_count(settings) + 1):
        for name in settings.rankers:
            place = folder.round(round, name)
            done = place.finished
            scorer = (
                classroom.load_ranker(name, place.model) if done else train_round(classroom, round, name, place, dev)
            )
            classroom.add(Teacher(round, name), scorer)
            records.append(place.read())
            if test_queries and not place.has_results:
                own, together = (
                    results(classroom, scorer, test_queries),
                    results_with_bm25(classroom, scorer, test_queries),
                )
                place.write_results(own, together)
        if round > 1 and all(
            each.overlap["before"] >= settings.stop_overlap for each in records[-len(settings.rankers) :]
        ):
            break
    folder.write(CHANGES, changes(classroom, records[-1]))
    return SupervisionResult(records, check_known_items(classroom, records, folder))


def check_known_items(classroom: TeacherPool, records: Sequence[RoundRecord], folder: RunFolder) -> Reliability:
    """Known-item search with everybody, written to `reliability.json` once."""
    if (before := folder.reliability()) is not None:
        return before
    weak = check_labelers(classroom)
    found: dict[str, Recommendation] = {}
    if (known := title_query_task(classroom.corpus, classroom.settings.seed)) is not None:
        found = {name: check_rounds(classroom, known, name, records, folder) for name in classroom.settings.rankers}
    titles = {system.name: system.mrr for each in found.values() for system in each.systems}
    reliability = Reliability(
        weak,
        [name for name, value in weak.items() if value is not None and value < MIN_LABELER_MRR],
        titles,
        {name: each.best.name for name, each in found.items()},
        [worse.name for each in found.values() for worse, _ in each.worse_rounds],
        [str(each) for each in found.values()],
    )
    folder.write(RELIABILITY, asdict(reliability))
    return reliability


def check_labelers(classroom: TeacherPool) -> dict[str, float | None]:
    """Labeler -> mean reciprocal rank for queries written from listings; None for a run, which has its own queries."""
    known = generated_query_task(classroom.corpus, classroom.settings.seed)
    if known is None:
        return {}
    scorers = {name: classroom.labeler(name) for name in classroom.settings.labelers}
    return {
        name: None if isinstance(scorer, RunScorer) else float(reciprocal_ranks(scorer, known).mean())
        for name, scorer in scorers.items()
    }


def check_rounds(
    classroom: TeacherPool, known: KnownItemTask, name: str, records: Sequence[RoundRecord], folder: RunFolder
) -> Recommendation:
    """A ranker untrained and after each of its rounds, by titles among listings without titles."""
    model = get_ranker(name).fit(known.corpus, classroom.settings.seed)
    untrained, rounds = KnownItemResult(f"{name}, untrained", reciprocal_ranks(model.scorer(), known)), []
    for each in records:
        if each.ranker == name:
            model.load(folder.round(each.round, name).model)
            rounds.append(KnownItemResult(str(Teacher(each.round, name)), reciprocal_ranks(model.scorer(), known)))
    return recommend(untrained, rounds)


def changes(classroom: TeacherPool, last: RoundRecord) -> dict[str, Any]:
    """The queries on which the last ranker agrees least with what it was in the first round, or with its teacher."""
    before = Teacher(1, last.ranker) if last.round > 1 else Teacher(0, classroom.settings.labelers[0])
    after, queries = Teacher(last.round, last.ranker), classroom.sampled_queries
    found = [classroom.scorers[each].retrieve(queries, 10).listings for each in (before, after)]
    agreed = average_overlap(found[0], found[1])
    titles = [each.title or each.id for each in classroom.corpus.catalogue.listings]
    rows = [
        {
            "query": queries[place].text,
            "agreement": float(agreed[place]),
            "before": [titles[listing] for listing in found[0][place, :MAX_CHANGES] if listing != NO_LISTING],
            "after": [titles[listing] for listing in found[1][place, :MAX_CHANGES] if listing != NO_LISTING],
        }
        for place in np.argsort(agreed, kind="stable")[:MAX_CHANGES].tolist()
    ]
    return {"before": str(before), "after": str(after), "queries": rows}


def round_count(settings: SuperviseSettings) -> int:
    """The weak labelers say the same in every round, so one is enough."""
    return 1 if settings.strategy == "weak" else settings.rounds


def train_round(
    classroom: TeacherPool, round: int, name: str, folder: RoundFolder, dev: DevSet | None = None
) -> Scorer:
    """One ranker in one round: choose teachers, label, learn, and write it all down. Returns what it became."""
    settings, began = classroom.settings, time.monotonic()
    folder.path.mkdir(parents=True, exist_ok=True)
    pool = teachers_of(settings.strategy, round, name, settings.rankers, settings.labelers)
    chosen = None
    if settings.strategy == "greedy" and round > 1:
        chosen = select_teachers(
            pool, classroom.overlap_criterion(pool) if dev is None else classroom.dev_criterion(pool, dev)
        )
    mixture = chosen.selected if chosen else pool
    folder.copy_labels([str(each) for each in mixture])
    lessons = classroom.soft_labels(mixture, round, folder.labels)
    folder.write_weights(lessons)
    labelled = time.monotonic()
    model = classroom.untrained_ranker(name)
    if settings.start == "warm" and round > 1:
        model.load(folder.previous.model)
    before = ranker_elbo(model.scorer(), lessons)
    learned = train_ranker(
        model, lessons, get_ranker(name).training_defaults, settings.training, settings.seed + 1000 * round, folder.path
    )
    model.save(folder.model)
    scorer, trained = model.scorer(), time.monotonic()
    compared = {str(each): classroom.scorers[each] for each in mixture}
    if round > 1:
        compared["before"] = classroom.scorers[Teacher(round - 1, name)]
    record = RoundRecord(
        round,
        name,
        [str(each) for each in mixture],
        greedy_steps(chosen),
        len(lessons),
        np.percentile(lessons.weights, WEIGHT_PERCENTILES).tolist(),
        (before, ranker_elbo(scorer, lessons)),
        classroom.overlaps(scorer, compared),
        learned.steps,
        learned.losses,
        {"labelling": labelled - began, "learning": trained - labelled},
    )
    folder.write(record)
    return scorer


def ranker_elbo(scorer: Scorer, lessons: SoftLabels) -> float:
    """Free energy of labels and a ranker, on the queries that it learns from and has a score for every label of."""
    some = slice(0, MAX_SAMPLED_QUERIES)
    listings, shares = lessons.listings[some], lessons.log_probs[some]
    scores = scorer.score(lessons.queries[some], listings).astype(np.float64)
    answered = (np.isfinite(scores) | ~np.isfinite(shares)).all(axis=1)
    return elbo(shares[answered], log_probs(scores[answered], 1.0), lessons.weights[some][answered])


def greedy_steps(chosen: GreedySelection | None) -> list[tuple[str, float]]:
    """Teachers that were chosen, with the criterion after each, and the best one that was not."""
    if chosen is None:
        return []
    refused = [(f"not {chosen.rejected[0]}", chosen.rejected[1])] if chosen.rejected else []
    return [(str(teacher), value) for teacher, value in chosen.steps] + refused


def write_baselines(classroom: TeacherPool, folder: RunFolder, tests: Sequence[Query]) -> None:
    """Results for test queries of BM25, of the untrained text tower, of both, and of the weak labelers."""
    for name in dict.fromkeys((*BASELINES, *classroom.settings.labelers)):
        folder.write_baseline(name, results(classroom, classroom.labeler(name), tests))
    both = [classroom.labeler(name) for name in BASELINES]
    folder.write_baseline(HYBRID_BASELINE, labels_to_run(classroom.corpus, tests, hybrid_labels(both, tests)))


def results(classroom: TeacherPool, scorer: Scorer, tests: Sequence[Query]) -> Run:
    """A system's own results for test queries."""
    return labels_to_run(classroom.corpus, tests, scorer.retrieve(tests, RESULT_DEPTH))


def results_with_bm25(classroom: TeacherPool, scorer: Scorer, tests: Sequence[Query]) -> Run:
    """A system's results for test queries, fused with BM25's."""
    return labels_to_run(classroom.corpus, tests, hybrid_labels([scorer, classroom.bm25], tests))


def hybrid_labels(scorers: Sequence[Scorer], queries: Sequence[Query]) -> Labels:
    """The sum of standardised scores over what any of the scorers retrieves."""
    listings = candidate_pool([scorer.retrieve(queries, RESULT_DEPTH) for scorer in scorers], RESULT_DEPTH)
    return Labels.from_scores(
        listings, zscore_fusion([scorer.score(queries, listings) for scorer in scorers]).astype(np.float32)
    )
