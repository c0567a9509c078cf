"""Models of listings and of changes to them. They validate requests, and describe the API in /openapi.json."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wares.data.listings import MAX_TEXT_LENGTH, Listing, exact_attribute

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


def with_example(content: dict[str, Any]) -> dict[str, Any]:
    """The entry of a JSON schema that shows an example."""
    return {"examples": [content]}


def _strip_nonempty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _check_distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("must not name a photo twice")
    return names


Name = Annotated[str, Field(max_length=200)]
ShortText = Annotated[str, Field(max_length=1000)]
LongText = Annotated[str, Field(max_length=MAX_TEXT_LENGTH)]
FiniteNumber = Annotated[float, Field(allow_inf_nan=False)]
# A URL path cannot contain control characters.
Id = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(_strip_nonempty)]


class ListingIn(BaseModel):
    """A listing without its id. images: names from POST /api/photos, or paths in the catalogue"""

    model_config = ConfigDict(json_schema_extra=with_example(LISTING_EXAMPLE), extra="forbid", strict=True)
    title: Annotated[LongText, AfterValidator(_strip_nonempty)]
    description: LongText = ""
    tags: Annotated[list[Name], Field(max_length=1000)] = []
    images: Annotated[list[ShortText], Field(max_length=100), AfterValidator(_check_distinct)] = []
    price: Annotated[FiniteNumber | None, Field(ge=0)] = None
    attributes: dict[Name, Annotated[str | bool | FiniteNumber | list[str], BeforeValidator(exact_attribute)]] = {}
    product: Name | None = None
    texts: Annotated[dict[Name, LongText], Field(description="Further text views, by name.")] = {}

    def to_listing(self, id: str) -> Listing:
        """The listing, with an id."""
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

    model_config = ConfigDict(json_schema_extra=with_example({"id": "17"} | LISTING_EXAMPLE))
    id: Id


class ListingsIn(BaseModel):
    """Listings to add, or to replace if their ids exist: all of them, or none if one is invalid."""

    model_config = ConfigDict(
        json_schema_extra=with_example({"listings": [{"id": "17"} | LISTING_EXAMPLE]}), extra="forbid"
    )
    listings: Annotated[list[ListingWithId], Field(min_length=1, max_length=1000)]


class ListingOut(BaseModel):
    """A listing of the shop."""

    model_config = ConfigDict(json_schema_extra=with_example(LISTING_RESPONSE_EXAMPLE))
    id: str
    title: str
    description: str
    tags: list[str]
    price: float | None
    photos: list[str]
    attributes: dict[str, Any]

    @classmethod
    def from_listing(cls, listing: Listing) -> ListingOut:
        """The response for a listing."""
        return cls(
            id=listing.id,
            title=listing.title,
            description=listing.description,
            tags=list(listing.tags),
            price=listing.price,
            photos=list(listing.images),
            attributes=dict(listing.attributes),
        )


class ChangeResponse(BaseModel):
    """Numbers of listings that were added, and of those that replaced an earlier version."""

    model_config = ConfigDict(json_schema_extra=with_example({"added": 1, "changed": 0}))
    added: int
    changed: int


class DeleteResponse(BaseModel):
    """Number of deleted listings."""

    model_config = ConfigDict(json_schema_extra=with_example({"deleted": 1}))
    deleted: int


class PhotoResponse(BaseModel):
    """The name of an uploaded photo, for a listing's `images`."""

    model_config = ConfigDict(json_schema_extra=with_example({"name": f"uploads/{'5d41402abc4b2a76' * 4}.jpg"}))
    name: str
