"""Query likelihood against its formula."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from labeler_cases import (
    DOCUMENTS,
    QUERY_TEXTS,
    all_listings,
    corpus_of_titles,
    make_queries,
)
from odd_queries import check

from wares.data.terms import analyse
from wares.ranking.labelers.query_likelihood import QueryLikelihood
from wares.ranking.scoring import NO_LISTING


def plain_likelihood(documents: Sequence[str], query: str, mu: float) -> list[float]:
    """log p(query | listing) - log p(query | corpus), of terms that the corpus knows."""
    counts = [Counter(analyse(text)) for text in documents]
    total = sum(counts, Counter[str]())
    scores = []
    for listing_counts in counts:
        score = 0.0
        for term in analyse(query):
            if total[term]:
                background = total[term] / total.total()
                score += math.log((listing_counts[term] + mu * background) / (listing_counts.total() + mu)) - math.log(
                    background
                )
        scores.append(score)
    return scores


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS, QUERY_TEXTS, st.sampled_from([0.5, 10.0, 1000.0, None]))
def test_query_likelihood_equals_its_formula(documents: list[str], texts: list[str], given_mu: float | None) -> None:
    """Without a number, mu is the mean length of the listings."""
    corpus = corpus_of_titles(*documents)
    scorer = QueryLikelihood(given_mu).fit(corpus)
    mu = given_mu or sum(len(analyse(text)) for text in documents) / len(documents)
    queries = make_queries(*texts)
    scores, labels = scorer.score(queries, all_listings(queries, corpus)), scorer.retrieve(queries, len(documents) + 1)
    check(labels, len(queries), len(documents) + 1, len(documents))
    for text, row, listings, values in zip(texts, scores, labels.listings, labels.scores, strict=True):
        expected, wanted = np.array(plain_likelihood(documents, text, mu)), set(analyse(text))
        if any(wanted & set(analyse(document)) for document in documents):
            np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
        else:
            assert np.isnan(row).all()
        present = listings != NO_LISTING
        sharing = [index for index, document in enumerate(documents) if wanted & set(analyse(document))]
        assert sorted(listings[present].tolist()) == sharing
        np.testing.assert_allclose(values[present], expected[listings[present]], rtol=1e-4, atol=1e-5)
