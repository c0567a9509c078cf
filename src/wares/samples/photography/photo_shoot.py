"""All photos of a listing, each in its role, some of them flawed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageFilter

from wares.samples.drawing.sprite import Sprite
from wares.samples.items import Item, invent, recoloured
from wares.samples.kinds import KINDS
from wares.samples.photography.camera import Seller, Size, jpeg
from wares.samples.photography.graphics import logo, size_chart
from wares.samples.photography.item_sprites import of_item
from wares.samples.photography.scenes import in_use
from wares.samples.photography.studio import angle, detail, front
from wares.samples.randomness import Rng, pick

ROLES = ("front", "angle", "detail", "in-use", "other-colour", "size-chart", "logo", "wrong")


@dataclass(frozen=True)
class Photo:
    """One photo as uploaded, and the truth about it."""

    file: bytes
    role: str
    shows: str
    colour: str = ""
    flaw: str = ""


def shoot(item: Item, roles: Sequence[str], seed: int, seller: Seller, rng: Rng, flawed: bool = False) -> list[Photo]:
    """All photos of a listing, in the order of its roles. With `flawed` the first is dark, blurred or badly cut."""
    size = (256, 320) if KINDS[item.kind].portrait else (256, 256)
    piece = of_item(item, seed)
    return [_one(role, item, piece, size, seed, seller, rng, flawed and k == 0) for k, role in enumerate(roles)]


def _one(role: str, item: Item, piece: Sprite, size: Size, seed: int, seller: Seller, rng: Rng, flawed: bool) -> Photo:
    shows, colour = item.kind, item.colour
    if role in ("front", "angle", "in-use"):
        photo = {"front": front, "angle": angle, "in-use": in_use}[role](item, piece, size, rng, seller)
    elif role == "detail":
        photo = detail(item, seed, size, rng, seller)
    elif role == "other-colour":
        other = recoloured(item, rng)
        photo, colour = front(other, of_item(other, seed), size, rng, seller), other.colour
    elif role == "wrong":
        other = invent(rng, int(rng.integers(1_000_000)))
        photo, shows, colour = front(other, of_item(other, seed), size, rng, seller), other.kind, other.colour
    else:
        photo, shows, colour = (size_chart if role == "size-chart" else logo)(item, size, rng, seller), "", ""
    flaw = ""
    if flawed:
        flaw = pick(rng, ("dark", "blurred", "cut"))
        photo = spoiled(photo, flaw, rng)
    return Photo(jpeg(photo), role, shows, colour, flaw)


def spoiled(photo: Image.Image, flaw: str, rng: Rng) -> Image.Image:
    """A photo as it should not be."""
    if flaw == "dark":
        return photo.point([value * 36 // 100 for value in range(256)] * 3)
    if flaw == "blurred":
        return photo.filter(ImageFilter.GaussianBlur(5))
    width, height = photo.size
    left, top = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
    return photo.crop((left, top, left + width // 2, top + height // 2)).resize(photo.size, Image.Resampling.BILINEAR)
