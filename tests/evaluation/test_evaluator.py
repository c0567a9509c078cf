"""Evaluations of runs: JSON, tables, and judgments of other listings."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from wares.core.errors import EvaluationError
from wares.data.runs import Run
from wares.evaluation.evaluator import evaluate
from wares.evaluation.measures import DEFAULT_MEASURES, POOLED_MEASURES, Qrels

QRELS: Qrels = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}}
RUN: Run = {"q1": {"c": 3.0, "a": 2.0, "b": 1.0}, "q2": {"e": 1.0, "d": 0.5}}


def test_evaluation_json_has_the_documented_shape() -> None:
    evaluation = evaluate(
        {"bm25": RUN, "ours": {"q1": {"a": 1.0, "b": 0.5}, "q2": {"d": 1.0}}}, QRELS, "bm25", ["AP", "RR"]
    )
    written = json.loads(json.dumps(evaluation.to_json()))
    assert list(written) == ["queries", "systems", "tests"]
    assert written["queries"] == 2
    assert written["systems"]["ours"] == {"AP": 1.0, "RR": 1.0}
    assert written["systems"]["bm25"]["RR"] == 0.5
    assert [list(test) for test in written["tests"]] == [
        ["system", "baseline", "measure", "difference", "p", "p_holm"]
    ] * 2
    assert written["tests"][1]["difference"] == 0.5


def test_pooled_judgments_add_measures_without_tests() -> None:
    runs: dict[str, Run] = {"bm25": RUN, "ours": {"q1": {"x": 1.0, "a": 0.5}, "q2": {"d": 1.0}}}
    evaluation = evaluate(runs, QRELS, "bm25")
    assert list(evaluation.means["ours"]) == [*DEFAULT_MEASURES, *POOLED_MEASURES]
    assert evaluation.means["ours"]["Judged@10"] == (1 / 2 + 1) / 2
    assert {test.measure for test in evaluation.tests} == set(DEFAULT_MEASURES)
    console = Console(file=io.StringIO(), width=200, record=True)
    evaluation.render(console)
    assert "Judgments are pooled: a listing that nobody judged may be relevant." in console.export_text()
    asked = evaluate(runs, QRELS, "bm25", ["AP", "Judged@10"])
    assert {test.measure for test in asked.tests} == {"AP", "Judged@10"}
    relevant_alone: Qrels = {"q1": {"a": 2, "b": 1}, "q2": {"d": 1}}
    assert list(evaluate(runs, relevant_alone).means["ours"]) == list(DEFAULT_MEASURES)


def test_without_a_baseline_there_are_no_tests() -> None:
    assert evaluate({"bm25": RUN}, QRELS).tests == ()
    with pytest.raises(EvaluationError, match="no run to evaluate"):
        evaluate({}, QRELS)


def test_judgments_of_other_listings_are_an_error() -> None:
    runs: dict[str, Run] = {"one": {"q": {"sku-1": 1.0}}, "other": {"q": {"sku-2": 1.0}}}
    with pytest.raises(EvaluationError, match=r"share no listing id \('sku-1' against '17'\)"):
        evaluate(runs, {"q": {"17": 1}})
    evaluate(runs, {"q": {"17": 1, "sku-2": 0}})
    evaluate({"silent": {}}, {"q": {"17": 1}})


def test_counts_that_are_equal_for_all_systems_are_printed_once() -> None:
    runs: dict[str, Run] = {name: {"a": {"x": 1.0}, "b": {"x": 1.0}} for name in ("one", "other")}
    console = Console(file=io.StringIO(), width=160, record=True)
    evaluate(runs, {"a": {"x": 1}, "c": {"x": 1}}).render(console)
    text = console.export_text()
    assert "All systems: judged queries without results, scored 0: 1." in text
    assert "All systems: queries without judgments, ignored: 1." in text and "other: " not in text


def test_the_printed_table_has_marks_and_footnotes() -> None:
    qrels: Qrels = {f"q{i}": {"right": 1} for i in range(20)} | {"q99": {"right": 0}}
    good: Run = {query: {"right": 1.0, "wrong": 0.5} for query in qrels} | {"other": {"right": 1.0}}
    bad: Run = {query: {"right": 0.5, "wrong": 1.0} for query in qrels if query != "q0"}
    console = Console(file=io.StringIO(), width=160, record=True, color_system="standard", force_terminal=True)
    evaluate({"bad": bad, "good": good}, qrels, "bad", ["RR"]).render(console)
    text = console.export_text(styles=True)
    assert "1.000\x1b[0m▲" in text
    assert "\x1b[1m1.000" in text
    assert "20 judged queries" in text
    assert "worse than bad: two-sided paired t-test" in text
    assert "Judged queries without a relevant listing, left out: 1." in text
    assert "bad: judged queries without results, scored 0: 1." in text
    assert "good: queries without judgments, ignored: 1." in text
