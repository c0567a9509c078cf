"""The HTTP API: a function a route. What a route does is next door, and how it is spoken of is in schemas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from wares import __version__
from wares.core.errors import WaresError
from wares.serve.error_handlers import PageFiles, UnhandledErrorMiddleware, error_response
from wares.serve.observability import Metrics, RequestLogMiddleware
from wares.serve.routes import BODY_TIMEOUT, PAGE_FOLDER, ServerState, search_router, unlimited_router, write_router
from wares.serve.security import BodyLimitMiddleware, RateLimiter, SecurityHeadersMiddleware
from wares.serve.settings import ServeSettings
from wares.serve.shops import ShopRegistry
from wares.shop.replicas import Replica, is_url

if TYPE_CHECKING:
    from wares.shop.shop import Shop


def create_app(
    settings: ServeSettings, open_shop_folder: Callable[[Path], Shop] | None = None, wait_for_shops: bool = False
) -> FastAPI:
    """The ASGI app of the API and the page.

    open_shop_folder: opens the folder of a shop; by default `open_shop`, with the settings' `in_memory`
    wait_for_shops: accept no requests before the shops are open; for workers that share a socket

    The app opens shops in the background. Until a shop is open, its searches and /readyz return status 503.
    """
    from wares.shop.shop import open_shop

    metrics = Metrics()
    places = {name: Replica(place) if is_url(place) else Path(place) for name, place in settings.shops}
    shelf = ShopRegistry(
        places, open_shop_folder or partial(open_shop, in_memory=settings.in_memory), metrics.observe_batch
    )
    tended = _tended(shelf, wait_for_shops)
    app = FastAPI(title="wares", version=__version__, docs_url=None, redoc_url=None, lifespan=tended)
    app.state.server = ServerState(settings, shelf, metrics, RateLimiter(settings.rate_limit))
    for each in (search_router, write_router, unlimited_router):
        app.include_router(each)
    app.mount("/assets", PageFiles(directory=PAGE_FOLDER), name="assets")
    for kind in (WaresError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, error_response)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_upload_bytes, timeout=BODY_TIMEOUT)
    app.add_middleware(UnhandledErrorMiddleware)
    if settings.cors_origin:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origin, expose_headers=["X-Request-ID"])
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    return app


def _tended(shelf: ShopRegistry, opened_first: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Shops are opened, and watched, as long as the app runs."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        tending = asyncio.create_task(shelf.watch())
        if opened_first:
            await shelf.all_tried.wait()
        yield
        tending.cancel()
        with suppress(asyncio.CancelledError):
            await tending
        shelf.close()

    return running
