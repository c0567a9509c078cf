"""The report of a whole supervision run: systems, measures, and what the page shows."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
from small_runs import BASELINES, QUERIES, TESTS, small_corpus, small_settings

from wares.core.errors import EvaluationError
from wares.data.corpus import Corpus
from wares.evaluation.supervision_report import evaluate_run, read_run_results, short_names, write_report
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import Strategy

# Judging


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return small_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def settings(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SuperviseSettings:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("wares.supervision.recipe.BASELINES", BASELINES)
    return small_settings(shelf)


def test_all_systems_are_evaluated(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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


def test_a_run_without_results_cannot_be_evaluated(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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


def test_the_page_escapes_catalogue_texts(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
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
