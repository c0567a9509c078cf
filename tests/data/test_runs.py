"""Run files: round trips, trec_eval's format, and damaged files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.core.errors import EvaluationError
from wares.data.runs import Run, ranked_ids, read_run, write_run

names = st.text("abcdefé0123", min_size=1, max_size=4)
scores = st.dictionaries(names, st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 7.0]), min_size=1, max_size=12)


@given(run=st.dictionaries(names, scores, min_size=1, max_size=4))
def test_a_run_survives_its_file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "run.txt"
    write_run(run, path)
    assert read_run(path) == run
    assert [list(scores) for scores in read_run(path).values()] == [ranked_ids(scores) for scores in run.values()]
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, listing, rank, *_ = line.split()
        assert ranked_ids(run[query])[int(rank) - 1] == listing


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        (["a 1 0.5", "b 2 0.5", "c 3 0.5"], "abc"),  # ranks that agree with the scores
        (["c 3 0.5", "a 1 0.5", "b 2 0.5"], "abc"),
        (["a 0 0.5", "b 1 0.5", "c 2 0.1"], "abc"),
        (["a 7 0.5", "b 9 0.5", "c 800 0.5"], "abc"),
        (["a 0 0.5", "b 0 0.5", "c 0 0.7"], "cba"),  # none: equal scores by descending id, as in trec_eval
        (["a 1 0.5", "b 1 0.5", "c 2 0.5"], "cba"),
        (["a 1 0.1", "b 2 0.5", "c 3 0.5"], "cba"),  # ranks that contradict the scores
        (["a x 0.5", "b 2 0.5", "c 3 0.5"], "cba"),
        (["a 1.5 0.5", "b -2 0.5", "c 3 0.5"], "cba"),
    ],
)
def test_ranks_are_the_order_of_a_file_if_they_agree_with_the_scores(
    lines: list[str], order: str, tmp_path: Path
) -> None:
    (tmp_path / "run.txt").write_text("".join(f"q1 Q0 {line} x\n" for line in lines), encoding="utf-8")
    assert list(read_run(tmp_path / "run.txt")["q1"]) == list(order)


def test_equal_scores_are_written_in_their_order(tmp_path: Path) -> None:
    write_run({"q1": {"a": 0.5, "b": 1.0, "c": 0.5}}, tmp_path / "run.txt", tag="bm25")
    expected = "q1 Q0 b 1 1.0 bm25\nq1 Q0 a 2 0.5 bm25\nq1 Q0 c 3 0.5 bm25\n"
    assert (tmp_path / "run.txt").read_text(encoding="utf-8") == expected


def test_write_run_refuses_names_with_spaces(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"'red boots' is empty or contains spaces.*run\.txt"):
        write_run({"red boots": {"a": 1.0}}, tmp_path / "run.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"q1 Q0 a 1 0.5\n", "line 1: expected 6 columns"),
        (b"q1 Q0 a 1 nan x\n", "line 1: score must be a finite number, not 'nan'"),
        (b"q1 Q0 a 1 high x\n", "line 1: score must be a finite number, not 'high'"),
        (b"q1 Q0 a 1 1 x\nq1 Q0 a 2 0 x\n", "line 2: duplicate listing a"),
    ],
)
def test_a_bad_file_is_named_by_line(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(text)
    with pytest.raises(EvaluationError, match=message):
        read_run(tmp_path / "file.txt")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"nothing\.txt cannot be read"):
        read_run(tmp_path / "nothing.txt")
