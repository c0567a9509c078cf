"""The command that trains rankers: supervise."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from processes import done, refused, wares

SMALL = ("--labelers", "bm25,query-likelihood(mu=10.0)", "--rankers", "dense(towers='small')", "--epochs", 1)


@pytest.fixture
def passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text corpus with queries to learn from, and two with judgments."""
    monkeypatch.setattr("wares.supervision.recipe.BASELINES", ("bm25", "dense(towers='small')"))
    folder, things = tmp_path / "passages", ["lamp", "mug", "scarf", "boot", "chair", "table", "ring", "book"]
    folder.mkdir()
    rows = [
        {"id": f"p{i}", "title": f"{kind} {thing}", "text": f"a {thing} that is {kind} and old"}
        for i, (kind, thing) in enumerate((kind, thing) for kind in ("oak", "red", "tall") for thing in things)
    ]
    asked = [{"id": f"q{i}", "text": f"{thing} old"} for i, thing in enumerate(things)]
    tests = [{"id": "t1", "text": "red mug"}, {"id": "t2", "text": "oak"}]
    for name, lines in (("corpus", rows), ("asked", asked), ("tests", tests)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    (folder / "qrels.txt").write_text("t1 0 p9 1\nt2 0 p0 1\nt2 0 p1 1\n")
    return folder


def test_supervise_trains_measures_and_says_what_to_keep(passages: Path) -> None:
    judged = ("--test-queries", passages / "tests.jsonl", "--qrels", passages / "qrels.txt")
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run", *SMALL, *judged)
    answer = done(*run, "--strategy", "self", "--rounds", 2)
    assert re.search(r"1 │ dense\(towers='small'\) +│ 0\.\d\d bm25", answer.out)
    assert "Known-item search: titles as queries, listings" in " ".join(answer.out.split())
    assert re.search(r"dense\(towers='small'\), untrained +│ +\d\.\d{3}", answer.out)
    assert re.search(r"Keep ", answer.out)
    results = json.loads((passages / "run" / "results.json").read_text())
    assert {"bm25", "bm25+dense", "dense(towers='small') weak-1", "dense(towers='small') self-2 + bm25"} <= set(
        results["systems"]
    )
    assert "already holds a run. Choose another --out, or pass --resume" in refused(*run)
    again = done(*run, "--strategy", "self", "--rounds", 2, "--resume", "--json").json
    assert [each["round"] for each in again["rounds"]] == [1, 2]
    assert again["reliability"]["labeler_mrr"]["bm25"] > 0.3


def test_evaluate_refuses_queries_that_a_run_learned_from(passages: Path) -> None:
    run = ("supervise", passages, "--queries", passages / "tests.jsonl", "--out", passages / "run", *SMALL)
    done(*run, "--test-queries", passages / "tests.jsonl", "--allow-test-queries")
    [file] = passages.glob("run/round-1/*/run.txt")
    baseline = passages / "run" / "baselines" / "bm25.txt"
    judged = ("--queries", passages / "tests.jsonl", "--qrels", passages / "qrels.txt")
    message = f'{file}: its ranker learned from 2 of 2 queries, the first "red mug". Leave them out of'
    assert message in refused("evaluate", baseline, file, *judged)
    assert "bm25" in done("evaluate", baseline, *judged).out
    assert "run" in done("evaluate", baseline, file, *judged, "--allow-test-queries").out


def test_supervise_refusals(passages: Path) -> None:
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run")
    assert "Pass both" in refused(*run, "--qrels", passages / "qrels.txt")
    assert "no labeler 'luck'; there are bm25" in refused(*run, "--labelers", "luck")
    assert "no ranker 'tree'; there are static" in refused(*run, "--rankers", "tree")
    misused = wares(*run, "--loss", "hinge")
    assert misused.code == 2 and 'Choose from: "listwise-kl"' in misused.err
    assert "needs two rankers" in refused(*run, "--strategy", "cross")
    dev = ("--dev-queries", passages / "tests.jsonl", "--dev-qrels", passages / "qrels.txt")
    assert "Pass both" in refused(*run, *dev[:2])
    assert "select teachers, which strategy weak does not" in refused(*run, *dev)
    assert "has no judgments of the queries" in refused(*run, "--dev-queries", passages / "asked.jsonl", *dev[2:])
    assert "2 of --dev-queries are also in --test-queries" in refused(*run, *dev, "--test-queries", dev[1])
    (passages / "asked-too.jsonl").write_text('{"id": "a", "text": "RED mug"}\n{"id": "b", "text": "oak"}\n')
    learned = ("supervise", passages, "--queries", passages / "asked-too.jsonl", "--out", passages / "run")
    message = 'wares: 2 of 2 test queries are also training queries, the first "red mug".'
    assert message in refused(*learned, "--test-queries", passages / "tests.jsonl")
    assert not (passages / "run").exists()


def test_supervise_chooses_by_judged_dev_queries(passages: Path) -> None:
    """BM25 finds the red mug at once, and comes first of those that do; no agreement is perfect."""
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run", *SMALL)
    (passages / "dev.txt").write_text("t1 0 p9 1\nelsewhere 0 p0 1\n")
    dev = ("--dev-queries", passages / "tests.jsonl", "--dev-qrels", passages / "dev.txt")
    found = done(*run, *dev, "--strategy", "greedy", "--rounds", 2, "--json").json
    assert found["rounds"][1]["greedy_steps"][0] == ["bm25", 1.0]
    assert "judged dev queries" in (passages / "run" / "report.html").read_text()
