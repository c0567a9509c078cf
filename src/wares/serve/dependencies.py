"""What routes depend on: the server's state, the shop of a request, and checks before a body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any

from cachetools import LRUCache
from fastapi import Depends, Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from wares.serve.errors import ApiError
from wares.serve.observability import Metrics
from wares.serve.schemas import ErrorResponse
from wares.serve.security import RateLimiter, check_api_key
from wares.serve.settings import ServeSettings
from wares.serve.shops import OpenShop, ShopRegistry

THUMBNAIL_CACHE_BYTES = 64_000_000
MAX_PARALLEL_UPLOADS = 8  # photos in memory at once; further ones wait on disk


@dataclass(frozen=True)
class ServerState:
    """State that all requests share."""

    settings: ServeSettings
    shops: ShopRegistry
    metrics: Metrics
    rate_limiter: RateLimiter
    thumbnails: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(THUMBNAIL_CACHE_BYTES, len))
    upload_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_PARALLEL_UPLOADS))


def get_server(request: Request) -> ServerState:
    """The state of the app that handles a request."""
    server: ServerState = request.app.state.server
    return server


def get_shop(request: Request, shop: Annotated[str | None, Query(max_length=200)] = None) -> OpenShop:
    """The shop that a request names, or the first. Raises ApiError."""
    return get_server(request).shops.get(shop)


ServerDependency = Annotated[ServerState, Depends(get_server)]
ShopDependency = Annotated[OpenShop, Depends(get_shop)]


def check_writable(opened: ShopDependency) -> None:
    """Raise ApiError if the shop is a replica."""
    if opened.replica is not None:
        raise ApiError(403, "replica", "this shop is a read-only replica. Change the shop that was published.")


class RateLimitedRoute(APIRoute):
    """A route that checks the rate limit before it reads the request body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI calls for each request."""
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            self.check(request)
            return await handle(request)

        return check_and_handle

    def check(self, request: Request) -> None:
        """Raise ApiError if the client exceeds the rate limit."""
        get_server(request).rate_limiter.check(request.client.host if request.client else "")


class WriteRoute(RateLimitedRoute):
    """A route that checks the API key as well."""

    def check(self, request: Request) -> None:
        """Raise ApiError if the client exceeds the rate limit, or if the API key is missing or wrong."""
        super().check(request)
        check_api_key(request.headers.get("authorization"), get_server(request).settings.api_key)


error_responses: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (400, 404, 408, 413, 422, 429, 503)
}
write_error_responses = error_responses | {status: {"model": ErrorResponse} for status in (401, 403)}
api_key_scheme = HTTPBearer(auto_error=False, description="The server's API key.")
