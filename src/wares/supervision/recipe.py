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
from wares.ranking.rankers.base import Lessons
from wares.ranking.rankers.registry import get_ranker
from wares.ranking.score_fusion import mixed
from wares.ranking.scoring import NONE, Labels, Scorer
from wares.ranking.training import learn
from wares.supervision.aggregation import agreement, free_energy, log_shares, union
from wares.supervision.known_item import (
    LEAST,
    Checked,
    KnownItems,
    Verdict,
    reciprocal_ranks,
    title_items,
    verdict,
    written_items,
)
from wares.supervision.records import Reliability, RoundRecord, Supervised
from wares.supervision.run_folder import CHANGES, RELIABILITY, RoundFolder, RunFolder, identity
from wares.supervision.strategies import Greedy, Teacher, greedy
from wares.supervision.strategies import teachers as teachers_of
from wares.supervision.teachers import DEPTH, LOOKED_AT, Classroom, as_run

if TYPE_CHECKING:
    from wares.core.runners import Runner
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.supervision.settings import Dev, SuperviseSettings


Floats = npt.NDArray[np.float64]
PERCENTILES = (0, 25, 50, 75, 100)  # of queries' weights that are written down
MAX_CHANGES = 5  # queries that changed most, and results of each, that are written down
BASELINES = ("bm25", "dense")
MIXED = "bm25+dense"


def supervise(
    corpus: Corpus,
    queries: Sequence[Query],
    settings: SuperviseSettings,
    out: Path,
    tests: Sequence[Query] = (),
    processes: int | None = None,
    dev: Dev | None = None,
    runner: Runner | None = None,
) -> Supervised:
    """Train rankers in rounds and keep everything under `out`; what is there already of the same run is not redone.

    queries: to learn from; tests: queries whose results are written for every system, to be judged by whoever can;
        where they are others than before, all results are written anew
    processes: that label, at most; by default one a core; runner: labels in their place (wares.core.runners). What comes of
        the run depends on neither
    dev: what greedy selection goes by, where that is to be judged queries; nothing is learned from them
    Raises ModelError where `out` holds another run, SettingsError where there is nothing to learn from.
    """
    if dev is not None and settings.strategy != "greedy":
        raise SettingsError(f"judged dev queries choose teachers, which {settings.strategy} does not. Use greedy.")
    asked = identity(settings, corpus, queries) | ({} if dev is None else {"dev": [len(dev.queries), dev.source]})
    folder = RunFolder(out)
    folder.check(asked)
    classroom = Classroom(corpus, queries, settings, processes, runner)
    folder.begin(asked)
    if tests:
        folder.begin_tests(tests)
        write_baselines(classroom, folder, tests)
    records: list[RoundRecord] = []
    for round in range(1, rounds_of(settings) + 1):
        for name in settings.rankers:
            place = folder.round(round, name)
            done = place.finished
            scorer = classroom.trained(name, place.model) if done else teach(classroom, round, name, place, dev)
            classroom.enter(Teacher(round, name), scorer)
            records.append(place.read())
            if tests and not place.has_results:
                own, together = results(classroom, scorer, tests), results_with_bm25(classroom, scorer, tests)
                place.write_results(own, together)
        if round > 1 and all(
            each.agreement["before"] >= settings.settled for each in records[-len(settings.rankers) :]
        ):
            break
    folder.write(CHANGES, changes(classroom, records[-1]))
    return Supervised(records, checked(classroom, records, folder))


def checked(classroom: Classroom, records: Sequence[RoundRecord], folder: RunFolder) -> Reliability:
    """Known-item search with everybody, written to `reliability.json` once."""
    if (before := folder.reliability()) is not None:
        return before
    weak = checked_labelers(classroom)
    found: dict[str, Verdict] = {}
    if (known := title_items(classroom.corpus, classroom.settings.seed)) is not None:
        found = {name: checked_rounds(classroom, known, name, records, folder) for name in classroom.settings.rankers}
    titles = {system.name: system.mean for each in found.values() for system in each.systems}
    reliability = Reliability(
        weak,
        [name for name, value in weak.items() if value is not None and value < LEAST],
        titles,
        {name: each.kept.name for name, each in found.items()},
        [worse.name for each in found.values() for worse, _ in each.worse],
        [str(each) for each in found.values()],
    )
    folder.write(RELIABILITY, asdict(reliability))
    return reliability


def checked_labelers(classroom: Classroom) -> dict[str, float | None]:
    """Labeler -> mean reciprocal rank for queries written from listings; None for a run, which has its own queries."""
    known = written_items(classroom.corpus, classroom.settings.seed)
    if known is None:
        return {}
    scorers = {name: classroom.weak(name) for name in classroom.settings.labelers}
    return {
        name: None if isinstance(scorer, RunScorer) else float(reciprocal_ranks(scorer, known).mean())
        for name, scorer in scorers.items()
    }


def checked_rounds(
    classroom: Classroom, known: KnownItems, name: str, records: Sequence[RoundRecord], folder: RunFolder
) -> Verdict:
    """A ranker untrained and after each of its rounds, by titles among listings without titles."""
    model = get_ranker(name).build(known.corpus, classroom.settings.seed)
    untrained, rounds = Checked(f"{name}, untrained", reciprocal_ranks(model.scorer(), known)), []
    for each in records:
        if each.ranker == name:
            model.load(folder.round(each.round, name).model)
            rounds.append(Checked(str(Teacher(each.round, name)), reciprocal_ranks(model.scorer(), known)))
    return verdict(untrained, rounds)


def changes(classroom: Classroom, last: RoundRecord) -> dict[str, Any]:
    """The queries on which the last ranker agrees least with what it was in the first round, or with its teacher."""
    before = Teacher(1, last.ranker) if last.round > 1 else Teacher(0, classroom.settings.labelers[0])
    after, queries = Teacher(last.round, last.ranker), classroom.looked_at
    found = [classroom.scorers[each].retrieve(queries, 10).listings for each in (before, after)]
    agreed = agreement(found[0], found[1])
    titles = [each.title or each.id for each in classroom.corpus.catalogue.listings]
    rows = [
        {
            "query": queries[place].text,
            "agreement": float(agreed[place]),
            "before": [titles[listing] for listing in found[0][place, :MAX_CHANGES] if listing != NONE],
            "after": [titles[listing] for listing in found[1][place, :MAX_CHANGES] if listing != NONE],
        }
        for place in np.argsort(agreed, kind="stable")[:MAX_CHANGES].tolist()
    ]
    return {"before": str(before), "after": str(after), "queries": rows}


def rounds_of(settings: SuperviseSettings) -> int:
    """The weak labelers say the same in every round, so one is enough."""
    return 1 if settings.strategy == "weak" else settings.rounds


def teach(classroom: Classroom, round: int, name: str, folder: RoundFolder, dev: Dev | None = None) -> Scorer:
    """One ranker in one round: choose teachers, label, learn, and write it all down. Returns what it became."""
    settings, began = classroom.settings, time.monotonic()
    folder.path.mkdir(parents=True, exist_ok=True)
    pool = teachers_of(settings.strategy, round, name, settings.rankers, settings.labelers)
    chosen = None
    if settings.strategy == "greedy" and round > 1:
        chosen = greedy(pool, classroom.criterion(pool) if dev is None else classroom.judged(pool, dev))
    mixture = chosen.chosen if chosen else pool
    folder.copy_labels([str(each) for each in mixture])
    lessons = classroom.lessons(mixture, round, folder.labels)
    folder.write_weights(lessons)
    labelled = time.monotonic()
    model = classroom.model(name)
    if settings.start == "warm" and round > 1:
        model.load(folder.previous.model)
    before = energy(model.scorer(), lessons)
    learned = learn(model, lessons, get_ranker(name).pace, settings.learning, settings.seed + 1000 * round, folder.path)
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
        np.percentile(lessons.weights, PERCENTILES).tolist(),
        (before, energy(scorer, lessons)),
        classroom.agreements(scorer, compared),
        learned.steps,
        learned.losses,
        {"labelling": labelled - began, "learning": trained - labelled},
    )
    folder.write(record)
    return scorer


def energy(scorer: Scorer, lessons: Lessons) -> float:
    """Free energy of labels and a ranker, on the queries that it learns from and has a score for every label of."""
    some = slice(0, LOOKED_AT)
    listings, shares = lessons.listings[some], lessons.log_shares[some]
    scores = scorer.score(lessons.queries[some], listings).astype(np.float64)
    answered = (np.isfinite(scores) | ~np.isfinite(shares)).all(axis=1)
    return free_energy(shares[answered], log_shares(scores[answered], 1.0), lessons.weights[some][answered])


def greedy_steps(chosen: Greedy | None) -> list[tuple[str, float]]:
    """Teachers that were chosen, with the criterion after each, and the best one that was not."""
    if chosen is None:
        return []
    refused = [(f"not {chosen.refused[0]}", chosen.refused[1])] if chosen.refused else []
    return [(str(teacher), value) for teacher, value in chosen.steps] + refused


def write_baselines(classroom: Classroom, folder: RunFolder, tests: Sequence[Query]) -> None:
    """Results for test queries of BM25, of the untrained text tower, of both, and of the weak labelers."""
    for name in dict.fromkeys((*BASELINES, *classroom.settings.labelers)):
        folder.write_baseline(name, results(classroom, classroom.weak(name), tests))
    both = [classroom.weak(name) for name in BASELINES]
    folder.write_baseline(MIXED, as_run(classroom.corpus, tests, hybrid(both, tests)))


def results(classroom: Classroom, scorer: Scorer, tests: Sequence[Query]) -> Run:
    """A system's own results for test queries."""
    return as_run(classroom.corpus, tests, scorer.retrieve(tests, DEPTH))


def results_with_bm25(classroom: Classroom, scorer: Scorer, tests: Sequence[Query]) -> Run:
    """A system's results for test queries, fused with BM25's."""
    return as_run(classroom.corpus, tests, hybrid([scorer, classroom.lexical], tests))


def hybrid(scorers: Sequence[Scorer], queries: Sequence[Query]) -> Labels:
    """The sum of standardised scores over what any of the scorers retrieves."""
    listings = union([scorer.retrieve(queries, DEPTH) for scorer in scorers], DEPTH)
    return Labels.of(listings, mixed([scorer.score(queries, listings) for scorer in scorers]).astype(np.float32))
