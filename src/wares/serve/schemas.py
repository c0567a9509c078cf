"""Models of searches, shops and errors. They validate requests, and describe the API in /openapi.json."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wares.serve.listing_schemas import LISTING_RESPONSE_EXAMPLE, ListingOut, Name, ShortText, with_example

System = Literal["fused", "bm25", "fused+bm25"]
HIT_EXAMPLE = LISTING_RESPONSE_EXAMPLE | {
    "score": 0.5,
    "photo": "photos/17-front.jpg",
    "why": [
        {"view": "photos/17-front.jpg", "kind": "photo", "contribution": 0.3, "similarity": 0.6},
        {"view": "title", "kind": "text", "contribution": 0.2, "similarity": 0.4},
    ],
}
THUMBNAIL_SIZES = (160, 320, 640, 1280)  # pixels of the longer side
FilterExpression = Annotated[str, Field(max_length=500)]


def _check_thumbnail_size(size: int) -> int:
    if size not in THUMBNAIL_SIZES:
        raise ValueError(f"must be one of {', '.join(map(str, THUMBNAIL_SIZES))}")
    return size


ThumbnailSize = Annotated[
    int, AfterValidator(_check_thumbnail_size), Field(json_schema_extra={"enum": list(THUMBNAIL_SIZES)})
]


class SearchParameters(BaseModel):
    """A query and how to show its results. The vectors of q, like and photo are added; without a query all match."""

    model_config = ConfigDict(extra="forbid")
    q: Annotated[ShortText | None, Field(description="Words to search for.", examples=["red leather boots"])] = None
    like: Annotated[
        ShortText | None, Field(description="Id of a listing; the results are listings that are similar to it.")
    ] = None
    photo: Annotated[
        str | None,
        Field(
            max_length=20_000,
            description="The `photo` of an earlier response: a token of the photo. Tokens by several models are joined "
            "by dots.",
        ),
    ] = None
    filter: Annotated[
        list[FilterExpression],
        Field(
            max_length=50,
            description="COLUMN, one of = != < <= > >=, VALUE. Several = on a column match any of the values.",
            examples=[["price<=50", "attributes.gender=men"]],
        ),
    ] = []
    facet: Annotated[
        list[Name], Field(max_length=50, description="Columns whose values are counted.", examples=[["price"]])
    ] = []
    page: Annotated[int, Field(ge=1, le=1000)] = 1
    per_page: Annotated[int, Field(ge=1, le=100)] = 20
    system: Annotated[
        System | None,
        Field(description="What ranks the listings. Default: fused+bm25 for a query with a text, otherwise fused."),
    ] = None
    rerank: Annotated[bool, Field(description="Rerank the best hundred listings with the shop's ranker.")] = False
    shop: Annotated[Name | None, Field(description="Name of a shop. Default: the first.")] = None


class Explanation(BaseModel):
    """What one view, or the query's words, contributed to the score: for a view, its similarity times its weight."""

    view: str
    kind: Literal["photo", "text", "words"]
    contribution: float
    similarity: Annotated[float | None, Field(description="Cosine of the view with the query.")] = None


class HitOut(ListingOut):
    """A result. The contributions in `why` sum to the score; `photo` is the one most similar to the query."""

    model_config = ConfigDict(json_schema_extra=with_example(HIT_EXAMPLE))
    score: float
    rerank_score: float | None = None
    photo: str | None
    why: list[Explanation]


class SearchResponse(BaseModel):
    """A page of results. A search has at most 1,000 results; `capped` tells whether more listings matched."""

    model_config = ConfigDict(
        json_schema_extra=with_example(
            {
                "shop": "my-shop",
                "system": "fused",
                "total": 1,
                "capped": False,
                "page": 1,
                "per_page": 20,
                "pages": 1,
                "took_ms": 21.5,
                "photo": "MGMxZjJhM2IAPAA4",
                "hits": [HIT_EXAMPLE],
                "facets": {"attributes.size": {"39": 1}},
                "ranges": {"price": {"min": 45.0, "max": 45.0}},
            }
        )
    )
    shop: str
    system: System
    total: int
    capped: bool
    page: int
    per_page: int
    pages: int
    took_ms: float
    photo: str | None
    hits: list[HitOut]
    facets: dict[str, dict[str, int]]
    ranges: dict[str, dict[str, float]]


class Facet(BaseModel):
    """A column that is useful as a facet."""

    name: str
    label: str
    kind: Literal["string", "number", "bool", "list"]


class ShopOut(BaseModel):
    """An open shop."""

    name: str
    listings: int
    photos: int
    model: str
    systems: list[System]
    has_ranker: bool
    facets: list[Facet]
    examples: list[str]


class ShopsResponse(BaseModel):
    """All open shops. `writes` tells whether the server accepts changes with its API key."""

    model_config = ConfigDict(
        json_schema_extra=with_example(
            {
                "shops": [
                    {
                        "name": "my-shop",
                        "listings": 1000,
                        "photos": 3024,
                        "model": "0c1f…",
                        "systems": ["fused", "bm25"],
                        "has_ranker": False,
                        "facets": [{"name": "price", "label": "price", "kind": "number"}],
                        "examples": ["red boots"],
                    }
                ],
                "writes": True,
            }
        )
    )
    shops: list[ShopOut]
    writes: bool


class ErrorDetail(BaseModel):
    """A code for programs, a message of one line, and the request's id in the server's log."""

    code: str
    message: str
    request_id: str


class ErrorResponse(BaseModel):
    """Every response that is not a success."""

    model_config = ConfigDict(
        json_schema_extra=with_example(
            {
                "error": {
                    "code": "filter",
                    "message": 'filter "cost<3" names no column of this shop. Use one of id, title, price.',
                    "request_id": "5d41402abc4b2a765d41402abc4b2a76",
                }
            }
        )
    )
    error: ErrorDetail
