"""What goes in and out of the API, for checking requests and for /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wares.data.listings import MAX_TEXT_LENGTH, Listing

System = Literal["fused", "bm25", "fused+bm25"]
LISTING_EXAMPLE = {
    "title": "Red leather boots",
    "description": "Worn twice.",
    "tags": ["boots", "vintage"],
    "images": ["photos/17-front.jpg", "photos/17-sole.jpg"],
    "price": 45.0,
    "attributes": {"size": "39"},
}
LISTING_RESPONSE_EXAMPLE = {name: value for name, value in LISTING_EXAMPLE.items() if name != "images"} | {
    "id": "17",
    "photos": LISTING_EXAMPLE["images"],
}
HIT_EXAMPLE = LISTING_RESPONSE_EXAMPLE | {
    "score": 0.5,
    "photo": "photos/17-front.jpg",
    "why": [
        {"view": "photos/17-front.jpg", "kind": "photo", "contribution": 0.3},
        {"view": "title", "kind": "text", "contribution": 0.2},
    ],
}
THUMBNAIL_SIZES = (160, 320, 640, 1280)  # pixels of the longer side
ShortText = Annotated[str, Field(max_length=1000)]
FilterExpression = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(max_length=200)]


def _check_thumbnail_size(size: int) -> int:
    if size not in THUMBNAIL_SIZES:
        raise ValueError(f"one of {', '.join(map(str, THUMBNAIL_SIZES))}")
    return size


ThumbnailSize = Annotated[
    int, AfterValidator(_check_thumbnail_size), Field(json_schema_extra={"enum": list(THUMBNAIL_SIZES)})
]


class SearchParameters(BaseModel):
    """What is looked for. q, like and photo are added up; without any of them all listings are shown."""

    model_config = ConfigDict(extra="forbid")
    q: Annotated[ShortText | None, Field(description="Words.", examples=["red leather boots"])] = None
    like: Annotated[ShortText | None, Field(description="Id of a listing to find more of.")] = None
    photo: Annotated[
        str | None,
        Field(
            max_length=20_000,
            description="The `photo` of an earlier answer, to look for it again; of several models, joined by dots.",
        ),
    ] = None
    filter: Annotated[
        list[FilterExpression],
        Field(
            max_length=50,
            description="COLUMN, one of = != < <= > >=, VALUE. Several = on a column mean any of the values.",
            examples=[["price<=50", "attributes.gender=men"]],
        ),
    ] = []
    facet: Annotated[
        list[Name], Field(max_length=50, description="Columns whose values are told.", examples=[["price"]])
    ] = []
    page: Annotated[int, Field(ge=1, le=1000)] = 1
    per_page: Annotated[int, Field(ge=1, le=100)] = 20
    system: Annotated[System | None, Field(description="What ranks. By default fused; with rerank, fused+bm25.")] = None
    rerank: Annotated[bool, Field(description="Reorder the best hundred by the shop's ranker.")] = False
    shop: Annotated[Name | None, Field(description="By default the first.")] = None


def _strip_nonempty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def _check_distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a photo is named twice")
    return names


def _example(content: dict[str, Any]) -> dict[str, Any]:
    return {"examples": [content]}


# No path can name a line break.
Id = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(_strip_nonempty)]
LongText = Annotated[str, Field(max_length=MAX_TEXT_LENGTH)]
FiniteNumber = Annotated[float, Field(allow_inf_nan=False)]


class ListingIn(BaseModel):
    """A listing as it is to be. images: names of photos, those of POST /api/photos or paths in the catalogue"""

    model_config = ConfigDict(json_schema_extra=_example(LISTING_EXAMPLE), extra="forbid", strict=True)
    title: Annotated[LongText, AfterValidator(_strip_nonempty)]
    description: LongText = ""
    tags: Annotated[list[Name], Field(max_length=1000)] = []
    images: Annotated[list[ShortText], Field(max_length=100), AfterValidator(_check_distinct)] = []
    price: Annotated[FiniteNumber | None, Field(ge=0)] = None
    attributes: dict[Name, str | bool | FiniteNumber | list[str]] = {}
    product: Name | None = None
    texts: Annotated[dict[Name, LongText], Field(description="Further texts, by name.")] = {}

    def to_listing(self, id: str) -> Listing:
        """As the rest of wares knows it."""
        return Listing(
            id=id,
            title=self.title,
            description=self.description,
            tags=tuple(tag for tag in self.tags if tag.strip()),
            images=tuple(self.images),
            price=self.price,
            attributes=dict(self.attributes),
            product=self.product,
            texts=dict(self.texts),
        )


class ListingWithId(ListingIn):
    """A listing of a batch."""

    model_config = ConfigDict(json_schema_extra=_example({"id": "17"} | LISTING_EXAMPLE))
    id: Id


class ListingsIn(BaseModel):
    """Listings that are added, or take the place of those with their ids: all of them or none."""

    model_config = ConfigDict(
        json_schema_extra=_example({"listings": [{"id": "17"} | LISTING_EXAMPLE]}), extra="forbid"
    )
    listings: Annotated[list[ListingWithId], Field(min_length=1, max_length=1000)]


class ChangeResponse(BaseModel):
    """How many listings were new, and how many there were already."""

    model_config = ConfigDict(json_schema_extra=_example({"added": 1, "changed": 0}))
    added: int
    changed: int


class DeleteResponse(BaseModel):
    """How many listings are gone."""

    model_config = ConfigDict(json_schema_extra=_example({"deleted": 1}))
    deleted: int


class PhotoResponse(BaseModel):
    """What to name in a listing's `images`."""

    model_config = ConfigDict(json_schema_extra=_example({"name": f"uploads/{'5d41402abc4b2a76' * 4}.jpg"}))
    name: str


class Explanation(BaseModel):
    """What one view, or the query's words, added to the score."""

    view: str
    kind: Literal["photo", "text", "words"]
    contribution: float


class ListingOut(BaseModel):
    """A listing as the shop has it."""

    model_config = ConfigDict(json_schema_extra=_example(LISTING_RESPONSE_EXAMPLE))
    id: str
    title: str
    description: str
    tags: list[str]
    price: float | None
    photos: list[str]
    attributes: dict[str, Any]

    @classmethod
    def from_listing(cls, listing: Listing) -> ListingOut:
        """As a client is told."""
        return cls(
            id=listing.id,
            title=listing.title,
            description=listing.description,
            tags=list(listing.tags),
            price=listing.price,
            photos=list(listing.images),
            attributes=dict(listing.attributes),
        )


class HitOut(ListingOut):
    """A result: the shares in `why` sum to the score; photo is the one that matched best."""

    model_config = ConfigDict(json_schema_extra=_example(HIT_EXAMPLE))
    score: float
    rerank_score: float | None = None
    photo: str | None
    why: list[Explanation]


class SearchResponse(BaseModel):
    """Results are the best thousand listings; `capped` says that there were more."""

    model_config = ConfigDict(
        json_schema_extra=_example(
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
    """A column worth offering."""

    name: str
    label: str
    kind: Literal["string", "number", "bool", "list"]


class ShopOut(BaseModel):
    """A shop that can be searched."""

    name: str
    listings: int
    photos: int
    model: str
    systems: list[System]
    has_ranker: bool
    facets: list[Facet]
    examples: list[str]


class ShopsResponse(BaseModel):
    """All shops, and whether changes can be made with a key."""

    model_config = ConfigDict(
        json_schema_extra=_example(
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
    """What was wrong, in one line; quote request_id to whoever reads the server's log."""

    code: str
    message: str
    request_id: str


class ErrorResponse(BaseModel):
    """Every answer that is no success."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            {
                "error": {
                    "code": "filter",
                    "message": 'filter "cost<3" names no column of this shop. There are id, title, price.',
                    "request_id": "5d41402abc4b2a765d41402abc4b2a76",
                }
            }
        )
    )
    error: ErrorDetail
