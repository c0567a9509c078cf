"""Bulk labelling: what files hold, the same labels however the work is shared out, and being killed for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import environment

import wares.supervision.labelling as module
from wares.core.errors import ModelError, SettingsError, WaresError
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.labelers.function import FunctionScorer
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.score_fusion import zscore_fusion
from wares.ranking.scoring import NO_LISTING, Labels, Scorer
from wares.supervision.aggregation import log_probs
from wares.supervision.ensemble import AggregatedLabels, QueryPerformancePredictor, TeacherEnsemble
from wares.supervision.labelling import label_queries
from wares.supervision.predictors.evidence import Evidence
from wares.supervision.predictors.registry import get_predictor

WORDS = ["red", "leather", "boots", "blue", "wool", "scarf", "mug", "winter"]
LISTINGS = tuple(
    Listing(f"l{i}", f"{WORDS[i % 8]} {WORDS[(i * 3 + 1) % 8]}", WORDS[(i // 8) % 8], (), (), None, {})
    for i in range(40)
)
CORPUS = Corpus(Catalogue(Path("/shop"), LISTINGS))
# Six blocks of four, and one of two; the second query of the third block has no words that anybody knows.
QUERIES = [Query(f"q{i}", "xyzzy" if i == 9 else f"{WORDS[i % 8]} {WORDS[(i + 1 + i // 8) % 8]}") for i in range(26)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_SIZE", 4)
    monkeypatch.setattr(module, "MIN_PARALLEL_SECONDS", 0.0)


def mixture(*scorers: Scorer) -> TeacherEnsemble:
    names = ("bm25", "query-likelihood(mu=10)")
    teachers = scorers or tuple(get_labeler(name).fit(CORPUS) for name in names)
    return TeacherEnsemble(teachers, (False,) * len(teachers), CORPUS.ids, 5, 3, 0.3, (0, 1), None)


def noted(query: str, listings: Sequence[Listing]) -> list[float | None]:
    """Letters in common; leaves the number of its process in a folder, where there is one."""
    if folder := os.environ.get("NOTED"):
        (Path(folder) / str(os.getpid())).touch()
    if query == os.environ.get("FATAL"):
        os.kill({"self": os.getpid(), "parent": os.getppid()}[os.environ["VICTIM"]], signal.SIGKILL)
        signal.pause()
    return [float(len(set(query) & set(each.title))) for each in listings]


def functional() -> TeacherEnsemble:
    return mixture(FunctionScorer(noted, LISTINGS))


def same(one: AggregatedLabels, other: AggregatedLabels) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "predictions")
        for name in ("listings", "log_probs", "predictions")
    )


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Which files there are, and whether they are still the same."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("part-*.parquet")}


# What is said and written


def test_labels_aggregate_scores_of_retrieved_and_random_candidates(tmp_path: Path) -> None:
    asked = mixture()
    found = label_queries(asked, QUERIES, tmp_path, 1)
    best = [scorer.retrieve(QUERIES, 5).listings for scorer in asked.scorers]
    scores = [scorer.score(QUERIES, found.listings) for scorer in asked.scorers]
    np.testing.assert_allclose(found.log_probs, log_probs(zscore_fusion(scores), 0.3), atol=1e-6)
    for place, query in enumerate(QUERIES):
        there = found.listings[place][found.listings[place] != NO_LISTING].tolist()
        top = {int(each) for row in best for each in row[place] if each != NO_LISTING}
        assert len(set(there)) == len(there)
        assert top <= set(there)
        assert len(there) <= len(top) + 3
        assert bool(there) == (query.text != "xyzzy")
    assert (np.diff(found.log_probs[np.isfinite(found.log_probs).all(axis=1)]) <= 0).all()
    assert np.isnan(found.predictions).all()


def test_label_files_hold_the_returned_labels(tmp_path: Path) -> None:
    found = label_queries(mixture(), QUERIES, tmp_path / "labels", 1)
    paths = sorted((tmp_path / "labels").iterdir())
    assert [path.name for path in paths] == [f"part-{number:05}.parquet" for number in range(7)]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert [(row["id"], row["text"]) for row in rows] == [(query.id, query.text) for query in QUERIES]
    for row, listings, shares in zip(rows, found.listings, found.log_probs, strict=True):
        assert row["listings"] == CORPUS.ids[listings[listings != NO_LISTING]].tolist()
        assert row["log_probs"] == shares[listings != NO_LISTING].tolist()
        assert row["prediction"] is None
    assert same(found, label_queries(mixture(), QUERIES, tmp_path / "labels", 1))


def test_random_candidates_depend_on_seed_and_block(tmp_path: Path) -> None:
    one = label_queries(mixture(), QUERIES, tmp_path / "one", 1)
    assert same(one, label_queries(mixture(), QUERIES, tmp_path / "again", 1))
    assert not same(one, label_queries(replace(mixture(), seed=(0, 2)), QUERIES, tmp_path / "round", 1))
    same_texts = [replace(QUERIES[0], id=str(i)) for i in range(8)]
    found = label_queries(replace(mixture(), random_candidates=20), same_texts, tmp_path / "texts", 1).listings
    assert {frozenset(row) for row in found[:4]} != {frozenset(row) for row in found[4:]}


@pytest.mark.parametrize("name", ["nqc", "clarity(k=3)", "avg-idf"])
def test_predictions_do_not_depend_on_blocks(name: str, tmp_path: Path) -> None:
    lexical = BM25().fit(CORPUS)
    asked = replace(mixture(), predictor=QueryPerformancePredictor(get_predictor(name), lexical))
    found = label_queries(asked, QUERIES, tmp_path, 1)
    own = Labels(found.listings, np.where(found.listings == NO_LISTING, np.nan, found.log_probs).astype(np.float32))
    run = own if name.startswith("clarity") else lexical.retrieve(QUERIES, 500)
    terms = [CORPUS.term_counts.term_ids(query.text) for query in QUERIES]
    evidence = Evidence(terms, CORPUS.term_counts, run.listings, run.scores, lexical.corpus_scores(QUERIES))
    np.testing.assert_allclose(found.predictions, get_predictor(name)(evidence))
    assert np.isfinite(found.predictions).sum() > 20


def test_no_queries_and_no_results(tmp_path: Path) -> None:
    assert label_queries(mixture(), [], tmp_path / "none").listings.shape[0] == 0
    found = label_queries(mixture(), [Query("x", "xyzzy"), Query("y", "")], tmp_path / "unknown")
    assert (found.listings == NO_LISTING).all()
    assert (found.log_probs == -np.inf).all()


def test_other_queries_listings_or_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="processes must be at least 1, not 0"):
        label_queries(mixture(), QUERIES, tmp_path, 0)
    label_queries(mixture(), QUERIES, tmp_path, 1)
    with pytest.raises(ModelError, match=r"part-00000\.parquet has labels of other queries or listings\. Remove"):
        label_queries(mixture(), [Query("other", "red"), *QUERIES[1:]], tmp_path, 1)
    with pytest.raises(ModelError, match="other queries"):
        label_queries(mixture(), QUERIES[:3], tmp_path, 1)
    fewer = replace(mixture(), ids=CORPUS.ids[:2])
    with pytest.raises(ModelError, match="or listings"):
        label_queries(fewer, QUERIES, tmp_path, 1)


# Sharing out


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that processes leave their numbers in; they find this module by the path that is handed on to them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    (tmp_path / "pids").mkdir()
    monkeypatch.setenv("NOTED", str(tmp_path / "pids"))
    return tmp_path / "pids"


def test_the_number_of_processes_changes_no_label(tmp_path: Path) -> None:
    asked = replace(mixture(), predictor=QueryPerformancePredictor(get_predictor("nqc"), BM25().fit(CORPUS)))
    alone = label_queries(asked, QUERIES, tmp_path / "alone", 1)
    together = label_queries(asked, QUERIES, tmp_path / "together", 2)
    assert same(alone, together)
    for path in (tmp_path / "alone").iterdir():
        assert path.read_bytes() == (tmp_path / "together" / path.name).read_bytes()


def test_work_is_spread_over_processes(tmp_path: Path, pids: Path) -> None:
    label_queries(functional(), QUERIES, tmp_path / "labels", 2)
    assert {path.name for path in pids.iterdir()} > {str(os.getpid())}


@pytest.mark.parametrize("reason", ["one process", "little work", "a function of its own", "another kind of scorer"])
def test_work_that_stays_in_this_process(
    reason: str, tmp_path: Path, pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "little work":
        monkeypatch.setattr(module, "MIN_PARALLEL_SECONDS", 1e9)

    class Other:
        """As one of torch, which has the cores already."""

        def __init__(self, scorer: Scorer) -> None:
            self.retrieve, self.score = scorer.retrieve, scorer.score

    scorers: dict[str, Scorer] = {
        "a function of its own": FunctionScorer(lambda query, listings: noted(query, listings), LISTINGS),
        "another kind of scorer": Other(functional().scorers[0]),
    }
    asked = mixture(scorers.get(reason, functional().scorers[0]))
    found = label_queries(asked, QUERIES, tmp_path / "labels", 1 if reason == "one process" else 2)
    assert {path.name for path in pids.iterdir()} == {str(os.getpid())}
    assert same(found, label_queries(functional(), QUERIES, tmp_path / "plain", 1))


# Being killed

SCRIPT = """
import sys
from pathlib import Path
import wares.supervision.labelling as module
from test_labelling import QUERIES, functional
if __name__ == "__main__":
    module.BLOCK_SIZE, module.MIN_PARALLEL_SECONDS = 4, 0.0
    module.label_queries(functional(), QUERIES, Path(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.mark.parametrize(("processes", "victim"), [(1, "self"), (2, "self"), (2, "parent")])
def test_only_unfinished_blocks_are_labelled_again_after_a_kill(processes: int, victim: str, tmp_path: Path) -> None:
    """Killed among the queries of the sixth block, whoever labels it: a worker, or, by a worker, who shares out.

    That the script returns at all shows that no worker outlives its parent: they hold its output open.
    """
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = tmp_path / "labels"
    variables = environment(Path(__file__).parent) | {"FATAL": QUERIES[21].text, "VICTIM": victim}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(folder), str(processes)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if (processes, victim) == (2, "self"):
        assert "A worker labelling queries was killed, probably out of memory" in done.stderr
    else:
        assert done.returncode == -signal.SIGKILL, done.stderr
    before = stamps(folder)
    assert {"part-00000.parquet", "part-00001.parquet"} <= set(before)
    assert "part-00005.parquet" not in before
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    (folder / f".part-00005.parquet.{dead.pid}.part").write_bytes(b"PAR1 half a file")
    found = label_queries(functional(), QUERIES, folder, 1)
    after = stamps(folder)
    assert len(after) == 7
    assert not list(folder.glob(".*")), "what the killed run left is deleted"
    assert {name: after[name] for name in before} == before
    assert same(found, label_queries(functional(), QUERIES, tmp_path / "whole", 1))


@pytest.mark.usefixtures("pids")
def test_a_killed_worker_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATAL", QUERIES[-1].text)
    monkeypatch.setenv("VICTIM", "self")
    with pytest.raises(WaresError, match="A worker labelling queries was killed, probably out of memory") as raised:
        label_queries(functional(), QUERIES, tmp_path / "labels", 2)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("pids")
def test_errors_of_workers_are_raised(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fickle returned 0 scores for"):
        label_queries(mixture(FunctionScorer(fickle, LISTINGS)), QUERIES, tmp_path / "labels", 2)


@pytest.mark.usefixtures("pids")
def test_a_function_that_workers_cannot_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here_only = ModuleType("here_only")
    exec("def always(query, listings):\n    return [1.0] * len(listings)", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    scorer = FunctionScorer(here_only.always, LISTINGS)
    with pytest.raises(SettingsError, match=r"cannot load a labeler .*here_only.*--processes 1"):
        label_queries(mixture(scorer), QUERIES, tmp_path / "labels", 2)


def fickle(query: str, listings: Sequence[Listing]) -> list[float | None]:
    """Says nothing of the queries of the last block."""
    return [] if query == QUERIES[-1].text else noted(query, listings)
