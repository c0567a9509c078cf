"""Whole runs with odd queries and labelers: no unexpected error, finite numbers only, no labels from abstention."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from odd_queries import GOOD, HARD, ODD, UNKNOWN, WORDLESS, tiny_ranker, word_pairs
from tiny_models import named

import wares.supervision.recipe as module
from wares.core.errors import SettingsError
from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.data.runs import read_run, write_run
from wares.encoders.registry import build_towers
from wares.evaluation.supervision_report import evaluate_predictors, evaluate_run, read_run_results, write_report
from wares.ranking.labelers.registry import labelers
from wares.ranking.rankers.base import Ranker
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.ensemble import predict_performance
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import STRATEGIES, Strategy

SILENT = [
    Query(f"h{i}", ODD[kind]) for i, kind in enumerate(ODD) if kind in [*WORDLESS, *UNKNOWN, "stop words", "Cyrillic"]
]


LABELS = """
def all_words(query, listings):
    return [float(sum(word in each.title for word in query.split())) for each in listings]

def words(query, listings):
    return all_words(query, listings) if query.strip() else [None for each in listings]

def huge(query, listings):
    return [1e9 * value - 7e9 for value in words(query, listings)]

def tiny(query, listings):
    return [1e-9 * value + 1e-8 for value in words(query, listings)]

def silent(query, listings):
    return [None for each in listings]

def holes(query, listings):
    holes = [None, float("nan"), float("inf"), float("-inf")]
    places = [int(each.id[1:]) for each in listings]
    return [holes[i % 4] if i % 3 else value for i, value in zip(places, words(query, listings))]
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return word_pairs(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def towers(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    return named("pair", shelf)


@pytest.fixture
def make(towers: str, tmp_path: Path) -> Callable[[str], Ranker]:
    """A ranker by its name, on the tiny sentence encoder."""
    return lambda name: tiny_ranker(name, towers, tmp_path)


@pytest.fixture
def settings(towers: str, monkeypatch: pytest.MonkeyPatch) -> SuperviseSettings:
    monkeypatch.setattr(module, "BASELINES", ("bm25", "query-likelihood"))
    return SuperviseSettings(
        rankers=(f"static(towers={towers!r})",),
        rounds=2,
        depth=5,
        random_candidates=3,
        stop_overlap=1.0,
        training=RankerTrainingSettings(epochs=2),
    )


@pytest.fixture
def label(tmp_path: Path) -> Callable[[str], str]:
    """The name of a labeler that is a function of a file."""
    (tmp_path / "labels.py").write_text(LABELS, encoding="utf-8")
    return lambda name: f"function(file={str(tmp_path / 'labels.py')!r}, name={name!r})"


def labels_of(run: Path, round: int = 1) -> dict[str, dict[str, float]]:
    """What a run's ranker learned from: query text -> listing -> share."""
    (folder,) = run.glob(f"round-{round}/*")
    rows = [row for path in sorted(folder.glob("labels/*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["text"]: dict(zip(row["listings"], np.exp(row["log_probs"]).tolist(), strict=True)) for row in rows}


def finite(path: Path) -> Any:
    """What a JSON file says. NaN and Infinity, which other programs do not read, are refused."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} has {word}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_whole_runs_with_hard_queries(
    strategy: Strategy, corpus: Corpus, settings: SuperviseSettings, make: Callable[[str], Ranker], tmp_path: Path
) -> None:
    """Queries that nobody answers teach nothing; results, checks and report hold numbers only."""
    more = (
        settings.rankers if strategy != "cross" else (*settings.rankers, settings.rankers[0][:-1] + ", batch_size=7)")
    )
    settings = replace(settings, strategy=strategy, rankers=more, query_predictor="wig")
    tests = [*GOOD, *HARD]
    found = supervise(corpus, [*GOOD, *HARD], settings, tmp_path / "run", tests, allow_test_queries=True)
    assert all(np.isfinite([*each.elbo, *each.losses, *each.weight_percentiles]).all() for each in found.rounds)
    for folder in tmp_path.glob("run/round-1/*"):
        finite(folder / "round.json")
        rows = pq.read_table(next(folder.glob("labels/*.parquet"))).to_pylist()
        answered = {row["text"] for row in rows if row["listings"]}
        assert answered == {query.text for query in tests} - {query.text for query in SILENT} - {ODD["one long word"]}
    for run in read_run_results(tmp_path / "run").values():
        assert all(np.isfinite(list(scores.values())).all() for scores in run.values())
    for name in ("changes", "reliability"):
        finite(tmp_path / "run" / f"{name}.json")
    judged = evaluate_run(tmp_path / "run", {query.id: {"l0": 1, "l3": 1} for query in tests})
    evaluate_predictors(tmp_path / "run", judged, predict_performance(corpus, tests))
    assert finite(tmp_path / "run" / "results.json")["queries"] == len(tests)
    assert write_report(tmp_path / "run").stat().st_size < 2_000_000


@pytest.mark.parametrize("name", labelers())
def test_whole_runs_with_every_labeler(
    name: str,
    towers: str,
    corpus: Corpus,
    settings: SuperviseSettings,
    label: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """As the first teacher of hard queries; queries without a word teach nothing, whoever labels."""
    build_towers(towers).save(tmp_path / "model")
    write_run({query.id: {"l0": 2.0, "l1": 1.0, "l2": 0.5} for query in [*GOOD, HARD[4]]}, tmp_path / "run.txt")
    told = {
        "dense": f"dense(towers={towers!r})",
        "two-tower": f"two-tower(model={str(tmp_path / 'model')!r})",
        "run": f"run(file={str(tmp_path / 'run.txt')!r})",
        "function": label("words"),
    }
    queries, only = [*GOOD, *HARD], replace(settings, labelers=(told.get(name, name),))
    found = supervise(corpus, queries, only, tmp_path / "out", queries, allow_test_queries=True)
    assert all(np.isfinite([*each.elbo, *each.losses]).all() for each in found.rounds)
    shares = labels_of(tmp_path / "out")
    assert all(shares[query.text] for query in GOOD)
    assert not any(shares[ODD[kind]] for kind in WORDLESS)
    for each in shares.values():
        assert sum(each.values()) == pytest.approx(1 if each else 0)
    evaluate_run(tmp_path / "out", {query.id: {"l0": 1} for query in queries})
    assert write_report(tmp_path / "out").exists()


def test_labels_of_queries_that_the_ranker_cannot_score(
    corpus: Corpus, settings: SuperviseSettings, label: Callable[[str], str], tmp_path: Path
) -> None:
    """A function labels empty queries as well. Whatever is written holds numbers only."""
    settings = replace(settings, labelers=(label("all_words"),))
    supervise(corpus, [*GOOD, *HARD], settings, tmp_path / "run")
    for path in tmp_path.glob("run/round-*/*/round.json"):
        energies = finite(path)["elbo"]
        assert np.isfinite(energies).all()


@pytest.mark.parametrize("weights", ["clarity", "nqc", "max-idf"])
def test_queries_without_results_get_no_weight(
    weights: str, corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    supervise(corpus, [*GOOD, *SILENT], replace(settings, query_predictor=weights), tmp_path / "run")
    table = pq.read_table(next(tmp_path.glob("run/round-1/*/weights.parquet"))).to_pylist()
    found = {row["id"]: row["weight"] for row in table}
    assert [found[query.id] for query in SILENT] == [0] * len(SILENT)
    assert sum(found[query.id] > 0 for query in GOOD) > 4


def test_a_labeler_that_always_abstains_changes_nothing(
    corpus: Corpus, settings: SuperviseSettings, label: Callable[[str], str], tmp_path: Path
) -> None:
    """Labels are those of the other labeler alone, and the run warns of it."""
    supervise(corpus, GOOD, settings, tmp_path / "alone")
    silent = replace(settings, labelers=("bm25", label("silent")))
    both = supervise(corpus, GOOD, silent, tmp_path / "both", GOOD, allow_test_queries=True)
    for text, shares in labels_of(tmp_path / "alone").items():
        assert labels_of(tmp_path / "both")[text] == pytest.approx(shares)
    assert both.reliability.unreliable_labelers == [label("silent")]
    evaluate_run(tmp_path / "both", {query.id: {"l0": 1} for query in GOOD})


@pytest.mark.parametrize("kind", ["function", "run"])
def test_a_single_labeler_that_always_abstains_is_refused(
    kind: str, corpus: Corpus, settings: SuperviseSettings, label: Callable[[str], str], tmp_path: Path
) -> None:
    write_run({"other": {"l0": 1.0}}, tmp_path / "run.txt")
    name = label("silent") if kind == "function" else f"run(file={str(tmp_path / 'run.txt')!r})"
    with pytest.raises(SettingsError, match="no query has two labelled listings"):
        supervise(corpus, GOOD, replace(settings, labelers=(name,)), tmp_path / "run")


def test_scales_of_labelers_do_not_matter(
    corpus: Corpus, settings: SuperviseSettings, label: Callable[[str], str], tmp_path: Path
) -> None:
    """One function in millions of millions of another's unit, and shifted: labels are those of the function alone."""
    supervise(corpus, GOOD, replace(settings, labelers=(label("words"),)), tmp_path / "alone")
    supervise(corpus, GOOD, replace(settings, labelers=(label("huge"), label("tiny"))), tmp_path / "both")
    for text, shares in labels_of(tmp_path / "alone").items():
        assert labels_of(tmp_path / "both")[text] == pytest.approx(shares, rel=1e-3, abs=1e-6)


def test_non_finite_scores_are_ignored(
    corpus: Corpus, settings: SuperviseSettings, label: Callable[[str], str], tmp_path: Path
) -> None:
    """Two listings of three are left out: None, NaN, and both infinities. Results can be read back."""
    settings = replace(settings, labelers=(label("holes"),), strategy="greedy")
    found = supervise(corpus, GOOD, settings, tmp_path / "run", GOOD, allow_test_queries=True)
    assert all(np.isfinite(each.losses).all() for each in found.rounds)
    said = {corpus.ids[place] for place in range(0, len(corpus), 3)}
    for shares in labels_of(tmp_path / "run").values():
        assert set(shares) <= said
        assert sum(shares.values()) == pytest.approx(1)
    for path in tmp_path.glob("run/baselines/*.txt"):
        assert read_run(path)
