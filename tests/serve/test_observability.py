"""Metrics and the request log."""

from __future__ import annotations

import json
import logging

import pytest
from api_client import search_json
from fastapi.testclient import TestClient

from wares.serve.observability import JsonLinesFormatter


def test_metrics_count_requests_by_route(client: TestClient) -> None:
    search_json(client, q="counted before")
    before = client.get("/metrics").text
    search_json(client, q="counted once")
    after = client.get("/metrics").text
    line = 'wares_requests_total{route="/api/search",status="200"}'
    number = {name: float(text.split(line)[1].split()[0]) for name, text in (("before", before), ("after", after))}
    assert number["after"] == number["before"] + 1
    assert 'wares_listings{shop="many"} 60.0' in after
    assert "counted" not in after


def test_a_request_is_logged_without_its_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "wares.serve"):
        answer = client.get("/api/search", params={"q": "private words"})
    [record] = [record for record in caplog.records if record.message == "request"]
    line = json.loads(JsonLinesFormatter().format(record))
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("GET", "/api/search", 200, "info")
    assert line["ms"] > 0
    assert "private" not in json.dumps(line)
