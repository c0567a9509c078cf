"""Queries of the marketplace: grades by eye, and misspelt queries."""

from __future__ import annotations

import numpy as np

from wares.samples.listings import plan_listings
from wares.samples.queries import grade, random_queries


def test_grades_by_eye() -> None:
    mug = {"kind": "mug", "group": "kitchen", "colour": "navy", "material": "enamel", "pattern": "dotted"}
    assert grade({"kind": "mug", "colour": "navy"}, mug) == 2
    assert grade({"kind": "mug", "colour": "red", "material": "enamel"}, mug) == 1, "one of two constraints"
    assert grade({"kind": "mug", "colour": "red", "material": "glass"}, mug) == 0
    assert grade({"kind": "mug", "colour": "blue"}, mug) == 1, "a neighbouring colour"
    assert grade({"group": "kitchen", "colour": "red"}, mug) == 0
    assert grade({"kind": "boots", "colour": "navy"}, mug) == 0


def test_some_queries_are_misspelt() -> None:
    queries = random_queries(plan_listings(300, seed=0), np.random.default_rng(0))
    assert len(queries) == 100
    assert 0.03 < sum(query.misspelt for query in queries) / len(queries) < 0.2
