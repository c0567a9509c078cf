"""Opening, describing and replacing the shops of a server."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from pathlib import Path

import pytest
from api_client import error_of, search_json, until_ready
from fastapi.testclient import TestClient
from toys import THREE, opened, toy_shop

from wares.serve.api import create_app
from wares.serve.settings import ServeSettings
from wares.shop.shop import Shop


def test_the_server_responds_before_its_shops_are_open(shops: dict[str, Path]) -> None:
    go = threading.Event()

    def slowly(folder: Path) -> Shop:
        go.wait()
        return opened(folder)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), slowly)
    with TestClient(app) as early:
        assert early.get("/healthz").status_code == 200
        assert error_of(early, "/readyz")[:2] == (503, "opening")
        answer = early.get("/api/search", params={"q": "mug"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        go.set()
        assert search_json(until_ready(early), q="mug")["total"] == 3


def test_a_shop_that_cannot_be_opened_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(ServeSettings(shops=(("gone", str(tmp_path / "gone")),)), opened)
    with caplog.at_level(logging.ERROR, "wares.serve"), TestClient(app) as early:
        while "cannot be opened" not in (answer := early.get("/api/search")).json()["error"]["message"]:
            pass
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert [record.message for record in caplog.records] == ["shop cannot be opened"]


def test_shops_are_described_with_useful_facets(client: TestClient) -> None:
    description = client.get("/api/shops").json()
    assert description["writes"] is False
    assert [shop["name"] for shop in description["shops"]] == ["three", "many"]
    many = description["shops"][1]
    assert many["listings"] == 60
    kinds = {facet["name"]: facet["kind"] for facet in many["facets"]}
    assert kinds == {
        "price": "number",
        "attributes.colour": "string",
        "attributes.odd": "bool",
        "attributes.sizes": "list",
    }
    assert many["examples"] == ["red thing", "blue thing"]


def test_a_replaced_shop_is_garbage_collected(tmp_path: Path) -> None:
    folder = toy_shop(tmp_path).path
    shops: list[weakref.ref[Shop]] = []

    def watched(folder: Path) -> Shop:
        shop = opened(folder)
        shops.append(weakref.ref(shop))
        return shop

    app = create_app(ServeSettings(shops=(("three", str(folder)),)), watched)
    with TestClient(app) as client:
        until_ready(client)
        for count in (2, 1):
            assert search_json(client, q="boots")["total"] == count + 1
            toy_shop(tmp_path, THREE[:count], overwrite=True)
            while search_json(client, q="boots")["total"] != count:
                pass
        while any(shop() for shop in shops[:-1]):  # a thread or the last search may still hold one
            gc.collect()
        assert shops[-1]() is not None
