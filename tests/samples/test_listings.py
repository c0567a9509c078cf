"""The plan of the marketplace: photos of every role, bad first photos, items that are listed again."""

from __future__ import annotations

from collections import Counter, defaultdict

from wares.samples.listings import plan_listings
from wares.samples.photography.photo_shoot import ROLES


def test_size_charts_logos_and_bad_first_photos_occur() -> None:
    listings = plan_listings(600, seed=0)
    roles = Counter(role for listing in listings for role in listing.roles)
    assert set(roles) == set(ROLES)
    first = Counter(listing.roles[0] for listing in listings)
    bad = len(listings) - first["front"] + sum(listing.flawed for listing in listings)
    assert 0.03 < bad / len(listings) < 0.15


def test_relistings_share_their_product_and_nothing_else_does() -> None:
    groups = defaultdict(list)
    for listing in plan_listings(400, seed=1):
        groups[listing.product].append(listing.item)
    singles = groups.pop("")
    assert len(set(singles)) == len(singles)
    assert groups
    for items in groups.values():
        assert len(items) > 1
        assert len(set(items)) == 1
