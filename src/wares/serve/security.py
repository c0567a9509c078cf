"""What keeps strangers from doing harm: security headers, limits of size and of rate, and the key for writing."""

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
CLOSE_CONNECTION = {"Connection": "close"}  # what is left of a body is not waited for
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeadersMiddleware:
    """Adds the headers above to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self.app(scope, receive, sending)


class BodyLimitMiddleware:
    """Stops reading a body that is longer than allowed, whatever its header says, or takes longer than allowed.

    max_bytes: bytes; timeout: until the last of them
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self.app, self.max_bytes, self.timeout = app, max_bytes, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read, whole = 0, False
        ends = asyncio.get_running_loop().time() + self.timeout
        stated = dict(scope["headers"]).get(b"content-length", b"0")

        async def receiving() -> Message:
            nonlocal read, whole
            if stated.isdigit() and int(stated) > self.max_bytes:
                raise self._too_large()
            try:
                async with asyncio.timeout_at(None if whole else ends):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, receiving, send)

    def _too_large(self) -> ApiError:
        message = (
            f"the request's body is longer than {self.max_bytes:,} bytes. Send a smaller photo, or fewer listings."
        )
        return ApiError(413, "too_large", message, CLOSE_CONNECTION)

    def _too_slow(self) -> ApiError:
        message = f"the request's body took longer than {self.timeout:g} seconds. Send it again, or something smaller."
        return ApiError(408, "too_slow", message, CLOSE_CONNECTION)


class RateLimiter:
    """Requests of a client in a time. rate: as ServeSettings says; None for no limit"""

    def __init__(self, rate_limit: str | None) -> None:
        from limits import parse
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._limit = None if rate_limit is None else parse(rate_limit)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, client: str) -> None:
        """Raises Refused where the client asks too often."""
        if self._limit is not None and not self._limiter.hit(self._limit, client):
            message = f"more than {self._limit} came from this address. Wait a moment."
            raise ApiError(429, "rate", message, {"Retry-After": "1"})


def check_api_key(authorization: str | None, api_key: str | None) -> None:
    """Raise ApiError unless the header allows write requests.

    authorization: the Authorization header, its bytes decoded as latin-1
    """
    if api_key is None:
        raise ApiError(403, "closed", "this server takes no changes: it was started without a key for them.")
    expected = f"Bearer {api_key}".encode()
    if authorization is None or not hmac.compare_digest(authorization.encode("latin-1"), expected):
        message = "changes need the header Authorization: Bearer KEY, with the key that the server was started with."
        raise ApiError(401, "key", message, {"WWW-Authenticate": "Bearer"})
