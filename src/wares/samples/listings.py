"""The plan of the marketplace: who sells what, and which photos they take of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from wares.samples.items import Item, random_item
from wares.samples.palette import COLOURS, jitter
from wares.samples.photography.camera import Seller
from wares.samples.phrases import PHRASES
from wares.samples.randomness import Rng, pick

ITEM_STREAM, SELLER_STREAM = 0, 5  # random streams of a seed
RELISTED_SHARE = 0.06  # of listings that sell an item of an earlier listing
FLAWED_SHARE = 0.07  # of listings with a bad first photo
SELLER_COUNT = 60
MAX_PHOTOS = 6
PAPERS = (
    (250, 249, 246),
    (246, 240, 230),
    (240, 242, 244),
    (245, 230, 226),
    (230, 237, 231),
    (252, 252, 252),
    (228, 234, 242),
    (242, 234, 218),
)
SURFACES = ("sweep",) * 9 + ("bedsheet", "linen", "oak", "whitewood")


@dataclass(frozen=True)
class PlannedListing:
    """One listing before its photos are drawn and its texts are written.

    product: id that all listings of the same item share; empty if no other listing sells it
    roles: of its photos, in order
    flawed: whether its first photo is dark, blurred or cut
    """

    number: int
    item: Item
    product: str
    seller: int
    roles: tuple[str, ...]
    flawed: bool

    @property
    def id(self) -> str:
        """The id of the listing in all files."""
        return f"w{self.number:04d}"


def plan_listings(count: int, seed: int) -> list[PlannedListing]:
    """Plan listings; each depends on the seed, on its number and, if it sells an earlier item, on that listing."""
    planned: list[PlannedListing] = []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, number, ITEM_STREAM])
        if planned and rng.random() < RELISTED_SHARE:
            item = planned[int(rng.integers(len(planned)))].item
        else:
            item = random_item(rng, number)
        roles, flawed = _photo_roles(item, rng, bool(rng.random() < FLAWED_SHARE))
        planned.append(PlannedListing(number, item, "", int(rng.integers(SELLER_COUNT)), roles, flawed))
    sold = Counter(listing.item.origin for listing in planned)
    return [
        replace(listing, product=f"p{listing.item.origin:04d}") if sold[listing.item.origin] > 1 else listing
        for listing in planned
    ]


def _photo_roles(item: Item, rng: Rng, flawed: bool) -> tuple[tuple[str, ...], bool]:
    """Draw the roles of a listing's photos, in order, and whether the first photo itself has a flaw.

    A flawed listing either has a bad first photo, or starts with a photo that does not show the item.
    """
    shares = {
        "angle": 0.55,
        "detail": 0.42,
        "in-use": 0.6,
        "other-colour": 0.14,
        "size-chart": 0.2 if item.size else 0.08,
        "logo": 0.14,
        "wrong": 0.05,
    }
    roles = [role for role, share in shares.items() if rng.random() < share]
    if rng.random() < 0.15:
        roles.append("in-use")
    rng.shuffle(roles)
    roles = ["front", *roles[: MAX_PHOTOS - 1 if rng.random() < 0.93 else 0]]
    if flawed and rng.random() < 0.45:
        first = next((role for role in roles if role in ("size-chart", "logo", "wrong")), "logo")
        return (first, *(role for role in roles if role != first))[:MAX_PHOTOS], False
    return tuple(roles), flawed


def random_sellers(seed: int) -> list[Seller]:
    """Draw the sellers of a seed."""
    rng = np.random.default_rng([seed, 0, SELLER_STREAM])
    brands = [shade for colour in COLOURS.values() for shade in colour.shades if 40 < sum(shade) / 3 < 150]
    return [
        Seller(
            name=f"{pick(rng, PHRASES.sellers.first)} {pick(rng, PHRASES.sellers.second)}",
            brand=pick(rng, brands),
            backdrop=jitter(pick(rng, PAPERS), rng, 2),
            surface=pick(rng, SURFACES),
            warmth=float(rng.normal(0.01, 0.025)),
            brightness=float(rng.normal(1.02, 0.035)),
            noise=int(rng.integers(1, 5)),
        )
        for _ in range(SELLER_COUNT)
    ]
