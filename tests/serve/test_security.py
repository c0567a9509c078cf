"""Limits of body size and request rate, the API key, and security headers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from api_client import AUTHORISED, KEY, client_of, search_json, until_ready
from fastapi.testclient import TestClient
from toys import toy_shop

from wares.serve.errors import ApiError
from wares.serve.security import BodyLimitMiddleware, RateLimiter


def test_large_bodies_are_rejected_with_or_without_content_length(shops: dict[str, Path]) -> None:
    with client_of(shops, max_upload_bytes=1000) as small:
        stated = small.post("/api/search", files={"photo": bytes(2000)})
        streamed = small.post(
            "/api/search",
            content=iter([b"--x\r\n", *[bytes(500)] * 4]),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    for answer in (stated, streamed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_slow_body_is_rejected() -> None:
    async def stalled() -> None:
        async def reads(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass

        parts = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Any:
            return parts.pop() if parts else await asyncio.Event().wait()

        await BodyLimitMiddleware(reads, 100, 0.01)({"type": "http", "headers": []}, receive, None)  # type: ignore[arg-type]

    with pytest.raises(ApiError, match="took longer than") as refusal:
        asyncio.run(stalled())
    assert (refusal.value.status, refusal.value.headers) == (408, {"Connection": "close"})


@pytest.mark.parametrize(("method", "path"), [("PUT", "listings/hat"), ("POST", "photos"), ("POST", "search")])
def test_the_body_of_a_rejected_request_is_not_read(shops: dict[str, Path], method: str, path: str) -> None:
    """Neither without the key nor where a client asks too often."""
    with client_of(shops, api_key=KEY, rate_limit="1/hour") as strict:
        strict.get("/api/shops") if path == "search" else None
        body = iter([b"--x\r\n", b"more"])
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = strict.request(method, f"/api/{path}", content=body, headers=headers)
    assert answer.status_code == (429 if path == "search" else 401)
    assert list(body) == [b"--x\r\n", b"more"]


def test_the_rate_limit_rejects_further_requests(shops: dict[str, Path]) -> None:
    with client_of(shops, rate_limit="3/minute") as limited:
        until_ready(limited)
        codes = [limited.get("/api/shops").status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert limited.get("/healthz").status_code == 200
        assert limited.get("/api/shops").headers["retry-after"] == "1"


@pytest.mark.parametrize("rate_limit", ["100/second;3/hour", "3/hour;100/second", "3/hour, 100 per second"])
def test_all_parts_of_a_rate_limit_hold(rate_limit: str) -> None:
    limiter = RateLimiter(rate_limit)
    for _ in range(3):
        limiter.check("a")
    with pytest.raises(ApiError, match="more than 3 per 1 hour"):
        limiter.check("a")
    limiter.check("b")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "listings/hat"), ("POST", "listings"), ("DELETE", "listings/mug"), ("POST", "photos")],
)
def test_changes_require_the_api_key(client: TestClient, writable: TestClient, method: str, path: str) -> None:
    closed = client.request(method, f"/api/{path}", headers=AUTHORISED)
    assert (closed.status_code, closed.json()["error"]["code"]) == (403, "closed")
    for value in (b"", KEY.encode(), f"Bearer {KEY}x".encode(), b"Bearer \xff"):
        writable.headers.pop("authorization", None)
        answer = writable.request(method, f"/api/{path}", headers=[(b"authorization", value)])
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key")
    assert search_json(writable)["total"] == 3
    assert writable.get("/api/shops").json()["writes"] is True


def test_the_api_key_may_contain_any_letters(tmp_path: Path) -> None:
    key = "schlüssel für alle"
    with client_of({"three": toy_shop(tmp_path).path}, api_key=key) as changing:
        until_ready(changing)
        headers = [(b"authorization", f"Bearer {key}".encode())]
        assert changing.request("DELETE", "/api/listings/mug", headers=headers).json() == {"deleted": 1}


def test_every_response_has_security_headers(client: TestClient) -> None:
    for path in ("/api/shops", "/api/nothing", "/api/search?page=0", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_only_allowed_origins_may_read_responses(shops: dict[str, Path]) -> None:
    with client_of(shops, cors_origin=("https://shop.example",)) as open_to:
        named = open_to.get("/healthz", headers={"Origin": "https://shop.example"})
        other = open_to.get("/healthz", headers={"Origin": "https://other.example"})
    assert named.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in other.headers
