"""Routes of the HTTP API."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

from cachetools import LRUCache
from fastapi import APIRouter, Depends, File, Query, Request, Security, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import AfterValidator

from wares.core.errors import PhotoError, WaresError
from wares.data.photos import photo_media_type, thumbnail
from wares.serve.observing import Metrics
from wares.serve.refusals import Refused
from wares.serve.safety import Rate, check_key
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
from wares.shop.update import add_photo, delete, read_listings, upsert

if TYPE_CHECKING:
    from wares.data.listings import Listing


PAGE = Path(__file__).parent / "page"
THUMBNAILS = 64_000_000  # bytes of them kept in memory
FRESH = 3600  # seconds that a browser keeps a photo before it asks again
SLOWEST = 120  # seconds that a request's body may take
UPLOADS = 8  # photos held in memory at once; further ones wait on disk


@dataclass(frozen=True)
class Server:
    """What all requests have in common."""

    settings: ServeSettings
    shelf: Shelf
    metrics: Metrics
    rate: Rate
    thumbnails: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(THUMBNAILS, len))
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))


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
            media = await asyncio.to_thread(photo_media_type, path)
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
            photo_media_type(file.name, pixels)
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
