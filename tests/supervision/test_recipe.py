"""The recipe of supervision: what every strategy must do, whole runs on a tiny corpus, and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import QUERIES, TESTS, contents

import wares.supervision.recipe as module
from wares.core.errors import ModelError, SettingsError
from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.data.runs import Run, read_run
from wares.evaluation.measures import measure
from wares.evaluation.supervision_report import write_report
from wares.ranking.scoring import NO_LISTING
from wares.supervision import teacher_pool
from wares.supervision.recipe import supervise
from wares.supervision.run_folder import RoundFolder
from wares.supervision.settings import DevSet, SuperviseSettings, folder_name
from wares.supervision.strategies import STRATEGIES, Strategy
from wares.supervision.teacher_pool import TeacherPool


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_folder_is_complete(
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
def test_teachers_of_the_second_round(
    strategy: Strategy, expected: list[list[str]], corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    records = supervise(corpus, QUERIES, replace(settings, strategy=strategy), tmp_path / "run").rounds
    assert [each.teachers for each in records[:2]] == [list(settings.labelers)] * 2
    assert [each.teachers for each in records[2:]] == [
        [name.format(*settings.rankers) for name in names] for names in expected
    ]


def test_a_run_is_reproducible(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, strategy="joint", query_predictor="nqc", start="warm")
    for name in ("one", "other"):
        supervise(corpus, QUERIES, settings, tmp_path / name, TESTS)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    different = replace(settings, seed=1)
    supervise(corpus, QUERIES, different, tmp_path / "third", TESTS)
    assert contents(tmp_path / "one") != contents(tmp_path / "third")


def test_dev_queries_select_teachers(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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


def test_an_untrained_ranker_labels_and_is_trained(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    static = settings.rankers[0]
    settings = replace(settings, strategy="greedy", labelers=("bm25", static), rankers=(static,))
    found = supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    assert found.rounds[0].teachers == ["bm25", static]
    assert set(found.reliability.labeler_mrr) == {"bm25", static}


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
def test_an_interrupted_run_resumes_without_repeating_work(
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


def test_rounds_stop_early_on_overlap(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, strategy="self", rounds=5, stop_overlap=0.0)
    assert max(each.round for each in supervise(corpus, QUERIES, settings, tmp_path / "run").rounds) == 2
    assert "Rounds ended before the 5" in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_a_rankers_own_labels_are_an_exact_e_step(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """A ranker that goes on from where it was, taught by itself, starts with the highest free energy there is."""
    found = supervise(corpus, QUERIES, replace(settings, strategy="self", start="warm"), tmp_path / "run")
    for each in found.rounds:
        assert (each.elbo[0] > -1e-4) == (each.round == 2)


def test_a_run_without_any_labels_is_refused(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no query has two labelled listings"):
        supervise(corpus, [Query("x", "xyzzy"), Query("y", "雨傘")], settings, tmp_path / "run")


def test_label_files_hold_texts_and_distributions(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    supervise(corpus, QUERIES, replace(settings, rankers=settings.rankers[:1]), tmp_path / "run")
    table = pq.read_table(next(tmp_path.glob("run/round-1/*/labels/part-00000.parquet"))).to_pylist()
    assert [row["text"] for row in table] == [query.text for query in QUERIES]
    for row in table:
        assert set(row["listings"]) <= set(corpus.ids)
        assert row["log_probs"] == sorted(row["log_probs"], reverse=True)
        assert np.exp(row["log_probs"]).sum() == pytest.approx(1)


def test_baseline_results_are_those_of_the_scorer(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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
