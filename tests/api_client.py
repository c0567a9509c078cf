"""A client of the HTTP API over toy shops, in this process, and what tests read from responses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from PIL import Image
from toys import opened

from wares.data.listings import Listing
from wares.serve.api import create_app
from wares.serve.settings import ServeSettings

MANY = tuple(
    Listing(
        f"g{i:03d}",
        f"{'red' if i % 2 else 'blue'} thing {i}",
        price=float(i),
        images=(f"{i}-red.png",) if i % 2 else (),
        attributes={"colour": "red" if i % 2 else "blue", "odd": bool(i % 2), "sizes": ["s", "m"][: i % 3]},
    )
    for i in range(1, 61)
)


KEY = "a key for these tests"


AUTHORISED = {"Authorization": f"Bearer {KEY}"}


HAT = {"title": "Straw hat", "price": 12.5, "attributes": {"gender": "women", "colors": ["white"], "size": 57}}


def client_of(shops: dict[str, Path], **settings: Any) -> TestClient:
    named = tuple((name, str(folder)) for name, folder in shops.items())
    return TestClient(create_app(ServeSettings(shops=named, **settings), opened), raise_server_exceptions=False)


def until_ready(client: TestClient) -> TestClient:
    while client.get("/readyz").status_code != 200:
        pass
    return client


def search_json(client: TestClient, **parameters: Any) -> dict[str, Any]:
    answer = client.get("/api/search", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def error_of(client: TestClient, path: str = "/api/search", **parameters: Any) -> tuple[int, str, str]:
    answer = client.get(path, params=parameters)
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "\n" not in error["message"]
    return answer.status_code, error["code"], error["message"]


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]


def png(colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), {"red": (200, 30, 30), "blue": (40, 60, 200)}[colour]).save(content, "PNG")
    return content.getvalue()
