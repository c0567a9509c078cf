"""Queries of a log and queries written from listings: contracts, cases by eye, and properties.

By eye are corpora so small that every query that can be written from them can be listed.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from toys import write_rows

from wares.core.errors import CatalogueError, SettingsError
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.formats import FILE_SUFFIXES
from wares.data.listings import Catalogue, Listing, Query
from wares.data.queries import read_queries
from wares.data.query_log import MAX_QUERY_LENGTH, clean_queries, clean_query_log, read_query_log, split_queries
from wares.data.query_statistics import query_statistics, render_query_statistics
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


def corpus(*listings: Listing) -> Corpus:
    return Corpus(Catalogue(Path("/shop"), listings))


def titles(*texts: str) -> Corpus:
    return corpus(*(Listing(str(place), text) for place, text in enumerate(texts)))


def texts(queries: Sequence[Query]) -> list[str]:
    return [query.text for query in queries]


def log(*texts: str) -> list[Query]:
    return [Query(f"q{place}", text) for place, text in enumerate(texts)]


# Contracts -------------------------------------------------------------------------------------------------------


def test_every_query_has_its_id_and_its_source() -> None:
    found = generate_queries(corpus(*LAMPS), 12)
    assert [query.id for query in found.queries] == [f"w{number}" for number in range(12)]
    assert len(found) == len(found.sources) == found.requested == 12
    assert set(found.sources[:3]) == set(found.sources[3:6]) == {0, 1, 2}  # every listing has its turn
    assert str(found) == "12 queries written from 3 listings."


def test_the_seed_decides() -> None:
    first, again, other = (generate_queries(corpus(*LAMPS), 12, seed) for seed in (1, 1, 2))
    assert first == again
    assert texts(first.queries) != texts(other.queries)


def test_fewer_than_asked_for_is_said() -> None:
    found = generate_queries(titles("red boots"), 1_000)
    assert (len(found), found.requested) == (2, 1_000)
    assert str(found) == (
        "2 queries written from 1 listings; 1,000 were requested, but the listings have too few words."
    )


def test_written_queries_are_read_back_with_their_listing(tmp_path: Path) -> None:
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
def test_nothing_to_write_from(empty: Corpus) -> None:
    with pytest.raises(CatalogueError, match=r"listings\.jsonl: .*so no query can be written.*or pass a query log\.$"):
        generate_queries(empty, 5)


def test_settings_out_of_range() -> None:
    with pytest.raises(SettingsError, match="at least 1, not 0"):
        generate_queries(corpus(*LAMPS), 0)
    for lengths in ((), (0.0,), (-1.0, 2.0), (math.nan,), (math.inf,)):
        with pytest.raises(SettingsError, match="length weights must be 0 or more"):
            generate_queries(corpus(*LAMPS), 5, length_weights=lengths)
    for share in (-0.1, 1.0, math.nan):
        with pytest.raises(SettingsError, match=r"in \[0, 1\)"):
            split_queries(log("mug"), share)


def test_read_log_takes_queries_and_interactions(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 7, "text": "Red mug"}\n\n{"query": "red  MUG", "listing": "m"}\n{"text": ""}\n')
    assert read_query_log(path)[0] == [Query("log-1", "Red mug"), Query("log-3", "red  MUG"), Query("log-4", "")]
    assert clean_query_log(path).queries == (Query("log-1", "Red mug"),)


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_logs_are_read_from_tables_and_what_is_no_query_is_left_out_if_asked(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix}"
    write_rows([{"query": text, "price": "?"} for text in ("Red mug", "", "red mug", "scarf, blue")], path)
    log = clean_query_log(path)
    assert [query.text for query in log.queries] == ["Red mug", "scarf, blue"]
    assert (log.wordless, log.duplicates, log.problems) == (1, 1, ())
    write_rows([{"query": None, "x": "1"}, {"query": "mug", "x": "2"}], path)
    if suffix != ".csv":  # an empty cell is an empty query
        with pytest.raises(CatalogueError, match=r"1: neither .* Or pass --on-error skip"):
            clean_query_log(path)
        [problem] = clean_query_log(path, "skip").problems
        assert problem.line == 1
    assert [query.text for query in clean_query_log(path, "skip").queries] == ["mug"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "mug"}\n{"title": "mug"}\n', r'line 2: neither "text" nor "query" is a text'),
        ('{"text": 3}\n', "line 1: neither"),
        ('{"text": "mug"\n', "line 1: broken JSON"),
        ("\n", "has no queries"),
        ('{"text": "🍕"}\n{"query": " "}\n', "no query has a letter or a digit"),
    ],
)
def test_a_log_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CatalogueError, match=message):
        clean_query_log(path)


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        read_query_log(tmp_path / "log.jsonl")


def test_sets_are_shown_side_by_side() -> None:
    shop = titles("red boots", "red mug")
    console = Console(file=io.StringIO(), width=100)
    render_query_statistics(
        console, {"written": query_statistics(log("red boots"), shop), "[log]": query_statistics(log("zebra"), shop)}
    )
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    cells = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:4]]
        for line in shown.splitlines()
        if "│" in line
    }
    assert "[log]" in shown
    assert cells["terms per query, mean"] == ["2.00", "1.00"]
    assert cells["terms that no listing has"] == ["0.0%", "100.0%"]


# A log, by eye ---------------------------------------------------------------------------------------------------


def test_a_log_by_eye() -> None:
    found = clean_queries(log("Red  Mug", "red mug ", "", "🍕", "ＲＥＤ mug", "x" * 10_000, "STRASSE", "straße"))
    assert texts(found.queries) == ["Red Mug", "x" * MAX_QUERY_LENGTH, "STRASSE"]
    assert [query.id for query in found.queries] == ["q0", "q5", "q6"]
    assert (found.wordless, found.duplicates, found.truncated) == (2, 3, 1)
    assert str(found) == (
        "3 distinct queries of 8 in the log: 3 duplicates and 2 queries without a word are left out, "
        "1 are cut to 1,000 characters."
    )


def test_a_long_query_ends_with_a_whole_word() -> None:
    [cut] = clean_queries(log("woollen " * 1_250)).queries
    assert cut.text == " ".join(["woollen"] * 125)
    [whole] = clean_queries(log("w" * MAX_QUERY_LENGTH)).queries
    assert len(whole.text) == MAX_QUERY_LENGTH


@pytest.mark.parametrize("text", ["红色靴子", "حذاء أحمر", "красные сапоги", "mug", "the"])
def test_any_script_is_kept_as_it_is(text: str) -> None:
    assert texts(clean_queries(log(text)).queries) == [text]


def test_about_the_share_is_held_out() -> None:
    kept, held_out = split_queries(log(*(f"mug {number}" for number in range(2_000))), 0.25)
    assert abs(len(held_out) - 500) < 80
    assert split_queries(kept, 0.0) == (kept, [])


def test_sides_differ_with_the_seed() -> None:
    queries = log(*(f"mug {number}" for number in range(50)))
    assert split_queries(queries, 0.5, seed=0) != split_queries(queries, 0.5, seed=1)


def test_a_side_does_not_change_with_case_and_spacing() -> None:
    kept, held_out = split_queries(log(*(f"mug {number}" for number in range(50))), 0.5)
    shouted_kept, shouted_out = split_queries(log(*(f" MUG  {number}" for number in range(50))), 0.5)
    assert (len(shouted_kept), len(shouted_out)) == (len(kept), len(held_out))
    assert [query.id for query in shouted_kept] == [query.id for query in kept]


# Written queries, by eye -----------------------------------------------------------------------------------------


def test_every_query_of_a_title() -> None:
    assert set(texts(generate_queries(titles("red boots"), 50).queries)) == {"red", "boots"}


def test_words_keep_their_order_and_tags_follow_the_title() -> None:
    shop = corpus(Listing("a", "Ina summer shorts", "Wool", ("Running",)))
    found = texts(generate_queries(shop, 50, length_weights=(0, 1)).queries)
    assert set(found) <= {" ".join(pair) for pair in combinations(["wool", "ina", "summer", "shorts", "running"], 2)}
    assert len(found) > 5


def test_queries_are_as_long_as_those_of_a_log() -> None:
    log = [Query("1", "lamp"), Query("2", "the lamp of brass"), Query("3", "brass lamp"), Query("4", "of the")]
    assert query_length_weights(log) == [1.0, 2.0]
    shop = corpus(*(Listing(str(i), f"{i} oak brass desk lamp", "warm light to read by") for i in range(9)))
    assert {
        len(analyse(text))
        for text in texts(generate_queries(shop, 40, length_weights=query_length_weights(log[1:])).queries)
    } == {2}
    with pytest.raises(SettingsError, match="nothing but stop words"):
        query_length_weights(log[3:])


def test_stop_words_come_along_within_a_phrase() -> None:
    found = generate_queries(corpus(Listing("a", "Guide", "A map of the old Rome.")), 9, length_weights=(0, 0, 1))
    assert texts(found.queries) == ["map of the old rome"]


@pytest.mark.parametrize("text", ["map that we have of Rome", "map. Of Rome", "map of\nRome", "map, of Rome"])
def test_no_phrase_runs_across_punctuation_or_many_stop_words(text: str) -> None:
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


def test_numbers_stand_only_beside_words() -> None:
    shop = titles("mug 300 ml x")
    assert set(texts(generate_queries(shop, 9, length_weights=(1,)).queries)) == {"mug", "ml"}
    assert "300 ml" in texts(generate_queries(shop, 9, length_weights=(0, 1)).queries)


@pytest.mark.parametrize("title", ["The", "🍕", "Guide", "Moisture-wicking"])
def test_a_title_of_one_word_leaves_the_other_words(title: str) -> None:
    found = generate_queries(
        corpus(Listing("a", title, "A guide, moisture-wicking, to a map")), 99, length_weights=(1,)
    )
    assert set(texts(found.queries)) == {"guide", "moisture-wicking", "map"} - {title.lower()}


def test_hyphens_stay() -> None:
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
def test_any_script_is_written(title: str, queries: set[str]) -> None:
    assert set(texts(generate_queries(titles(title), 50).queries)) == queries


def test_what_names_listings_is_drawn_before_what_none_is_called_by() -> None:
    shop = corpus(*(Listing(str(i), f"Maker{i} oak lamp", f"Unboxing{i} allows joy") for i in range(60)))
    found = texts(generate_queries(shop, 55, length_weights=(1,)).queries)
    named = [text for text in found if text.startswith("maker") or text in ("oak", "lamp")]
    assert len(named) > 0.7 * len(found)


def test_a_title_is_heard_beside_a_long_description() -> None:
    """Four words of a title, called by no other listing, against a hundred of a description."""
    shop = corpus(
        *(Listing(str(i), f"t{i}a t{i}b t{i}c t{i}d", " ".join(f"d{i}e{j}" for j in range(100))) for i in range(40))
    )
    found = texts(generate_queries(shop, 40, length_weights=(1,)).queries)
    assert sum(text.startswith("t") for text in found) > 14


def test_neighbours_are_drawn_together() -> None:
    """Each of twelve words has one neighbour on either side, and ten others."""
    shop = corpus(Listing("a", "thing", "ant bee cat dog elk fox gnu hen ibis jay koi lynx"))
    words = shop.texts[0].split()[1:]
    found = [
        [words.index(word) for word in text.split()]
        for text in texts(generate_queries(shop, 11, length_weights=(0, 1)).queries)
    ]
    assert sum(last - first == 1 for first, last in found) >= 5


def test_lengths_are_as_asked_for() -> None:
    shop = corpus(*LAMPS)
    for words in (1, 2, 3):
        found = generate_queries(shop, 6, length_weights=[0] * (words - 1) + [1])
        assert {len(analyse(text)) for text in texts(found.queries)} == {words}


# Likeness, by eye ------------------------------------------------------------------------------------------------


def test_likeness_by_eye() -> None:
    found = query_statistics(log("red boots", "zebra", "the"), titles("red boots", "red mug"))
    assert found.queries == 3
    assert found.terms == 1.0
    assert found.quartiles == (0.5, 1.0, 1.5)
    assert found.idf == pytest.approx(math.log(2) / 2)
    assert found.unknown_terms == pytest.approx(1 / 3)
    assert found.unknown_queries == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["", "🍕", "the", "z" * 10_000, "zebra " * 1_600, "红色靴子", "حذاء", "сапоги"])
def test_likeness_of_queries_with_nothing_in_common(text: str) -> None:
    found = query_statistics(log(text), titles("red boots"))
    assert (found.idf, found.unknown_queries) == (0.0, 1.0)
    assert found.unknown_terms == (1.0 if analyse(text) else 0.0)


def test_likeness_of_no_queries() -> None:
    found = query_statistics([], titles("red boots")).to_json()
    assert found.pop("quartiles") == [0.0, 0.0, 0.0]
    assert set(found.values()) == {0}


# Properties ------------------------------------------------------------------------------------------------------

WORDS = [
    "red",
    "boots",
    "boot",
    "mug",
    "the",
    "of",
    "your",
    "it's",
    "it's-a",
    "men's",
    "42",
    "x",
    "красный",
    "靴子",
    "🍕",
]
sentences = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", ". ", "-", "\n"])), max_size=8).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)
listings = st.builds(Listing, st.just("id"), sentences, sentences, st.lists(sentences, max_size=2).map(tuple))
anything = st.text(max_size=40) | st.sampled_from(WORDS)


@settings(deadline=None)
@given(st.lists(listings, min_size=1, max_size=4), st.integers(0, 3))
def test_what_is_true_of_every_written_query(some: list[Listing], seed: int) -> None:
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


@given(st.lists(anything, max_size=12))
def test_every_query_of_a_log_is_accounted_for(logged: list[str]) -> None:
    found = clean_queries(log(*logged))
    assert len(found) + found.wordless + found.duplicates == len(logged)
    again = clean_queries(found.queries)
    assert (again.queries, again.wordless, again.duplicates, again.truncated) == (found.queries, 0, 0, 0)


@given(st.lists(anything, max_size=8), st.lists(anything, max_size=8), st.floats(0, 0.99), st.integers(0, 9))
def test_a_side_does_not_change_with_what_else_is_in_the_log(
    some: list[str], more: list[str], share: float, seed: int
) -> None:
    kept, held_out = split_queries(log(*some), share, seed)
    kept_of_all, held_out_of_all = split_queries(log(*some, *more), share, seed)
    assert kept_of_all[: len(kept)] == kept
    assert held_out_of_all[: len(held_out)] == held_out
    assert len(kept_of_all) + len(held_out_of_all) == len(some) + len(more)
    assert not {text.upper() for text in texts(kept) if text.isascii()} & {text.upper() for text in texts(held_out)}


@given(st.lists(anything, min_size=1, max_size=8))
def test_likeness_is_within_its_ranges(some: list[str]) -> None:
    found = query_statistics(log(*some), titles("red boots", "red mug"))
    assert 0.0 <= found.unknown_terms <= 1.0 and 0.0 <= found.unknown_queries <= 1.0
    assert 0.0 <= found.idf <= math.log(2)
    assert found.quartiles[0] <= found.quartiles[1] <= found.quartiles[2]
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


# Real listings ---------------------------------------------------------------------------------------------------


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


def test_as_telling_as_a_real_log(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("vaswani")
    shop = Corpus(read_catalogue(folder))
    real = query_statistics(read_queries(folder), shop)
    assert 0.8 < query_statistics(generate_queries(shop, 2_000).queries, shop).idf / real.idf < 1.3


def test_signs_in_another_form_are_the_same_word() -> None:
    """A trade mark, a ligature and an accent put after its letter are what search takes them for (NFKC)."""
    shop = titles("LumaTech™ tee", "ﬁne cafe\u0301 mug")
    written_words = {word for query in generate_queries(shop, 50).queries for word in query.text.split()}
    assert {"lumatechtm", "fine", "café"} <= written_words
    assert all(len(shop.term_counts.term_ids(word)) for word in written_words)
