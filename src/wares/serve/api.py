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
from wares.serve.middleware import Assets, Unforeseen, _refuse
from wares.serve.observing import Metrics, Observed
from wares.serve.routes import PAGE, SLOWEST, Server, changing, others, searching
from wares.serve.safety import BodyLimit, Rate, SecurityHeaders
from wares.serve.settings import ServeSettings
from wares.serve.shops import Shelf
from wares.shop.replicas import Replica, is_url

if TYPE_CHECKING:
    from wares.shop.shop import Shop


def create_app(
    settings: ServeSettings, open: Callable[[Path], Shop] | None = None, opened_first: bool = False
) -> FastAPI:
    """The API and the page, for any ASGI server.

    open: opens a shop's folder; `wares.open_shop` by default, as the settings say
    opened_first: whether the app starts with its shops opened, for it is one of several that share a socket

    Shops are opened in the background: until then searches are answered with 503, and /readyz too. With `opened_first`
    the app takes no requests until then.
    """
    from wares.shop.shop import open_shop

    metrics = Metrics()
    places = {name: Replica(place) if is_url(place) else Path(place) for name, place in settings.shops}
    shelf = Shelf(places, open or partial(open_shop, in_memory=settings.in_memory), metrics.observe)
    tended = _tended(shelf, opened_first)
    app = FastAPI(title="wares", version=__version__, docs_url=None, redoc_url=None, lifespan=tended)
    app.state.server = Server(settings, shelf, metrics, Rate(settings.rate))
    for each in (searching, changing, others):
        app.include_router(each)
    app.mount("/assets", Assets(directory=PAGE), name="assets")
    for kind in (WaresError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _refuse)
    app.add_middleware(BodyLimit, most=settings.upload_bytes, seconds=SLOWEST)
    app.add_middleware(Unforeseen)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, expose_headers=["X-Request-ID"])
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed, metrics=metrics)
    return app


def _tended(shelf: Shelf, opened_first: bool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Shops are opened, and watched, as long as the app runs."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        tending = asyncio.create_task(shelf.keep_open())
        if opened_first:
            await shelf.tried.wait()
        yield
        tending.cancel()
        with suppress(asyncio.CancelledError):
            await tending
        shelf.close()

    return running
