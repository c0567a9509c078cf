"""Query generation: contracts, cases by eye, and properties.

By eye are corpora so small that every query that can be generated from them can be listed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_cases import WORDS, corpus, log, texts, titles

from wares.core.errors import CatalogueError, SettingsError
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Listing, Query
from wares.data.queries import read_queries
from wares.data.query_statistics import query_statistics
from wares.data.terms import analyse
from wares.supervision.query_generation import (
    MAX_WORD_LENGTH,
    generate_queries,
    query_length_weights,
    write_generated_queries,
)

LAMPS = [
    Listing("oak", "Oak desk lamp", "Allows you to read at night. Warm light for a desk.", ("Lamps", "Wood")),
    Listing("brass", "Brass floor lamp", "Allows you to relax. Comes with a dimmer.", ("Lamps", "Metal")),
    Listing("rug", "Wool rug", "Comes rolled. Soft on bare feet.", ("Rugs", "Wool")),
]


def test_every_query_has_an_id_and_a_source() -> None:
    found = generate_queries(corpus(*LAMPS), 12)
    assert [query.id for query in found.queries] == [f"w{number}" for number in range(12)]
    assert len(found) == len(found.sources) == found.requested == 12
    assert set(found.sources[:3]) == set(found.sources[3:6]) == {0, 1, 2}  # every listing has its turn
    assert str(found) == "12 queries written from 3 listings."


def test_queries_depend_on_the_seed() -> None:
    first, again, other = (generate_queries(corpus(*LAMPS), 12, seed) for seed in (1, 1, 2))
    assert first == again
    assert texts(first.queries) != texts(other.queries)


def test_fewer_queries_than_requested_are_reported() -> None:
    found = generate_queries(titles("red boots"), 1_000)
    assert (len(found), found.requested) == (2, 1_000)
    assert str(found) == (
        "2 queries written from 1 listings; 1,000 were requested, but the listings have too few words."
    )


def test_written_queries_are_read_back(tmp_path: Path) -> None:
    lamps = corpus(*LAMPS)
    found = generate_queries(lamps, 9)
    write_generated_queries(found, lamps, tmp_path / "queries.jsonl")
    assert read_queries(tmp_path) == list(found.queries)
    rows = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["listing"] for row in rows] == [LAMPS[source].id for source in found.sources]
    assert [path.name for path in tmp_path.iterdir()] == ["queries.jsonl"]


@pytest.mark.parametrize(
    "empty", [corpus(), titles("🍕🍕", "!?"), titles("the", "of the"), titles("Banana"), titles("7", "42 19")]
)
def test_listings_without_words_are_refused(empty: Corpus) -> None:
    with pytest.raises(CatalogueError, match=r"listings\.jsonl: .*so no query can be written.*or pass a query log\.$"):
        generate_queries(empty, 5)


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="at least 1, not 0"):
        generate_queries(corpus(*LAMPS), 0)
    for lengths in ((), (0.0,), (-1.0, 2.0), (math.nan,), (math.inf,)):
        with pytest.raises(SettingsError, match="length weights must be 0 or more"):
            generate_queries(corpus(*LAMPS), 5, length_weights=lengths)


def test_every_query_of_a_title() -> None:
    assert set(texts(generate_queries(titles("red boots"), 50).queries)) == {"red", "boots"}


def test_words_keep_their_order_and_tags_follow_the_title() -> None:
    shop = corpus(Listing("a", "Ina summer shorts", "Wool", ("Running",)))
    found = texts(generate_queries(shop, 50, length_weights=(0, 1)).queries)
    assert set(found) <= {" ".join(pair) for pair in combinations(["wool", "ina", "summer", "shorts", "running"], 2)}
    assert len(found) > 5


def test_queries_are_as_long_as_those_of_a_log() -> None:
    log = [Query("1", "lamp"), Query("2", "the lamp of brass"), Query("3", "brass lamp"), Query("4", "?!")]
    assert query_length_weights(log) == [1.0, 2.0]
    shop = corpus(*(Listing(str(i), f"{i} oak brass desk lamp", "warm light to read by") for i in range(9)))
    assert {
        len(analyse(text))
        for text in texts(generate_queries(shop, 40, length_weights=query_length_weights(log[1:])).queries)
    } == {2}
    with pytest.raises(SettingsError, match="has no words"):
        query_length_weights(log[3:])


def test_stop_words_within_a_phrase_are_kept() -> None:
    found = generate_queries(corpus(Listing("a", "Guide", "A map of the old Rome.")), 9, length_weights=(0, 0, 1))
    assert texts(found.queries) == ["map of the old rome"]


@pytest.mark.parametrize("text", ["map that we have of Rome", "map. Of Rome", "map of\nRome", "map, of Rome"])
def test_phrases_end_at_punctuation_and_many_stop_words(text: str) -> None:
    assert texts(generate_queries(corpus(Listing("a", "Guide", text)), 9, length_weights=(0, 1)).queries) == [
        "map rome"
    ]


def test_no_stop_words_at_the_ends() -> None:
    found = generate_queries(corpus(Listing("a", "Guide", "You're from the map. It's your own.")), 9)
    assert texts(found.queries) == ["map"]


def test_the_same_words_in_another_form_are_the_same_query() -> None:
    found = generate_queries(titles("red boot sale", "Boots, red. Sale", "sales of reds"), 99)
    assert sorted(sorted(analyse(text)) for text in texts(found.queries)) == [
        ["boot"], ["boot", "red"], ["boot", "sale"], ["red"], ["red", "sale"], ["sale"]
    ]  # fmt: skip


def test_numbers_need_a_word_beside_them() -> None:
    shop = titles("mug 300 ml x")
    assert set(texts(generate_queries(shop, 9, length_weights=(1,)).queries)) == {"mug", "ml"}
    assert "300 ml" in texts(generate_queries(shop, 9, length_weights=(0, 1)).queries)


@pytest.mark.parametrize("title", ["The", "🍕", "Guide", "Moisture-wicking"])
def test_a_title_of_one_word_is_no_query(title: str) -> None:
    found = generate_queries(
        corpus(Listing("a", title, "A guide, moisture-wicking, to a map")), 99, length_weights=(1,)
    )
    assert set(texts(found.queries)) == {"guide", "moisture-wicking", "map"} - {title.lower()}


def test_hyphens_are_kept() -> None:
    assert "moisture-wicking" in texts(generate_queries(titles("moisture-wicking hoodie"), 9).queries)


def test_long_runs_of_letters_are_no_words() -> None:
    shop = corpus(Listing("a", "w" * (MAX_WORD_LENGTH + 1) + " 红色靴子 皮", "q" * 10_000))
    assert set(texts(generate_queries(shop, 50).queries)) == {"红色靴子", "皮", "红色靴子 皮"}


@pytest.mark.parametrize(
    ("title", "queries"),
    [
        ("красные сапоги", {"красные", "сапоги"}),
        ("حذاء أحمر", {"حذاء", "أحمر"}),
        ("红色 靴子", {"红色", "靴子"}),
        ("🍕 pizza oven", {"pizza", "oven"}),
    ],
)
def test_queries_of_any_script(title: str, queries: set[str]) -> None:
    assert set(texts(generate_queries(titles(title), 50).queries)) == queries


def test_words_that_name_listings_are_preferred() -> None:
    shop = corpus(*(Listing(str(i), f"Maker{i} oak lamp", f"Unboxing{i} allows joy") for i in range(60)))
    found = texts(generate_queries(shop, 55, length_weights=(1,)).queries)
    named = [text for text in found if text.startswith("maker") or text in ("oak", "lamp")]
    assert len(named) > 0.7 * len(found)


def test_titles_count_beside_long_descriptions() -> None:
    """Four words of a title, called by no other listing, against a hundred of a description."""
    shop = corpus(
        *(Listing(str(i), f"t{i}a t{i}b t{i}c t{i}d", " ".join(f"d{i}e{j}" for j in range(100))) for i in range(40))
    )
    found = texts(generate_queries(shop, 40, length_weights=(1,)).queries)
    assert sum(text.startswith("t") for text in found) > 14


def test_neighbouring_words_are_drawn_together() -> None:
    """Each of twelve words has one neighbour on either side, and ten others."""
    shop = corpus(Listing("a", "thing", "ant bee cat dog elk fox gnu hen ibis jay koi lynx"))
    words = shop.texts[0].split()[1:]
    found = [
        [words.index(word) for word in text.split()]
        for text in texts(generate_queries(shop, 11, length_weights=(0, 1)).queries)
    ]
    assert sum(last - first == 1 for first, last in found) >= 5


def test_query_lengths_follow_the_weights() -> None:
    shop = corpus(*LAMPS)
    for words in (1, 2, 3):
        found = generate_queries(shop, 6, length_weights=[0] * (words - 1) + [1])
        assert {len(analyse(text)) for text in texts(found.queries)} == {words}


sentences = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", ". ", "-", "\n"])), max_size=8).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)


listings = st.builds(Listing, st.just("id"), sentences, sentences, st.lists(sentences, max_size=2).map(tuple))


@settings(deadline=None)
@given(st.lists(listings, min_size=1, max_size=4), st.integers(0, 3))
def test_properties_of_every_generated_query(some: list[Listing], seed: int) -> None:
    shop = corpus(*some, LAMPS[0])
    found = generate_queries(shop, 15, seed)
    assert found == generate_queries(shop, 15, seed)
    keys = [frozenset(analyse(text)) for text in texts(found.queries)]
    assert len(set(keys)) == len(keys)
    for query, key, source in zip(found.queries, keys, found.sources, strict=True):
        title = set(analyse(shop.catalogue.listings[source].title))
        assert key <= set(analyse(shop.texts[source]))
        assert not title or not title <= key
        assert any(sign.isalpha() for sign in query.text)
        ends = {query.text.split()[0], query.text.split()[-1]}
        assert not ends & {"the", "of", "your", "it's"}


@pytest.mark.parametrize(("name", "count"), [("magento", 500), ("vaswani", 3_000), ("grocery", 100)])
def test_real_listings(shared_data: Callable[[str], Path], name: str, count: int) -> None:
    shop = Corpus(read_catalogue(shared_data(name)))
    found = generate_queries(shop, count)
    assert len(found) == count
    look = query_statistics(found.queries, shop)
    assert 1.5 < look.terms < 3.5
    assert look.unknown_terms == 0.0
    every_word = query_statistics(log(*shop.texts), shop)
    assert look.idf > every_word.idf


def test_idf_is_that_of_a_real_log(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("vaswani")
    shop = Corpus(read_catalogue(folder))
    real = query_statistics(read_queries(folder), shop)
    assert 0.8 < query_statistics(generate_queries(shop, 2_000).queries, shop).idf / real.idf < 1.3


def test_unicode_forms_are_normalised() -> None:
    """A trade mark, a ligature and an accent put after its letter are what search takes them for (NFKC)."""
    shop = titles("LumaTech™ tee", "ﬁne cafe\u0301 mug")
    written_words = {word for query in generate_queries(shop, 50).queries for word in query.text.split()}
    assert {"lumatechtm", "fine", "café"} <= written_words
    assert all(len(shop.term_counts.term_ids(word)) for word in written_words)
