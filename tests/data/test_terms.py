"""Terms of texts and their counts: cases by eye, and `collections.Counter` as the oracle."""

from __future__ import annotations

import unicodedata
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
        ("the of and", ["the", "of", "and"]),
        ("IT", ["it"]),
        ("IT for the office", ["offic"]),
        ("women's boots, men’s shoes", ["women", "boot", "men", "shoe"]),
        ("BOY'S Levi's, the boots' laces", ["boy", "levi", "boot", "lace"]),
        ("M's, 80's; it's size S", ["m", "80", "size", "s"]),
        ("C++ primer", ["c++", "primer"]),
        ("C#, F# and C", ["c#", "f#", "c"]),
        ("Learn .NET, ASP.NET; not .Waterproof", ["learn", ".net", "asp", ".net", "waterproof"]),
        ("Galaxy S20+ case, size XL+, vitamin c+zinc", ["galaxi", "s20", "case", "size", "xl", "vitamin", "c", "zinc"]),
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
        ("Füße ÉCHARPE", ["fuss", "echarp"]),
        ("Hermès Bouclé Kühltasche Søstrene", ["herm", "boucl", "kuhltasch", "sostren"]),
        ("Ёлка, йод; Λόγος", ["елка", "йод", "λογος"]),
        ("ガラス 한국어", ["ガラス", "한국어"]),
    ],
)
def test_terms_of_texts_in_many_scripts(text: str, terms: list[str]) -> None:
    """Lower case, no accents, English stems; words of other languages lose only endings that look English."""
    assert analyse(text) == terms


def test_counts_of_three_texts() -> None:
    terms = TermCounts.from_texts(["red boots, red laces", "the boot", "!"])
    assert terms.vocabulary == {"red": 0, "boot": 1, "lace": 2, "the": 3}
    assert terms.term_list == ["red", "boot", "lace", "the"]
    assert terms.counts.toarray().tolist() == [[2, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    assert terms.lengths.tolist() == [4, 1, 0]  # stop words do not count
    assert terms.document_frequency.tolist() == [1, 2, 1, 1]
    assert terms.collection_frequency.tolist() == [2, 2, 1, 1]
    assert terms.is_stop_word.tolist() == [False, False, False, True]
    assert (len(terms), terms.vocabulary_size) == (3, 4)


def test_term_ids_keep_order_and_repetition_and_drop_unknown_terms() -> None:
    terms = TermCounts.from_texts(["red boots laces"])
    assert terms.term_ids("boots, GREEN boots of red").tolist() == [1, 1, 0]
    for text in ("", "green", "the", "👟", "靴"):  # no listing has them
        ids = terms.term_ids(text)
        assert ids.shape == (0,)
        assert ids.dtype == np.int64


def test_term_ids_of_a_query_do_not_extend_the_vocabulary() -> None:
    terms = TermCounts.from_texts(["red boots"])
    terms.term_ids("green scarf")
    assert terms.vocabulary == {"red": 0, "boot": 1}


@pytest.mark.parametrize("given", [[], [""], ["!", "👟", " "]])
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
    counters = [Counter(term for word in text.split() for term in analyse(word)) for text in given]  # stop words, too
    total = sum(counters, Counter())
    assert set(terms.vocabulary) == set(total)
    assert sorted(terms.vocabulary.values()) == list(range(terms.vocabulary_size))
    for row, counter in zip(terms.counts.toarray(), counters, strict=True):
        assert {word: row[column] for word, column in terms.vocabulary.items() if row[column]} == counter
    stop_words = ("the", "and")
    lengths = [counter.total() - sum(counter[word] for word in stop_words) for counter in counters]
    assert terms.lengths.tolist() == lengths
    assert terms.collection_frequency.tolist() == [total[word] for word in terms.term_list]
    assert terms.document_frequency.tolist() == [
        sum(word in counter for counter in counters) for word in terms.term_list
    ]


@given(texts, st.lists(st.sampled_from([*WORDS, "green"]), max_size=6).map(" ".join))
def test_term_ids_are_the_known_terms(given: list[str], query: str) -> None:
    terms = TermCounts.from_texts(given)
    known = {term for text in given for word in text.split() for term in analyse(word)}
    assert [terms.term_list[column] for column in terms.term_ids(query)] == [
        term for term in analyse(query) if term in known
    ]


@given(st.text(max_size=30))
def test_a_term_is_in_lower_case_without_spaces(text: str) -> None:
    for term in analyse(text):
        assert term
        assert not any(letter.isspace() for letter in term)
        assert term == term.lower()


@pytest.mark.parametrize(
    ("typed", "written"),
    [("qualite", "qualité"), ("Mutze", "Mütze"), ("resume", "résumé"), ("applique", "appliqué")],
)
def test_words_typed_without_their_accents_are_the_same_terms(typed: str, written: str) -> None:
    """Accents go before the stem: afterwards, only one of the two would have lost its ending."""
    assert analyse(typed) == analyse(written) == analyse(unicodedata.normalize("NFD", written))


def test_the_counts_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["red boots", "", "the red lace", "boots boots", "!"]
    whole = TermCounts.from_texts(given)
    monkeypatch.setattr("wares.data.terms.TEXTS_PER_CHUNK", 2)
    parts = TermCounts.from_texts(given)
    assert parts.vocabulary == whole.vocabulary
    assert (parts.counts.toarray() == whole.counts.toarray()).all()


def test_query_terms_are_distinct_and_in_alphabetical_order() -> None:
    columns, counts = TermCounts.from_texts(["red boots laces"]).query_terms("red boots, GREEN boots of laces")
    assert (columns.tolist(), counts.tolist()) == ([1, 2, 0], [2.0, 1.0, 1.0])
