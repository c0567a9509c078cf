"""The ASGI app: routes, page, error handlers and middleware in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from wares import __version__
from wares.core.errors import WaresError
from wares.serve.dependencies import ServerState
from wares.serve.error_handlers import UnhandledErrorMiddleware, error_response
from wares.serve.observability import Metrics, RequestLogMiddleware
from wares.serve.routes import PAGE_FOLDER, search_router, unlimited_router, write_router
from wares.serve.security import BodyLimitMiddleware, RateLimiter, SecurityHeadersMiddleware
from wares.serve.settings import ServeSettings
from wares.serve.shops import ShopRegistry
from wares.shop.replicas import Replica, is_url

if TYPE_CHECKING:
    from wares.shop.shop import Shop


BODY_TIMEOUT = 120  # seconds that a client may take to send a request body


def create_app(
    settings: ServeSettings, open_shop_folder: Callable[[Path], Shop] | None = None, wait_for_shops: bool = False
) -> FastAPI:
    """The ASGI app of the API and the page.

    open_shop_folder: opens the folder of a shop; by default `open_shop`, with the settings' `in_memory`
    wait_for_shops: accept no requests before the shops are open; for workers that share a socket

    The app opens shops in the background. Until a shop is open, its searches and /readyz return status 503.

    Example:
        >>> from wares.serve import ServeSettings, create_app
        >>> app = create_app(ServeSettings(shops=(("june", "shops/june"),)))
        >>> "/api/search" in app.openapi()["paths"]
        True
    """
    from wares.shop.shop import open_shop

    metrics = Metrics()
    locations = {name: Replica(location) if is_url(location) else Path(location) for name, location in settings.shops}
    open_shop_folder = open_shop_folder or partial(open_shop, in_memory=settings.in_memory)
    shops = ShopRegistry(locations, open_shop_folder, metrics.observe_batch)
    lifespan = _watching(shops, wait_for_shops)
    app = FastAPI(title="wares", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.server = ServerState(settings, shops, metrics, RateLimiter(settings.rate_limit))
    for router in (search_router, write_router, unlimited_router):
        app.include_router(router)
    app.mount("/assets", PageFiles(directory=PAGE_FOLDER), name="assets")
    for error_type in (WaresError, RequestValidationError, HTTPException):
        app.add_exception_handler(error_type, error_response)
    # The last middleware that is added runs first.
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_upload_bytes, timeout=BODY_TIMEOUT)
    app.add_middleware(UnhandledErrorMiddleware)
    if settings.cors_origin:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origin, expose_headers=["X-Request-ID"])
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware, metrics=metrics)
    return app


class PageFiles(StaticFiles):
    """Files of the page. Browsers revalidate them, because files of two versions do not work together."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """The file with `Cache-Control: no-cache`; status 304 if the browser has the current version."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _watching(shops: ShopRegistry, wait_for_shops: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that opens and watches the shops while the app runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watch = asyncio.create_task(shops.watch())
        if wait_for_shops:
            await shops.all_tried.wait()
        yield
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        shops.close()

    return lifespan
