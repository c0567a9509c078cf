"""BM25 against its formula and against bm25s."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labeler_cases import (
    DOCUMENTS,
    QUERIES,
    QUERY_TEXTS,
    all_listings,
    corpus_of_titles,
    make_queries,
)
from odd_queries import check

from wares.data.corpus import Corpus
from wares.data.terms import analyse
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.scoring import NO_LISTING


def plain_bm25(documents: Sequence[str], query: str, k1: float, b: float) -> list[float]:
    """Lucene's form: Σ ln(1 + (N - df + ½) / (df + ½)) tf / (tf + k1 (1 - b + b length / average))."""
    counts = [Counter(analyse(text)) for text in documents]
    average = sum(listing_counts.total() for listing_counts in counts) / len(counts)
    scores = []
    for listing_counts in counts:
        score = 0.0
        for term in analyse(query):
            holding = sum(term in other for other in counts)
            if listing_counts[term]:
                idf = math.log(1 + (len(counts) - holding + 0.5) / (holding + 0.5))
                score += (
                    idf
                    * listing_counts[term]
                    / (listing_counts[term] + k1 * (1 - b + b * listing_counts.total() / average))
                )
        scores.append(score)
    return scores


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS, QUERY_TEXTS, st.sampled_from([0.0, 0.9, 1.2, 3.0]), st.sampled_from([0.0, 0.4, 0.75, 1.0]))
def test_bm25_equals_its_formula(documents: list[str], texts: list[str], k1: float, b: float) -> None:
    corpus = corpus_of_titles(*documents)
    scorer = BM25(k1, b).fit(corpus)
    queries = make_queries(*texts)
    scores, labels = scorer.score(queries, all_listings(queries, corpus)), scorer.retrieve(queries, len(documents) + 1)
    check(labels, len(queries), len(documents) + 1, len(documents))
    known = {term for text in documents for term in analyse(text)}
    for text, row, listings, values in zip(texts, scores, labels.listings, labels.scores, strict=True):
        expected = np.array(plain_bm25(documents, text, k1, b))
        if known & set(analyse(text)):
            np.testing.assert_allclose(row, expected, rtol=1e-5)
        else:
            assert np.isnan(row).all()
        present = listings != NO_LISTING
        assert sorted(listings[present].tolist()) == np.flatnonzero(expected > 0).tolist()
        np.testing.assert_allclose(values[present], expected[listings[present]], rtol=1e-5)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (0.0, 1.0), (2.0, 0.0)])
def test_bm25_equals_bm25s(goods: Corpus, k1: float, b: float) -> None:
    """Indexed from words, as its own documentation does."""
    import bm25s

    oracle = bm25s.BM25(k1=k1, b=b, method="lucene")
    oracle.index([analyse(text) for text in goods.texts], show_progress=False)
    scores = BM25(k1, b).fit(goods).score(QUERIES, all_listings(QUERIES, goods))
    for query, row in zip(QUERIES, scores, strict=True):
        np.testing.assert_allclose(row, oracle.get_scores(analyse(query.text)), rtol=1e-6)


def test_stop_words_are_found_by_a_query_of_them_alone() -> None:
    """And count neither in lengths nor beside other words."""
    corpus = corpus_of_titles("IT manual", "the manual", "a red manual", "red")
    scorer = BM25().fit(corpus)
    queries = make_queries("IT", "the manual", "it a")
    assert scorer.retrieve(queries, 4).listings.tolist() == [[0, -1, -1, -1], [0, 1, 2, -1], [0, 2, -1, -1]]
    [manual] = scorer.score(queries[1:2], all_listings(queries[1:2], corpus))
    assert manual[0] == manual[1] > manual[2] > manual[3] == 0


def test_scores_do_not_depend_on_the_order_of_the_listings(goods: Corpus) -> None:
    """To the last bit, although columns of terms are numbered as the listings come."""
    forwards, backwards = corpus_of_titles(*goods.texts), corpus_of_titles(*goods.texts[::-1])
    queries = make_queries("red leather boots for the winter", "warm brass desk lamp with a light for coffee")
    scores = [BM25().fit(corpus).score(queries, all_listings(queries, corpus)) for corpus in (forwards, backwards)]
    np.testing.assert_array_equal(scores[0], scores[1][:, ::-1])
