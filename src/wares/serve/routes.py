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
from wares.serve.errors import ApiError
from wares.serve.observability import Metrics
from wares.serve.schemas import (
    ChangeResponse,
    DeleteResponse,
    ErrorResponse,
    Id,
    ListingIn,
    ListingOut,
    ListingsIn,
    PhotoResponse,
    SearchParameters,
    SearchResponse,
    ShopsResponse,
    ThumbnailSize,
)
from wares.serve.searcher import SearchRequest
from wares.serve.security import RateLimiter, check_api_key
from wares.serve.settings import ServeSettings
from wares.serve.shops import OpenShop, ShopRegistry
from wares.shop.update import add_photo, delete, read_listings, upsert

if TYPE_CHECKING:
    from wares.data.listings import Listing


PAGE_FOLDER = Path(__file__).parent / "page"
THUMBNAIL_CACHE_BYTES = 64_000_000  # bytes of them kept in memory
PHOTO_MAX_AGE = 3600  # seconds that a browser keeps a photo before it asks again
BODY_TIMEOUT = 120  # seconds that a request's body may take
MAX_PARALLEL_UPLOADS = 8  # photos held in memory at once; further ones wait on disk


@dataclass(frozen=True)
class ServerState:
    """What all requests have in common."""

    settings: ServeSettings
    shops: ShopRegistry
    metrics: Metrics
    rate_limiter: RateLimiter
    thumbnails: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(THUMBNAIL_CACHE_BYTES, len))
    upload_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_PARALLEL_UPLOADS))


# What routes ask for


def get_server(request: Request) -> ServerState:
    server: ServerState = request.app.state.server
    return server


def get_shop(request: Request, shop: Annotated[str | None, Query(max_length=200)] = None) -> OpenShop:
    return get_server(request).shops.get(shop)


ServerDependency = Annotated[ServerState, Depends(get_server)]
ShopDependency = Annotated[OpenShop, Depends(get_shop)]
ListingId = Annotated[str, AfterValidator(str.strip)]  # as listings' ids are, however they came


class RateLimitedRoute(APIRoute):
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
        get_server(request).rate_limiter.check(request.client.host if request.client else "")


class WriteRoute(RateLimitedRoute):
    """One that needs the key as well."""

    def check(self, request: Request) -> None:
        """Raises Refused."""
        super().check(request)
        check_api_key(request.headers.get("authorization"), get_server(request).settings.api_key)


def _check_writable(opened: ShopDependency) -> None:
    """Raises Refused where the shop is a copy."""
    if opened.replica is not None:
        raise ApiError(403, "replica", "this shop is a copy. Change the one that it is published from.")


error_responses: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (400, 404, 408, 413, 422, 429, 503)
}
write_error_responses = error_responses | {status: {"model": ErrorResponse} for status in (401, 403)}
api_key_scheme = HTTPBearer(auto_error=False, description="The key that the server was started with.")
search_router = APIRouter(route_class=RateLimitedRoute, responses=error_responses)
write_router = APIRouter(
    route_class=WriteRoute,
    responses=write_error_responses,
    dependencies=[Security(api_key_scheme), Depends(_check_writable)],
)
unlimited_router = APIRouter()  # not limited: a page shows many photos at once, and a monitor asks often


# Searching


@search_router.get("/api/search", response_model=SearchResponse)
async def search(server: ServerDependency, parameters: Annotated[SearchParameters, Query()]) -> Response:
    """Search by words, by a photo that was given before, by a listing, or by all of these together."""
    return await _search_response(server, parameters, parameters.photo)


@search_router.post("/api/search", response_model=SearchResponse)
async def search_by_photo(
    server: ServerDependency, parameters: Annotated[SearchParameters, Query()], photo: Annotated[UploadFile, File()]
) -> Response:
    """Search by a photo, and by whatever else is asked. `get_photo` of the answer stands for it in further requests."""
    if parameters.photo is not None:
        raise ApiError(422, "query", "a photo and the token of another cannot both be looked for. Leave one out.")
    async with server.upload_slots:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.max_upload_pixels)
        return await _search_response(server, parameters, content)


async def _search_response(server: ServerState, asked: SearchParameters, photo: str | bytes | None) -> Response:
    began = time.perf_counter()
    opened = server.shops.get(asked.shop)
    text = asked.q if asked.q and asked.q.strip() else None
    question = SearchRequest(
        text, photo, asked.like, tuple(asked.filter), tuple(asked.facet),
        asked.page, asked.per_page, asked.system, asked.rerank,
    )  # fmt: skip
    answer = await opened.searcher.search(question)
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


@search_router.get("/api/shops", response_model=ShopsResponse)
async def list_shops(server: ServerDependency) -> Response:
    """The shops that are open, the first by default, and what they can be asked for."""
    found = [await _describe_shop(opened) for opened in server.shops]
    return JSONResponse({"shops": found, "writes": server.settings.api_key is not None})


async def _describe_shop(opened: OpenShop) -> dict[str, object]:
    shop = await opened.searcher.latest()
    return await opened.searcher.run_in_table_thread(lambda: opened.to_json(shop))


# Listings


@search_router.get("/api/listings/{id:path}", response_model=ListingOut)
async def get_listing(opened: ShopDependency, id: ListingId) -> Response:
    """A listing as the shop has it."""
    shop = await opened.searcher.latest()
    found = await opened.searcher.run_in_table_thread(lambda: read_listings(shop, [id]))
    if id not in found:
        raise _no_listing(id)
    return JSONResponse(ListingOut.from_listing(found[id]).model_dump())


@write_router.put("/api/listings/{id:path}", response_model=ChangeResponse)
async def put_listing(opened: ShopDependency, id: Id, listing: ListingIn) -> ChangeResponse:
    """Add a listing, or put it in the place of the one with its id. It can be found by the next request."""
    return await _upsert(opened, [listing.to_listing(id)])


@write_router.post("/api/listings", response_model=ChangeResponse)
async def post_listings(opened: ShopDependency, batch: ListingsIn) -> ChangeResponse:
    """Add or replace up to a thousand listings: all of them or none."""
    return await _upsert(opened, [each.to_listing(each.id) for each in batch.listings])


async def _upsert(opened: OpenShop, listings: Sequence[Listing]) -> ChangeResponse:
    done = await opened.searcher.write(lambda shop: upsert(shop, listings))
    return ChangeResponse(added=done.added, changed=done.changed)


@write_router.delete("/api/listings/{id:path}", response_model=DeleteResponse)
async def delete_listing(opened: ShopDependency, id: ListingId) -> DeleteResponse:
    """Take a listing out of the shop."""
    gone = await opened.searcher.write(lambda shop: delete(shop, [id]))
    if not gone:
        raise _no_listing(id)
    return DeleteResponse(deleted=gone)


@write_router.post("/api/photos", response_model=PhotoResponse)
async def post_photo(
    server: ServerDependency, opened: ShopDependency, photo: Annotated[UploadFile, File()]
) -> PhotoResponse:
    """Keep a photo for listings to name."""
    async with server.upload_slots:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.max_upload_pixels)
        return PhotoResponse(name=await asyncio.to_thread(add_photo, opened.shop, content))


def _no_listing(id: str) -> ApiError:
    return ApiError(404, "listing", f'there is no listing "{id[:80]}" in this shop.')


# Photos


@unlimited_router.get("/api/photos/{name:path}", response_class=Response, responses=error_responses)
async def get_photo(
    request: Request, server: ServerDependency, opened: ShopDependency, name: str, size: ThumbnailSize | None = None
) -> Response:
    """A listing's photo as it is, or a JPEG whose longer side has `size` pixels."""
    try:
        path = await asyncio.to_thread(opened.photo_path, name)
        stat = await asyncio.to_thread(path.stat)
        tag = hashlib.sha256(f"{path} {stat.st_mtime_ns} {stat.st_size} {size}".encode()).hexdigest()[:32]
        headers = {"ETag": f'"{tag}"', "Cache-Control": f"public, max-age={PHOTO_MAX_AGE}"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if size is None:
            media = await asyncio.to_thread(photo_media_type, path)
            return FileResponse(path, media_type=media, headers=headers)
        known = server.thumbnails.get(tag)
        content = await asyncio.to_thread(thumbnail, path, size) if known is None else known
    except (WaresError, OSError, ValueError):  # also of a file that is no photo: what else lies there is not told
        raise ApiError(404, "photo", f'there is no photo "{name[:80]}" in this shop.') from None
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


@unlimited_router.get("/", include_in_schema=False)
async def get_page() -> Response:
    """The search page."""
    return FileResponse(PAGE_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@unlimited_router.get("/healthz")
async def get_health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@unlimited_router.get("/readyz", responses={503: {"model": ErrorResponse}})
async def get_readiness(server: ServerDependency) -> dict[str, str]:
    """Whether every shop can be searched."""
    if not server.shops.ready:
        raise ApiError(503, "opening", "not all shops are open yet.", {"Retry-After": "2"})
    return {"status": "ready"}


@unlimited_router.get("/metrics", response_class=Response)
async def get_metrics(server: ServerDependency) -> Response:
    """Counts for Prometheus."""
    content = await asyncio.to_thread(server.metrics.prometheus_text, server.shops)
    return Response(content, media_type=server.metrics.content_type)
