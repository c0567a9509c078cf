"""A run file as a labeler."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from labeler_cases import (
    make_corpus,
)

from wares.core.errors import EvaluationError
from wares.data.listings import Listing, Query
from wares.data.runs import write_run
from wares.ranking.labelers.run_file import RunLabeler
from wares.ranking.scoring import NO_LISTING


def test_results_are_those_of_the_file(tmp_path: Path) -> None:
    """By scores, not by ranks; equal scores in the order of the corpus; what it does not have is a step below."""
    rows = ["b 1 0.5", "a 2 2.5", "c 3 0.5"]
    (tmp_path / "run.txt").write_text("".join(f"q1 Q0 {row} x\n" for row in rows), encoding="utf-8")
    corpus = make_corpus(*(Listing(listing, listing) for listing in "abcd"))
    scorer = RunLabeler(str(tmp_path / "run.txt")).fit(corpus)
    queries = [Query("q2", "a"), Query("q1", "")]
    labels = scorer.retrieve(queries, 5)
    assert labels.listings.tolist() == [[NO_LISTING] * 5, [0, 1, 2, NO_LISTING, NO_LISTING]]
    np.testing.assert_array_equal(labels.scores[1], [2.5, 0.5, 0.5, math.nan, math.nan])
    scores = scorer.score(queries, np.array([[0, 1, 2], [3, 1, NO_LISTING]]))
    np.testing.assert_array_equal(scores, [[math.nan] * 3, [-0.5, 0.5, math.nan]])


def test_a_run_of_another_corpus_is_refused(tmp_path: Path) -> None:
    write_run({"q1": {"a": 1.0}, "q2": {"gone": 0.5, "a": 0.7}}, tmp_path / "run.txt")
    with pytest.raises(EvaluationError) as error:
        RunLabeler(str(tmp_path / "run.txt")).fit(make_corpus(Listing("a", "a")))
    problem, remedy = "listing 'gone' is not in the corpus", "Use the corpus that the run was made on"
    assert str(error.value) == f"{tmp_path / 'run.txt'}, query q2: {problem}. {remedy}."


def test_a_run_with_scores_too_large_is_refused(tmp_path: Path) -> None:
    write_run({"q1": {"a": -1e39}}, tmp_path / "run.txt")
    with pytest.raises(EvaluationError, match=re.escape("run.txt, query q1: score -1e+39 is too large. Scale the")):
        RunLabeler(str(tmp_path / "run.txt")).fit(make_corpus(Listing("a", "a")))
