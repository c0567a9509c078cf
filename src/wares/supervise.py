"""Recipe: rankers from queries that nobody judged. Corpus and queries in, rankers out, round by round.

    settings = SuperviseSettings(strategy="self", labelers=("bm25", "dense"), rankers=("dense",), weights="nqc")
    supervise(corpus, queries, settings, Path("run"))

In the first round every ranker learns from the weak labelers; in each later one from whom the strategy names
(wares.relabel). All that belongs to a round lies in its own folder, so that a run that was killed goes on where it was:

    run/settings.json              what was asked for
        round-2/dense/labels/          queries, listings and shares that it learned from, in parts (wares.labelling)
                      weights.parquet  how much each query counts
                      model/           the ranker
                      round.json       teachers, times, losses, free energy, agreement; written last
                      run.txt          its results for test queries, where there are any
        baselines/bm25.txt             results of the weak labelers and of BM25, dense and both
        changes.json                   queries whose results changed most
        reliability.json               what known-item search says of everybody, and which ranker to keep
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wares.catalogue import replaced
from wares.errors import ModelError, SettingsError
from wares.labelers import NONE, Labels, Places, Scorer, Scores
from wares.labelers.bm25 import BM25
from wares.labelers.run_file import RunScorer
from wares.labelling import Mixture, Performance, label
from wares.performance_prediction import Clarity, Evidence, get_predictor, get_weight_map
from wares.rankers import Lessons, get_ranker, get_teacher
from wares.rankers.learning import LearningSettings, learn
from wares.relabel import (
    STRATEGIES,
    Greedy,
    Strategy,
    Teacher,
    agreement,
    free_energy,
    greedy,
    log_shares,
    mixed,
    pooled,
    union,
)
from wares.relabel import teachers as teachers_of
from wares.reliability import LEAST, Checked, KnownItems, Verdict, reciprocal_ranks, title_items, verdict, written_items
from wares.runs import Run, write_run

if TYPE_CHECKING:
    from wares.catalogue import Query
    from wares.cluster import Runner
    from wares.corpus import Corpus
    from wares.rankers import RankerModel

Floats = npt.NDArray[np.float64]

DEPTH = 500  # results written for a test query
LOOKED_AT = 500  # queries that greedy selection and agreement look at
PERCENTILES = (0, 25, 50, 75, 100)  # of queries' weights that are written down
SETTINGS, TESTS = "settings.json", "tests.json"
LONGEST = 120  # bytes of a name in a path; most file systems allow 255
CHANGES = 5  # queries that changed most, and results of each, that are written down
BASELINES = ("bm25", "dense")
MIXED = "bm25+dense"


@dataclass(frozen=True)
class SuperviseSettings:
    """How rankers are taught.

    strategy: who teaches whom (wares.relabel); labelers, rankers: their names, with settings if need be. A ranker named
        as a labeler labels as it is before it learned anything
    rounds: at most; a strategy of "weak" has one
    settled: rounds end when all rankers' results agree with those of the round before by so much, in [0, 1]
    depth: best listings of each teacher that are labelled; random: further listings, drawn from the corpus
    temperature: of weak labelers' labels, > 0: small values put all on the first listing
    weights: name of a query performance predictor, or none; weight_map: how predictions become weights
    start: each round from the untrained ranker ("fresh"), or from what it was ("warm")
    """

    strategy: Strategy = "weak"
    labelers: tuple[str, ...] = ("bm25",)
    rankers: tuple[str, ...] = ("dense",)
    rounds: int = 3
    settled: float = 0.98
    depth: int = 50
    random: int = 30
    temperature: float = 0.6
    weights: str | None = None
    weight_map: str = "rank"
    start: Literal["fresh", "warm"] = "fresh"
    learning: LearningSettings = field(default_factory=LearningSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise SettingsError(f"no strategy {self.strategy!r}; there are {', '.join(STRATEGIES)}.")
        if not self.labelers or not self.rankers:
            raise SettingsError("name at least one labeler and one ranker.")
        for names, members in (
            (self.labelers, {get_teacher(name) for name in self.labelers}),
            (self.rankers, {get_ranker(name) for name in self.rankers}),
        ):
            if len(members) < len(names):
                raise SettingsError(f"each of {', '.join(names)} is to be named once.")
            if len({folder_name(name) for name in names}) < len(names):
                raise SettingsError(f"{' and '.join(names)} would be kept in the same folder. Rename what they name.")
        if min(self.rounds, self.depth) < 1 or self.random < 0:
            raise SettingsError("rounds and depth are 1 or more, random is 0 or more.")
        if not 0 <= self.settled <= 1:
            raise SettingsError(f"results agree by a share in [0, 1], not {self.settled}, when rounds end.")
        if self.start not in ("fresh", "warm"):
            raise SettingsError(f"a round starts fresh or warm, not {self.start!r}.")
        log_shares(np.zeros((1, 1)), self.temperature)
        get_weight_map(self.weight_map)
        if self.weights is not None:
            get_predictor(self.weights)
        for ranker in self.rankers:
            teachers_of(self.strategy, 2, ranker, self.rankers, self.labelers)


@dataclass(frozen=True)
class Dev:
    """Queries whose answers somebody knows, by which greedy selection chooses instead of by its own criterion.

    value: of results for these queries, higher is better; source: what they and their judgments are, as a digest, so
    that a run is gone on with by the same ones only
    """

    queries: Sequence[Query]
    value: Callable[[Run], float]
    source: str


@dataclass(frozen=True)
class RoundRecord:
    """What happened to one ranker in one round.

    teachers: by name; greedy: how they were chosen, where they were
    queries: that it learned from; weights: quartiles of the queries' weights
    free_energy: of the labels and the ranker before it learned, and after (wares.relabel.free_energy)
    agreement: mean agreement of its results with those of each teacher, and with its own of the round before
    """

    round: int
    ranker: str
    teachers: list[str]
    greedy: list[tuple[str, float]]
    queries: int
    weights: list[float]
    free_energy: tuple[float, float]
    agreement: dict[str, float]
    steps: int
    losses: list[float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Reliability:
    """What known-item search says, without judgments (wares.reliability).

    labelers: weak labeler -> mean reciprocal rank for queries written from listings, None for a run file, which answers
        no others than its own; nothing where no query can be written
    unreliable: labelers that are hardly worth learning from
    titles: ranker, untrained and round by round -> mean reciprocal rank for titles among listings without titles;
        nothing where listings have nothing but titles
    kept: ranker -> the best of these; worse: rounds below the untrained ranker, and not by chance
    """

    labelers: dict[str, float | None]
    unreliable: list[str]
    titles: dict[str, float]
    kept: dict[str, str]
    worse: list[str]
    verdicts: list[str]


@dataclass(frozen=True)
class Supervised:
    """What came of a run."""

    rounds: list[RoundRecord]
    reliability: Reliability


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
    processes: that label, at most; by default one a core; runner: labels in their place (wares.cluster). What comes of
        the run depends on neither
    dev: what greedy selection goes by, where that is to be judged queries; nothing is learned from them
    Raises ModelError where `out` holds another run, SettingsError where there is nothing to learn from.
    """
    if dev is not None and settings.strategy != "greedy":
        raise SettingsError(f"judged dev queries choose teachers, which {settings.strategy} does not. Use greedy.")
    asked = identity(settings, corpus, queries) | ({} if dev is None else {"dev": [len(dev.queries), dev.source]})
    agree(out, asked)
    classroom = Classroom(corpus, queries, settings, processes, runner)
    out.mkdir(parents=True, exist_ok=True)
    write_json(asked, out / SETTINGS)
    if tests:
        forget_other_results(out, tests)
    baselines(classroom, out / "baselines", tests)
    records: list[RoundRecord] = []
    for round in range(1, rounds_of(settings) + 1):
        for name in settings.rankers:
            folder = out / f"round-{round}" / folder_name(name)
            done = (folder / "round.json").exists()
            scorer = classroom.trained(name, folder) if done else teach(classroom, round, name, folder, dev)
            classroom.enter(Teacher(round, name), scorer)
            records.append(read_round(folder))
            if tests and not (folder / "run.txt").exists():
                write_results(classroom, Teacher(round, name), tests, folder / "run.txt")
        if round > 1 and all(
            each.agreement["before"] >= settings.settled for each in records[-len(settings.rankers) :]
        ):
            break
    write_changes(classroom, records[-1], out / "changes.json")
    return Supervised(records, checked(classroom, records, out))


def checked(classroom: Classroom, records: Sequence[RoundRecord], out: Path) -> Reliability:
    """Known-item search with everybody, written to `reliability.json` once."""
    path = out / "reliability.json"
    if path.exists():
        return Reliability(**json.loads(path.read_text(encoding="utf-8")))
    weak = checked_labelers(classroom)
    found: dict[str, Verdict] = {}
    if (known := title_items(classroom.corpus, classroom.settings.seed)) is not None:
        found = {name: checked_rounds(classroom, known, name, records, out) for name in classroom.settings.rankers}
    titles = {system.name: system.mean for each in found.values() for system in each.systems}
    reliability = Reliability(
        weak,
        [name for name, value in weak.items() if value is not None and value < LEAST],
        titles,
        {name: each.kept.name for name, each in found.items()},
        [worse.name for each in found.values() for worse, _ in each.worse],
        [str(each) for each in found.values()],
    )
    write_json(asdict(reliability), path)
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
    classroom: Classroom, known: KnownItems, name: str, records: Sequence[RoundRecord], out: Path
) -> Verdict:
    """A ranker untrained and after each of its rounds, by titles among listings without titles."""
    model = get_ranker(name).build(known.corpus, classroom.settings.seed)
    untrained, rounds = Checked(f"{name}, untrained", reciprocal_ranks(model.scorer(), known)), []
    for each in records:
        if each.ranker == name:
            model.load(out / f"round-{each.round}" / folder_name(name) / "model")
            rounds.append(Checked(str(Teacher(each.round, name)), reciprocal_ranks(model.scorer(), known)))
    return verdict(untrained, rounds)


def write_changes(classroom: Classroom, last: RoundRecord, path: Path) -> None:
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
            "before": [titles[listing] for listing in found[0][place, :CHANGES] if listing != NONE],
            "after": [titles[listing] for listing in found[1][place, :CHANGES] if listing != NONE],
        }
        for place in np.argsort(agreed, kind="stable")[:CHANGES].tolist()
    ]
    write_json({"before": str(before), "after": str(after), "queries": rows}, path)


def rounds_of(settings: SuperviseSettings) -> int:
    """The weak labelers say the same in every round, so one is enough."""
    return 1 if settings.strategy == "weak" else settings.rounds


def teach(classroom: Classroom, round: int, name: str, folder: Path, dev: Dev | None = None) -> Scorer:
    """One ranker in one round: choose teachers, label, learn, and write it all down. Returns what it became."""
    settings, began = classroom.settings, time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    pool = teachers_of(settings.strategy, round, name, settings.rankers, settings.labelers)
    chosen = None
    if settings.strategy == "greedy" and round > 1:
        chosen = greedy(pool, classroom.criterion(pool) if dev is None else classroom.judged(pool, dev))
    mixture = chosen.chosen if chosen else pool
    share_labels(folder, [str(each) for each in mixture])
    lessons = classroom.lessons(mixture, round, folder / "labels")
    write_weights(lessons, folder / "weights.parquet")
    labelled = time.monotonic()
    model = classroom.model(name)
    if settings.start == "warm" and round > 1:
        model.load(folder.parents[1] / f"round-{round - 1}" / folder.name / "model")
    before = energy(model.scorer(), lessons)
    learned = learn(model, lessons, get_ranker(name).pace, settings.learning, settings.seed + 1000 * round, folder)
    model.save(folder / "model")
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
    write_json(asdict(record), folder / "round.json")
    return scorer


def share_labels(folder: Path, teachers: list[str]) -> None:
    """Take over the labels of another ranker of the round that had the same teachers, where there is one."""
    labels = folder / "labels"
    for done in sorted(folder.parent.glob("*/round.json")):
        if not labels.exists() and read_round(done.parent).teachers == teachers:
            part = folder / ".labels.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(done.parent / "labels", part)
            part.rename(labels)


class Classroom:
    """Corpus, queries, and everybody who has something to say about them so far."""

    def __init__(
        self,
        corpus: Corpus,
        queries: Sequence[Query],
        settings: SuperviseSettings,
        processes: int | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.corpus, self.queries, self.settings = corpus, queries, settings
        self.processes, self.runner = processes, runner
        self.lexical = BM25().over(corpus)
        self.scorers: dict[Teacher, Scorer] = {}
        for name in settings.labelers:
            self.weak(name)
        places = np.random.default_rng(settings.seed).permutation(len(queries))[:LOOKED_AT]
        self.looked_at = [queries[place] for place in np.sort(places)]

    def enter(self, teacher: Teacher, scorer: Scorer) -> None:
        """Let somebody teach from here on."""
        self.scorers[teacher] = scorer

    def weak(self, name: str) -> Scorer:
        """A labeler of round 0; the corpus is indexed for it once."""
        teacher, labeler = Teacher(0, name), get_teacher(name)
        if teacher not in self.scorers:
            self.scorers[teacher] = self.lexical if labeler == BM25() else labeler.over(self.corpus)
        return self.scorers[teacher]

    def model(self, name: str) -> RankerModel:
        """A ranker as it is before anything was learned."""
        return get_ranker(name).build(self.corpus, self.settings.seed)

    def trained(self, name: str, folder: Path) -> Scorer:
        """A ranker as a round left it in its folder."""
        model = self.model(name)
        model.load(folder / "model")
        return model.scorer()

    def lessons(self, mixture: Sequence[Teacher], round: int, folder: Path) -> Lessons:
        """What a mixture of teachers says of all queries, candidates retrieved afresh; `folder` keeps it."""
        settings = self.settings
        predictor = None if settings.weights is None else get_predictor(settings.weights)
        asked = Mixture(
            tuple(self.scorers[each] for each in mixture),
            tuple(each.round > 0 for each in mixture),
            self.corpus.ids,
            settings.depth,
            settings.random,
            settings.temperature,
            (settings.seed, round),
            None if predictor is None else Performance(predictor, self.lexical),
        )
        labels = label(asked, self.queries, folder, self.processes, self.runner)
        weights = np.ones(len(labels))
        if predictor is not None:
            weights = get_weight_map(settings.weight_map)(labels.predictions)
        return Lessons(self.queries, labels.listings, labels.log_shares, weights)

    def criterion(self, pool: Sequence[Teacher]) -> Callable[[Sequence[Teacher]], float]:
        """How much a mixture's results agree with what each of the pool says, the clearer voices counting more.

        A voice is the mean Clarity of a teacher's results, which needs no judgments and no scores. Our reading.
        """
        found = {each: self.scorers[each].retrieve(self.looked_at, self.settings.depth) for each in pool}
        listings = union(list(found.values()), self.settings.depth)
        scores = {each: self.scorers[each].score(self.looked_at, listings) for each in pool}
        voices = np.array([self.clarity(found[each]) for each in pool])
        voices = voices / voices.sum() if voices.sum() > 0 else np.full(len(pool), 1 / len(pool))

        def value(mixture: Sequence[Teacher]) -> float:
            ranking = self.together(mixture, listings, scores).listings
            agreed = [float(agreement(ranking, found[each].listings).mean()) for each in pool]
            return float(voices @ np.array(agreed))

        return value

    def judged(self, pool: Sequence[Teacher], dev: Dev) -> Callable[[Sequence[Teacher]], float]:
        """How well a mixture answers the dev queries, as whoever judged them says."""
        found = [self.scorers[each].retrieve(dev.queries, self.settings.depth) for each in pool]
        listings = union(found, self.settings.depth)
        scores = {each: self.scorers[each].score(dev.queries, listings) for each in pool}

        def value(mixture: Sequence[Teacher]) -> float:
            return dev.value(as_run(self.corpus, dev.queries, self.together(mixture, listings, scores)))

        return value

    def together(self, mixture: Sequence[Teacher], listings: Places, scores: Mapping[Teacher, Scores]) -> Labels:
        """What a mixture says of these listings, as it teaches."""
        said = [scores[each] for each in mixture]
        labels = pooled(said, [each.round > 0 for each in mixture], self.settings.temperature)
        return Labels.of(listings, labels.astype(np.float32))

    def clarity(self, found: Labels) -> float:
        """Mean Clarity of results for the queries that are looked at; 0 where there is none."""
        terms = [self.corpus.terms.ids(query.text) for query in self.looked_at]
        nothing = np.zeros(len(terms))
        values = Clarity()(Evidence(terms, self.corpus.terms, found.listings, found.scores, nothing))
        return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0

    def agreements(self, scorer: Scorer, others: dict[str, Scorer]) -> dict[str, float]:
        """Mean agreement of a scorer's results with others'."""
        own = scorer.retrieve(self.looked_at, 10).listings
        return {
            name: float(agreement(own, other.retrieve(self.looked_at, 10).listings).mean())
            for name, other in others.items()
        }


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


def forget_other_results(out: Path, tests: Sequence[Query]) -> None:
    """Take away results that were written for other test queries than these, and what was measured of them."""
    path, now = out / TESTS, digest_of([(query.id, query.text) for query in tests])
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) == now:
        return
    for old in (*out.glob("round-*/*/run*.txt"), *out.glob("baselines/*.txt"), *out.glob("results.json")):
        old.unlink()
    write_json(now, path)


def baselines(classroom: Classroom, folder: Path, tests: Sequence[Query]) -> None:
    """Results for test queries of BM25, of the untrained text tower, of both, and of the weak labelers."""
    if not tests:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys((*BASELINES, *classroom.settings.labelers)):
        classroom.weak(name)
        write_results(classroom, Teacher(0, name), tests, folder / f"{folder_name(name)}.txt")
    both = [classroom.weak(name) for name in BASELINES]
    write_run(as_run(classroom.corpus, tests, hybrid(both, tests)), folder / f"{MIXED}.txt", "wares")


def write_results(classroom: Classroom, teacher: Teacher, tests: Sequence[Query], path: Path) -> None:
    """A system's own results for test queries, and beside them those together with BM25."""
    scorer, lexical = classroom.scorers[teacher], classroom.lexical
    if teacher.round > 0:
        together = hybrid([scorer, lexical], tests)
        write_run(as_run(classroom.corpus, tests, together), path.with_name("run+bm25.txt"), "wares")
    with replaced(path) as part:
        write_run(as_run(classroom.corpus, tests, scorer.retrieve(tests, DEPTH)), part, "wares")


def hybrid(scorers: Sequence[Scorer], queries: Sequence[Query]) -> Labels:
    """The sum of standardised scores over what any of the scorers retrieves."""
    listings = union([scorer.retrieve(queries, DEPTH) for scorer in scorers], DEPTH)
    return Labels.of(listings, mixed([scorer.score(queries, listings) for scorer in scorers]).astype(np.float32))


def as_run(corpus: Corpus, queries: Sequence[Query], labels: Labels) -> Run:
    """Labels by the ids of queries and listings, the best `DEPTH` of each."""
    return {
        query.id: {
            str(corpus.ids[place]): float(score)
            for place, score in zip(listings[:DEPTH], scores[:DEPTH], strict=True)
            if place != NONE
        }
        for query, listings, scores in zip(queries, labels.listings, labels.scores, strict=True)
    }


def identity(settings: SuperviseSettings, corpus: Corpus, queries: Sequence[Query]) -> dict[str, Any]:
    """What makes a run this run, as JSON: settings, the words of corpus and queries, and files that settings name."""
    members: dict[str, object] = {name: get_teacher(name) for name in settings.labelers}
    members |= {name: get_ranker(name) for name in settings.rankers}
    return {
        "settings": json.loads(json.dumps(asdict(settings))),
        "listings": len(corpus),
        "corpus": digest_of(list(zip(corpus.ids.tolist(), corpus.texts, strict=True))),
        "queries": digest_of([(query.id, query.text) for query in queries]),
        "files": {name: digest for name, each in members.items() if (digest := files_digest(each)) is not None},
    }


def files_digest(member: object) -> str | None:
    """SHA-256 of the file, or of all files of the model's folder but documents, that a labeler or ranker names; None
    without one.
    """
    named = getattr(member, "file", "") or getattr(member, "model", "")
    path = Path(named)
    if not named or not path.exists():
        return None
    files = (
        [path]
        if path.is_file()
        else sorted(each for each in path.rglob("*") if each.is_file() and each.suffix != ".md")
    )
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def digest_of(texts: Sequence[tuple[str, str]]) -> str:
    """SHA-256 of texts and their ids."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def agree(out: Path, asked: dict[str, Any]) -> None:
    """See that a run that is there is the one that is asked for. Raises ModelError."""
    path = out / SETTINGS
    if out.is_dir() and any(out.iterdir()) and not (path.exists() or any(out.glob("round-*"))):
        raise ModelError(f"{out} holds files that are no run's, so it is left alone. Choose another --out.")
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != asked:
        raise ModelError(
            f"{out} holds a run with other settings, corpus, queries, or files that these name. Choose another --out."
        )


def write_json(value: Any, path: Path) -> None:
    """Written whole, or not at all."""
    with replaced(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def folder_name(name: str) -> str:
    """A ranker's or labeler's name as part of a path; a long one is cut, and a hash tells it from others."""
    plain = re.sub(r"[^\w.=,+-]+", "_", name).strip("_")
    if len(plain.encode()) <= LONGEST:
        return plain
    return f"{plain[: LONGEST // 4]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def read_round(folder: Path) -> RoundRecord:
    """What `teach` wrote down."""
    return RoundRecord(**json.loads((folder / "round.json").read_text(encoding="utf-8")))


def write_weights(lessons: Lessons, path: Path) -> None:
    """One row a query: its id and how much it counts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replaced(path) as part:
        pq.write_table(pa.table({"id": [query.id for query in lessons.queries], "weight": lessons.weights}), part)
