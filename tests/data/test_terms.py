"""Terms of texts and their counts: cases by eye, and `collections.Counter` as the oracle."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.data.terms import TermCounts, analyse

WORDS = ["red", "Boots", "boot", "the", "and", "wool", "running", "runs", "ботинки", "鞋子", "!", "👟", "44"]
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=6)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        (" \n\t", []),
        ("!?… -- 👟👢", []),
        ("the of and", []),
        ("Red BOOTS", ["red", "boot"]),
        ("running runs run", ["run", "run", "run"]),
        ("boots for the winter", ["boot", "winter"]),
        ("size 44.5, 100%", ["size", "44", "5", "100"]),
        ("wool-lined boots/shoes", ["wool", "line", "boot", "shoe"]),
        ("Кожаные ботинки", ["кожаные", "ботинки"]),
        ("حذاء جلد", ["حذاء", "جلد"]),
        ("红色的鞋子，羊毛", ["红色的鞋子", "羊毛"]),
        ("boots ❤️ 👩‍🦰 44 \u0301", ["boot", "44"]),
        ("हिन्दी किताब", ["हिन्दी", "किताब"]),
        ("ผ้าพันคอ สีแดง", ["ผ้าพันคอ", "สีแดง"]),
        ("נַעַל עוֹר", ["נַעַל", "עוֹר"]),
        ("Füße ÉCHARPE", ["füße", "écharp"]),
    ],
)
def test_terms_of_texts_in_many_scripts(text: str, terms: list[str]) -> None:
    """Lower case, no stop words, English stems; words of other languages lose only endings that look English."""
    assert analyse(text) == terms


def test_counts_of_three_texts() -> None:
    terms = TermCounts.from_texts(["red boots, red laces", "the boot", "!"])
    assert terms.vocabulary == {"red": 0, "boot": 1, "lace": 2}
    assert terms.term_list == ["red", "boot", "lace"]
    assert terms.counts.toarray().tolist() == [[2, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert terms.lengths.tolist() == [4, 1, 0]
    assert terms.document_frequency.tolist() == [1, 2, 1]
    assert terms.collection_frequency.tolist() == [2, 2, 1]
    assert (len(terms), terms.vocabulary_size) == (3, 3)


def test_term_ids_keep_order_and_repetition_and_drop_unknown_terms() -> None:
    terms = TermCounts.from_texts(["red boots laces"])
    assert terms.term_ids("boots, GREEN boots of red").tolist() == [1, 1, 0]
    for text in ("", "green", "the", "👟", "靴"):
        ids = terms.term_ids(text)
        assert ids.shape == (0,)
        assert ids.dtype == np.int64


def test_term_ids_of_a_query_do_not_extend_the_vocabulary() -> None:
    terms = TermCounts.from_texts(["red boots"])
    terms.term_ids("green scarf")
    assert terms.vocabulary == {"red": 0, "boot": 1}


@pytest.mark.parametrize("given", [[], [""], ["the", "👟", " "]])
def test_texts_without_terms_have_empty_counts(given: list[str]) -> None:
    terms = TermCounts.from_texts(given)
    assert (len(terms), terms.vocabulary_size, terms.term_list) == (len(given), 0, [])
    assert terms.counts.shape == (len(given), 0)
    assert terms.lengths.tolist() == [0] * len(given)
    assert terms.document_frequency.shape == terms.collection_frequency.shape == (0,)
    assert terms.term_ids("red boots").tolist() == []


def test_texts_can_be_an_iterator() -> None:
    assert (TermCounts.from_texts(text for text in ["red", "red boots"]).counts.toarray() == [[1, 0], [1, 1]]).all()


@given(texts)
def test_counts_equal_those_of_a_counter(given: list[str]) -> None:
    terms = TermCounts.from_texts(given)
    counters = [Counter(analyse(text)) for text in given]
    total = sum(counters, Counter())
    assert set(terms.vocabulary) == set(total)
    assert sorted(terms.vocabulary.values()) == list(range(terms.vocabulary_size))
    for row, counter in zip(terms.counts.toarray(), counters, strict=True):
        assert {word: row[column] for word, column in terms.vocabulary.items() if row[column]} == counter
    assert terms.lengths.tolist() == [counter.total() for counter in counters]
    assert terms.collection_frequency.tolist() == [total[word] for word in terms.term_list]
    assert terms.document_frequency.tolist() == [
        sum(word in counter for counter in counters) for word in terms.term_list
    ]


@given(texts, st.lists(st.sampled_from([*WORDS, "green"]), max_size=6).map(" ".join))
def test_term_ids_are_the_known_terms(given: list[str], query: str) -> None:
    terms = TermCounts.from_texts(given)
    known = {term for text in given for term in analyse(text)}
    assert [terms.term_list[column] for column in terms.term_ids(query)] == [
        term for term in analyse(query) if term in known
    ]


@given(st.text(max_size=30))
def test_a_term_is_in_lower_case_without_spaces(text: str) -> None:
    for term in analyse(text):
        assert term
        assert not any(letter.isspace() for letter in term)
        assert term == term.lower()
