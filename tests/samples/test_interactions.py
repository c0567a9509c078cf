"""Simulated buyers: a few queries make up most of the log, and clicks favour relevant listings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from wares.samples.interactions import simulate_searches
from wares.samples.listings import plan_listings
from wares.samples.queries import random_queries


def test_the_log_has_a_head() -> None:
    rng = np.random.default_rng(0)
    queries = random_queries(plan_listings(300, seed=0), rng)
    counts = Counter(query.text for query, _ in simulate_searches(queries, 6000, rng))
    head = [count for _, count in counts.most_common()]
    assert sum(head[:10]) > 0.35 * sum(head)
    assert head[0] > 10 * head[len(head) // 2]


def test_clicks_favour_relevant_listings(
    rows: Mapping[str, list[dict[str, Any]]], judgments: Mapping[str, dict[str, int]]
) -> None:
    query_of = {row["text"]: row["id"] for row in rows["queries.jsonl"]}
    grades = [judgments[query_of[row["query"]]].get(row["listing"], 0) for row in rows["interactions.jsonl"]]
    share = sum(grade == 2 for grade in grades) / len(grades)
    assert 0.5 < share < 1.0
