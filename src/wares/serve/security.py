"""Protection of a public server: security headers, limits of body size and request rate, and the API key."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from wares.serve.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CLOSE_CONNECTION = {"Connection": "close"}  # the server does not wait for the rest of the body
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeadersMiddleware:
    """Adds `SECURITY_HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self.app(scope, receive, send_with_headers)


class BodyLimitMiddleware:
    """Stops reading a request body that is too large or too slow, whatever its Content-Length.

    max_bytes: size of a body; timeout: seconds from the start of the request to the end of its body
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self.app, self.max_bytes, self.timeout = app, max_bytes, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received, complete = 0, False
        deadline = asyncio.get_running_loop().time() + self.timeout
        content_length = dict(scope["headers"]).get(b"content-length", b"0")

        async def receive_limited() -> Message:
            nonlocal received, complete
            if content_length.isdigit() and int(content_length) > self.max_bytes:
                raise self._too_large()
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, receive_limited, send)

    def _too_large(self) -> ApiError:
        message = f"the request body is larger than {self.max_bytes:,} bytes. Send a smaller photo, or fewer listings."
        return ApiError(413, "too_large", message, CLOSE_CONNECTION)

    def _too_slow(self) -> ApiError:
        message = f"the request body took longer than {self.timeout:g} seconds. Send it again, or send a smaller one."
        return ApiError(408, "too_slow", message, CLOSE_CONNECTION)


class RateLimiter:
    """Limits the requests of each client.

    rate_limit: one or several rates, which all hold, such as "20/second;500/minute"; None for no limit
    """

    def __init__(self, rate_limit: str | None) -> None:
        from limits import parse_many
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._limits = [] if rate_limit is None else parse_many(rate_limit)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, client: str) -> None:
        """Count a request. Raises ApiError if the client exceeds a limit. client: its address"""
        for limit in self._limits:
            if not self._limiter.hit(limit, client):
                message = f"this address sent more than {limit}. Wait a moment."
                raise ApiError(429, "rate", message, {"Retry-After": "1"})


def check_api_key(authorization: str | None, api_key: str | None) -> None:
    """Raise ApiError unless the header allows write requests.

    authorization: the Authorization header, its bytes decoded as latin-1
    """
    if api_key is None:
        raise ApiError(403, "closed", "this server is read-only. Start it with --api-key to allow changes.")
    expected = f"Bearer {api_key}".encode()
    if authorization is None or not hmac.compare_digest(authorization.encode("latin-1"), expected):
        message = "the API key is missing or wrong. Send the header Authorization: Bearer KEY with the server's key."
        raise ApiError(401, "key", message, {"WWW-Authenticate": "Bearer"})
