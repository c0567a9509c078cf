"""Query performance prediction in the report of a supervision run."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats
from tiny_models import WORDS, named

import wares.supervision.recipe as module
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.evaluation.measures import Qrels
from wares.evaluation.supervision_report import evaluate_predictors, evaluate_run, short_names, write_report
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.ensemble import predict_performance
from wares.supervision.predictors.registry import PREDICTORS
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings

TESTS = [Query(f"t{index}", word) for index, word in enumerate(WORDS)]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Each word is in fewer listings than the one before: one listing has all words, the last only the first."""
    texts = [" ".join(WORDS[: len(WORDS) - index]) for index in range(len(WORDS))]
    listings = tuple(Listing(f"l{index}", text, "and more") for index, text in enumerate(texts))
    return Corpus(Catalogue(Path("/shop"), listings))


def test_predictions_rise_with_rare_words(corpus: Corpus) -> None:
    """A query without a word of the corpus has no prediction."""
    found = predict_performance(corpus, [*TESTS, Query("none", "zzyzx"), Query("empty", "")])
    assert list(found) == list(PREDICTORS)
    values = [found["max-idf"][query.id] for query in TESTS if query.text != "for"]
    assert values == sorted(values)
    assert len(set(values)) == len(values)
    for name, each in found.items():
        assert list(each) == [*(query.id for query in TESTS), "none", "empty"]
        assert math.isnan(each["none"]) and math.isnan(each["empty"]), name


def test_paths_in_names_are_shortened_unless_names_become_equal() -> None:
    names = ["bm25", "two-tower(model='/shops/a/model')", "two-tower(model='/shops/b/model')", "run(file='x/run.txt')"]
    assert list(short_names(names).values()) == [*names[:3], "run(file='run.txt')"]
    assert short_names([names[1], names[1]]) == {names[1]: "two-tower(model='model')"}


def test_predictors_are_in_results_and_report(
    corpus: Corpus, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "BASELINES", ("bm25", "query-likelihood"))
    settings = SuperviseSettings(rankers=(f"static(towers={named('pair', shelf)!r})",), depth=4, random_candidates=2)
    run, queries = tmp_path / "run", [replace(query, id=f"q{query.id}") for query in TESTS]
    settings = replace(settings, training=RankerTrainingSettings(epochs=1))
    supervise(corpus, queries, settings, run, TESTS, allow_test_queries=True)
    qrels: Qrels = {query.id: {"l0": 1} for query in TESTS if query.text != "for"}
    judged = evaluate_run(run, qrels)
    before = json.loads((run / "results.json").read_text())
    assert "Query performance prediction" not in write_report(run).read_text(encoding="utf-8")
    found = evaluate_predictors(run, judged, predict_performance(corpus, TESTS))
    after = json.loads((run / "results.json").read_text())
    assert {key: after[key] for key in before} == before
    assert [(row["predictor"], row["measure"]) for row in after["predictors"]] == [
        (name, measure) for name in PREDICTORS for measure in ("AP", "nDCG@10")
    ]
    (idf,) = [each for each in found if (each.predictor, each.measure) == ("max-idf", "AP")]
    values = predict_performance(corpus, TESTS)["max-idf"]
    measured = judged.per_query["bm25"]["AP"]
    expected = stats.kendalltau([values[query] for query in measured], list(measured.values())).statistic
    assert idf.kendall == pytest.approx(expected)
    assert idf.queries == len(qrels)
    page = html.unescape(re.sub(r"<[^>]+>", " ", write_report(run).read_text(encoding="utf-8")))
    assert re.search(rf"max-idf\s+{idf.kendall:.3f}\s+{idf.spearman:.3f}\s+{idf.pearson:.3f}", page)
