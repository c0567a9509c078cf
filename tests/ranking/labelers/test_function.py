"""Python functions as labelers: decorators, files, and their errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from labeler_cases import (
    assert_same_labels,
    corpus_of_titles,
    make_corpus,
    make_queries,
)
from odd_queries import check

from wares.core.errors import SettingsError
from wares.core.specs import format_spec
from wares.data.listings import Listing
from wares.ranking.labelers.function import labeler
from wares.ranking.labelers.registry import get_labeler, labelers
from wares.ranking.scoring import NO_LISTING, Labeler


def test_a_function_may_abstain() -> None:
    @labeler
    def cheap(query: str, listings: Sequence[Listing]) -> list[float | None]:
        return [None if listing.price is None or query == "free" else -listing.price for listing in listings]

    prices = (3.0, None, 1.0, 2.0)
    corpus = make_corpus(*(Listing(str(index), "thing", price=price) for index, price in enumerate(prices)))
    scorer = cheap.fit(corpus)
    labels = scorer.retrieve(make_queries("thing", "free"), 5)
    assert labels.listings.tolist() == [[2, 3, 0, NO_LISTING, NO_LISTING], [NO_LISTING] * 5]
    np.testing.assert_array_equal(labels.scores[0], [-1, -2, -3, math.nan, math.nan])
    assert np.isnan(labels.scores[1]).all()
    np.testing.assert_array_equal(
        scorer.score(make_queries("thing", "free"), np.array([[1, 0], [2, 3]])), [[math.nan, -3], [math.nan, math.nan]]
    )


def test_a_function_gets_no_padding() -> None:
    calls: list[tuple[str, list[str]]] = []

    def record(query: str, listings: Sequence[Listing]) -> list[float]:
        calls.append((query, [listing.id for listing in listings]))
        return [1.0] * len(listings)

    scores = (
        labeler(record).fit(corpus_of_titles("a", "b", "c")).score(make_queries("x"), np.array([[2, NO_LISTING, 0]]))
    )
    assert calls == [("x", ["2", "0"])]
    np.testing.assert_array_equal(scores, [[1, math.nan, 1]])


@pytest.mark.parametrize("given_scores", [[], [1.0], [1.0, 2.0, None]])
def test_a_function_must_return_one_score_per_listing(given_scores: list[float | None]) -> None:
    @labeler
    def hasty(query: str, listings: Sequence[Listing]) -> list[float | None]:
        return given_scores

    scorer = hasty.fit(corpus_of_titles("red boots", "mug"))
    message = f"hasty returned {len(given_scores)} scores for 2 listings of 'red boots'."
    with pytest.raises(SettingsError, match=re.escape(message)):
        scorer.retrieve(make_queries("red boots"), 1)
    with pytest.raises(SettingsError, match=re.escape(message)):
        scorer.score(make_queries("red boots"), np.array([[0, 1]]))


MY_LABELS = """
from __future__ import annotations
from dataclasses import dataclass
from math import sqrt
from wares.ranking.labelers.function import labeler

@dataclass
class Price:
    of: float

def cheap(query, listings):
    return [None if each.price is None else -Price(sqrt(each.price)).of for each in listings]

@labeler
def dear(query, listings):
    return [each.price for each in listings]

def broken(query, listings):
    return [len(query) / 0 for each in listings]

def silent(query, listings):
    pass

def wordy(query, listings):
    return ["3" for each in listings]

def wild(query, listings):
    return [float("inf"), float("nan"), 1e300, -1e300, 7][: len(listings)]
"""


@pytest.fixture
def my_labels(tmp_path: Path) -> Callable[[str], Labeler]:
    """A function of a file by its name."""
    file = tmp_path / "my_labels.py"
    file.write_text(MY_LABELS, encoding="utf-8")
    return lambda name: get_labeler(f"function(file={str(file)!r}, name={name!r})")


def test_functions_of_a_file_are_labelers(my_labels: Callable[[str], Labeler]) -> None:
    """With or without the decorator."""
    corpus = make_corpus(*(Listing(str(index), "thing", price=price) for index, price in enumerate((4.0, None, 1.0))))
    assert my_labels("cheap").fit(corpus).retrieve(make_queries("thing"), 3).listings.tolist() == [[2, 0, NO_LISTING]]
    assert my_labels("dear").fit(corpus).retrieve(make_queries("thing"), 3).listings.tolist() == [[0, 2, NO_LISTING]]
    text = "function(file='my_labels.py', name='cheap')"
    assert format_spec(get_labeler(text), labelers()) == text


def test_a_function_of_a_file_can_be_pickled(my_labels: Callable[[str], Labeler]) -> None:
    import pickle

    corpus = my_labels("dear").fit(make_corpus(Listing("a", "a", price=2.0), Listing("b", "b", price=3.0)))
    assert_same_labels(
        pickle.loads(pickle.dumps(corpus)).retrieve(make_queries("x"), 2), corpus.retrieve(make_queries("x"), 2)
    )


def test_infinite_scores_are_no_labels(my_labels: Callable[[str], Labeler]) -> None:
    """Nor are scores that float32 cannot hold."""
    labels = my_labels("wild").fit(corpus_of_titles("a", "b", "c", "d", "e")).retrieve(make_queries("x"), 5)
    assert labels.listings.tolist() == [[4, NO_LISTING, NO_LISTING, NO_LISTING, NO_LISTING]]
    check(labels, 1, 5, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "broken failed for 'mug': ZeroDivisionError: division by zero (my_labels.py, line 19). Fix"),
        ("silent", "silent returned None for 'mug'. Return a list with one score per listing."),
        ("wordy", "wordy returned '3' for 'mug'. Return numbers or None."),
        ("gone", "my_labels.py has no function 'gone'; it has cheap, dear, broken, silent, wordy, wild."),
        ("sqrt", "my_labels.py has no function 'sqrt'; it has"),
        ("Price", "my_labels.py has no function 'Price'; it has"),
    ],
)
def test_a_failing_function_is_reported(name: str, message: str, my_labels: Callable[[str], Labeler]) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as error:
        my_labels(name).fit(corpus_of_titles("mug")).retrieve(make_queries("mug"), 1)
    assert len(str(error.value).splitlines()) == 1


def test_a_long_query_is_shortened_in_a_message(my_labels: Callable[[str], Labeler]) -> None:
    with pytest.raises(SettingsError) as error:
        my_labels("broken").fit(corpus_of_titles("mug")).retrieve(make_queries("mug " * 2500), 1)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "labels.py: No such file or directory. Name a Python file."),
        ("", "labels.py has no function 'f'; it has none."),
        ("def f(:", "labels.py: SyntaxError: invalid syntax (labels.py, line 1). Fix the file."),
        ("import nothing_of_that_name", "labels.py: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("x = 1\nopen('gone.txt')", "labels.py: FileNotFoundError: [Errno 2] No such file"),
        ("raise ValueError('two\\nlines.')", "labels.py: ValueError: two lines (labels.py, line 1). Fix the file."),
    ],
)
def test_a_failing_file_is_reported(source: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.py"
    if source is not None:
        file.write_text(source, encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(message)) as error:
        get_labeler(f"function(file={str(file)!r}, name='f')").fit(corpus_of_titles("mug"))
    assert len(str(error.value).splitlines()) == 1
