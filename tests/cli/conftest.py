"""Fixtures of the command line's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from processes import done
from story import Shop

from wares.data.listings import Listing
from wares.data.writers import write_listings
from wares.samples.marketplace import write_marketplace


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """No test reads or writes the user's own features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("story")
    catalogue, model, path = folder / "market", folder / "model", folder / "shop"
    write_marketplace(catalogue, 40)
    pretrain = done(
        "pretrain", catalogue, "--out", model, "--towers", "small", "--epochs", 3, "--no-select-weights", "--json"
    )
    index = done("index", catalogue, "--model", model, "--out", path, "--json")
    return Shop(catalogue, model, path, pretrain, index)


@pytest.fixture
def lamps(tmp_path: Path) -> Path:
    """A catalogue without photos, a real log of it, and interactions."""
    listings = [Listing(name, f"{name} desk lamp", "Warm light to read by.", ("Lamps",)) for name in ("oak", "brass")]
    write_listings(listings, tmp_path / "listings.jsonl")
    log = [{"text": "Oak  lamp"}, {"text": "oak lamp"}, {"text": ""}, {"query": "zebra", "listing": "oak"}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    return tmp_path
