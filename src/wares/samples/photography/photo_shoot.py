"""Photo shoots: all photos of a listing, each in its role, some with flaws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageFilter

from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item, random_item, recoloured
from wares.samples.kinds import KINDS
from wares.samples.photography.camera import Seller, Size, jpeg
from wares.samples.photography.graphics import logo, size_chart
from wares.samples.photography.item_sprites import item_sprite
from wares.samples.photography.scenes import in_use_photo
from wares.samples.photography.studio import angle_photo, detail_photo, front_photo
from wares.samples.randomness import Rng, pick

ROLES = ("front", "angle", "detail", "in-use", "other-colour", "size-chart", "logo", "wrong")
PHOTOS_OF_ITEM = {"front": front_photo, "angle": angle_photo, "in-use": in_use_photo}


@dataclass(frozen=True)
class Photo:
    """One photo as uploaded, and the truth about it.

    role: one of ROLES
    shows, colour: kind and colour of the item in it, empty if it shows none
    flaw: dark, blurred or cut; empty for a good photo
    """

    file: bytes
    role: str
    shows: str
    colour: str = ""
    flaw: str = ""


def take_photos(
    item: Item, roles: Sequence[str], seed: int, seller: Seller, rng: Rng, flawed: bool = False
) -> list[Photo]:
    """Take the photos of a listing, one for each role, the first with a flaw if `flawed`."""
    size = (256, 320) if KINDS[item.kind].portrait else (256, 256)
    sprite = item_sprite(item, seed)
    photos = []
    for number, role in enumerate(roles):
        image, shown = _take_photo(role, item, sprite, size, seed, seller, rng)
        flaw = ""
        if flawed and number == 0:
            flaw = pick(rng, ("dark", "blurred", "cut"))
            image = with_flaw(image, flaw, rng)
        photos.append(Photo(jpeg(image), role, shown.kind if shown else "", shown.colour if shown else "", flaw))
    return photos


def _take_photo(
    role: str, item: Item, sprite: Sprite, size: Size, seed: int, seller: Seller, rng: Rng
) -> tuple[Image.Image, Item | None]:
    """Take one photo, and return it with the item that it shows."""
    if role in PHOTOS_OF_ITEM:
        return PHOTOS_OF_ITEM[role](item, sprite, size, rng, seller), item
    if role == "detail":
        return detail_photo(item, seed, size, rng, seller), item
    if role == "size-chart":
        return size_chart(item, size, rng, seller), None
    if role == "logo":
        return logo(size, rng, seller), None
    other = recoloured(item, rng) if role == "other-colour" else random_item(rng, int(rng.integers(1_000_000)))
    return front_photo(other, item_sprite(other, seed), size, rng, seller), other


def with_flaw(photo: Image.Image, flaw: str, rng: Rng) -> Image.Image:
    """Return a photo that is dark, blurred or cut to a quarter."""
    if flaw == "dark":
        return photo.point([value * 36 // 100 for value in range(256)] * 3)
    if flaw == "blurred":
        return photo.filter(ImageFilter.GaussianBlur(5))
    width, height = photo.size
    left, top = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
    return photo.crop((left, top, left + width // 2, top + height // 2)).resize(photo.size, Image.Resampling.BILINEAR)
