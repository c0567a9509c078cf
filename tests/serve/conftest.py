"""Toy shops, and clients of a server over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import AUTHORISED, KEY, MANY, client_of, until_ready
from fastapi.testclient import TestClient
from toys import THREE, toy_shop


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a shop of three listings and of one of sixty."""
    folder = tmp_path_factory.mktemp("shops")
    return {
        "three": toy_shop(folder / "three", THREE).path,
        "many": toy_shop(folder / "many", MANY).path,
    }


@pytest.fixture(scope="module")
def client(shops: dict[str, Path]) -> Iterator[TestClient]:
    with client_of(shops) as client:
        yield until_ready(client)


@pytest.fixture
def writable(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a new shop, with the API key."""
    with client_of({"three": toy_shop(tmp_path).path}, api_key=KEY) as client:
        client.headers.update(AUTHORISED)
        yield until_ready(client)
