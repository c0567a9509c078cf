"""Labelers and rankers in PyTerrier's own pipelines and experiments: frames, a case by eye, and no Java."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import WORDS, named

pt = pytest.importorskip("pyterrier", reason="pyterrier is not installed: pip install 'wares[pyterrier]'")

import pandas as pd  # noqa: E402
from ir_measures import RR  # noqa: E402

from wares.core.errors import EvaluationError, ModelError  # noqa: E402
from wares.data.corpus import Corpus  # noqa: E402
from wares.data.listings import Catalogue, Listing, Query  # noqa: E402
from wares.data.writers import write_listings  # noqa: E402
from wares.ranking.labelers.function import labeler  # noqa: E402
from wares.ranking.labelers.registry import get_labeler  # noqa: E402
from wares.supervision.pyterrier import Reranker, Retriever, load_ranker, rank_abstained_last  # noqa: E402

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "rerank-with-a-ranker.md"
LISTINGS = (
    Listing("boots", "Red leather boots", price=80.0),
    Listing("scarf", "Red wool scarf", price=15.0),
    Listing("mug", "Coffee mug"),
)
TOPICS = pd.DataFrame({"qid": ["1", "2", "3"], "query": ["red boots", "scarf", "zzyzx"], "shop": "north"})


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(Catalogue(Path("/shop"), LISTINGS))


@pytest.fixture(scope="module")
def bm25(corpus: Corpus) -> Retriever:
    return Retriever(get_labeler("bm25").fit(corpus), corpus)


@labeler
def cheapest(query: str, listings: Sequence[Listing]) -> list[float | None]:
    """Nothing to say of what has no price."""
    return [None if each.price is None else -each.price for each in listings]


@pytest.fixture(scope="module")
def by_price(corpus: Corpus) -> Reranker:
    return Reranker(cheapest.fit(corpus), corpus)


def rows(frame: Any) -> list[tuple[str, str, int]]:
    return list(zip(frame["qid"], frame["docno"], frame["rank"], strict=True))


def test_results_by_eye(bm25: Retriever, corpus: Corpus) -> None:
    """The third query shares no word with any listing, and has no results; other columns stay."""
    found: Any = bm25(TOPICS)
    assert list(found.columns) == ["qid", "query", "shop", "docno", "score", "rank"]
    assert rows(found) == [("1", "boots", 0), ("1", "scarf", 1), ("2", "scarf", 0)]
    labels = get_labeler("bm25").fit(corpus).retrieve([Query("1", "red boots")], 2)
    np.testing.assert_allclose(found["score"][:2], labels.scores[0], rtol=1e-6)
    assert found["shop"].tolist() == ["north"] * 3


def test_reranking_by_eye(bm25: Retriever, by_price: Reranker) -> None:
    assert rows((bm25 >> by_price)(TOPICS)) == [("1", "scarf", 0), ("1", "boots", 1), ("2", "scarf", 0)]


def test_results_from_which_the_scorer_abstains_come_last(by_price: Reranker) -> None:
    """It comes last; a query of which nothing is said keeps its order; queries may be mixed."""
    listed = [("b", "mug"), ("a", "mug"), ("a", "boots"), ("b", "mug"), ("a", "scarf")]
    given = pd.DataFrame([{"qid": qid, "docno": docno, "query": "x", "score": 1.0, "rank": 9} for qid, docno in listed])
    found: Any = by_price(given)
    assert rows(found) == [("b", "mug", 0), ("b", "mug", 1), ("a", "scarf", 0), ("a", "boots", 1), ("a", "mug", 2)]
    assert found["score"].tolist() == [-1.0, -2.0, -15.0, -80.0, -81.0]
    assert given["score"].tolist() == [1.0] * 5, "what was given stays as it was"


def test_abstained_scores_are_below_the_lowest() -> None:
    nan = math.nan
    given = np.array([[nan, 2.0, nan, -3.0], [nan, nan, nan, nan]])
    assert rank_abstained_last(given).tolist() == [[-4, 2, -5, -3], [-1, -2, -3, -4]]
    assert rank_abstained_last(np.zeros((0, 0))).shape == (0, 0)


def test_pipelines(bm25: Retriever, by_price: Reranker, corpus: Corpus) -> None:
    """Cut-offs, sums of scores, and PyTerrier's own look at what comes out of a transformer."""
    likelihood = Retriever(get_labeler("query-likelihood").fit(corpus), corpus)
    assert rows((bm25 % 1)(TOPICS)) == [("1", "boots", 0), ("2", "scarf", 0)]
    assert {docno for _, docno, _ in rows((bm25 + 2 * likelihood)(TOPICS))} == {"boots", "scarf"}
    assert rows(bm25.search("scarf"))[0][1] == "scarf"
    outputs = pt.inspect.transformer_outputs
    assert outputs(bm25, ["qid", "query"]) == ["qid", "query", "docno", "score", "rank"]
    assert outputs(by_price, ["qid", "query", "docno"]) == ["qid", "query", "docno", "score", "rank"]
    assert outputs(bm25 % 2 >> by_price, ["qid", "query"]) == ["qid", "query", "docno", "score", "rank"]


def test_an_experiment(bm25: Retriever, by_price: Reranker) -> None:
    """BM25 puts the judged listing of the first query first, the price puts it second."""
    judged = pd.DataFrame({"qid": ["1", "2"], "docno": ["boots", "scarf"], "label": [1, 1]})
    found = pt.Experiment([bm25, bm25 >> by_price], TOPICS, judged, ["recip_rank"], names=["bm25", "price"])
    assert found["recip_rank"].tolist() == [1.0, 0.75]
    assert not pt.java.started()


def test_a_sum_keeps_its_queries(bm25: Retriever, by_price: Reranker, corpus: Corpus) -> None:
    """Only one side finds something for each of these queries; the reranker sees the texts of both."""

    @labeler
    def of_mugs(query: str, listings: Sequence[Listing]) -> list[float | None]:
        return [1.0 if "mug" in each.title and query == "zzyzx" else None for each in listings]

    mugs = Retriever(of_mugs.fit(corpus), corpus)
    texts = {("1", "red boots"), ("2", "scarf"), ("3", "zzyzx")}
    for pipeline in (bm25 + mugs, 2 * bm25 + mugs, mugs + bm25, (bm25 + mugs) >> by_price):
        found: Any = pipeline(TOPICS)
        assert set(zip(found["qid"], found["query"], strict=True)) == texts
    given = pd.DataFrame({"qid": ["1", "1"], "docno": ["boots", "scarf"], "query": [math.nan, "red boots"]})
    assert rows(Reranker(get_labeler("bm25").fit(corpus), corpus)(given))[0] == ("1", "boots", 0)


@pytest.mark.parametrize("kind", ["retriever", "reranker"])
def test_a_missing_query_is_not_the_query_nan(kind: str, bm25: Retriever, by_price: Reranker) -> None:
    given = pd.DataFrame({"qid": ["7"], "query": [math.nan], "docno": ["boots"]})
    with pytest.raises(EvaluationError, match="query 7 has no text"):
        bm25(given[["qid", "query"]]) if kind == "retriever" else by_price(given)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_a_batch_without_results_does_not_end_an_experiment(
    bm25: Retriever, by_price: Reranker, order: list[int]
) -> None:
    """The third query finds nothing: its batch may be the first, the last or between others."""
    topics = TOPICS.iloc[order]
    judged = pd.DataFrame({"qid": ["1", "2", "3"], "docno": ["boots", "scarf", "mug"], "label": [1, 1, 1]})
    systems = [bm25, bm25 % 2 >> by_price, (bm25 + bm25) >> by_price]
    found = pt.Experiment(systems, topics, judged, [RR], names=["a", "b", "c"], batch_size=1)
    assert found["RR"].tolist() == pytest.approx([2 / 3, 1.5 / 3, 1.5 / 3])
    assert [len(each) for each in bm25.transform_gen(topics)] == ([1, 2] if order[2] == 0 else [2, 1])


@pytest.mark.parametrize("kind", ["retriever", "reranker"])
def test_columns_are_checked(kind: str, bm25: Retriever, by_price: Reranker) -> None:
    wrong = {"retriever": ["qid"], "reranker": ["qid", "query"]}[kind]
    transformer = bm25 if kind == "retriever" else by_price
    with pytest.raises(pt.validate.InputValidationError, match="query" if kind == "retriever" else "docno"):
        transformer(TOPICS[wrong])


def test_results_are_not_queries(bm25: Retriever) -> None:
    with pytest.raises(pt.validate.InputValidationError, match="docno"):
        bm25(bm25(TOPICS))


def test_results_of_another_corpus_are_refused(by_price: Reranker) -> None:
    other = pd.DataFrame({"qid": ["1"], "query": ["x"], "docno": ["gone"]})
    with pytest.raises(EvaluationError, match="docno 'gone' is not in the corpus"):
        by_price(other)


def test_a_trained_ranker(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of a round's folder scores as the run wrote down; the one that the run keeps is found by itself."""
    import wares.supervision.recipe as module
    from wares.data.runs import read_run
    from wares.ranking.settings import RankerTrainingSettings
    from wares.supervision.settings import SuperviseSettings

    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "BASELINES", ("bm25", "query-likelihood"))
    listings = tuple(Listing(f"l{i}", f"{one} {WORDS[i - 1]}", WORDS[i - 2]) for i, one in enumerate(WORDS))
    corpus = Corpus(Catalogue(tmp_path, listings))
    queries = [Query(str(i), word) for i, word in enumerate(WORDS)]
    settings = SuperviseSettings(
        rankers=(f"static(towers={named('pair', shelf)!r})",),
        depth=4,
        random_candidates=2,
        training=RankerTrainingSettings(epochs=2),
    )
    module.supervise(corpus, queries, settings, tmp_path / "my-run", queries, allow_test_queries=True)
    (folder,) = tmp_path.glob("my-run/round-1/*")
    found: Any = Retriever(load_ranker(folder, corpus), corpus, k=3)(
        pd.DataFrame({"qid": ["0", "1"], "query": WORDS[:2]})
    )
    written = read_run(folder / "run.txt")
    for qid, docno, score in zip(found["qid"], found["docno"], found["score"], strict=True):
        assert score == pytest.approx(written[qid][docno], rel=1e-5)
    assert rows(Reranker(load_ranker(tmp_path / "my-run", corpus), corpus)(found[["qid", "query", "docno"]]))
    fewer = replace(corpus, catalogue=corpus.catalogue.subset(range(4)))
    among: Any = Retriever(load_ranker(folder, fewer), fewer)(found[["qid", "query"]])
    assert set(among["docno"]) <= {"l0", "l1", "l2", "l3"}
    with pytest.raises(ModelError, match="is neither a run of"):
        load_ranker(tmp_path, corpus)
    (tmp_path / "my-catalogue").mkdir()
    write_listings(listings, tmp_path / "my-catalogue" / "listings.jsonl")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    judgments = pd.DataFrame({"qid": ["0", "1"], "docno": ["l0", "l1"], "label": [1, 1]})
    exec(example, {"topics": pd.DataFrame({"qid": ["0", "1"], "query": WORDS[:2]}), "judgments": judgments})


OFFLINE = """
import socket, subprocess
def refuse(*args, **kwargs): raise RuntimeError("not here")
socket.socket.connect = socket.getaddrinfo = subprocess.Popen.__init__ = refuse
import wares.supervision.pyterrier, sys
from wares.supervision.pyterrier import pt
assert not pt.java.started() and "jnius" not in sys.modules
"""


def test_importing_needs_no_java_and_no_network(tmp_path: Path) -> None:
    """With no program to be found, and nobody to connect to."""
    source = str(Path(__file__).resolve().parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "PATH": str(tmp_path), "HOME": str(tmp_path), "JAVA_HOME": ""}
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_missing_package_is_named() -> None:
    script = "import sys; sys.modules['pyterrier'] = None; import wares.supervision.pyterrier"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert "pip install 'wares[pyterrier]'" in done.stderr.splitlines()[-1]
