"""Which measured queries a shop's ranker learned from, by the run that its folder names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import toy_shop

from wares.data.listings import Query
from wares.data.queries import write_queries
from wares.evaluation.training_queries import learned_queries

TESTS = [Query("t1", "Red  Mug"), Query("t2", "oak")]


@pytest.mark.parametrize("folder", ["ranker", "query-tower"])
def test_a_shop_knows_what_its_ranker_learned_from(folder: str, tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    assert learned_queries(shop.path, TESTS) == []
    (shop.build_folder / folder).mkdir()
    (shop.build_folder / folder / "ranker.json").write_text(json.dumps({"run": str(tmp_path / "run")}))
    assert learned_queries(shop.path, TESTS) == [], "the run is gone"
    (tmp_path / "run").mkdir()
    write_queries([Query("q", "red mug"), Query("r", "mug")], tmp_path / "run" / "queries.jsonl")
    assert learned_queries(shop.path, TESTS) == TESTS[:1]
