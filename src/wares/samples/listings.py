"""Who sells what, and which photos they take of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wares.samples.items import Item, random_item
from wares.samples.palette import COLOURS, jitter
from wares.samples.photography.camera import Seller
from wares.samples.phrases import PHRASES
from wares.samples.randomness import Rng, pick

Facts = dict[str, str]
ITEM, SELLER = 0, 5
RELISTED, BAD_FIRST, SELLERS = 0.06, 0.07, 60


@dataclass(frozen=True)
class Offer:
    """One listing before it is drawn and worded."""

    number: int
    item: Item
    product: str
    seller: int
    roles: tuple[str, ...]
    flawed: bool

    @property
    def id(self) -> str:
        return f"w{self.number:04d}"


def plan(listings: int, seed: int) -> list[Offer]:
    """Who offers what, and which photos they take of it."""
    offers: list[Offer] = []
    again: dict[int, int] = {}
    for number in range(1, listings + 1):
        rng = np.random.default_rng([seed, number, ITEM])
        earlier = offers[int(rng.integers(len(offers)))] if offers and rng.random() < RELISTED else None
        item = earlier.item if earlier else random_item(rng, number)
        if earlier:
            again[number] = item.origin
        flawed = bool(rng.random() < BAD_FIRST)
        roles, flawed = _roles(item, rng, flawed)
        offers.append(Offer(number, item, "", int(rng.integers(SELLERS)), roles, flawed))
    relisted = set(again.values())
    return [
        Offer(
            o.number, o.item, f"p{o.item.origin:04d}" if o.item.origin in relisted else "", o.seller, o.roles, o.flawed
        )
        for o in offers
    ]


def _roles(item: Item, rng: Rng, flawed: bool) -> tuple[tuple[str, ...], bool]:
    """The roles of a listing's photos in order, and whether the first photo itself is spoiled."""
    odds = {
        "angle": 0.55,
        "detail": 0.42,
        "in-use": 0.6,
        "other-colour": 0.14,
        "size-chart": 0.2 if item.size else 0.08,
        "logo": 0.14,
        "wrong": 0.05,
    }
    roles = [role for role, chance in odds.items() if rng.random() < chance]
    if rng.random() < 0.15:
        roles.append("in-use")
    rng.shuffle(roles)
    roles = ["front", *roles[: 5 if rng.random() < 0.93 else 0]]
    if flawed and rng.random() < 0.45:
        bad = next((role for role in roles if role in ("size-chart", "logo", "wrong")), "logo")
        rest = [role for role in roles if role != bad]
        return (bad, *rest)[:6], False
    return tuple(roles), flawed


def _sellers(seed: int) -> list[Seller]:
    rng = np.random.default_rng([seed, 0, SELLER])
    papers = (
        (250, 249, 246),
        (246, 240, 230),
        (240, 242, 244),
        (245, 230, 226),
        (230, 237, 231),
        (252, 252, 252),
        (228, 234, 242),
        (242, 234, 218),
    )
    grounds = ("sweep",) * 9 + ("bedsheet", "linen", "oak", "whitewood")
    shades = [shade for tone in COLOURS.values() for shade in tone.shades if 40 < sum(shade) / 3 < 150]
    return [
        Seller(
            f"{pick(rng, PHRASES.sellers.first)} {pick(rng, PHRASES.sellers.second)}",
            pick(rng, shades),
            jitter(pick(rng, papers), rng, 2),
            pick(rng, grounds),
            float(rng.normal(0.01, 0.025)),
            float(rng.normal(1.02, 0.035)),
            int(rng.integers(1, 5)),
        )
        for _ in range(SELLERS)
    ]
