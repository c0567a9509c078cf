"""A small marketplace, drawn once for all tests of the samples package."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from wares.samples import Marketplace, write_marketplace


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Marketplace:
    """Forty listings of seed 3."""
    return write_marketplace(tmp_path_factory.mktemp("market"), 40, seed=3)


@pytest.fixture(scope="session")
def rows(market: Marketplace) -> Mapping[str, list[dict[str, Any]]]:
    """The rows of the marketplace's JSON Lines files, by the names of the files."""
    return {
        path.name: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in market.folder.glob("*.jsonl")
    }


@pytest.fixture(scope="session")
def judgments(market: Marketplace) -> Mapping[str, dict[str, int]]:
    """Grades by query and listing."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (market.folder / "qrels.txt").read_text(encoding="utf-8").splitlines():
        query, _, listing, grade = line.split()
        grades[query][listing] = int(grade)
    return grades
