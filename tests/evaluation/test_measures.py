"""Judgments and measures: files, cases by eye, and ties."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import ir_measures
import numpy as np
import pytest

from wares.core.errors import EvaluationError
from wares.data.runs import Run, ranked_ids
from wares.evaluation.measures import DEFAULT_MEASURES, Qrels, coverage, measure, read_qrels

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


def test_ties_go_to_the_greater_id_in_any_order_of_the_run() -> None:
    for order in itertools.permutations("abc"):
        run: Run = {"q1": dict.fromkeys(order, 1.0)}
        assert ranked_ids(run["q1"]) == ["c", "b", "a"]
        assert measure(run, {"q1": {"b": 1}}, ["RR"]) == {"RR": {"q1": 0.5}}


def test_a_difference_in_double_precision_is_no_tie() -> None:
    assert measure({"q1": {"a": 1.0 + 1e-12, "b": 1.0}}, {"q1": {"a": 1}}, ["RR"]) == {"RR": {"q1": 1.0}}


@pytest.mark.parametrize("name", ["nCDG@10", "R", "", "__import__('os')"])
def test_unknown_measure(name: str) -> None:
    with pytest.raises(EvaluationError, match="is not a measure"):
        measure(RUN, QRELS, [name])


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
