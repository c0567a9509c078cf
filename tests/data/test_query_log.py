"""Query logs: what is read and cleaned, by eye, and how queries are split."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from query_cases import anything, log, texts
from toys import write_rows

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import FILE_SUFFIXES
from wares.data.listings import Query
from wares.data.query_log import (
    MAX_QUERY_LENGTH,
    clean_queries,
    clean_query_log,
    read_query_log,
    shared_queries,
    split_queries,
    unshared_queries,
)


def test_read_log_takes_queries_and_interactions(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 7, "text": "Red mug"}\n\n{"query": "red  MUG", "listing": "m"}\n{"text": ""}\n')
    assert read_query_log(path)[0] == [Query("log-1", "Red mug"), Query("log-3", "red  MUG"), Query("log-4", "")]
    assert clean_query_log(path).queries == (Query("log-1", "Red mug"),)


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_logs_are_read_from_tables_and_bad_rows_skipped_on_request(tmp_path: Path, suffix: str) -> None:
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
def test_broken_logs_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CatalogueError, match=message):
        clean_query_log(path)


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        read_query_log(tmp_path / "log.jsonl")


def test_a_log_by_eye() -> None:
    found = clean_queries(log("Red  Mug", "red mug ", "", "🍕", "ＲＥＤ mug", "x" * 10_000, "STRASSE", "straße"))
    assert texts(found.queries) == ["Red Mug", "x" * MAX_QUERY_LENGTH, "STRASSE"]
    assert [query.id for query in found.queries] == ["q0", "q5", "q6"]
    assert (found.wordless, found.duplicates, found.truncated) == (2, 3, 1)
    assert str(found) == (
        "3 distinct queries of 8 in the log: 3 duplicates and 2 queries without a word are left out, "
        "1 are cut to 1,000 characters."
    )


def test_shared_queries_are_recognised_as_duplicates_are() -> None:
    tests = log("Red  Mug", "blue scarf", "STRASSE", "a mug")
    training = log("red mug", "mug a", "straße", "ＢＬＵＥ scarves")
    assert texts(shared_queries(tests, training)) == ["Red  Mug", "STRASSE"]
    assert texts(unshared_queries(training, tests)) == ["mug a", "ＢＬＵＥ scarves"]
    assert shared_queries(tests, []) == unshared_queries([], tests) == []


def test_long_queries_are_cut_at_a_word() -> None:
    [cut] = clean_queries(log("woollen " * 1_250)).queries
    assert cut.text == " ".join(["woollen"] * 125)
    [whole] = clean_queries(log("w" * MAX_QUERY_LENGTH)).queries
    assert len(whole.text) == MAX_QUERY_LENGTH


@pytest.mark.parametrize("text", ["红色靴子", "حذاء أحمر", "красные сапоги", "mug", "the"])
def test_any_script_is_kept(text: str) -> None:
    assert texts(clean_queries(log(text)).queries) == [text]


def test_about_the_fraction_is_held_out() -> None:
    kept, held_out = split_queries(log(*(f"mug {number}" for number in range(2_000))), 0.25)
    assert abs(len(held_out) - 500) < 80
    assert split_queries(kept, 0.0) == (kept, [])


def test_the_split_depends_on_the_seed() -> None:
    queries = log(*(f"mug {number}" for number in range(50)))
    assert split_queries(queries, 0.5, seed=0) != split_queries(queries, 0.5, seed=1)


def test_the_split_ignores_case_and_spacing() -> None:
    kept, held_out = split_queries(log(*(f"mug {number}" for number in range(50))), 0.5)
    shouted_kept, shouted_out = split_queries(log(*(f" MUG  {number}" for number in range(50))), 0.5)
    assert (len(shouted_kept), len(shouted_out)) == (len(kept), len(held_out))
    assert [query.id for query in shouted_kept] == [query.id for query in kept]


@given(st.lists(anything, max_size=12))
def test_every_query_of_a_log_is_counted(logged: list[str]) -> None:
    found = clean_queries(log(*logged))
    assert len(found) + found.wordless + found.duplicates == len(logged)
    again = clean_queries(found.queries)
    assert (again.queries, again.wordless, again.duplicates, again.truncated) == (found.queries, 0, 0, 0)


@given(st.lists(anything, max_size=8), st.lists(anything, max_size=8), st.floats(0, 0.99), st.integers(0, 9))
def test_the_split_does_not_depend_on_other_queries(some: list[str], more: list[str], share: float, seed: int) -> None:
    kept, held_out = split_queries(log(*some), share, seed)
    kept_of_all, held_out_of_all = split_queries(log(*some, *more), share, seed)
    assert kept_of_all[: len(kept)] == kept
    assert held_out_of_all[: len(held_out)] == held_out
    assert len(kept_of_all) + len(held_out_of_all) == len(some) + len(more)
    assert not {text.upper() for text in texts(kept) if text.isascii()} & {text.upper() for text in texts(held_out)}


def test_the_held_out_fraction_is_in_its_range() -> None:
    for share in (-0.1, 1.0, math.nan):
        with pytest.raises(SettingsError, match=r"in \[0, 1\)"):
            split_queries(log("mug"), share)
