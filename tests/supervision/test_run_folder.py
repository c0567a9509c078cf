"""The run folder: which run it belongs to, and what is written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_runs import QUERIES, TESTS, contents

from wares.core.errors import ModelError, SettingsError, WaresError
from wares.data.corpus import Corpus
from wares.data.listings import Query
from wares.data.queries import read_queries
from wares.encoders.registry import build_towers
from wares.evaluation.supervision_report import evaluate_run, write_report
from wares.supervision import teacher_pool
from wares.supervision.recipe import supervise
from wares.supervision.run_folder import RunFolder
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import Strategy


def test_a_run_with_other_settings_or_fewer_queries_is_refused(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    for queries, other in ((QUERIES, replace(settings, depth=4)), (QUERIES[:4], settings)):
        with pytest.raises(ModelError, match="holds a run with other settings, corpus, queries"):
            supervise(corpus, queries, other, tmp_path / "run")


def test_other_query_texts_are_refused(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    with pytest.raises(ModelError, match="other settings, corpus, queries"):
        supervise(corpus, [*QUERIES[:-1], Query("9", "red red")], settings, tmp_path / "run")


def test_another_corpus_is_refused(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run")
    listings = corpus.catalogue.listings
    edited = replace(corpus.catalogue, listings=(replace(listings[0], title="red mug"), *listings[1:]))
    with pytest.raises(ModelError, match="other settings, corpus, queries"):
        supervise(Corpus(edited), QUERIES, settings, tmp_path / "run")


def test_an_edited_labeler_file_is_refused(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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
def test_another_model_in_the_same_folder_is_refused(
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


def test_other_test_queries_replace_all_results(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """Gone on with for other queries, a run has the results of one that had them from the start."""
    settings = replace(settings, strategy="self", rankers=settings.rankers[:1])
    supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    evaluate_run(tmp_path / "run", {"t1": {"l1": 1}})
    others = [TESTS[0], Query("t3", "boots"), Query("t4", "blue scarf")]
    supervise(corpus, QUERIES, settings, tmp_path / "run", others)
    supervise(corpus, QUERIES, settings, tmp_path / "fresh", others)
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")


def test_test_queries_among_the_training_queries_are_refused_or_counted(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    settings = replace(settings, rankers=settings.rankers[:1])
    tests = [*TESTS, Query("t3", "Red  LEATHER"), Query("t4", "blue wool")]
    message = r'2 of 4 test queries are also training queries, the first "Red  LEATHER"\. .* --allow-test-queries'
    with pytest.raises(SettingsError, match=message):
        supervise(corpus, QUERIES, settings, tmp_path / "run", tests)
    assert not (tmp_path / "run").exists()
    supervise(corpus, QUERIES, settings, tmp_path / "run", tests, allow_test_queries=True)
    evaluate_run(tmp_path / "run", {"t1": {"l1": 1}, "t4": {"l3": 1}})
    assert RunFolder(tmp_path / "run").read("results.json")["learned_queries"] == 2
    assert "2 of the test queries are training queries" in write_report(tmp_path / "run").read_text()
    assert read_queries(tmp_path / "run") == QUERIES
    supervise(corpus, QUERIES, settings, tmp_path / "run", TESTS)
    evaluate_run(tmp_path / "run", {"t1": {"l1": 1}})
    assert RunFolder(tmp_path / "run").read("results.json")["learned_queries"] == 0
    assert "training queries</b>" not in write_report(tmp_path / "run").read_text()


def test_rankers_with_the_same_teachers_share_labels(
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


def test_a_broken_labeler_leaves_no_run_folder(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    broken = replace(settings, labelers=(f"run(file={str(tmp_path / 'missing.txt')!r})",))
    with pytest.raises(WaresError, match="missing"):
        supervise(corpus, QUERIES, broken, tmp_path / "run")
    assert not (tmp_path / "run").exists()
