"""The HTTP API: a function a route. What a route does is next door, and how it is spoken of is in schemas."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

from cachetools import LRUCache
from fastapi import APIRouter, Depends, FastAPI, File, Query, Request, Security, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from wares import __version__
from wares.errors import PhotoError, WaresError
from wares.photos import photo_type, thumbnail
from wares.replicas import Replica, is_url
from wares.serve.observing import Metrics, Observed
from wares.serve.refusals import Refused, refusal_of
from wares.serve.safety import BodyLimit, Rate, SecurityHeaders, check_key
from wares.serve.schemas import (
    Changed,
    Deleted,
    ErrorAnswer,
    Id,
    ListingIn,
    ListingOut,
    ListingsIn,
    PhotoAdded,
    SearchAnswer,
    SearchParameters,
    ShopsAnswer,
    ThumbnailSize,
)
from wares.serve.searching import Question
from wares.serve.settings import ServeSettings
from wares.serve.shops import OpenShop, Shelf
from wares.update import add_photo, delete, read_listings, upsert

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wares.catalogue import Listing
    from wares.shop import Shop

PAGE = Path(__file__).parent / "page"
THUMBNAILS = 64_000_000  # bytes of them kept in memory
FRESH = 3600  # seconds that a browser keeps a photo before it asks again
SLOWEST = 120  # seconds that a request's body may take
UPLOADS = 8  # photos held in memory at once; further ones wait on disk
log = logging.getLogger("wares.serve")


@dataclass(frozen=True)
class Server:
    """What all requests have in common."""

    settings: ServeSettings
    shelf: Shelf
    metrics: Metrics
    rate: Rate
    thumbnails: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(THUMBNAILS, len))
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))


def create_app(
    settings: ServeSettings, open: Callable[[Path], Shop] | None = None, opened_first: bool = False
) -> FastAPI:
    """The API and the page, for any ASGI server.

    open: opens a shop's folder; `wares.open_shop` by default, as the settings say
    opened_first: whether the app starts with its shops opened, for it is one of several that share a socket

    Shops are opened in the background: until then searches are answered with 503, and /readyz too. With `opened_first`
    the app takes no requests until then.
    """
    from wares.shop import open_shop

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


# What routes ask for


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


def _shop(request: Request, shop: Annotated[str | None, Query(max_length=200)] = None) -> OpenShop:
    return _server(request).shelf.get(shop)


TheServer = Annotated[Server, Depends(_server)]
TheShop = Annotated[OpenShop, Depends(_shop)]
Named = Annotated[str, AfterValidator(str.strip)]  # as listings' ids are, however they came


class Limited(APIRoute):
    """A route that refuses who asks too often before it reads what they send."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI calls it for a request."""
        answer = super().get_route_handler()

        async def checked(request: Request) -> Response:
            self.check(request)
            return await answer(request)

        return checked

    def check(self, request: Request) -> None:
        """Raises Refused."""
        _server(request).rate.check(request.client.host if request.client else "")


class Locked(Limited):
    """One that needs the key as well."""

    def check(self, request: Request) -> None:
        """Raises Refused."""
        super().check(request)
        check_key(request.headers.get("authorization"), _server(request).settings.key)


def _changeable(opened: TheShop) -> None:
    """Raises Refused where the shop is a copy."""
    if opened.replica is not None:
        raise Refused(403, "replica", "this shop is a copy. Change the one that it is published from.")


refusals: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 404, 408, 413, 422, 429, 503)
}
refused_changes = refusals | {status: {"model": ErrorAnswer} for status in (401, 403)}
bearer = HTTPBearer(auto_error=False, description="The key that the server was started with.")
searching = APIRouter(route_class=Limited, responses=refusals)
changing = APIRouter(
    route_class=Locked, responses=refused_changes, dependencies=[Security(bearer), Depends(_changeable)]
)
others = APIRouter()  # not limited: a page shows many photos at once, and a monitor asks often


# Searching


@searching.get("/api/search", response_model=SearchAnswer)
async def search(server: TheServer, asked: Annotated[SearchParameters, Query()]) -> Response:
    """Search by words, by a photo that was given before, by a listing, or by all of these together."""
    return await _answered(server, asked, asked.photo)


@searching.post("/api/search", response_model=SearchAnswer)
async def search_by_photo(
    server: TheServer, asked: Annotated[SearchParameters, Query()], photo: Annotated[UploadFile, File()]
) -> Response:
    """Search by a photo, and by whatever else is asked. `photo` of the answer stands for it in further requests."""
    if asked.photo is not None:
        raise Refused(422, "query", "a photo and the token of another cannot both be looked for. Leave one out.")
    async with server.uploads:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.upload_pixels)
        return await _answered(server, asked, content)


async def _answered(server: Server, asked: SearchParameters, photo: str | bytes | None) -> Response:
    began = time.perf_counter()
    opened = server.shelf.get(asked.shop)
    text = asked.q if asked.q and asked.q.strip() else None
    question = Question(
        text, photo, asked.like, tuple(asked.filter), tuple(asked.facet),
        asked.page, asked.per_page, asked.system, asked.rerank,
    )  # fmt: skip
    answer = await opened.searcher.answer(question)
    return JSONResponse(
        {
            "shop": opened.name,
            "system": answer.system,
            "total": answer.total,
            "capped": answer.capped,
            "page": asked.page,
            "per_page": asked.per_page,
            "pages": math.ceil(answer.total / asked.per_page),
            "took_ms": round(1000 * (time.perf_counter() - began), 2),
            "photo": answer.photo,
            "hits": [hit.to_json() for hit in answer.hits],
            "facets": answer.facets,
            "ranges": answer.ranges,
        }
    )


@searching.get("/api/shops", response_model=ShopsAnswer)
async def shops(server: TheServer) -> Response:
    """The shops that are open, the first by default, and what they can be asked for."""
    found = [await _told(opened) for opened in server.shelf]
    return JSONResponse({"shops": found, "writes": server.settings.key is not None})


async def _told(opened: OpenShop) -> dict[str, object]:
    shop = await opened.searcher.latest()
    return await opened.searcher.with_store(lambda: opened.to_json(shop))


# Listings


@searching.get("/api/listings/{id:path}", response_model=ListingOut)
async def listing(opened: TheShop, id: Named) -> Response:
    """A listing as the shop has it."""
    shop = await opened.searcher.latest()
    found = await opened.searcher.with_store(lambda: read_listings(shop, [id]))
    if id not in found:
        raise _no_listing(id)
    return JSONResponse(ListingOut.of(found[id]).model_dump())


@changing.put("/api/listings/{id:path}", response_model=Changed)
async def put_listing(opened: TheShop, id: Id, listing: ListingIn) -> Changed:
    """Add a listing, or put it in the place of the one with its id. It can be found by the next request."""
    return await _put(opened, [listing.listing(id)])


@changing.post("/api/listings", response_model=Changed)
async def post_listings(opened: TheShop, batch: ListingsIn) -> Changed:
    """Add or replace up to a thousand listings: all of them or none."""
    return await _put(opened, [each.listing(each.id) for each in batch.listings])


async def _put(opened: OpenShop, listings: Sequence[Listing]) -> Changed:
    done = await opened.searcher.change(lambda shop: upsert(shop, listings))
    return Changed(added=done.added, changed=done.changed)


@changing.delete("/api/listings/{id:path}", response_model=Deleted)
async def delete_listing(opened: TheShop, id: Named) -> Deleted:
    """Take a listing out of the shop."""
    gone = await opened.searcher.change(lambda shop: delete(shop, [id]))
    if not gone:
        raise _no_listing(id)
    return Deleted(deleted=gone)


@changing.post("/api/photos", response_model=PhotoAdded)
async def post_photo(server: TheServer, opened: TheShop, photo: Annotated[UploadFile, File()]) -> PhotoAdded:
    """Keep a photo for listings to name."""
    async with server.uploads:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.upload_pixels)
        return PhotoAdded(name=await asyncio.to_thread(add_photo, opened.shop, content))


def _no_listing(id: str) -> Refused:
    return Refused(404, "listing", f'there is no listing "{id[:80]}" in this shop.')


# Photos


@others.get("/api/photos/{name:path}", response_class=Response, responses=refusals)
async def photo(
    request: Request, server: TheServer, opened: TheShop, name: str, size: ThumbnailSize | None = None
) -> Response:
    """A listing's photo as it is, or a JPEG whose longer side has `size` pixels."""
    try:
        path = await asyncio.to_thread(opened.photo, name)
        stat = await asyncio.to_thread(path.stat)
        tag = hashlib.sha256(f"{path} {stat.st_mtime_ns} {stat.st_size} {size}".encode()).hexdigest()[:32]
        headers = {"ETag": f'"{tag}"', "Cache-Control": f"public, max-age={FRESH}"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if size is None:
            media = await asyncio.to_thread(photo_type, path)
            return FileResponse(path, media_type=media, headers=headers)
        known = server.thumbnails.get(tag)
        content = await asyncio.to_thread(thumbnail, path, size) if known is None else known
    except (WaresError, OSError, ValueError):  # also of a file that is no photo: what else lies there is not told
        raise Refused(404, "photo", f'there is no photo "{name[:80]}" in this shop.') from None
    if len(content) <= server.thumbnails.maxsize:
        server.thumbnails[tag] = content
    return Response(content, media_type="image/jpeg", headers=headers)


def _check_photo(content: bytes, pixels: int) -> None:
    """Raises PhotoError where an upload is no photo, or has more pixels than allowed."""
    with NamedTemporaryFile(suffix=".photo") as file:
        file.write(content)
        file.flush()
        try:
            photo_type(file.name, pixels)
        except PhotoError as error:
            raise PhotoError(str(error).replace(file.name, "the upload")) from error


# For people and for those who run the server


@others.get("/", include_in_schema=False)
async def page() -> Response:
    """The search page."""
    return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})


@others.get("/healthz")
async def alive() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@others.get("/readyz", responses={503: {"model": ErrorAnswer}})
async def ready(server: TheServer) -> dict[str, str]:
    """Whether every shop can be searched."""
    if not server.shelf.ready:
        raise Refused(503, "opening", "not all shops are open yet.", {"Retry-After": "2"})
    return {"status": "ready"}


@others.get("/metrics", response_class=Response)
async def metrics(server: TheServer) -> Response:
    """Counts for Prometheus."""
    content = await asyncio.to_thread(server.metrics.text, server.shelf)
    return Response(content, media_type=server.metrics.content_type)


class Assets(StaticFiles):
    """Files of the page, which browsers ask for again: those of two versions do not go together."""

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        """With a header that says so; what has not changed is answered with 304."""
        response = super().file_response(*arguments, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response


# What went wrong


class Unforeseen:
    """Turns any other exception into an answer, inside of what adds headers to answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            answer = await _refuse(Request(scope), error)
            await answer(scope, receive, send)


# What pydantic says in words of Python.
SAID = {
    "model_attributes_type": "this is no JSON object. Send one, with Content-Type: application/json",
    "json_invalid": "this is broken JSON",
    "extra_forbidden": "there is no such field or parameter",
}


async def _refuse(request: Request, error: Exception) -> Response:
    """Any error as an answer: one line, and nothing of the server's inside."""
    refused = _as_refused(error)
    id = request.scope.get("state", {}).get("request_id", "")
    if refused.status >= 500 and not isinstance(error, Refused):
        log.error("request failed", exc_info=error, extra={"request_id": id})
    message = str(refused)
    for name, folder in _server(request).shelf.folders.items():
        message = message.replace(str(folder), name)
    content = {"error": {"code": refused.code, "message": message, "request_id": id}}
    return JSONResponse(content, refused.status, refused.headers)


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, HTTPException) and isinstance(error.__cause__, WaresError):
        error = error.__cause__  # what stopped the reading of a body
    if isinstance(error, WaresError):
        return refusal_of(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        where = f"the body, character {where}" if first["type"] == "json_invalid" else where
        return Refused(422, "request", f"{where}: {SAID.get(first['type'], first['msg'])}.")
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
        return Refused(error.status_code, code, f"{error.detail}.", dict(error.headers or {}))
    return Refused(500, "error", "something went wrong here. The server's log has more under this request id.")
