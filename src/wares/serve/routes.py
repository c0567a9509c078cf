"""Routes of the HTTP API."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, File, Query, Request, Security, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import AfterValidator

from wares.core.errors import PhotoError, WaresError
from wares.data.photos import photo_media_type, thumbnail
from wares.serve.dependencies import (
    RateLimitedRoute,
    ServerDependency,
    ServerState,
    ShopDependency,
    WriteRoute,
    api_key_scheme,
    check_writable,
    error_responses,
    write_error_responses,
)
from wares.serve.errors import MAX_SHOWN_LENGTH, ApiError
from wares.serve.listing_schemas import (
    ChangeResponse,
    DeleteResponse,
    Id,
    ListingIn,
    ListingOut,
    ListingsIn,
    PhotoResponse,
)
from wares.serve.schemas import (
    ErrorResponse,
    SearchParameters,
    SearchResponse,
    ShopsResponse,
    ThumbnailSize,
)
from wares.serve.search_requests import SearchRequest
from wares.serve.shops import OpenShop
from wares.shop.update import add_photo, delete, read_listings, upsert

if TYPE_CHECKING:
    from wares.data.listings import Listing


PAGE_FOLDER = Path(__file__).parent / "page"
PHOTO_MAX_AGE = 3600  # seconds that a browser may cache a photo without asking again
ListingId = Annotated[str, AfterValidator(str.strip)]  # stored ids have no surrounding spaces

search_router = APIRouter(route_class=RateLimitedRoute, responses=error_responses)
write_router = APIRouter(
    route_class=WriteRoute,
    responses=write_error_responses,
    dependencies=[Security(api_key_scheme), Depends(check_writable)],
)
unlimited_router = APIRouter()  # a page requests many photos at once, and monitors poll often


# Search


@search_router.get("/api/search", response_model=SearchResponse)
async def search(server: ServerDependency, parameters: Annotated[SearchParameters, Query()]) -> Response:
    """Search by words, by the token of a photo, by a listing, or by all of these together."""
    return await _search_response(server, parameters, parameters.photo)


@search_router.post("/api/search", response_model=SearchResponse)
async def search_by_photo(
    server: ServerDependency, parameters: Annotated[SearchParameters, Query()], photo: Annotated[UploadFile, File()]
) -> Response:
    """Search by a photo, and by any other parameters. `photo` of the response is its token for further requests."""
    if parameters.photo is not None:
        raise ApiError(422, "query", "the request has a photo and a photo token. Leave out one of them.")
    async with server.upload_slots:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.max_upload_pixels)
        return await _search_response(server, parameters, content)


async def _search_response(server: ServerState, parameters: SearchParameters, photo: str | bytes | None) -> Response:
    start = time.perf_counter()
    opened = server.shops.get(parameters.shop)
    request = SearchRequest(
        text=parameters.q if parameters.q and parameters.q.strip() else None,
        photo=photo,
        like=parameters.like,
        filters=tuple(parameters.filter),
        facets=tuple(parameters.facet),
        page=parameters.page,
        per_page=parameters.per_page,
        system=parameters.system,
        rerank=parameters.rerank,
    )
    result = await opened.searcher.search(request)
    return JSONResponse(
        {
            "shop": opened.name,
            "system": result.system,
            "total": result.total,
            "capped": result.capped,
            "page": parameters.page,
            "per_page": parameters.per_page,
            "pages": math.ceil(result.total / parameters.per_page),
            "took_ms": round(1000 * (time.perf_counter() - start), 2),
            "photo": result.photo,
            "hits": [hit.to_json() for hit in result.hits],
            "facets": result.facets,
            "ranges": result.ranges,
        }
    )


@search_router.get("/api/shops", response_model=ShopsResponse)
async def list_shops(server: ServerDependency) -> Response:
    """The open shops, the default one first, with their systems, facets and example queries."""
    descriptions = [await _describe_shop(opened) for opened in server.shops]
    return JSONResponse({"shops": descriptions, "writes": server.settings.api_key is not None})


async def _describe_shop(opened: OpenShop) -> dict[str, object]:
    shop = await opened.searcher.latest()
    return await opened.searcher.run_in_table_thread(lambda: opened.to_json(shop))


# Listings


@search_router.get("/api/listings/{id:path}", response_model=ListingOut)
async def get_listing(opened: ShopDependency, id: ListingId) -> Response:
    """The listing with an id."""
    shop = await opened.searcher.latest()
    listings = await opened.searcher.run_in_table_thread(lambda: read_listings(shop, [id]))
    if id not in listings:
        raise _listing_not_found(id)
    return JSONResponse(ListingOut.from_listing(listings[id]).model_dump())


@write_router.put("/api/listings/{id:path}", response_model=ChangeResponse)
async def put_listing(opened: ShopDependency, id: Id, listing: ListingIn) -> ChangeResponse:
    """Add a listing, or replace the listing with this id. The next search can return it."""
    return await _upsert(opened, [listing.to_listing(id)])


@write_router.post("/api/listings", response_model=ChangeResponse)
async def post_listings(opened: ShopDependency, batch: ListingsIn) -> ChangeResponse:
    """Add or replace up to 1,000 listings: all of them, or none if one is invalid."""
    return await _upsert(opened, [listing.to_listing(listing.id) for listing in batch.listings])


async def _upsert(opened: OpenShop, listings: Sequence[Listing]) -> ChangeResponse:
    result = await opened.searcher.write(lambda shop: upsert(shop, listings))
    return ChangeResponse(added=result.added, changed=result.changed)


@write_router.delete("/api/listings/{id:path}", response_model=DeleteResponse)
async def delete_listing(opened: ShopDependency, id: ListingId) -> DeleteResponse:
    """Delete a listing from the shop."""
    deleted = await opened.searcher.write(lambda shop: delete(shop, [id]))
    if not deleted:
        raise _listing_not_found(id)
    return DeleteResponse(deleted=deleted)


@write_router.post("/api/photos", response_model=PhotoResponse)
async def post_photo(
    server: ServerDependency, opened: ShopDependency, photo: Annotated[UploadFile, File()]
) -> PhotoResponse:
    """Store a photo. Listings can name it in `images`."""
    async with server.upload_slots:
        content = await photo.read()
        await asyncio.to_thread(_check_photo, content, server.settings.max_upload_pixels)
        return PhotoResponse(name=await asyncio.to_thread(add_photo, opened.shop, content))


def _listing_not_found(id: str) -> ApiError:
    return ApiError(404, "listing", f'this shop has no listing "{id[:MAX_SHOWN_LENGTH]}".')


# Photos


@unlimited_router.get("/api/photos/{name:path}", response_class=Response, responses=error_responses)
async def get_photo(
    request: Request, server: ServerDependency, opened: ShopDependency, name: str, size: ThumbnailSize | None = None
) -> Response:
    """A listing's photo; with `size`, a JPEG whose longer side has at most `size` pixels."""
    try:
        path = await asyncio.to_thread(opened.photo_path, name)
        stat = await asyncio.to_thread(path.stat)
        etag = hashlib.sha256(f"{path} {stat.st_mtime_ns} {stat.st_size} {size}".encode()).hexdigest()[:32]
        headers = {"ETag": f'"{etag}"', "Cache-Control": f"public, max-age={PHOTO_MAX_AGE}"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if size is None:
            media_type = await asyncio.to_thread(photo_media_type, path)
            return FileResponse(path, media_type=media_type, headers=headers)
        cached = server.thumbnails.get(etag)
        content = await asyncio.to_thread(thumbnail, path, size) if cached is None else cached
    except (WaresError, OSError, ValueError):  # the same message for other files: it must not reveal that they exist
        raise ApiError(404, "photo", f'this shop has no photo "{name[:MAX_SHOWN_LENGTH]}".') from None
    if len(content) <= server.thumbnails.maxsize:
        server.thumbnails[etag] = content
    return Response(content, media_type="image/jpeg", headers=headers)


def _check_photo(content: bytes, max_pixels: int) -> None:
    """Raise PhotoError if an upload is not a photo, or has more than `max_pixels` pixels."""
    with NamedTemporaryFile(suffix=".photo") as file:
        file.write(content)
        file.flush()
        try:
            photo_media_type(file.name, max_pixels)
        except PhotoError as error:
            raise PhotoError(str(error).replace(file.name, "the upload")) from error


# The page, health and metrics


@unlimited_router.get("/", include_in_schema=False)
async def get_page() -> Response:
    """The search page."""
    return FileResponse(PAGE_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@unlimited_router.get("/healthz")
async def get_health() -> dict[str, str]:
    """Liveness: the process responds."""
    return {"status": "ok"}


@unlimited_router.get("/readyz", responses={503: {"model": ErrorResponse}})
async def get_readiness(server: ServerDependency) -> dict[str, str]:
    """Readiness: every shop can be searched."""
    if not server.shops.ready:
        raise ApiError(503, "opening", "not all shops are open yet.", {"Retry-After": "2"})
    return {"status": "ready"}


@unlimited_router.get("/metrics", response_class=Response)
async def get_metrics(server: ServerDependency) -> Response:
    """Metrics in Prometheus' text format."""
    content = await asyncio.to_thread(server.metrics.prometheus_text, server.shops)
    return Response(content, media_type=server.metrics.content_type)
