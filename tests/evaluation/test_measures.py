"""Judgments and measures: files, cases by eye, and ties."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from wares.core.errors import EvaluationError
from wares.data.runs import Run, ranked_ids
from wares.evaluation.measures import (
    DEFAULT_MEASURES,
    POOLED_MEASURES,
    Qrels,
    check_measures,
    coverage,
    is_pooled,
    measure,
    read_qrels,
)

QRELS: Qrels = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}}
RUN: Run = {"q1": {"c": 3.0, "a": 2.0, "b": 1.0}, "q2": {"e": 1.0, "d": 0.5}}


def test_read_qrels(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("\ufeffq1 0 a 2\nq1\t0\tb\t0\n\nq2 0 a -1\n", encoding="utf-8")
    assert read_qrels(tmp_path / "qrels.txt") == {"q1": {"a": 2, "b": 0}, "q2": {"a": -1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"q1 0 a 1\nq1 0 b\n", r"file\.txt, line 2: expected 4 columns \(query .*relevance\), found 3"),
        (b"q1 0 a high\n", "line 1: relevance is 'high'"),
        (b"q1 0 a 1.5\n", "line 1: relevance is '1.5'"),
        (b"q1 0 a 1\nq1 0 a 0\n", "line 2: duplicate listing a for query q1"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_bad_file_is_named_by_line(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(text)
    with pytest.raises(EvaluationError, match=message):
        read_qrels(tmp_path / "file.txt")


@pytest.mark.parametrize("name", [*DEFAULT_MEASURES, "AP(rel=2)", "RR@10"])
def test_measure_names_round_trip(name: str) -> None:
    assert str(ir_measures.parse_measure(name)) == name
    assert set(measure(RUN, QRELS, [name])) == {name}


def test_measures_by_eye() -> None:
    """q1 ranks c a b with gains 0 2 1, the ideal order being 2 1; q2 finds its only listing second."""
    values = measure(RUN, QRELS)
    log3 = np.log2(3)
    assert values["nDCG@10"] == pytest.approx({"q1": (2 / log3 + 0.5) / (2 + 1 / log3), "q2": 1 / log3})
    assert values["AP"] == pytest.approx({"q1": (1 / 2 + 2 / 3) / 2, "q2": 0.5})
    assert values["RR"] == {"q1": 0.5, "q2": 0.5}
    assert values["R@10"] == {"q1": 1.0, "q2": 1.0}


def test_a_query_without_results_scores_zero() -> None:
    for run in ({"q1": RUN["q1"]}, {"q1": RUN["q1"], "q2": {}}):
        values = measure(run, QRELS)
        assert all(row["q2"] == 0.0 for row in values.values())
        assert coverage(run, QRELS).unanswered == ("q2",)
    assert measure({}, QRELS, ["AP"]) == {"AP": {"q1": 0.0, "q2": 0.0}}


def test_unjudged_queries_and_queries_without_relevant_listings_are_excluded_and_counted() -> None:
    qrels: Qrels = {**QRELS, "q3": {"a": 0, "b": -1}}
    run: Run = {**RUN, "q3": {"a": 1.0}, "q9": {"a": 1.0}}
    counts = coverage(run, qrels)
    assert (counts.judged, counts.without_relevant, counts.unanswered, counts.unjudged) == (
        ("q1", "q2"),
        ("q3",),
        (),
        ("q9",),
    )
    assert measure(run, qrels) == measure(RUN, QRELS)


def test_ties_keep_the_order_of_the_run() -> None:
    """RR, RR@10 and P@1 of ir_measures break ties in different ways, so none of them may see one."""
    for order in itertools.permutations("abc"):
        run: Run = {"q1": dict.fromkeys(order, 1.0)}
        rank = order.index("b") + 1
        assert ranked_ids(run["q1"]) == list(order)
        assert measure(run, {"q1": {"b": 1}}, ["RR", "RR@10", "P@1"]) == {
            "RR": {"q1": 1 / rank},
            "RR@10": {"q1": 1 / rank},
            "P@1": {"q1": float(rank == 1)},
        }


def test_a_difference_in_double_precision_is_no_tie() -> None:
    assert measure({"q1": {"a": 1.0 + 1e-12, "b": 1.0}}, {"q1": {"a": 1}}, ["RR"]) == {"RR": {"q1": 1.0}}


@pytest.mark.parametrize("name", ["nCDG@10", "", "__import__('os')", "R@-1", "nDCG('x')", "(" * 300, "AP(rel=-1)"])
def test_unknown_measure(name: str) -> None:
    with pytest.raises(EvaluationError, match="is not a measure"):
        check_measures([name])
    with pytest.raises(EvaluationError, match="is not a measure"):
        measure(RUN, QRELS, [name])


@pytest.mark.parametrize("name", ["nDCG@0", "R@0", "AP@0", "Success@0", "nDCG(cutoff=0)", "P@1.5", "P(cutoff=True)"])
def test_a_cutoff_below_one_is_refused_before_trec_eval_ends_the_process(name: str) -> None:
    with pytest.raises(EvaluationError, match=r"the cut-off of .* is (0|1\.5|True)\. Use a whole number"):
        check_measures([name])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("R", "it needs a value for cutoff"),
        ("IPrec", "it needs a value for recall"),
        ("nDCG(rel=2)@10", r"has no parameter rel. Use its parameters \(cutoff, dcg, gains, judged_only\)"),
        ("AP(rel=0)", "relevance_level should be positive"),
        ("RBP(p=0.8)", "Unsupported measures {RBP}"),
    ],
)
def test_a_measure_that_cannot_be_computed_says_why(name: str, reason: str) -> None:
    with pytest.raises(EvaluationError, match=reason) as caught:
        check_measures(["AP", name])
    assert "\n" not in str(caught.value)


def test_every_measure_of_ir_measures_works_or_is_an_evaluation_error() -> None:
    for name in ir_measures.measures.registry:
        for text in (name, f"{name}@10"):
            with suppress(EvaluationError):
                check_measures([text])


def test_accuracy_is_undefined_without_irrelevant_results() -> None:
    check_measures(["Accuracy"])
    assert measure({"q1": {"a": 1.0, "c": 0.5}}, QRELS, ["Accuracy"])["Accuracy"]["q1"] == 1.0
    with pytest.raises(EvaluationError, match="'Accuracy' cannot be computed"):
        measure({"q1": {"a": 1.0}}, QRELS, ["AP", "Accuracy"])


@pytest.mark.skipif(shutil.which("perl") is None, reason="ir_measures computes ERR by a script in Perl")
def test_err_by_eye() -> None:
    """gdeval's grades: gain (2 ** grade - 1) / 16; its script takes no ids but numbers."""
    run: Run = {"query one": {"c": 3.0, "red boots": 2.0}}
    values = measure(run, {"query one": {"red boots": 2, "c": 0}}, ["ERR@10", "nDCG(dcg='exp-log2')@10"])
    assert values["ERR@10"]["query one"] == pytest.approx(3 / 16 / 2, abs=1e-5)
    assert values["nDCG(dcg='exp-log2')@10"]["query one"] == pytest.approx(1 / np.log2(3), abs=1e-5)


def test_two_names_of_one_measure() -> None:
    values = measure(RUN, QRELS, ["NDCG@10", "nDCG@10"])
    assert values["NDCG@10"] == values["nDCG@10"] == measure(RUN, QRELS, ["nDCG@10"])["nDCG@10"]


def test_judged_only_measures_by_eye() -> None:
    """Without x and y, which nobody judged, c a b is the ranking of RUN."""
    run: Run = {"q1": {"x": 9.0, "c": 3.0, "a": 2.0, "y": 1.5, "b": 1.0}}
    values = measure(run, {"q1": QRELS["q1"]}, [*POOLED_MEASURES, "nDCG@10"])
    judged_only, plain = values["nDCG(judged_only=True)@10"]["q1"], values["nDCG@10"]["q1"]
    assert judged_only == pytest.approx(measure(RUN, QRELS, ["nDCG@10"])["nDCG@10"]["q1"])
    assert plain < judged_only
    assert values["Judged@10"]["q1"] == pytest.approx(3 / 5)


def test_pooled_judgments_name_irrelevant_listings_and_leave_results_out() -> None:
    assert not is_pooled([RUN], {"q1": QRELS["q1"]}), "all results are judged"
    assert is_pooled([RUN, {"q1": {"x": 1.0}}], {"q1": QRELS["q1"]})
    assert not is_pooled([{"q1": {"x": 1.0}}], {"q1": {"a": 1, "b": 2}}), "judgments of relevant listings alone"
    deep: Run = {"q1": {**{f"j{i}": 1.0 for i in range(10)}, "x": 0.5}}
    assert not is_pooled([deep], {"q1": {**{f"j{i}": 1 for i in range(10)}, "c": 0}}), "its first ten are judged"


def test_judgments_of_other_queries_are_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"share no query id \('q1' against '1'\)"):
        measure(RUN, {"1": {"a": 1}})
    with pytest.raises(EvaluationError, match="no listing has a relevance of 1"):
        measure(RUN, {"q1": {"a": 0}})


def test_real_judgments(shared_data: Callable[[str], Path]) -> None:
    qrels = read_qrels(shared_data("magento") / "qrels.txt")
    perfect: Run = {query: {listing: float(grade) for listing, grade in row.items()} for query, row in qrels.items()}
    values = measure(perfect, qrels)
    assert min(values["nDCG@10"].values()) == pytest.approx(1.0)
    assert min(values["R@500"].values()) == pytest.approx(1.0)
