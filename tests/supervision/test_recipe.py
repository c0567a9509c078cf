"""Rounds of weak supervision: what every strategy must do, whole runs on a tiny corpus, and being stopped anywhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_models import WORDS, named

import wares.supervision.recipe as module
from wares.core.errors import EvaluationError, ModelError, SettingsError, WaresError
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import Run, read_run, write_run
from wares.encoders.registry import build_towers
from wares.evaluation.measures import measure
from wares.evaluation.supervision_report import evaluate_run, read_run_results, short_names, write_report
from wares.ranking.labelers.embeddings import EmbeddingScorer
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.scoring import NO_LISTING
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision import teacher_pool
from wares.supervision.recipe import supervise
from wares.supervision.run_folder import RoundFolder
from wares.supervision.settings import DevSet, SuperviseSettings, folder_name
from wares.supervision.strategies import STRATEGIES, Strategy, Teacher
from wares.supervision.teacher_pool import TeacherPool
from wares.supervision.trained_rankers import find_ranker

QUERIES = [Query(str(i), f"{one} {other}") for i, (one, other) in enumerate(pairwise(WORDS))]
PAIRS = [(one, two) for i, one in enumerate(WORDS) for two in WORDS[i + 1 :]]
TESTS = [Query("t1", "red wool"), Query("t2", "winter")]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Fifteen listings of three words, two of them in the title."""
    words = [[WORDS[(i * step) % len(WORDS)] for step in (1, 2, 4)] for i in range(len(WORDS))]
    words += [[WORDS[i], WORDS[i + 1], WORDS[i + 3]] for i in range(6)]
    listings = [
        Listing(f"l{i}", " ".join(each[:2]), " ".join(each[1:]), (), (), None, {}) for i, each in enumerate(words)
    ]
    return Corpus(Catalogue(tmp_path_factory.mktemp("corpus"), tuple(listings)))


@pytest.fixture
def settings(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SuperviseSettings:
    """Two weak labelers and two rankers that learn in no time."""
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "BASELINES", ("bm25", "query-likelihood"))
    towers = named("pair", shelf)
    return SuperviseSettings(
        labelers=("bm25", "query-likelihood(mu=10)"),
        rankers=(f"static(towers={towers!r})", f"dense(towers={towers!r})"),
        rounds=2,
        depth=5,
        random_candidates=3,
        stop_overlap=1.0,
        training=RankerTrainingSettings(epochs=2),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but what tells the time."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "round.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# What every strategy must do


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_has_all_of_every_round(
    strategy: Strategy, corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    settings = replace(settings, strategy=strategy)
    records = supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS).rounds
    rounds = 1 if strategy == "weak" else 2
    assert [(each.round, each.ranker) for each in records] == [
        (round, ranker) for round in range(1, rounds + 1) for ranker in settings.rankers
    ]
    for each in records:
        assert each.queries == len(QUERIES)
        assert each.steps > 0
        assert each.elbo[0] <= 0
        assert each.elbo[1] <= 0
        assert set(each.overlap) == {*each.teachers, *(["before"] if each.round > 1 else [])}
        assert all(0 <= value <= 1 for value in each.overlap.values())
    for folder in tmp_path.glob("run/round-*/*"):
        assert {path.name for path in folder.iterdir()} == {
            "labels",
            "weights.parquet",
            "model",
            "round.json",
            "run.txt",
            "run+bm25.txt",
        }
        assert set(read_run(folder / "run.txt")) <= {"t1", "t2"}
    if strategy == "greedy":
        assert [each.greedy_steps for each in records[:2]] == [[], []]
        assert records[2].teachers == [name for name, _ in records[2].greedy_steps if not name.startswith("not ")]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("self", [["{0}, round 1"], ["{1}, round 1"]]),
        ("cross", [["{1}, round 1"], ["{0}, round 1"]]),
        ("joint", [["{0}, round 1", "{1}, round 1"]] * 2),
    ],
)
def test_who_teaches_in_the_second_round(
    strategy: Strategy, expected: list[list[str]], corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    records = supervise(corpus, QUERIES, replace(settings, strategy=strategy), tmp_path / "run").rounds
    assert [each.teachers for each in records[:2]] == [list(settings.labelers)] * 2
    assert [each.teachers for each in records[2:]] == [
        [name.format(*settings.rankers) for name in names] for names in expected
    ]


def test_the_same_run_twice(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, strategy="joint", query_predictor="nqc", start="warm")
    for name in ("one", "other"):
        supervise(corpus, QUERIES, settings, tmp_path / name, TESTS)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    different = replace(settings, seed=1)
    supervise(corpus, QUERIES, different, tmp_path / "third", TESTS)
    assert contents(tmp_path / "one") != contents(tmp_path / "third")


def test_a_teacher_that_teaches_down_is_found_out(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """A run file turns BM25's rankings around; learning from it makes a ranker that could do it worse: the run says so
    and keeps the ranker as it was.
    """
    catalogue = Catalogue(
        corpus.catalogue.folder,
        tuple(Listing(f"n{i}", f"{one} {two}", f"{two} {one}", (), (), None, {}) for i, (one, two) in enumerate(PAIRS)),
    )
    good = Corpus(catalogue)
    queries = [Query(str(i), f"{one} {two}") for i, (one, two) in enumerate(PAIRS)]
    scores = get_labeler("bm25").fit(good).retrieve(queries, len(good))
    wrong = {
        query.id: {str(good.ids[place]): -float(score) for place, score in zip(row, values, strict=True) if place >= 0}
        for query, row, values in zip(queries, scores.listings, scores.scores, strict=True)
    }
    write_run(wrong, tmp_path / "wrong.txt")
    labelers = (f"run(file={str(tmp_path / 'wrong.txt')!r})",)
    static = settings.rankers[0].removesuffix(")") + ", learning_rate=0.5, batch_size=9)"
    taught: dict[str, Any] = {
        "training": RankerTrainingSettings(epochs=30),
        "temperature": 0.3,
        "random_candidates": 0,
        "depth": 20,
    }
    settings = replace(settings, labelers=labelers, rankers=(static,), **taught)
    found = supervise(good, queries, settings, tmp_path / "run").reliability
    assert found.ranker_mrr[f"{static}, untrained"] > 0.9
    assert found.best == {static: f"{static}, untrained"}
    assert found.worse_rounds == [f"{static}, round 1"]
    assert found.labeler_mrr == {labelers[0]: None}, "a run answers no other queries"
    assert found.unreliable_labelers == []
    assert found.recommendations == [f"No round is better than {static}, untrained. Keep the untrained ranker."]
    written = json.loads((tmp_path / "run" / "reliability.json").read_text())
    assert written["best"] == found.best


def test_judged_dev_queries_choose_teachers_where_they_are_given(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    """Of four in the pool, the first that is chosen answers them best, whichever way up answers are valued."""
    settings, judged = replace(settings, strategy="greedy"), {"t1": {"l1": 1, "l9": 1}, "t2": {"l8": 2}}
    firsts, pool = [], len(settings.labelers) + len(settings.rankers)
    for sign in (1, -1):
        said: list[float] = []

        def value(results: Run, sign: int = sign, said: list[float] = said) -> float:
            said.append(sign * fmean(measure(results, judged, ["AP"])["AP"].values()))
            return said[-1]

        dev, out = DevSet(TESTS, value, f"judgments {sign}"), tmp_path / str(sign)
        chosen = supervise(corpus, QUERIES, settings, out, dev=dev).rounds[2].greedy_steps
        assert len(set(said[:pool])) > 1, "they differ"
        assert chosen[0][1] == max(said[:pool])
        firsts.append(chosen[0])
        assert "chosen by 2 judged dev queries" in write_report(out).read_text(encoding="utf-8")
    assert firsts[0] != firsts[1]
    for other in (None, DevSet(TESTS, value, "other judgments")):
        with pytest.raises(ModelError, match="holds a run with other"):
            supervise(corpus, QUERIES, settings, out, dev=other)
    with pytest.raises(SettingsError, match="which strategy self does not"):
        supervise(corpus, QUERIES, replace(settings, strategy="self"), tmp_path / "self", dev=dev)


def test_an_untrained_ranker_labels_and_can_be_taught(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    static = settings.rankers[0]
    settings = replace(settings, strategy="greedy", labelers=("bm25", static), rankers=(static,))
    found = supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    assert found.rounds[0].teachers == ["bm25", static]
    assert set(found.reliability.labeler_mrr) == {"bm25", static}


def test_a_labeler_that_finds_nothing_is_warned_of(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    (tmp_path / "labels.py").write_text("def silent(query, listings):\n    return [None for each in listings]\n")
    labelers = ("bm25", f"function(file={str(tmp_path / 'labels.py')!r}, name='silent')")
    settings = replace(settings, labelers=labelers, rankers=settings.rankers[:1])
    found = supervise(corpus, QUERIES, settings, tmp_path / "out").reliability
    assert found.unreliable_labelers == [labelers[1]]
    assert (found.labeler_mrr["bm25"] or 0.0) > 0.5


def listings_of(titles: Sequence[str], description: str = "", folder: Path = Path()) -> Corpus:
    made = [Listing(f"j{i}", title, description, (), ("photo.png",)) for i, title in enumerate(titles)]
    return Corpus(Catalogue(folder, tuple(made if folder != Path() else [replace(each, images=()) for each in made])))


def test_what_can_be_checked_is_checked(settings: SuperviseSettings, tmp_path: Path) -> None:
    """Of titles alone, labelers; of titles that are one word of a photo each, rankers."""
    settings = replace(settings, rankers=settings.rankers[:1], labelers=("bm25",))
    titles = listings_of([f"{one} {other}" for one, other in PAIRS])
    found = supervise(titles, QUERIES, settings, tmp_path / "titles")
    assert found.reliability.labeler_mrr["bm25"] and not found.reliability.ranker_mrr and not found.reliability.best
    assert find_ranker(tmp_path / "titles").round == 1
    assert "rankers cannot be checked" in write_report(tmp_path / "titles").read_text(encoding="utf-8")
    words = listings_of(["赤い靴", "青い帽子", "緑の椅子", "白い時計", "黒い鞄"], folder=tmp_path)
    found = supervise(words, [Query("1", "赤い靴"), Query("2", "黒い鞄")], settings, tmp_path / "words")
    assert found.reliability.ranker_mrr and not found.reliability.labeler_mrr
    assert "labelers cannot be checked" in write_report(tmp_path / "words").read_text(encoding="utf-8")


# Being stopped


class Killed(Exception):
    """As if the process had been."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (teacher_pool, "label_queries"),
        (RoundFolder, "write_weights"),
        (module, "train_ranker"),
        (module, "ranker_elbo"),
        (RoundFolder, "write_results"),
        (module, "labels_to_run"),
    ],
)
def test_a_run_that_was_killed_goes_on_without_redoing(
    owner: object,
    name: str,
    corpus: Corpus,
    settings: SuperviseSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed in the second round wherever it was, it ends as a run that was not, and teaches nobody twice."""
    settings = replace(settings, strategy="self", rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "whole", TESTS)
    original: Callable[..., Any] = getattr(owner, name)

    def killed(*args: Any, **kwargs: Any) -> Any:
        if (tmp_path / "run" / "round-2").exists():
            raise Killed
        return original(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        with pytest.raises(Killed):
            supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    taught = []

    def counted(*args: Any) -> Any:
        taught.append(args)
        return learn(*args)

    learn: Callable[..., Any] = getattr(module, "train_ranker")  # noqa: B009  (mypy: it is the module's own business)
    monkeypatch.setattr(module, "train_ranker", counted)
    done = (tmp_path / "run" / "round-2" / folder_name(settings.rankers[0]) / "round.json").exists()
    supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    assert len(taught) == (0 if done else 1)
    assert contents(tmp_path / "whole") == contents(tmp_path / "run")


def test_another_run_is_not_gone_on_with(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    for queries, other in ((QUERIES, replace(settings, depth=4)), (QUERIES[:4], settings)):
        with pytest.raises(ModelError, match="holds a run with other settings, corpus, queries"):
            supervise(corpus, queries, other, tmp_path / "run")


def test_queries_of_another_text_are_another_run(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    with pytest.raises(ModelError, match="other settings, corpus, queries"):
        supervise(corpus, [*QUERIES[:-1], Query("9", "red red")], settings, tmp_path / "run")


def test_other_words_in_the_corpus_are_another_run(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    listings = corpus.catalogue.listings
    edited = replace(corpus.catalogue, listings=(replace(listings[0], title="red mug"), *listings[1:]))
    with pytest.raises(ModelError, match="other settings, corpus, queries"):
        supervise(Corpus(edited), QUERIES, settings, tmp_path / "run")


def test_an_edited_labeler_is_another_run(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    source = "def mine(query, listings):\n    return [{} for each in listings]\n"
    file.write_text(source.format("float(query in each.title)"))
    labelers = ("bm25", f"function(file={str(file)!r}, name='mine')")
    settings = replace(settings, labelers=labelers, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    file.write_text(source.format("1.0"))
    with pytest.raises(ModelError, match="or model files"):
        supervise(corpus, QUERIES, settings, tmp_path / "run")


@pytest.mark.parametrize("role", ["labelers", "rankers"])
def test_another_model_in_the_same_folder_is_another_run(
    role: str, corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    build_towers("small", 1).save(tmp_path / "model")
    named: dict[str, Any] = {role: (f"two-tower(model={str(tmp_path / 'model')!r})",)}
    settings = replace(settings, **{"rankers": settings.rankers[:1], **named})
    for _ in range(2):
        supervise(corpus, QUERIES, settings, tmp_path / "run")
    build_towers("small", 2).save(tmp_path / "model")
    with pytest.raises(ModelError, match="or model files"):
        supervise(corpus, QUERIES, settings, tmp_path / "run")


def test_other_test_queries_are_answered_by_everybody(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    """Gone on with for other queries, a run has the results of one that had them from the start."""
    settings = replace(settings, strategy="self", rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    evaluate_run(tmp_path / "run", {"t1": {"l1": 1}})
    others = [TESTS[0], Query("t3", "boots"), Query("t4", "blue scarf")]
    supervise(corpus, QUERIES, settings, tmp_path / "run", others)
    supervise(corpus, QUERIES, settings, tmp_path / "fresh", others)
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")


def test_rankers_of_the_same_teachers_learn_from_the_same_labels(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made once: in the first round and where all teach, but not where each has teachers of its own."""
    made: list[Path] = []
    original: Callable[..., Any] = getattr(teacher_pool, "label_queries")  # noqa: B009  (mypy: it is the module's own business)

    def counted(mixture: Any, queries: Any, folder: Path, *rest: Any) -> Any:
        made.extend([] if folder.exists() else [folder])
        return original(mixture, queries, folder, *rest)

    monkeypatch.setattr(teacher_pool, "label_queries", counted)
    cases: dict[Strategy, int] = {"joint": 2, "self": 3}
    for strategy, count in cases.items():
        made.clear()
        supervise(corpus, QUERIES, replace(settings, strategy=strategy), tmp_path / strategy)
        assert len(made) == count
    ours, theirs = (contents(folder / "labels") for folder in tmp_path.glob("joint/round-2/*"))
    assert ours == theirs


def test_a_labeler_that_cannot_work_leaves_no_run_behind(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    broken = replace(settings, labelers=(f"run(file={str(tmp_path / 'missing.txt')!r})",))
    with pytest.raises(WaresError, match="missing"):
        supervise(corpus, QUERIES, broken, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_long_names_are_cut_in_paths_and_stay_apart() -> None:
    long = [f"run(file='{'a' * 300}{end}')" for end in "12"]
    names = {folder_name(name) for name in long}
    assert len(names) == 2
    assert all(len(name.encode()) < 100 for name in names)
    assert folder_name("dense(backbone='last-2')") == "dense_backbone=_last-2"


def test_members_are_named_once_and_have_folders_of_their_own(settings: SuperviseSettings) -> None:
    for twice in (("bm25", "bm25()"), ("bm25", "rm3", "bm25(k1=1.2)")):
        with pytest.raises(SettingsError, match="name the same part twice"):
            replace(settings, labelers=twice)
    with pytest.raises(SettingsError, match="need the same folder name"):
        replace(settings, labelers=("run(file='m/a')", "run(file='m_a')"))


def test_rounds_end_when_results_settle(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, strategy="self", rounds=5, stop_overlap=0.0)
    assert max(each.round for each in supervise(corpus, QUERIES, settings, tmp_path / "run").rounds) == 2
    assert "Rounds ended before the 5" in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_labels_of_a_rankers_own_are_an_exact_e_step(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    """A ranker that goes on from where it was, taught by itself, starts with the highest free energy there is."""
    found = supervise(corpus, QUERIES, replace(settings, strategy="self", start="warm"), tmp_path / "run")
    for each in found.rounds:
        assert (each.elbo[0] > -1e-4) == (each.round == 2)


# By eye


def test_greedy_values_a_mixture_by_what_it_would_teach(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    """Rankers' scores as they are, labelers' standardised: the order of the labels."""
    classroom = TeacherPool(corpus, QUERIES, settings)
    loud = np.random.default_rng(1).permutation(len(corpus)).astype(np.float32) * 9
    classroom.add(
        Teacher(1, "loud"), EmbeddingScorer(loud[:, None], lambda texts: np.ones((len(texts), 1), np.float32))
    )
    mixture = [Teacher(0, "bm25"), Teacher(1, "loud")]
    listings = classroom.soft_labels(mixture, 2, tmp_path / "labels").listings
    scores = {each: classroom.scorers[each].score(QUERIES, listings) for each in mixture}
    assert classroom.aggregate(mixture, listings, scores).listings.tolist() == listings.tolist()
    alone = classroom.aggregate(mixture[:1], listings, scores).listings
    assert alone.tolist() != listings.tolist()


def test_labels_are_of_the_best_and_of_some_drawn(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    classroom = TeacherPool(corpus, QUERIES, settings)
    lessons = classroom.soft_labels([Teacher(0, "bm25")], 1, tmp_path / "labels")
    for query, listings, shares in zip(QUERIES, lessons.listings, lessons.log_probs, strict=True):
        there = listings[listings != NO_LISTING]
        assert len(set(there)) == len(there) <= settings.depth + settings.random_candidates
        assert np.exp(shares[listings != NO_LISTING]).sum() == pytest.approx(1)
        best = listings == classroom.bm25.retrieve([query], 1).listings[0, 0]
        assert shares[best] == [shares.max()]
    assert (lessons.weights == 1).all()


def test_queries_that_nobody_answers_have_no_labels(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    queries = [*QUERIES, Query("x", "xyzzy"), Query("y", ""), Query("z", "雨傘"), Query("w", "red " * 2500)]
    classroom = TeacherPool(corpus, queries, settings)
    lessons = classroom.soft_labels([Teacher(0, "bm25")], 1, tmp_path / "labels")
    assert np.isfinite(lessons.log_probs).any(axis=1).tolist() == [True] * len(QUERIES) + [False] * 3 + [True]


def test_nobody_answers_anything(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no query has two labelled listings"):
        supervise(corpus, [Query("x", "xyzzy"), Query("y", "雨傘")], settings, tmp_path / "run")


def test_weights_count_in_learning(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(
        settings, rankers=settings.rankers[:1], query_predictor="max-idf", query_weighting="threshold(fraction=0.5)"
    )
    (record,) = supervise(corpus, QUERIES, settings, tmp_path / "run").rounds
    table = pq.read_table(next(tmp_path.glob("run/round-1/*/weights.parquet")))
    weights = np.array(table["weight"].to_pylist())
    assert weights.mean() == pytest.approx(1)
    assert 0 < (weights == 0).sum() < len(QUERIES)
    assert record.weight_percentiles[0] == 0
    classroom = TeacherPool(corpus, QUERIES, settings)
    rarest = [
        classroom.corpus.term_counts.document_frequency[corpus.term_counts.term_ids(query.text)].min()
        for query in QUERIES
    ]
    assert max(rare for rare, weight in zip(rarest, weights, strict=True) if weight) <= min(
        rare for rare, weight in zip(rarest, weights, strict=True) if not weight
    )


def test_clarity_looks_at_the_labels_own_ranking(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """So another teacher makes other weights, which NQC, always of BM25, does not."""
    for predictor, differs in (("clarity(k=2)", True), ("nqc", False)):
        classroom = TeacherPool(
            corpus, QUERIES, replace(settings, query_predictor=predictor, depth=2, random_candidates=0)
        )
        one, other = (
            classroom.soft_labels([Teacher(0, name)], 1, tmp_path / predictor / name) for name in settings.labelers
        )
        same = bool(np.array_equal(one.listings, other.listings))
        assert np.array_equal(one.weights, other.weights) == (same if differs else True)


def test_labels_are_written_for_people_and_tools(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    supervise(corpus, QUERIES, replace(settings, rankers=settings.rankers[:1]), tmp_path / "run")
    table = pq.read_table(next(tmp_path.glob("run/round-1/*/labels/part-00000.parquet"))).to_pylist()
    assert [row["text"] for row in table] == [query.text for query in QUERIES]
    for row in table:
        assert set(row["listings"]) <= set(corpus.ids)
        assert row["log_probs"] == sorted(row["log_probs"], reverse=True)
        assert np.exp(row["log_probs"]).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategy": "boost"}, "no strategy 'boost'; there are weak, self, cross, joint, greedy"),
        ({"strategy": "cross", "rankers": ("static",)}, "needs two rankers"),
        ({"labelers": ()}, "needs labelers and rankers"),
        ({"rankers": ("static", "static")}, "name the same part twice"),
        ({"rankers": ("tree",)}, "no ranker 'tree'"),
        ({"rounds": 0}, "rounds must be at least 1, not 0"),
        ({"temperature": 0.0}, "temperature of labels must be above 0"),
        ({"query_predictor": "luck"}, "luck"),
        ({"query_weighting": "luck"}, "luck"),
        ({"start": "hot"}, "must be fresh or warm"),
        ({"stop_overlap": 98.0}, r"in \[0, 1\], not 98.0"),
    ],
)
def test_settings_that_cannot_be(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SuperviseSettings(**changed)


# Judging


def test_judging_names_every_system(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, strategy="self", rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    name = settings.rankers[0]
    expected = {"bm25", "query-likelihood", "query-likelihood(mu=10)", "bm25+dense"}
    expected |= {f"{name} {round}{suffix}" for round in ("weak-1", "self-2") for suffix in ("", " + bm25")}
    assert set(read_run_results(tmp_path / "run")) == expected
    found = evaluate_run(tmp_path / "run", {"t1": {"l1": 1, "l2": 1}, "t2": {"l8": 2}})
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert written["queries"] == 2
    assert set(written["systems"]) == expected
    assert written["systems"]["bm25"]["AP"] == pytest.approx(found.means["bm25"]["AP"])
    assert {row["baseline"] for row in written["tests"]} == {"bm25+dense"}


def test_a_run_without_results_is_not_judged(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    supervise(corpus, QUERIES, replace(settings, rankers=settings.rankers[:1]), tmp_path / "run")
    with pytest.raises(EvaluationError, match="no results for test queries"):
        evaluate_run(tmp_path / "run", {"t1": {"l1": 1}})


@pytest.mark.parametrize("strategy", ["weak", "greedy"])
def test_the_report_shows_what_happened(
    strategy: Strategy, corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    settings = replace(settings, strategy=strategy, query_predictor="avg-idf")
    found = supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    unjudged = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "No judgments" in unjudged
    assert "Measured, for reporting only" not in unjudged
    evaluation = evaluate_run(tmp_path / "run", {"t1": {"l1": 1, "l2": 1}, "t2": {"l8": 2}})
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    changes = json.loads((tmp_path / "run" / "changes.json").read_text(encoding="utf-8"))
    short = short_names([*settings.labelers, *settings.rankers])
    for said in (
        *found.reliability.recommendations,
        f"{found.reliability.labeler_mrr['bm25']:.3f}",
        "Measured, for reporting only",
        f"{evaluation.means['bm25']['nDCG@10']:.3f}",
        changes["queries"][0]["query"],
        *changes["queries"][0]["after"],
        "avg-idf",
        *(name for each in found.rounds for name, _ in each.greedy_steps),
    ):
        assert reduce(lambda text, name: text.replace(name, short[name]), short, said) in words
    assert ("Teachers chosen" in words) == (strategy == "greedy")
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=.(?!data:)", page), "nothing is loaded from anywhere"


def test_the_page_escapes_what_comes_from_a_catalogue(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    evil = "<script>alert(1)</script>"
    listings = tuple(replace(each, title=f"{each.title} {evil}") for each in corpus.catalogue.listings)
    supervise(
        Corpus(replace(corpus.catalogue, listings=listings)),
        [replace(query, text=f"{query.text} {evil}") for query in QUERIES],
        replace(settings, rankers=settings.rankers[:1]),
        tmp_path / "run",
    )
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script" in page


def test_changes_are_those_of_least_agreement(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    supervise(corpus, QUERIES, replace(settings, strategy="self", rankers=settings.rankers[:1]), tmp_path / "run")
    changes = json.loads((tmp_path / "run" / "changes.json").read_text(encoding="utf-8"))
    assert (changes["before"], changes["after"]) == tuple(f"{settings.rankers[0]}, round {round}" for round in (1, 2))
    values = [each["overlap"] for each in changes["queries"]]
    assert values == sorted(values)
    assert len(values) == 5


def test_results_are_the_scorers(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """BM25's run file holds what BM25 says."""
    supervise(corpus, QUERIES, replace(settings, rankers=settings.rankers[:1]), tmp_path / "run", TESTS)
    labels = TeacherPool(corpus, QUERIES, settings).bm25.retrieve(TESTS, 100)
    run = read_run(tmp_path / "run" / "baselines" / "bm25.txt")

    def ids(row: Sequence[int]) -> list[str]:
        return [str(corpus.ids[place]) for place in row if place != NO_LISTING]

    assert {query.id: ids(row) for query, row in zip(TESTS, labels.listings, strict=True)} == {
        query: sorted(scores, key=lambda listing: (-scores[listing], ids(range(len(corpus))).index(listing)))
        for query, scores in run.items()
    }
