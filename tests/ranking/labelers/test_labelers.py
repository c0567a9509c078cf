"""Labelers: contracts over every member, cases by eye, and the formulas in plain Python as oracles.

The contracts also hold for a plain function, which is a labeler without a name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_queries import ODD, UNKNOWN, WORDLESS, check
from toys import write_photos

from wares.core.errors import EvaluationError, PhotoError, SettingsError
from wares.core.specs import format_spec
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.runs import write_run
from wares.data.terms import analyse
from wares.encoders.registry import build_towers
from wares.ranking.labelers.bm25 import BM25
from wares.ranking.labelers.embedding_scorer import QUERY_BATCH_SIZE, EmbeddingScorer
from wares.ranking.labelers.function import labeler
from wares.ranking.labelers.query_likelihood import QueryLikelihood
from wares.ranking.labelers.registry import get_labeler, labelers
from wares.ranking.labelers.rm3 import RM3
from wares.ranking.labelers.run_file import RunLabeler
from wares.ranking.labelers.two_tower import TwoTowerLabeler
from wares.ranking.rankers.two_tower import TwoTowerRanker
from wares.ranking.scoring import NO_LISTING, Labeler, Labels, Scorer

NAMES = [*labelers(), "a function"]
LEXICAL = ["bm25", "query-likelihood", "rm3"]
FUNCTIONS = ["function", "a function"]

LISTINGS = (
    Listing("boots", "Red leather boots", "Warm boots for winter", ("Shoes",), ("boots-red.png",)),
    Listing("sandals", "Leather sandals", "For the beach", ("Shoes",)),
    Listing("scarf", "Red wool scarf", "", ("Wool",)),
    Listing("mug", "Coffee mug", "A mug, dishwasher safe, for coffee and for tea"),
    Listing("sign", "!!!"),
    Listing("valenki", "Валенки", "Красные ботинки"),
    Listing("lamp", "Desk lamp", "Brass lamp with a warm light"),
)
QUERIES = [
    Query(f"q{place}", text) for place, text in enumerate(["red boots", "warm", "coffee mug", "leather leather"])
]


def corpus(*listings: Listing, folder: Path = Path("/shop")) -> Corpus:
    return Corpus(Catalogue(folder, listings))


def titles(*texts: str) -> Corpus:
    return corpus(*(Listing(str(place), text) for place, text in enumerate(texts)))


def asked(*texts: str) -> list[Query]:
    return [Query(f"q{place}", text) for place, text in enumerate(texts)]


def everywhere(queries: Sequence[Query], over: Corpus) -> npt.NDArray[np.int64]:
    """Every listing, for every query."""
    return np.tile(np.arange(len(over)), (len(queries), 1))


@labeler
def letters(query: str, listings: Sequence[Listing]) -> list[float | None]:
    """How many letters of the query's first word are in the title; nothing to say where none is."""
    word = (query.split() or [""])[0]
    return [float(sum(letter in each.title for letter in word)) or None for each in listings]


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

    def build(name: str, over: Corpus) -> Labeler:
        if name == "a function":
            return letters
        random = np.random.default_rng(4)
        run = {query.id: dict(zip(over.ids[:5], random.normal(size=5).tolist(), strict=False)) for query in QUERIES[:3]}
        write_run(run, folder / "run.txt")
        told = {
            "dense": "dense(towers='small')",
            "two-tower": f"two-tower(model={str(folder / 'model')!r})",
            "run": f"run(file={str(folder / 'run.txt')!r})",
            "function": f"function(file={str(folder / 'labels.py')!r}, name='letters')",
        }
        return get_labeler(told.get(name, name))

    return build


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("goods")
    write_photos(folder, LISTINGS)
    return corpus(*LISTINGS, folder=folder)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scorer(name: str, member: Member, goods: Corpus) -> Scorer:
    return member(name, goods).fit(goods)


def same(one: Labels, other: Labels) -> None:
    np.testing.assert_array_equal(one.listings, other.listings)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5, atol=1e-6)


# Contracts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, len(LISTINGS), 20])
def test_labels_have_their_shape(scorer: Scorer, k: int) -> None:
    """Also where k is larger than the corpus."""
    labels = scorer.retrieve(QUERIES, k)
    check(labels, len(QUERIES), k, len(LISTINGS))
    assert labels.present[0].any()


def test_fewer_are_the_first_of_more(scorer: Scorer) -> None:
    few, many = scorer.retrieve(QUERIES, 2), scorer.retrieve(QUERIES, len(LISTINGS)).top(2)
    np.testing.assert_allclose(few.scores, many.scores, rtol=1e-5)  # equal scores may bring either listing


def test_scores_of_what_was_retrieved_are_the_same(scorer: Scorer) -> None:
    labels = scorer.retrieve(QUERIES, 20)
    scores = scorer.score(QUERIES, labels.listings)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, labels.scores, rtol=1e-5, atol=1e-6)


def test_what_scores_best_is_retrieved(scorer: Scorer, name: str, goods: Corpus) -> None:
    """Of all listings; a lexical labeler retrieves those that share a term only, and a run those that it has; both
    score them all.
    """
    labels = scorer.retrieve(QUERIES, 20)
    scores = scorer.score(QUERIES, everywhere(QUERIES, goods))
    if name not in [*LEXICAL, "run"]:
        assert (~np.isnan(scores)).sum(axis=1).tolist() == labels.present.sum(axis=1).tolist()
    for row, found, there in zip(scores, labels.listings, labels.present, strict=True):
        if there.any():
            assert row[found[0]] == np.nanmax(row)


def test_scores_stand_where_they_were_asked_for(scorer: Scorer) -> None:
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
    same(scorer.retrieve(QUERIES, 7), backwards.select(slice(None, None, -1)))
    same(scorer.retrieve(QUERIES[1:2], 7), backwards.select(np.array([2])))


def test_asked_twice_it_says_the_same(scorer: Scorer) -> None:
    one, other = scorer.retrieve(QUERIES, 5), scorer.retrieve([*QUERIES, *QUERIES], 5)
    same(one, other.select(slice(0, 4)))
    same(one, other.select(slice(4, 8)))


def test_many_queries_are_as_good_as_one(scorer: Scorer) -> None:
    """More than are held at once."""
    many = [QUERIES[place % 4] for place in range(2 * QUERY_BATCH_SIZE + 3)]
    labels = scorer.retrieve(many, 3)
    few = scorer.retrieve(QUERIES, 3)
    same(labels, few.select(np.arange(len(many)) % 4))
    np.testing.assert_allclose(scorer.score(many, labels.listings), labels.scores, rtol=1e-5, atol=1e-6)


def test_no_queries(scorer: Scorer) -> None:
    check(scorer.retrieve([], 4), 0, 4, len(LISTINGS))
    assert scorer.score([], np.zeros((0, 4), dtype=np.int64)).shape == (0, 4)


@pytest.mark.parametrize("kind", ODD)
def test_odd_queries_are_ranked_or_left(scorer: Scorer, name: str, goods: Corpus, kind: str) -> None:
    """Alone and among others; never an exception, and never half an answer."""
    odd = Query("odd", ODD[kind])
    labels = scorer.retrieve([QUERIES[0], odd, QUERIES[1]], 9)
    check(labels, 3, 9, len(LISTINGS))
    same(labels.select(slice(0, 1)), scorer.retrieve(QUERIES[:1], 9))
    same(labels.select(slice(1, 2)), scorer.retrieve([odd], 9))
    scores = scorer.score([odd], everywhere([odd], goods))
    silent = kind in WORDLESS or name == "run" or (name in LEXICAL and kind in [*UNKNOWN, "one long word"])
    if silent:
        assert not labels.present[1].any()
        assert np.isnan(scores).all()
    elif name not in FUNCTIONS:
        assert labels.present[1].any()
        assert np.isfinite(scores).all()


def test_a_corpus_of_one_listing(name: str, member: Member) -> None:
    only = corpus(Listing("boots", "Red leather boots"))
    alone = member(name, only).fit(only)
    labels = alone.retrieve(QUERIES[:1], 3)
    check(labels, 1, 3, 1)
    assert labels.listings.tolist() == [[0, NO_LISTING, NO_LISTING]]
    np.testing.assert_allclose(alone.score(QUERIES[:1], labels.listings), labels.scores, rtol=1e-5)


@pytest.mark.parametrize("name", LEXICAL)
def test_a_corpus_without_words(name: str) -> None:
    over = titles("!!!", "👟")
    alone = get_labeler(name).fit(over)
    labels = alone.retrieve(QUERIES, 3)
    check(labels, 4, 3, 2)
    assert not labels.present.any()
    assert np.isnan(alone.score(QUERIES, everywhere(QUERIES, over))).all()


@pytest.mark.parametrize("name", labelers())
def test_names_print_and_parse_to_the_same_thing(name: str, member: Member, goods: Corpus) -> None:
    found = member(name, goods)
    assert get_labeler(format_spec(found, labelers())) == found
    assert type(found) is labelers()[name]


# Names and settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "bm25",
        "bm25(k1=0.9, b=0.4)",
        "query-likelihood(mu=50.0)",
        "rm3(feedback_listings=5, original_weight=0.7)",
        "dense(towers='small')",
    ],
)
def test_names_by_eye(text: str) -> None:
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
def test_settings_are_numbers(value: float) -> None:
    for wrong in (lambda: BM25(k1=value), lambda: QueryLikelihood(value), lambda: RM3(original_weight=value)):
        with pytest.raises(SettingsError):
            wrong()


# Labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_sorted() -> None:
    """Equal scores in the order of the corpus; a listing without a score is none, and a score without a listing."""
    nan = math.nan
    listings = np.array([[4, 2, 9, 7], [1, NO_LISTING, 3, 5]])
    scores = np.array([[1.0, 1.0, nan, 2.0], [-1.0, 8.0, nan, 0.0]], dtype=np.float32)
    labels = Labels.from_scores(listings, scores)
    assert labels.listings.tolist() == [[7, 2, 4, NO_LISTING], [5, 1, NO_LISTING, NO_LISTING]]
    np.testing.assert_array_equal(labels.scores, [[2, 1, 1, nan], [0, -1, nan, nan]])
    assert labels.top(2).listings.tolist() == [[7, 2], [5, 1]]
    assert labels.select(np.array([1])).listings.tolist() == [[5, 1, NO_LISTING, NO_LISTING]]


@given(
    st.lists(
        st.tuples(st.one_of(st.integers(0, 20), st.just(NO_LISTING)), st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.nan])),
        max_size=8,
        unique_by=lambda pair: pair[0],
    )
)
def test_labels_are_those_of_pythons_sort(pairs: list[tuple[int, float]]) -> None:
    listings = np.array([[listing for listing, _ in pairs]], dtype=np.int64)
    labels = Labels.from_scores(listings, np.array([[score for _, score in pairs]], dtype=np.float32))
    check(labels, 1, len(pairs), 21)
    said = [(-score, listing) for listing, score in pairs if listing != NO_LISTING and not math.isnan(score)]
    there = labels.present[0]
    assert labels.listings[0, there].tolist() == [listing for _, listing in sorted(said)]
    assert (-labels.scores[0, there]).tolist() == [score for score, _ in sorted(said)]


@given(
    known=st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 5), max_size=4), min_size=1, max_size=3),
    asked=st.lists(st.integers(-1, 12), min_size=1, max_size=8),
)
def test_what_was_said_is_found_by_its_listing(known: list[dict[int, int]], asked: list[int]) -> None:
    """NaN of others, and where no listing is asked for."""
    listings = np.array([[*each, *[NO_LISTING] * (4 - len(each))] for each in known], dtype=np.int64)
    scores = np.array([[*each.values(), *[np.nan] * (4 - len(each))] for each in known], dtype=np.float32)
    found = Labels(listings, scores).scores_of(np.array([asked] * len(known), dtype=np.int64))
    expected = np.array([[each.get(place, np.nan) for place in asked] for each in known], dtype=np.float32)
    np.testing.assert_array_equal(found, expected)


# Words in common -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEXICAL)
def test_lexical_labelers_by_eye(name: str, goods: Corpus) -> None:
    """Two listings say red, and one of them boots; one is Russian; stems are one word."""
    over = get_labeler(name).fit(goods)
    labels = over.retrieve(asked("red boot", "ботинки", "mugs"), 1)
    assert labels.listings.tolist() == [[0], [5], [3]]


@pytest.mark.parametrize("name", ["bm25", "query-likelihood"])
def test_only_what_shares_a_term_is_retrieved(name: str, goods: Corpus) -> None:
    labels = get_labeler(name).fit(goods).retrieve(QUERIES, len(LISTINGS))
    for query, row in zip(QUERIES, labels.listings.tolist(), strict=True):
        sharing = {i for i, text in enumerate(goods.texts) if set(analyse(text)) & set(analyse(query.text))}
        assert {place for place in row if place != NO_LISTING} == sharing
    if name == "bm25":
        assert (labels.scores[labels.present] > 0).all()


WORDS = ["red", "boot", "wool", "mug", "lamp", "desk"]
documents = st.lists(st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join), min_size=1, max_size=6)
queries = st.lists(st.lists(st.sampled_from([*WORDS, "green"]), max_size=5).map(" ".join), min_size=1, max_size=3)


def plain_bm25(documents: Sequence[str], query: str, k1: float, b: float) -> list[float]:
    """Lucene's form: Σ ln(1 + (N - df + ½) / (df + ½)) tf / (tf + k1 (1 - b + b length / average))."""
    counts = [Counter(analyse(text)) for text in documents]
    average = sum(each.total() for each in counts) / len(counts)
    scores = []
    for each in counts:
        score = 0.0
        for term in analyse(query):
            holding = sum(term in other for other in counts)
            if each[term]:
                idf = math.log(1 + (len(counts) - holding + 0.5) / (holding + 0.5))
                score += idf * each[term] / (each[term] + k1 * (1 - b + b * each.total() / average))
        scores.append(score)
    return scores


@settings(max_examples=40, deadline=None)
@given(documents, queries, st.sampled_from([0.0, 0.9, 1.2, 3.0]), st.sampled_from([0.0, 0.4, 0.75, 1.0]))
def test_bm25_is_its_formula(documents: list[str], texts: list[str], k1: float, b: float) -> None:
    over = titles(*documents)
    found = BM25(k1, b).fit(over)
    queries = asked(*texts)
    scores, labels = found.score(queries, everywhere(queries, over)), found.retrieve(queries, len(documents) + 1)
    check(labels, len(queries), len(documents) + 1, len(documents))
    known = {term for text in documents for term in analyse(text)}
    for text, row, listings, values in zip(texts, scores, labels.listings, labels.scores, strict=True):
        expected = np.array(plain_bm25(documents, text, k1, b))
        if known & set(analyse(text)):
            np.testing.assert_allclose(row, expected, rtol=1e-5)
        else:
            assert np.isnan(row).all()
        there = listings != NO_LISTING
        assert sorted(listings[there].tolist()) == np.flatnonzero(expected > 0).tolist()
        np.testing.assert_allclose(values[there], expected[listings[there]], rtol=1e-5)


def test_bm25_is_that_of_bm25s(goods: Corpus) -> None:
    """Indexed from words, as its own documentation does."""
    import bm25s

    oracle = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    oracle.index([analyse(text) for text in goods.texts], show_progress=False)
    scores = BM25(0.9, 0.4).fit(goods).score(QUERIES, everywhere(QUERIES, goods))
    for query, row in zip(QUERIES, scores, strict=True):
        np.testing.assert_allclose(row, oracle.get_scores(analyse(query.text)), rtol=1e-5)


def plain_likelihood(documents: Sequence[str], query: str, mu: float) -> list[float]:
    """log p(query | listing) - log p(query | corpus), of terms that the corpus knows."""
    counts = [Counter(analyse(text)) for text in documents]
    total = sum(counts, Counter[str]())
    scores = []
    for each in counts:
        score = 0.0
        for term in analyse(query):
            if total[term]:
                background = total[term] / total.total()
                score += math.log((each[term] + mu * background) / (each.total() + mu)) - math.log(background)
        scores.append(score)
    return scores


@settings(max_examples=40, deadline=None)
@given(documents, queries, st.sampled_from([0.5, 10.0, 1000.0]))
def test_query_likelihood_is_its_formula(documents: list[str], texts: list[str], mu: float) -> None:
    over = titles(*documents)
    found = QueryLikelihood(mu).fit(over)
    queries = asked(*texts)
    scores, labels = found.score(queries, everywhere(queries, over)), found.retrieve(queries, len(documents) + 1)
    check(labels, len(queries), len(documents) + 1, len(documents))
    for text, row, listings, values in zip(texts, scores, labels.listings, labels.scores, strict=True):
        expected, wanted = np.array(plain_likelihood(documents, text, mu)), set(analyse(text))
        if any(wanted & set(analyse(document)) for document in documents):
            np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
        else:
            assert np.isnan(row).all()
        there = listings != NO_LISTING
        sharing = [place for place, document in enumerate(documents) if wanted & set(analyse(document))]
        assert sorted(listings[there].tolist()) == sharing
        np.testing.assert_allclose(values[there], expected[listings[there]], rtol=1e-4, atol=1e-5)


# Feedback --------------------------------------------------------------------------------------------------------

THREE = ("red boots", "boots leather", "leather gloves")


def test_feedback_brings_what_shares_no_word() -> None:
    """The one red listing says boots as well: the query becomes 3/4 red, 1/4 boots, and finds the other boots."""
    over = titles(*THREE)
    found = RM3(feedback_listings=1, original_weight=0.5).fit(over)
    weights = found.expand(asked("red")).toarray()[0]
    assert dict(zip(over.term_counts.term_list, weights.tolist(), strict=True)) == {
        "red": 0.75,
        "boot": 0.25,
        "leather": 0,
        "glove": 0,
    }
    assert found.retrieve(asked("red"), 3).listings.tolist() == [[0, 1, NO_LISTING]]
    assert BM25().fit(over).retrieve(asked("red"), 3).listings.tolist() == [[0, NO_LISTING, NO_LISTING]]


def test_a_query_may_be_forgotten_for_its_feedback() -> None:
    """Of "boots", the first two listings say as much; with one term kept, boots is what they share."""
    over = titles(*THREE)
    found = RM3(feedback_listings=2, feedback_terms=1, original_weight=0.0).fit(over)
    weights = found.expand(asked("boots")).toarray()[0]
    assert dict(zip(over.term_counts.term_list, weights.tolist(), strict=True))["boot"] == pytest.approx(1)
    wide = RM3(feedback_listings=2, feedback_terms=2, original_weight=0.0).fit(over).expand(asked("boots")).toarray()[0]
    np.testing.assert_allclose(sorted(wide), [0, 0, 1 / 3, 2 / 3], rtol=1e-5)


def test_feedback_counts_by_score() -> None:
    """And each listing's terms by how often they are in it: Σ p(term | listing) p(listing | query)."""
    over = titles("red red boots", "red gloves scarf hat", "mug")
    bm25 = BM25().fit(over).score(asked("red"), np.array([[0, 1]]))[0]
    weights = RM3(original_weight=0.0).fit(over).expand(asked("red")).toarray()[0]
    shares = bm25 / bm25.sum()
    expected = {"red": shares[0] * 2 / 3 + shares[1] / 4, "boot": shares[0] / 3, "glove": shares[1] / 4}
    for term, weight in expected.items():
        assert weights[over.term_counts.vocabulary[term]] == pytest.approx(float(weight), rel=1e-5)
    assert shares[0] > shares[1] + 0.05


def test_without_feedback_it_is_bm25(goods: Corpus) -> None:
    """Scores are those of BM25 for a word of the query on average."""
    plain, fed = BM25().fit(goods), RM3(original_weight=1.0).fit(goods)
    words = np.array([[len(analyse(query.text))] for query in QUERIES])
    expected, found = plain.retrieve(QUERIES, 7), fed.retrieve(QUERIES, 7)
    np.testing.assert_array_equal(found.listings, expected.listings)
    np.testing.assert_allclose(found.scores * words, expected.scores, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(documents, queries, st.integers(1, 4), st.integers(1, 4), st.floats(0, 1))
def test_extended_queries_are_distributions(
    documents: list[str], texts: list[str], first: int, terms: int, original: float
) -> None:
    over = titles(*documents)
    found = RM3(first, terms, original).fit(over)
    rows = found.expand(asked(*texts)).toarray()
    for text, row in zip(texts, rows, strict=True):
        known = {term for term in analyse(text) if term in over.term_counts.vocabulary}
        assert (row >= 0).all()
        assert row.sum() == pytest.approx(1 if known else 0, abs=1e-5)
        assert (row > 0).sum() <= len(known) + terms


# Vectors ---------------------------------------------------------------------------------------------------------


def test_nearest_vectors_are_those_of_a_sort() -> None:
    random = np.random.default_rng(6)
    listings = random.normal(size=(40, 8)).astype(np.float32)
    vectors = random.normal(size=(QUERY_BATCH_SIZE + 44, 8)).astype(np.float32)
    found = EmbeddingScorer(listings, lambda texts: vectors[[int(text) for text in texts]])
    queries = asked(*map(str, range(len(vectors))))
    products = vectors @ listings.T
    labels = found.retrieve(queries, 5)
    np.testing.assert_array_equal(labels.listings, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(labels.scores, -np.sort(-products, axis=1)[:, :5], rtol=1e-5, atol=1e-5)
    few = random.integers(0, 40, size=(len(queries), 3))
    np.testing.assert_allclose(
        found.score(queries, few), np.take_along_axis(products, few, axis=1), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("work", ["labels", "learns"])
def test_two_tower_stops_at_a_photo_that_is_damaged_or_notes_it(work: str, tmp_path: Path) -> None:
    write_photos(tmp_path, LISTINGS)
    photo = tmp_path / "boots-red.png"
    photo.write_bytes(photo.read_bytes()[:40])
    build_towers("small", 2).save(tmp_path / "model")
    model = str(tmp_path / "model")

    def use(over: Corpus) -> object:
        return TwoTowerLabeler(model).fit(over) if work == "labels" else TwoTowerRanker(model).fit(over, 0)

    with pytest.raises(PhotoError, match=r"boots-red\.png"):
        use(corpus(*LISTINGS, folder=tmp_path))
    skipping = Corpus(Catalogue(tmp_path, LISTINGS), "skip")
    for _ in range(2):
        use(skipping)
    assert ["boots-red.png" in str(problem) for problem in skipping.problems] == [True]


def test_two_tower_scores_are_those_of_fused_embeddings(goods: Corpus, tmp_path: Path) -> None:
    from wares.encoders.features import embed, embed_texts
    from wares.encoders.fusion import fuse

    towers = build_towers("small", seed=3)
    towers.save(tmp_path / "model")
    expected = (
        embed_texts([query.text for query in QUERIES], towers)
        @ fuse(embed(goods.catalogue, towers), towers.fusion).vectors.T
    )
    found = TwoTowerLabeler(str(tmp_path / "model")).fit(goods).score(QUERIES, everywhere(QUERIES, goods))
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Runs and functions ----------------------------------------------------------------------------------------------


def test_a_run_is_what_its_file_says(tmp_path: Path) -> None:
    """By scores, not by ranks; equal scores in the order of the corpus; what it does not have is a step below."""
    rows = ["b 1 0.5", "a 2 2.5", "c 3 0.5"]
    (tmp_path / "run.txt").write_text("".join(f"q1 Q0 {row} x\n" for row in rows), encoding="utf-8")
    over = corpus(*(Listing(each, each) for each in "abcd"))
    found = RunLabeler(str(tmp_path / "run.txt")).fit(over)
    queries = [Query("q2", "a"), Query("q1", "")]
    labels = found.retrieve(queries, 5)
    assert labels.listings.tolist() == [[NO_LISTING] * 5, [0, 1, 2, NO_LISTING, NO_LISTING]]
    np.testing.assert_array_equal(labels.scores[1], [2.5, 0.5, 0.5, math.nan, math.nan])
    scores = found.score(queries, np.array([[0, 1, 2], [3, 1, NO_LISTING]]))
    np.testing.assert_array_equal(scores, [[math.nan] * 3, [-0.5, 0.5, math.nan]])


def test_a_run_of_another_corpus_is_refused(tmp_path: Path) -> None:
    write_run({"q1": {"a": 1.0}, "q2": {"gone": 0.5, "a": 0.7}}, tmp_path / "run.txt")
    with pytest.raises(EvaluationError) as met:
        RunLabeler(str(tmp_path / "run.txt")).fit(corpus(Listing("a", "a")))
    problem, remedy = "listing 'gone' is not in the corpus", "Use the corpus that the run was made on"
    assert str(met.value) == f"{tmp_path / 'run.txt'}, query q2: {problem}. {remedy}."


def test_a_run_with_scores_too_large_is_refused(tmp_path: Path) -> None:
    write_run({"q1": {"a": -1e39}}, tmp_path / "run.txt")
    with pytest.raises(EvaluationError, match=re.escape("run.txt, query q1: score -1e+39 is too large. Scale the")):
        RunLabeler(str(tmp_path / "run.txt")).fit(corpus(Listing("a", "a")))


def test_a_function_may_abstain() -> None:
    @labeler
    def cheap(query: str, listings: Sequence[Listing]) -> list[float | None]:
        return [None if each.price is None or query == "free" else -each.price for each in listings]

    prices = (3.0, None, 1.0, 2.0)
    over = corpus(*(Listing(str(place), "thing", price=price) for place, price in enumerate(prices)))
    found = cheap.fit(over)
    labels = found.retrieve(asked("thing", "free"), 5)
    assert labels.listings.tolist() == [[2, 3, 0, NO_LISTING, NO_LISTING], [NO_LISTING] * 5]
    np.testing.assert_array_equal(labels.scores[0], [-1, -2, -3, math.nan, math.nan])
    assert np.isnan(labels.scores[1]).all()
    np.testing.assert_array_equal(
        found.score(asked("thing", "free"), np.array([[1, 0], [2, 3]])), [[math.nan, -3], [math.nan, math.nan]]
    )


def test_a_function_is_asked_about_listings_that_are_there() -> None:
    met: list[tuple[str, list[str]]] = []

    def told(query: str, listings: Sequence[Listing]) -> list[float]:
        met.append((query, [each.id for each in listings]))
        return [1.0] * len(listings)

    scores = labeler(told).fit(titles("a", "b", "c")).score(asked("x"), np.array([[2, NO_LISTING, 0]]))
    assert met == [("x", ["2", "0"])]
    np.testing.assert_array_equal(scores, [[1, math.nan, 1]])


@pytest.mark.parametrize("given_scores", [[], [1.0], [1.0, 2.0, None]])
def test_a_function_says_one_thing_for_each_listing(given_scores: list[float | None]) -> None:
    @labeler
    def hasty(query: str, listings: Sequence[Listing]) -> list[float | None]:
        return given_scores

    found = hasty.fit(titles("red boots", "mug"))
    message = f"hasty returned {len(given_scores)} scores for 2 listings of 'red boots'."
    with pytest.raises(SettingsError, match=re.escape(message)):
        found.retrieve(asked("red boots"), 1)
    with pytest.raises(SettingsError, match=re.escape(message)):
        found.score(asked("red boots"), np.array([[0, 1]]))


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


def test_functions_of_a_file(my_labels: Callable[[str], Labeler]) -> None:
    """With the decorator or without it; a name with a setting prints as it was written."""
    over = corpus(*(Listing(str(place), "thing", price=price) for place, price in enumerate((4.0, None, 1.0))))
    assert my_labels("cheap").fit(over).retrieve(asked("thing"), 3).listings.tolist() == [[2, 0, NO_LISTING]]
    assert my_labels("dear").fit(over).retrieve(asked("thing"), 3).listings.tolist() == [[0, 2, NO_LISTING]]
    text = "function(file='my_labels.py', name='cheap')"
    assert format_spec(get_labeler(text), labelers()) == text


def test_a_function_of_a_file_can_be_sent_to_another_process(my_labels: Callable[[str], Labeler]) -> None:
    import pickle

    over = my_labels("dear").fit(corpus(Listing("a", "a", price=2.0), Listing("b", "b", price=3.0)))
    same(pickle.loads(pickle.dumps(over)).retrieve(asked("x"), 2), over.retrieve(asked("x"), 2))


def test_scores_that_are_not_finite_are_no_labels(my_labels: Callable[[str], Labeler]) -> None:
    """Nor those too large for single precision."""
    labels = my_labels("wild").fit(titles("a", "b", "c", "d", "e")).retrieve(asked("x"), 5)
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
def test_functions_that_cannot_be_used(name: str, message: str, my_labels: Callable[[str], Labeler]) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as met:
        my_labels(name).fit(titles("mug")).retrieve(asked("mug"), 1)
    assert len(str(met.value).splitlines()) == 1


def test_a_long_query_is_cut_in_a_message(my_labels: Callable[[str], Labeler]) -> None:
    with pytest.raises(SettingsError) as met:
        my_labels("broken").fit(titles("mug")).retrieve(asked("mug " * 2500), 1)
    assert len(str(met.value)) < 250


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
def test_files_that_cannot_be_used(source: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.py"
    if source is not None:
        file.write_text(source, encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(message)) as met:
        get_labeler(f"function(file={str(file)!r}, name='f')").fit(titles("mug"))
    assert len(str(met.value).splitlines()) == 1
