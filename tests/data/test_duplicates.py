"""Which listings are relevant to each other."""

from __future__ import annotations

from wares.data.duplicates import relevance_groups
from wares.data.listings import Listing


def test_relevance_groups() -> None:
    listings = [
        Listing("1", "Red  Mug", product="mug"),
        Listing("2", "Another name", product="mug"),
        Listing("3", "Red mug"),
        Listing("4", " RED MUG "),
        Listing("5", "mug"),
    ]
    assert relevance_groups(listings).tolist() == [0, 0, 1, 1, 2]
