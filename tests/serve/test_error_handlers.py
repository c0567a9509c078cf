"""Error responses: status, code and message for each kind of bad request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from api_client import error_of, search_json, until_ready
from fastapi.testclient import TestClient
from toys import Toys

from wares.serve.api import create_app
from wares.serve.settings import ServeSettings
from wares.shop.shop import open_shop


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"nothing": "1"}, "request", "nothing: unknown field or parameter."),
        ({"page": "0"}, "request", "page: Input should be greater than or equal to 1"),
        ({"per_page": "101"}, "request", "per_page"),
        ({"q": "x" * 1001}, "request", "q: String should have at most 1000 characters"),
        ({"system": "magic"}, "request", "system"),
        ({"filter": "price"}, "filter", "has no operator"),
        ({"filter": "cost<3"}, "filter", "names no column of this shop"),
        ({"filter": "price<cheap"}, "filter", '"cheap" is not a number'),
        ({"filter": "price<nan"}, "filter", '"nan" is not a number'),
        ({"filter": "attributes.gender<men"}, "filter", "Use = or !=."),
        ({"filter": "attributes.new=yes"}, "filter", "Write true or false."),
        ({"filter": "vector=1"}, "filter", "names no column"),
        ({"facet": "view_vectors"}, "filter", "is not a column"),
        ({"rerank": "true"}, "query", "rerank needs q"),
        ({"system": "bm25", "like": "mug"}, "query", "ranks by words only"),
        ({"system": "fused+bm25", "like": "mug"}, "query", '"fused+bm25" needs q'),
        ({"like": "nothing"}, "query", 'there is no listing "nothing" in three'),
        ({"photo": "AAAA"}, "photo_token", "not a valid photo token"),
        ({"photo": "é" * 40}, "photo_token", "not a valid photo token"),
    ],
)
def test_invalid_parameters_return_422_with_the_reason(
    client: TestClient, parameters: dict[str, str], code: str, message: str
) -> None:
    status, actual_code, text = error_of(client, **parameters)
    assert (status, actual_code) == (422, code)
    assert message in text


def test_rerank_without_a_ranker_is_rejected(client: TestClient) -> None:
    status, _, message = error_of(client, q="mug", rerank="true")
    assert status == 422
    assert "has no ranker" in message


def test_unknown_routes_and_methods_are_rejected(client: TestClient) -> None:
    assert error_of(client, "/api/nothing")[:2] == (404, "not_found")
    assert client.put("/api/search").status_code == 405
    assert client.get("/docs").status_code == 404


def test_bodies_that_are_not_json_objects_are_rejected(writable: TestClient) -> None:
    for content, kind, message in (
        (
            b'{"title": "R"}',
            "text/plain",
            "the body: not a JSON object. Send one, with Content-Type",
        ),
        (b'[{"title": "R"}]', "application/json", "the body: not a JSON object"),
        (b'{"title": ', "application/json", "the body, character 10: not valid JSON."),
    ):
        answer = writable.put("/api/listings/hat", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert message in answer.json()["error"]["message"]


def test_an_unexpected_exception_reveals_nothing_of_the_server(
    shops: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Toys):
        def encode_texts(self, texts: Sequence[str]) -> Any:
            if "boom" in texts:
                raise RuntimeError("secret /inside/path")
            return super().encode_texts(texts)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), lambda folder: open_shop(folder, Broken()))
    with TestClient(app, raise_server_exceptions=False) as broken, caplog.at_level(logging.ERROR, "wares.serve"):
        answer = until_ready(broken).get("/api/search", params={"q": "boom"})
        assert search_json(broken, q="mug")["hits"]
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]
    [record] = [record for record in caplog.records if record.message == "request failed"]
    assert record.request_id == answer.headers["x-request-id"]  # type: ignore[attr-defined]
