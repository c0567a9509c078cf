"""What keeps strangers from doing harm: security headers, limits of size and of rate, and the key for writing."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING

from wares.serve.refusals import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CLOSE = {"Connection": "close"}  # what is left of a body is not waited for
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """Adds the headers above to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self.app(scope, receive, sending)


class BodyLimit:
    """Stops reading a body that is longer than allowed, whatever its header says, or takes longer than allowed.

    most: bytes; seconds: until the last of them
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read, whole = 0, False
        ends = asyncio.get_running_loop().time() + self.seconds
        stated = dict(scope["headers"]).get(b"content-length", b"0")

        async def receiving() -> Message:
            nonlocal read, whole
            if stated.isdigit() and int(stated) > self.most:
                raise self._too_large()
            try:
                async with asyncio.timeout_at(None if whole else ends):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self.most:
                raise self._too_large()
            return message

        await self.app(scope, receiving, send)

    def _too_large(self) -> Refused:
        message = f"the request's body is longer than {self.most:,} bytes. Send a smaller photo, or fewer listings."
        return Refused(413, "too_large", message, CLOSE)

    def _too_slow(self) -> Refused:
        message = f"the request's body took longer than {self.seconds:g} seconds. Send it again, or something smaller."
        return Refused(408, "too_slow", message, CLOSE)


class Rate:
    """Requests of a client in a time. rate: as ServeSettings says; None for no limit"""

    def __init__(self, rate: str | None) -> None:
        from limits import parse
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._limit = None if rate is None else parse(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, client: str) -> None:
        """Raises Refused where the client asks too often."""
        if self._limit is not None and not self._limiter.hit(self._limit, client):
            message = f"more than {self._limit} came from this address. Wait a moment."
            raise Refused(429, "rate", message, {"Retry-After": "1"})


def check_key(given: str | None, key: str | None) -> None:
    """given: the Authorization header, its bytes as latin-1. Raises Refused where it does not open the write routes."""
    if key is None:
        raise Refused(403, "closed", "this server takes no changes: it was started without a key for them.")
    expected = f"Bearer {key}".encode()
    if given is None or not hmac.compare_digest(given.encode("latin-1"), expected):
        message = "changes need the header Authorization: Bearer KEY, with the key that the server was started with."
        raise Refused(401, "key", message, {"WWW-Authenticate": "Bearer"})
