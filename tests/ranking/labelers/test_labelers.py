"""Contracts over every labeler, and their specs.

The contracts also hold for a plain function, which is a labeler without a name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from labeler_cases import (
    LISTINGS,
    QUERIES,
    all_listings,
    assert_same_labels,
    corpus_of_titles,
    make_corpus,
    make_queries,
)
from odd_queries import ODD, UNKNOWN, WORDLESS, check

from wares.core.errors import SettingsError
from wares.core.specs import format_spec
from wares.data.corpus import Corpus
from wares.data.listings import Listing, Query
from wares.data.runs import write_run
from wares.data.terms import analyse
from wares.encoders.registry import build_towers
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.labelers.embedding_scorer import QUERY_BATCH_SIZE
from wares.ranking.labelers.function import labeler
from wares.ranking.labelers.query_likelihood import QueryLikelihood
from wares.ranking.labelers.registry import get_labeler, labelers
from wares.ranking.labelers.rm3 import RM3
from wares.ranking.scoring import NO_LISTING, Labeler, Scorer

NAMES = [*labelers(), "a function"]
LEXICAL = ["bm25", "query-likelihood", "rm3"]
FUNCTIONS = ["function", "a function"]


@labeler
def letters(query: str, listings: Sequence[Listing]) -> list[float | None]:
    """How many letters of the query's first word are in the title; nothing to say where none is."""
    word = (query.split() or [""])[0]
    return [float(sum(letter in listing.title for letter in word)) or None for listing in listings]


LETTERS = """
def letters(query, listings):
    word = (query.split() or [""])[0]
    return [float(sum(letter in each.title for letter in word)) or None for each in listings]
"""

Member = Callable[[str, Corpus], Labeler]


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Member:
    """A labeler of each name, for a corpus: the run ranks its listings, and the model is saved first."""
    folder = tmp_path_factory.mktemp("labelers")
    build_towers("small").save(folder / "model")
    (folder / "labels.py").write_text(LETTERS, encoding="utf-8")

    def build(name: str, corpus: Corpus) -> Labeler:
        if name == "a function":
            return letters
        random = np.random.default_rng(4)
        run = {
            query.id: dict(zip(corpus.ids[:5], random.normal(size=5).tolist(), strict=False)) for query in QUERIES[:3]
        }
        write_run(run, folder / "run.txt")
        specs = {
            "dense": "dense(towers='small')",
            "two-tower": f"two-tower(model={str(folder / 'model')!r})",
            "run": f"run(file={str(folder / 'run.txt')!r})",
            "function": f"function(file={str(folder / 'labels.py')!r}, name='letters')",
        }
        return get_labeler(specs.get(name, name))

    return build


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scorer(name: str, member: Member, goods: Corpus) -> Scorer:
    return member(name, goods).fit(goods)


# Contracts


@pytest.mark.parametrize("k", [1, 3, len(LISTINGS), 20])
def test_labels_have_their_shape(scorer: Scorer, k: int) -> None:
    """Also where k is larger than the corpus."""
    labels = scorer.retrieve(QUERIES, k)
    check(labels, len(QUERIES), k, len(LISTINGS))
    assert labels.present[0].any()


def test_a_smaller_k_gives_the_first_results(scorer: Scorer) -> None:
    few, many = scorer.retrieve(QUERIES, 2), scorer.retrieve(QUERIES, len(LISTINGS)).top(2)
    np.testing.assert_allclose(few.scores, many.scores, rtol=1e-5)  # equal scores may bring either listing


def test_retrieved_scores_equal_scores_of_the_pairs(scorer: Scorer) -> None:
    labels = scorer.retrieve(QUERIES, 20)
    scores = scorer.score(QUERIES, labels.listings)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, labels.scores, rtol=1e-5, atol=1e-6)


def test_the_best_score_is_retrieved_first(scorer: Scorer, name: str, goods: Corpus) -> None:
    """Of all listings; a lexical labeler retrieves those that share a term only, and a run those that it has; both
    score them all.
    """
    labels = scorer.retrieve(QUERIES, 20)
    scores = scorer.score(QUERIES, all_listings(QUERIES, goods))
    if name not in [*LEXICAL, "run"]:
        assert (~np.isnan(scores)).sum(axis=1).tolist() == labels.present.sum(axis=1).tolist()
    for row, listings, present in zip(scores, labels.listings, labels.present, strict=True):
        if present.any():
            assert row[listings[0]] == np.nanmax(row)


def test_scores_are_in_the_order_of_the_listings(scorer: Scorer) -> None:
    listings = np.array([[2, NO_LISTING, 0], [NO_LISTING, NO_LISTING, NO_LISTING], [0, 2, 3], [1, 1, 0]])
    scores = scorer.score(QUERIES, listings)
    assert scores.shape == (4, 3)
    assert np.isnan(scores[listings == NO_LISTING]).all()
    turned = scorer.score(QUERIES, listings[:, ::-1])
    np.testing.assert_allclose(scores, turned[:, ::-1], rtol=1e-6)
    np.testing.assert_array_equal(scores[3, 0], scores[3, 1])
    assert scorer.score(QUERIES, np.zeros((4, 0), dtype=np.int64)).shape == (4, 0)


def test_the_order_of_queries_does_not_matter(scorer: Scorer) -> None:
    backwards = scorer.retrieve(QUERIES[::-1], 7)
    assert_same_labels(scorer.retrieve(QUERIES, 7), backwards.select(slice(None, None, -1)))
    assert_same_labels(scorer.retrieve(QUERIES[1:2], 7), backwards.select(np.array([2])))


def test_results_are_repeatable(scorer: Scorer) -> None:
    one, other = scorer.retrieve(QUERIES, 5), scorer.retrieve([*QUERIES, *QUERIES], 5)
    assert_same_labels(one, other.select(slice(0, 4)))
    assert_same_labels(one, other.select(slice(4, 8)))


def test_results_do_not_depend_on_batches(scorer: Scorer) -> None:
    """More queries than one batch."""
    many = [QUERIES[index % 4] for index in range(2 * QUERY_BATCH_SIZE + 3)]
    labels = scorer.retrieve(many, 3)
    few = scorer.retrieve(QUERIES, 3)
    assert_same_labels(labels, few.select(np.arange(len(many)) % 4))
    np.testing.assert_allclose(scorer.score(many, labels.listings), labels.scores, rtol=1e-5, atol=1e-6)


def test_no_queries_give_empty_labels(scorer: Scorer) -> None:
    check(scorer.retrieve([], 4), 0, 4, len(LISTINGS))
    assert scorer.score([], np.zeros((0, 4), dtype=np.int64)).shape == (0, 4)


@pytest.mark.parametrize("kind", ODD)
def test_odd_queries_get_labels_or_none(scorer: Scorer, name: str, goods: Corpus, kind: str) -> None:
    """Alone and among other queries; never an exception, and never a partial result."""
    odd = Query("odd", ODD[kind])
    labels = scorer.retrieve([QUERIES[0], odd, QUERIES[1]], 9)
    check(labels, 3, 9, len(LISTINGS))
    assert_same_labels(labels.select(slice(0, 1)), scorer.retrieve(QUERIES[:1], 9))
    assert_same_labels(labels.select(slice(1, 2)), scorer.retrieve([odd], 9))
    scores = scorer.score([odd], all_listings([odd], goods))
    silent = kind in WORDLESS or name == "run" or (name in LEXICAL and kind in [*UNKNOWN, "one long word"])
    if silent:
        assert not labels.present[1].any()
        assert np.isnan(scores).all()
    elif name not in FUNCTIONS:
        assert labels.present[1].any()
        assert np.isfinite(scores).all()


def test_a_corpus_of_one_listing_is_ranked(name: str, member: Member) -> None:
    only = make_corpus(Listing("boots", "Red leather boots"))
    alone = member(name, only).fit(only)
    labels = alone.retrieve(QUERIES[:1], 3)
    check(labels, 1, 3, 1)
    assert labels.listings.tolist() == [[0, NO_LISTING, NO_LISTING]]
    np.testing.assert_allclose(alone.score(QUERIES[:1], labels.listings), labels.scores, rtol=1e-5)


@pytest.mark.parametrize("name", LEXICAL)
def test_a_corpus_without_words_has_no_labels(name: str) -> None:
    corpus = corpus_of_titles("!!!", "👟")
    alone = get_labeler(name).fit(corpus)
    labels = alone.retrieve(QUERIES, 3)
    check(labels, 4, 3, 2)
    assert not labels.present.any()
    assert np.isnan(alone.score(QUERIES, all_listings(QUERIES, corpus))).all()


@pytest.mark.parametrize("name", labelers())
def test_specs_print_and_parse_to_the_same_labeler(name: str, member: Member, goods: Corpus) -> None:
    built = member(name, goods)
    assert get_labeler(format_spec(built, labelers())) == built
    assert type(built) is labelers()[name]


# Terms


@pytest.mark.parametrize("name", LEXICAL)
def test_lexical_labelers_by_eye(name: str, goods: Corpus) -> None:
    """Two listings say red, and one of them boots; one is Russian; stems are one word."""
    corpus = get_labeler(name).fit(goods)
    labels = corpus.retrieve(make_queries("red boot", "ботинки", "mugs"), 1)
    assert labels.listings.tolist() == [[0], [5], [3]]


@pytest.mark.parametrize("name", ["bm25", "query-likelihood"])
def test_only_listings_that_share_a_term_are_retrieved(name: str, goods: Corpus) -> None:
    labels = get_labeler(name).fit(goods).retrieve(QUERIES, len(LISTINGS))
    for query, row in zip(QUERIES, labels.listings.tolist(), strict=True):
        sharing = {i for i, text in enumerate(goods.texts) if set(analyse(text)) & set(analyse(query.text))}
        assert {index for index in row if index != NO_LISTING} == sharing
    if name == "bm25":
        assert (labels.scores[labels.present] > 0).all()


# Specs and settings


@pytest.mark.parametrize(
    "text",
    [
        "bm25",
        "bm25(k1=0.9, b=0.4)",
        "query-likelihood",
        "query-likelihood(mu=50.0)",
        "rm3(feedback_listings=5, original_weight=0.7)",
        "dense(towers='small')",
    ],
)
def test_specs_by_eye(text: str) -> None:
    assert format_spec(get_labeler(text), labelers()) == text


def test_a_function_has_no_name() -> None:
    with pytest.raises(SettingsError, match=r"has no name here\. Use one of bm25, query-likelihood"):
        format_spec(letters, labelers())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bm52", "no labeler 'bm52'; there are bm25, query-likelihood, rm3, dense, two-tower, run, function."),
        ("bm25(k=1)", "labeler bm25 has no setting 'k'; it has k1, b."),
        ("bm25(k1='high')", "k1 of labeler bm25 must be a number, not 'high'."),
        ("bm25(k1=-0.1)", "k1 of bm25 must be 0 or more, not -0.1."),
        ("bm25(b=1.5)", "b of bm25 must be in [0, 1], not 1.5."),
        ("bm25(b=-0.5)", "b of bm25 must be in [0, 1], not -0.5."),
        ("query-likelihood(mu='x')", "mu of labeler query-likelihood must be a number, not 'x'."),
        ("query-likelihood(mu=0)", "mu of query-likelihood must be above 0, not 0."),
        ("rm3(feedback_listings=0)", "feedback_listings and feedback_terms of rm3 must be 1 or more, not 0 and 10."),
        ("rm3(feedback_terms=0)", "feedback_listings and feedback_terms of rm3 must be 1 or more, not 10 and 0."),
        ("rm3(feedback_listings=2.5)", "feedback_listings of labeler rm3 must be a whole number, not 2.5."),
        ("rm3(original_weight=1.1)", "original_weight of rm3 must be in [0, 1], not 1.1."),
        ("rm3(k1=-1)", "k1 of bm25 must be 0 or more, not -1."),
        ("rm3(b=2)", "b of bm25 must be in [0, 1], not 2."),
        ("two-tower", "two-tower needs a model. Write two-tower(model='FOLDER')"),
        ("run", "run needs a file: run(file='results.txt')"),
        ("function", "function needs a file and a name. Write function(file='my_labels.py', name='my_function')."),
        ("function(file='labels.py')", "function needs a file and a name"),
        ("function(file=3, name='f')", "file of labeler function must be a text in quotes, not 3."),
    ],
)
def test_settings_are_checked_before_work_starts(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        get_labeler(text)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_settings_must_be_finite(value: float) -> None:
    for wrong in (lambda: BM25(k1=value), lambda: QueryLikelihood(value), lambda: RM3(original_weight=value)):
        with pytest.raises(SettingsError):
            wrong()
