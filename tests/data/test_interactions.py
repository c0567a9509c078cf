"""Interactions: valid rows, every kind of bad row with its line, and splits by time."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import write_rows

from wares.core.errors import CatalogueError, SettingsError
from wares.data.formats import FILE_SUFFIXES
from wares.data.interactions import (
    Interaction,
    Interactions,
    interaction_weights,
    interactions_to_queries,
    read_interactions,
    without_queries,
)

GOOD = {"query": "Red  boots", "listing": "a", "kind": "click", "weight": 2, "time": "2025-03-01T00:00:10Z"}


def write_interactions(folder: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "interactions.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "interactions.jsonl"


def row(query: str, listing: str = "a", time: float = 0.0, weight: float = 1.0) -> Interaction:
    return Interaction(query, listing, "click", weight, time)


def test_interactions_are_in_order_of_time(tmp_path: Path) -> None:
    path = write_interactions(
        tmp_path, {**GOOD, "time": "2025-03-01T00:01:40"}, GOOD, {**GOOD, "time": "2025-03-01T02:00:05+02:00"}
    )
    rows = read_interactions(path, ["a"]).rows
    assert [row.time for row in rows] == [1740787205.0, 1740787210.0, 1740787300.0]
    assert rows[0] == Interaction("Red boots", "a", "click", 2.0, 1740787205.0)


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_every_format_gives_the_same_interactions(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clicks{suffix}"
    write_rows([GOOD, {**GOOD, "query": "mug, blue", "time": "2025-03-01 00:01:40+00:00"}], path)
    rows = read_interactions(path, ["a"]).rows
    assert [(row.query, row.weight, row.time) for row in rows] == [
        ("Red boots", 2.0, 1740787210.0),
        ("mug, blue", 2.0, 1740787300.0),
    ]


def test_a_query_has_its_most_frequent_spelling(tmp_path: Path) -> None:
    spellings = ["iphone CASE", "iPhone case", "ｉPhone  case ", "IPHONE CASE", "Mug"]
    rows = [{**GOOD, "query": text, "time": second} for second, text in enumerate(spellings)]
    write_rows(rows, tmp_path / "clicks.jsonl")
    interactions = read_interactions(tmp_path / "clicks.jsonl", ["a"])
    assert [row.query for row in interactions.rows] == ["iPhone case"] * 4 + ["Mug"]
    assert [query.text for query in interactions_to_queries(interactions)[0]] == ["iPhone case", "Mug"]


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_one_unit_of_time_per_file_whatever_the_format(tmp_path: Path, suffix: str, per_second: int) -> None:
    path = tmp_path / f"clicks{suffix}"
    write_rows([{**GOOD, "time": second * per_second} for second in (1710123112, 1710123110)], path)
    assert [row.time for row in read_interactions(path, ["a"]).rows] == [1710123110.0, 1710123112.0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_parquet(tmp_path: Path, unit: str) -> None:
    moments = pa.array([datetime(2024, 3, 11, 2, 11, 52), datetime(2024, 3, 11, 2, 11, 50)], pa.timestamp(unit))
    table = pa.table({"query": ["mug", "mug"], "listing": ["a", "a"], "time": moments})
    pq.write_table(table, tmp_path / "clicks.parquet")
    rows = read_interactions(tmp_path / "clicks.parquet", ["a"]).rows
    assert [row.time for row in rows] == [1710123110.0, 1710123112.0]


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_a_time_of_another_unit_than_most_is_reported_with_its_row(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clicks{suffix}"
    write_rows([{**GOOD, "time": str(time)} for time in (1710123112, 1710123110345, 1710123111)], path)
    place = "row 2" if suffix == ".parquet" else f"line {3 if suffix == '.csv' else 2}"
    with pytest.raises(CatalogueError) as caught:
        read_interactions(path, ["a"])
    assert str(caught.value) == (
        f'clicks{suffix}, {place}: "time" is "1710123110345" (milliseconds), but 2 of 3 rows have times in seconds. '
        "Write all times in one unit. Or pass --on-error skip."
    )
    interactions = read_interactions(path, ["a"], on_error="skip")
    assert [row.time for row in interactions.rows] == [1710123111.0, 1710123112.0]
    assert [problem.field for problem in interactions.problems] == ["time"]


def test_milliseconds_beside_iso_8601_are_named(tmp_path: Path) -> None:
    path = write_interactions(tmp_path, {**GOOD, "time": 1740787200000}, GOOD)
    with pytest.raises(CatalogueError, match=r"line 2: .*\(ISO 8601\), but 1 of 2 rows have times in milliseconds"):
        read_interactions(path, ["a"])


def test_weights_by_kind_replace_weights_or_leave_kinds_out(tmp_path: Path) -> None:
    path = write_interactions(
        tmp_path, GOOD, {**GOOD, "kind": "purchase"}, {name: GOOD[name] for name in ("query", "listing", "time")}
    )
    rows = read_interactions(path, ["a"], {"purchase": 7, "click": 0}).rows
    assert sorted((row.kind, row.weight) for row in rows) == [("", 1.0), ("purchase", 7.0)]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({**GOOD, "query": " "}, "query"),
        ({**GOOD, "query": 3}, "query"),
        ({**GOOD, "listing": "b"}, "listing"),
        ({"query": "mug", "time": 0}, "listing"),
        ({**GOOD, "kind": 4}, "kind"),
        ({**GOOD, "weight": -1}, "weight"),
        ({**GOOD, "weight": "two"}, "weight"),
        ({**GOOD, "weight": "nan"}, "weight"),
        ({**GOOD, "weight": True}, "weight"),
        ({**GOOD, "weight": 10**400}, "weight"),
        ({**GOOD, "time": "yesterday"}, "time"),
        ({**GOOD, "time": float("nan")}, "time"),
        ({**GOOD, "time": "inf"}, "time"),
        ({**GOOD, "time": -1}, "time"),
        ({"query": "mug", "listing": "a"}, "time"),
        ("{", "broken JSON"),
        ("[1]", "not an object"),
    ],
)
def test_a_bad_row_is_reported_with_its_line(tmp_path: Path, bad: Any, field: str) -> None:
    path = write_interactions(tmp_path, GOOD, bad)
    with pytest.raises(CatalogueError, match=r"interactions\.jsonl, line 2") as caught:
        read_interactions(path, ["a"])
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)
    interactions = read_interactions(path, ["a"], on_error="skip")
    assert len(interactions) == 1
    assert [problem.line for problem in interactions.problems] == [2]


def test_a_file_without_interactions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        read_interactions(tmp_path / "none.jsonl", ["a"])
    with pytest.raises(CatalogueError, match="no usable interaction"):
        read_interactions(write_interactions(tmp_path, {**GOOD, "listing": "b"}), ["a"], on_error="skip")


@given(st.lists(st.integers(0, 5), max_size=30), st.floats(0.0, 0.99))
def test_a_split_keeps_every_row_and_the_order_of_time(times: list[int], test_fraction: float) -> None:
    whole = Interactions(tuple(row("q", time=time) for time in sorted(times)))
    before, after = whole.split(test_fraction)
    assert before.rows + after.rows == whole.rows
    assert len(after) <= test_fraction * len(whole)
    if before.rows and after.rows:
        assert before.rows[-1].time < after.rows[0].time


def test_a_test_fraction_of_one_is_rejected() -> None:
    with pytest.raises(SettingsError, match="test fraction"):
        Interactions(()).split(1.0)


def test_queries_and_weights_of_their_listings() -> None:
    interactions = Interactions(
        (row("mug", "b"), row("boots", "a", 1, 2.0), row("boots", "a", 2), row("boots", "c", 3))
    )
    assert interaction_weights(interactions) == {"mug": {"b": 1.0}, "boots": {"a": 3.0, "c": 1.0}}
    queries, relevance = interactions_to_queries(interactions)
    assert [query.text for query in queries] == ["mug", "boots"]
    assert relevance[queries[1].id] == {"a": 1, "c": 1}
    assert [row.query for row in without_queries(interactions, {"boots"}).rows] == ["mug"]
