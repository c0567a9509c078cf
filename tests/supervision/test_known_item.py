"""Known-item search: cases by eye, and what may not leak from a query into what is searched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.labelers.registry import get_labeler
from wares.ranking.scoring import NO_LISTING, Indices, Labels, Scores
from wares.supervision.known_item import (
    KnownItemResult,
    KnownItemTask,
    generated_query_task,
    known_item_reciprocal_rank,
    paired_difference,
    recommend,
    title_query_task,
)


def corpus(*rows: tuple[str, str], images: Sequence[str] = ()) -> Corpus:
    listings = [Listing(f"l{i}", title, text, (), tuple(images), None, {}) for i, (title, text) in enumerate(rows)]
    return Corpus(Catalogue(Path("/nowhere"), tuple(listings)))


SHOP = corpus(
    ("red boots", "leather boots for winter"),
    ("blue scarf", "a warm scarf of wool"),
    ("coffee mug", "a mug that is dishwasher safe"),
    ("Red  Boots", "worn twice"),
    ("umbrella", ""),
)


class Fixed:
    """Answers every query with the same ranking."""

    def __init__(self, *places: int) -> None:
        self.places = places

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        listings = np.full((len(queries), k), NO_LISTING)
        listings[:, : len(self.places)] = self.places
        return Labels(listings, np.where(listings == NO_LISTING, np.nan, -np.arange(k)).astype(np.float32))

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        raise NotImplementedError


def test_reciprocal_rank_by_eye() -> None:
    """Listing 2 stands third, 0 first; 4 is not there, and nothing is wanted of the last."""
    queries = [Query(str(i), "q") for i in range(4)]
    known = KnownItemTask(SHOP, queries, [np.array(wanted) for wanted in ([2], [0, 3], [4], [])])
    assert known_item_reciprocal_rank(Fixed(0, 1, 2), known).tolist() == [pytest.approx(1 / 3), 1, 0, 0]


def test_titles_are_searched_among_untitled_listings() -> None:
    known = title_query_task(SHOP)
    assert known is not None
    assert not any(each.title for each in known.corpus.catalogue.listings)
    assert sorted(query.text for query in known.queries) == ["Red  Boots", "blue scarf", "coffee mug", "red boots"], (
        "an umbrella without a description cannot be found"
    )
    by_title = {query.text: wanted.tolist() for query, wanted in zip(known.queries, known.targets, strict=True)}
    assert by_title == {"red boots": [0, 3], "Red  Boots": [0, 3], "blue scarf": [1], "coffee mug": [2]}
    ranks = known_item_reciprocal_rank(get_labeler("bm25").fit(known.corpus), known)
    assert dict(zip([query.text for query in known.queries], ranks.tolist(), strict=True)) == {
        "red boots": 1,
        "Red  Boots": 1,
        "blue scarf": 1,
        "coffee mug": 1,
    }, "by their descriptions"


def test_photos_make_untitled_listings_findable() -> None:
    assert title_query_task(corpus(("red boots", ""), ("mug", ""))) is None
    known = title_query_task(corpus(("red boots", ""), ("mug", ""), images=["a.jpg"]))
    assert known is not None
    assert len(known.queries) == 2


def test_a_large_corpus_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.supervision.known_item.MAX_LISTINGS", 30)
    monkeypatch.setattr("wares.supervision.known_item.MAX_QUERIES", 12)
    large = corpus(*((f"title{i} word", f"text{i}") for i in range(90)), *((f"bare{i}", "") for i in range(5)))
    known = title_query_task(large, seed=1)
    assert known is not None
    assert (len(known.corpus), len(known.queries)) == (30, 12)
    for query, wanted in zip(known.queries, known.targets, strict=True):
        (place,) = wanted
        number = query.text.split()[0].removeprefix("title")
        assert known.corpus.catalogue.listings[place].description == f"text{number}"
    other = title_query_task(large, seed=2)
    assert other is not None
    assert {query.text for query in other.queries} != {query.text for query in known.queries}


def test_generated_queries_find_their_listings() -> None:
    known = generated_query_task(SHOP)
    assert known is not None
    assert known_item_reciprocal_rank(get_labeler("bm25").fit(SHOP), known).mean() > 0.8
    assert known_item_reciprocal_rank(Fixed(2), known).mean() < 0.5


def test_paired_differences_by_eye() -> None:
    low, high = np.array([0.1, 0.2, 0.1, 0.3]), np.array([0.5, 0.7, 0.4, 0.9])
    assert paired_difference(low, high).is_worse
    assert paired_difference(low, high).mean == pytest.approx(-0.45)
    assert not paired_difference(high, low).is_worse
    assert not paired_difference(low, low).is_worse
    assert paired_difference(low, low).p == 1
    assert not paired_difference(np.array([0.0, 1.0, 0.4]), np.array([1.0, 0.1, 0.4])).is_worse, "by chance"


def test_the_best_round_is_recommended() -> None:
    """What training made worse is said to be, and what there was is kept."""
    values = np.array([0.5, 0.6, 0.4, 0.5])
    untrained, level = (
        KnownItemResult("model, untrained", values),
        KnownItemResult("model, round 1", values - [0.0, 0.01, 0.0, -0.005]),
    )
    down = KnownItemResult("model, round 2", values - [0.2, 0.25, 0.2, 0.3])
    found = recommend(untrained, [level, down])
    assert found.best == untrained
    assert [each.name for each, _ in found.worse_rounds] == ["model, round 2"]
    assert str(found) == "No round is better than model, untrained. Keep the untrained ranker."
    up = KnownItemResult("model, round 3", values + np.array([0.2, 0.25, 0.2, 0.3]))
    found = recommend(untrained, [down, up, level])
    assert found.best == up
    assert str(found) == "Keep model, round 3."
