"""The recipe of supervision: a corpus and queries without judgments in, trained rankers out, round by round.

    settings = SuperviseSettings(strategy="self", labelers=("bm25", "dense"), rankers=("dense",), query_predictor="nqc")
    supervise(corpus, queries, settings, Path("run"))

In round 1 every ranker learns from the labelers; in later rounds from the teachers that the strategy names
(wares.supervision.strategies). The files of a run are described in wares.supervision.run_folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wares.core.errors import SettingsError
from wares.data.query_log import shared_queries
from wares.ranking.rankers.base import SoftLabels
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.score_fusion import zscore_fusion
from wares.ranking.scoring import Labels, Scorer
from wares.ranking.training import train_ranker
from wares.supervision.aggregation import candidate_pool, elbo, log_probs
from wares.supervision.records import RoundRecord, SupervisionResult
from wares.supervision.run_checks import changes, check_known_items
from wares.supervision.run_folder import CHANGES_FILE, RoundFolder, RunFolder, run_identity
from wares.supervision.strategies import GreedySelection, Teacher, select_teachers, teachers_for
from wares.supervision.teacher_pool import MAX_SAMPLED_QUERIES, RESULT_DEPTH, TeacherPool, labels_to_run

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.supervision.settings import DevSet, SuperviseSettings


WEIGHT_PERCENTILES = (0, 25, 50, 75, 100)  # of the queries' weights, in a round's record
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
    allow_test_queries: bool = False,
) -> SupervisionResult:
    """Train rankers in rounds; the run folder `out` keeps all results, and an interrupted run resumes from it.

    queries: to learn from; test_queries: to write the results of every system for; other test queries than before
        replace all results
    processes: maximum number that label, by default one for each core; runner: labels in their place
        (wares.core.runners). Neither changes a result
    dev: judged queries for greedy selection; no ranker learns from them
    allow_test_queries: learn from queries even if they are test queries too, which makes their measures too high
    Raises ModelError if `out` holds another run, SettingsError if no query can be learned from or if test queries are
    among `queries`.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query, SuperviseSettings, supervise
        >>> from wares.data.corpus import Corpus
        >>> listings = (Listing("1", "Red boots"), Listing("2", "Blue boots"), Listing("3", "Coffee mug"))
        >>> corpus = Corpus(Catalogue(Path("."), listings))
        >>> settings = SuperviseSettings(rankers=("dense(towers='small')",))
        >>> result = supervise(corpus, [Query("q", "boots")], settings, Path("run"))
        >>> [(record.round, record.teachers) for record in result.rounds]
        [(1, ['bm25'])]
    """
    if dev is not None and settings.strategy != "greedy":
        raise SettingsError(f"dev queries select teachers, which strategy {settings.strategy} does not. Use greedy.")
    shared = shared_queries(test_queries, queries)
    if shared and not allow_test_queries:
        raise SettingsError(
            f'{len(shared):,} of {len(test_queries):,} test queries are also training queries, the first "'
            f'{shared[0].text}". Remove them from the training queries, or pass --allow-test-queries.'
        )
    run = RunFolder(out)
    identity = run_identity(settings, corpus, queries, dev)
    run.check(identity)
    teachers = TeacherPool(corpus, queries, settings, processes, runner)
    run.begin(identity, queries)
    if test_queries:
        run.begin_tests(test_queries, len(shared))
        write_baselines(teachers, run, test_queries)
    records: list[RoundRecord] = []
    for round in range(1, round_count(settings) + 1):
        for ranker in settings.rankers:
            folder = run.round(round, ranker)
            if folder.finished:
                scorer = teachers.load_ranker(ranker, folder.model)
            else:
                scorer = train_round(teachers, round, ranker, folder, dev)
            teachers.add(Teacher(round, ranker), scorer)
            records.append(folder.read())
            if test_queries and not folder.has_results:
                own = results(teachers, scorer, test_queries)
                folder.write_results(own, results_with_bm25(teachers, scorer, test_queries))
        if round > 1 and all(_is_stable(record, settings) for record in records[-len(settings.rankers) :]):
            break
    run.write(CHANGES_FILE, changes(teachers, records[-1]))
    return SupervisionResult(records, check_known_items(teachers, records, run))


def round_count(settings: SuperviseSettings) -> int:
    """The maximum number of rounds; one for weak supervision, whose labels never change."""
    return 1 if settings.strategy == "weak" else settings.rounds


def _is_stable(record: RoundRecord, settings: SuperviseSettings) -> bool:
    return record.overlap["before"] >= settings.stop_overlap


def train_round(
    teachers: TeacherPool, round: int, ranker: str, folder: RoundFolder, dev: DevSet | None = None
) -> Scorer:
    """Train one ranker in one round: select teachers, label, train, write. Returns the trained ranker's scorer."""
    settings, started = teachers.settings, time.monotonic()
    folder.path.mkdir(parents=True, exist_ok=True)
    ensemble, selection = _select_ensemble(teachers, round, ranker, dev)
    names = [str(teacher) for teacher in ensemble]
    folder.copy_labels(names)
    soft_labels = teachers.soft_labels(ensemble, round, folder.labels)
    folder.write_weights(soft_labels)
    labelled = time.monotonic()
    model, defaults = teachers.untrained_ranker(ranker), get_ranker(ranker).training_defaults
    if settings.start == "warm" and round > 1:
        model.load(folder.previous.model)
    elbo_before = ranker_elbo(model.scorer(), soft_labels)
    trained = train_ranker(model, soft_labels, defaults, settings.training, settings.seed + 1000 * round, folder.path)
    model.save(folder.model)
    scorer, finished = model.scorer(), time.monotonic()
    others = {str(teacher): teachers.scorers[teacher] for teacher in ensemble}
    if round > 1:
        others["before"] = teachers.scorers[Teacher(round - 1, ranker)]
    record = RoundRecord(
        round=round,
        ranker=ranker,
        teachers=names,
        greedy_steps=greedy_steps(selection),
        queries=len(soft_labels),
        weight_percentiles=np.percentile(soft_labels.weights, WEIGHT_PERCENTILES).tolist(),
        elbo=(elbo_before, ranker_elbo(scorer, soft_labels)),
        overlap=teachers.overlaps(scorer, others),
        steps=trained.steps,
        losses=trained.losses,
        seconds={"labelling": labelled - started, "training": finished - labelled},
    )
    folder.write(record)
    return scorer


def _select_ensemble(
    teachers: TeacherPool, round: int, ranker: str, dev: DevSet | None
) -> tuple[list[Teacher], GreedySelection | None]:
    """The teachers of a ranker in a round, and how greedy selection chose them, if it did."""
    settings = teachers.settings
    pool = teachers_for(settings.strategy, round, ranker, settings.rankers, settings.labelers)
    if settings.strategy != "greedy" or round == 1:
        return pool, None
    criterion = teachers.overlap_criterion(pool) if dev is None else teachers.dev_criterion(pool, dev)
    selection = select_teachers(pool, criterion)
    return selection.selected, selection


def ranker_elbo(scorer: Scorer, soft_labels: SoftLabels) -> float:
    """ELBO of labels and a ranker, over the first queries for which the ranker scores all labelled listings."""
    first = slice(0, MAX_SAMPLED_QUERIES)
    listings, log_q = soft_labels.listings[first], soft_labels.log_probs[first]
    scores = scorer.score(soft_labels.queries[first], listings).astype(np.float64)
    complete = (np.isfinite(scores) | ~np.isfinite(log_q)).all(axis=1)
    return elbo(log_q[complete], log_probs(scores[complete], 1.0), soft_labels.weights[first][complete])


def greedy_steps(selection: GreedySelection | None) -> list[tuple[str, float]]:
    """(teacher, criterion) of the selected teachers, and ("not TEACHER", criterion) of the best rejected one."""
    if selection is None:
        return []
    rejected = [(f"not {selection.rejected[0]}", selection.rejected[1])] if selection.rejected else []
    return [(str(teacher), value) for teacher, value in selection.steps] + rejected


def write_baselines(teachers: TeacherPool, run: RunFolder, test_queries: Sequence[Query]) -> None:
    """Write results of the baselines, their hybrid and the labelers for the test queries."""
    for name in dict.fromkeys((*BASELINES, *teachers.settings.labelers)):
        run.write_baseline(name, results(teachers, teachers.labeler(name), test_queries))
    hybrid = hybrid_labels([teachers.labeler(name) for name in BASELINES], test_queries)
    run.write_baseline(HYBRID_BASELINE, labels_to_run(teachers.corpus, test_queries, hybrid))


def results(teachers: TeacherPool, scorer: Scorer, test_queries: Sequence[Query]) -> Run:
    """A system's results for the test queries."""
    return labels_to_run(teachers.corpus, test_queries, scorer.retrieve(test_queries, RESULT_DEPTH))


def results_with_bm25(teachers: TeacherPool, scorer: Scorer, test_queries: Sequence[Query]) -> Run:
    """A system's results for the test queries, fused with BM25's."""
    return labels_to_run(teachers.corpus, test_queries, hybrid_labels([scorer, teachers.bm25], test_queries))


def hybrid_labels(scorers: Sequence[Scorer], queries: Sequence[Query]) -> Labels:
    """Z-score fusion of several scorers over the listings that any of them retrieves."""
    listings = candidate_pool([scorer.retrieve(queries, RESULT_DEPTH) for scorer in scorers], RESULT_DEPTH)
    fused = zscore_fusion([scorer.score(queries, listings) for scorer in scorers])
    return Labels.from_scores(listings, fused.astype(np.float32))
