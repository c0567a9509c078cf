"""Facets: counts and ranges by eye."""

from __future__ import annotations

from wares.serve.facets import count_values, value_range


def test_counts_and_ranges_by_eye() -> None:
    assert count_values(["b", None, ["a", "b"], True, []]) == {"b": 2, "a": 1, "true": 1}
    assert value_range([3.0, None, float("nan"), 1.0]) == {"min": 1.0, "max": 3.0}
    assert value_range([None]) == {}
