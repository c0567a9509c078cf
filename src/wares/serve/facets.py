"""Facets: the values of a column among results, and which columns are useful as facets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from wares.serve.filters import Column

MAX_FACET_VALUES = 100  # of a column that a response counts
MAX_FACET_CHOICES = 60  # distinct values of a column that the page offers as checkboxes
TEXT_COLUMNS = ("id", "title", "description", "product")


def count_values(values: Sequence[Any]) -> dict[str, int]:
    """How often each value occurs, the most frequent first. Each item of a list counts; None does not."""
    counts = Counter(str(item).lower() if isinstance(item, bool) else str(item) for item in _items(values))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_FACET_VALUES])


def value_range(values: Sequence[float | None]) -> dict[str, float]:
    """The smallest and the largest finite number, as "min" and "max"; empty without numbers."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    return {"min": min(numbers), "max": max(numbers)} if numbers else {}


def is_useful_facet(column: Column, values: list[object]) -> bool:
    """Whether shoppers can choose by a column: it has several values, but not one for every listing.

    values: of a sample of listings
    """
    if column.name in TEXT_COLUMNS:
        return False
    if column.kind == "number":
        return len({value for value in values if value is not None}) > 1
    return 1 < len(count_values(values)) <= MAX_FACET_CHOICES


def _items(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        yield from (item for item in (value if isinstance(value, list) else [value]) if item is not None)
