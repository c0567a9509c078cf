"""Checks of a run without judgments: which round is best, and what changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from small_runs import PAIRS, QUERIES

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import write_run
from wares.evaluation.supervision_report import write_report
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.recipe import supervise
from wares.supervision.settings import SuperviseSettings
from wares.supervision.trained_rankers import find_ranker


def test_a_harmful_labeler_is_detected(corpus: Corpus, settings: SuperviseSettings, tmp_path: Path) -> None:
    """A run file turns BM25's rankings around; learning from it makes a ranker that could do it worse: the run says so
    and keeps the ranker as it was.
    """
    catalogue = Catalogue(
        corpus.catalogue.folder,
        tuple(Listing(f"n{i}", f"{one} {two}", f"{two} {one}", (), (), None, {}) for i, (one, two) in enumerate(PAIRS)),
    )
    good = Corpus(catalogue)
    queries = [Query(str(i), f"{one} {two}") for i, (one, two) in enumerate(PAIRS)]
    scores = get_labeler("bm25").fit(good).retrieve(queries, len(good))
    wrong = {
        query.id: {str(good.ids[place]): -float(score) for place, score in zip(row, values, strict=True) if place >= 0}
        for query, row, values in zip(queries, scores.listings, scores.scores, strict=True)
    }
    write_run(wrong, tmp_path / "wrong.txt")
    labelers = (f"run(file={str(tmp_path / 'wrong.txt')!r})",)
    static = settings.rankers[0].removesuffix(")") + ", learning_rate=0.5, batch_size=9)"
    taught: dict[str, Any] = {
        "training": RankerTrainingSettings(epochs=30),
        "temperature": 0.3,
        "random_candidates": 0,
        "depth": 20,
    }
    settings = replace(settings, labelers=labelers, rankers=(static,), **taught)
    found = supervise(good, queries, settings, tmp_path / "run").reliability
    assert found.ranker_mrr[f"{static}, untrained"] > 0.9
    assert found.best == {static: f"{static}, untrained"}
    assert found.worse_rounds == [f"{static}, round 1"]
    assert found.labeler_mrr == {labelers[0]: None}, "a run answers no other queries"
    assert found.unreliable_labelers == []
    assert found.recommendations == [f"No round is better than {static}, untrained. Keep the untrained ranker."]
    written = json.loads((tmp_path / "run" / "reliability.json").read_text())
    assert written["best"] == found.best


def test_a_labeler_that_finds_nothing_is_unreliable(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    (tmp_path / "labels.py").write_text("def silent(query, listings):\n    return [None for each in listings]\n")
    labelers = ("bm25", f"function(file={str(tmp_path / 'labels.py')!r}, name='silent')")
    settings = replace(settings, labelers=labelers, rankers=settings.rankers[:1])
    found = supervise(corpus, QUERIES, settings, tmp_path / "out").reliability
    assert found.unreliable_labelers == [labelers[1]]
    assert (found.labeler_mrr["bm25"] or 0.0) > 0.5


def listings_of(titles: Sequence[str], description: str = "", folder: Path = Path()) -> Corpus:
    made = [Listing(f"j{i}", title, description, (), ("photo.png",)) for i, title in enumerate(titles)]
    return Corpus(Catalogue(folder, tuple(made if folder != Path() else [replace(each, images=()) for each in made])))


def test_labelers_and_rankers_are_checked_if_listings_allow_it(settings: SuperviseSettings, tmp_path: Path) -> None:
    """Of titles alone, labelers; of titles that are one word of a photo each, rankers."""
    settings = replace(settings, rankers=settings.rankers[:1], labelers=("bm25",))
    titles = listings_of([f"{one} {other}" for one, other in PAIRS])
    found = supervise(titles, QUERIES, settings, tmp_path / "titles")
    assert found.reliability.labeler_mrr["bm25"] and not found.reliability.ranker_mrr and not found.reliability.best
    assert find_ranker(tmp_path / "titles").round == 1
    assert "rankers cannot be checked" in write_report(tmp_path / "titles").read_text(encoding="utf-8")
    words = listings_of(["赤い靴", "青い帽子", "緑の椅子", "白い時計", "黒い鞄"], folder=tmp_path)
    found = supervise(words, [Query("1", "赤い靴"), Query("2", "黒い鞄")], settings, tmp_path / "words")
    assert found.reliability.ranker_mrr and not found.reliability.labeler_mrr
    assert "labelers cannot be checked" in write_report(tmp_path / "words").read_text(encoding="utf-8")


def test_changes_are_the_queries_with_least_overlap(
    corpus: Corpus, settings: SuperviseSettings, tmp_path: Path
) -> None:
    supervise(corpus, QUERIES, replace(settings, strategy="self", rankers=settings.rankers[:1]), tmp_path / "run")
    changes = json.loads((tmp_path / "run" / "changes.json").read_text(encoding="utf-8"))
    assert (changes["before"], changes["after"]) == tuple(f"{settings.rankers[0]}, round {round}" for round in (1, 2))
    values = [each["overlap"] for each in changes["queries"]]
    assert values == sorted(values)
    assert len(values) == 5
