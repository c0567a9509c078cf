"""Statistics of queries: a case by eye, and their ranges."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from query_cases import anything, log, titles
from rich.console import Console

from wares.data.query_statistics import query_statistics, render_query_statistics
from wares.data.terms import analyse


def test_query_sets_are_shown_side_by_side() -> None:
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


def test_statistics_by_eye() -> None:
    found = query_statistics(log("the red boots", "zebra", "?!"), titles("red boots", "red mug"))
    assert found.queries == 3
    assert found.terms == 1.0
    assert found.quartiles == (0.5, 1.0, 1.5)
    assert found.idf == pytest.approx(math.log(2) / 2)
    assert found.unknown_terms == pytest.approx(1 / 3)
    assert found.unknown_queries == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["", "🍕", "the", "z" * 10_000, "zebra " * 1_600, "红色靴子", "حذاء", "сапоги"])
def test_statistics_of_unknown_queries(text: str) -> None:
    found = query_statistics(log(text), titles("red boots"))
    assert (found.idf, found.unknown_queries) == (0.0, 1.0)
    assert found.unknown_terms == (1.0 if analyse(text) else 0.0)


def test_statistics_of_no_queries() -> None:
    found = query_statistics([], titles("red boots")).to_json()
    assert found.pop("quartiles") == [0.0, 0.0, 0.0]
    assert set(found.values()) == {0}


@given(st.lists(anything, min_size=1, max_size=8))
def test_statistics_are_within_their_ranges(some: list[str]) -> None:
    found = query_statistics(log(*some), titles("red boots", "red mug"))
    assert 0.0 <= found.unknown_terms <= 1.0 and 0.0 <= found.unknown_queries <= 1.0
    assert 0.0 <= found.idf <= math.log(2)
    assert found.quartiles[0] <= found.quartiles[1] <= found.quartiles[2]
    assert json.loads(json.dumps(found.to_json())) == found.to_json()
