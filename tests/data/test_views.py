"""Views of listings: the ragged table, and the catalogue of the joint-text baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wares.data.listings import Catalogue, Listing
from wares.data.views import listing_texts, photo_views, text_views, with_joint_text

LISTINGS = (
    Listing("a", "red boots", description="worn once", tags=("leather", "39"), images=("a1.jpg", "a2.jpg")),
    Listing("b", "mug"),
    Listing("c", "lamp", texts={"care": "wipe dry"}, images=("c1.jpg",)),
)


def catalogue(tmp_path: object) -> Catalogue:
    return Catalogue(tmp_path, LISTINGS, (), "listings.jsonl")  # type: ignore[arg-type]


def test_the_primary_view_is_first_and_views_know_their_listings(tmp_path: object) -> None:
    texts, photos = text_views(catalogue(tmp_path)), photo_views(catalogue(tmp_path))
    assert texts.names == ["title", "description", "tags", "title", "title", "care"]
    assert texts.items[:3] == ["red boots", "worn once", "leather, 39"]
    assert texts.counts.tolist() == [3, 1, 2]
    assert photos.items == ["a1.jpg", "a2.jpg", "c1.jpg"]
    assert photos.offsets.tolist() == [0, 2, 2, 3]
    assert photos.owners.tolist() == [0, 0, 2]


def test_filtered_views_keep_all_listings(tmp_path: object) -> None:
    photos = photo_views(catalogue(tmp_path)).filter(np.array([False, True, False]))
    assert photos.items == ["a2.jpg"]
    assert photos.offsets.tolist() == [0, 1, 1, 1]


def test_a_joint_text_listing_has_one_photo_and_one_text() -> None:
    listings = (
        Listing("a", "Mug", "For tea.", ("blue", "clay"), ("1.jpg", "2.jpg"), texts={"care": "By hand."}),
        Listing("b", "Lamp", price=3.0, product="p"),
    )
    joint = with_joint_text(Catalogue(Path("shop"), listings))
    assert [listing_texts(listing) for listing in joint.listings] == [
        [("title", "Mug\nFor tea.\nblue, clay\nBy hand.")],
        [("title", "Lamp")],
    ]
    assert [listing.images for listing in joint.listings] == [("1.jpg",), ()]
    assert joint.listings[1] == listings[1]
