"""RM3: expanded queries by eye and as distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labeler_cases import (
    DOCUMENTS,
    QUERIES,
    QUERY_TEXTS,
    corpus_of_titles,
    make_queries,
)

from wares.data.corpus import Corpus
from wares.data.terms import analyse
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.labelers.rm3 import RM3
from wares.ranking.scoring import NO_LISTING

THREE = ("red boots", "boots leather", "leather gloves")


def test_feedback_retrieves_listings_without_a_query_word() -> None:
    """The one red listing says boots as well: the query becomes 3/4 red, 1/4 boots, and finds the other boots."""
    corpus = corpus_of_titles(*THREE)
    scorer = RM3(feedback_listings=1, original_weight=0.5).fit(corpus)
    weights = scorer.expand(make_queries("red")).toarray()[0]
    assert dict(zip(corpus.term_counts.term_list, weights.tolist(), strict=True)) == {
        "red": 0.75,
        "boot": 0.25,
        "leather": 0,
        "glove": 0,
    }
    assert scorer.retrieve(make_queries("red"), 3).listings.tolist() == [[0, 1, NO_LISTING]]
    assert BM25().fit(corpus).retrieve(make_queries("red"), 3).listings.tolist() == [[0, NO_LISTING, NO_LISTING]]


def test_feedback_can_replace_the_query() -> None:
    """Of "boots", the first two listings say as much; with one term kept, boots is what they share."""
    corpus = corpus_of_titles(*THREE)
    scorer = RM3(feedback_listings=2, feedback_terms=1, original_weight=0.0).fit(corpus)
    weights = scorer.expand(make_queries("boots")).toarray()[0]
    assert dict(zip(corpus.term_counts.term_list, weights.tolist(), strict=True))["boot"] == pytest.approx(1)
    two_terms = (
        RM3(feedback_listings=2, feedback_terms=2, original_weight=0.0)
        .fit(corpus)
        .expand(make_queries("boots"))
        .toarray()[0]
    )
    np.testing.assert_allclose(sorted(two_terms), [0, 0, 1 / 3, 2 / 3], rtol=1e-5)


def test_feedback_is_weighted_by_score() -> None:
    """And each listing's terms by how often they are in it: Σ p(term | listing) p(listing | query)."""
    corpus = corpus_of_titles("red red boots", "red gloves scarf hat", "mug")
    bm25 = BM25().fit(corpus).score(make_queries("red"), np.array([[0, 1]]))[0]
    weights = RM3(original_weight=0.0).fit(corpus).expand(make_queries("red")).toarray()[0]
    weights_of_listings = bm25 / bm25.sum()
    expected = {
        "red": weights_of_listings[0] * 2 / 3 + weights_of_listings[1] / 4,
        "boot": weights_of_listings[0] / 3,
        "glove": weights_of_listings[1] / 4,
    }
    for term, weight in expected.items():
        assert weights[corpus.term_counts.vocabulary[term]] == pytest.approx(float(weight), rel=1e-5)
    assert weights_of_listings[0] > weights_of_listings[1] + 0.05


def test_without_feedback_rm3_equals_bm25(goods: Corpus) -> None:
    """Scores are those of BM25 for a word of the query on average."""
    plain, expanded = BM25().fit(goods), RM3(original_weight=1.0).fit(goods)
    words = np.array([[len(analyse(query.text))] for query in QUERIES])
    expected, scorer = plain.retrieve(QUERIES, 7), expanded.retrieve(QUERIES, 7)
    np.testing.assert_array_equal(scorer.listings, expected.listings)
    np.testing.assert_allclose(scorer.scores * words, expected.scores, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(DOCUMENTS, QUERY_TEXTS, st.integers(1, 4), st.integers(1, 4), st.floats(0, 1))
def test_expanded_queries_are_distributions(
    documents: list[str], texts: list[str], first: int, terms: int, original: float
) -> None:
    corpus = corpus_of_titles(*documents)
    scorer = RM3(first, terms, original).fit(corpus)
    rows = scorer.expand(make_queries(*texts)).toarray()
    for text, row in zip(texts, rows, strict=True):
        known = {term for term in analyse(text) if term in corpus.term_counts.vocabulary}
        assert (row >= 0).all()
        assert row.sum() == pytest.approx(1 if known else 0, abs=1e-5)
        assert (row > 0).sum() <= len(known) + terms
