"""Synthetic catalogues: listings are reproducible, and queries find their targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wares.data.listings import Listing
from wares.evaluation.synthetic_shops import COLOURS, SyntheticCatalogue, SyntheticTowers

TOWERS = SyntheticTowers(64)


def listings(catalogue: SyntheticCatalogue, size: int) -> list[Listing]:
    return [listing for part in catalogue.chunks(size) for listing in part.listings]


def test_a_listing_is_equal_in_any_batch_and_catalogue() -> None:
    catalogue = SyntheticCatalogue(1_000)
    everything = catalogue.read()
    assert len(catalogue) == len(everything) == 1_000
    assert (
        listings(catalogue, 7)
        == listings(catalogue, 1_000)
        == list(everything.listings)
        == listings(SyntheticCatalogue(5_000), 100)[:1_000]
    )
    by_seven = [chunk.fused.vectors for chunk in TOWERS.chunks(catalogue, 7)]
    np.testing.assert_allclose(np.concatenate(by_seven), next(TOWERS.chunks(catalogue, 1_000)).fused.vectors, atol=1e-6)
    assert len({listing.id for listing in everything.listings}) == 1_000


def test_a_listing_by_eye() -> None:
    listing = SyntheticCatalogue(3, photos_per_listing=3).read().listings[2]
    category, kind, *own = listing.title.split()
    assert len(own) == 3
    assert listing.description == f"{category} {kind} in {listing.attributes['colour']}"
    assert listing.images == ("2-0.jpg", "2-1.jpg", "2-2.jpg")
    assert listing.attributes["colour"] in COLOURS
    assert listing.price is not None and 7 < listing.price < 404


def test_photo_vectors_depend_on_file_names_only() -> None:
    embeddings, _ = TOWERS.encode_listings(SyntheticCatalogue(20).read(), "stop")
    again = TOWERS.encode_photos([Path("/synthetic") / name for name in embeddings.photo_views.items])
    np.testing.assert_allclose(again, embeddings.photos, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(again, axis=1), 1, atol=1e-5)


def test_vectors_of_a_type_are_similar() -> None:
    catalogue = SyntheticCatalogue(2_000).read()
    _, fused = TOWERS.encode_listings(catalogue, "stop")
    kinds = np.array([listing.title.split()[1] for listing in catalogue.listings])
    scores = fused.vectors @ fused.vectors.T
    same = (kinds[:, None] == kinds) & ~np.eye(len(kinds), dtype=bool)
    assert scores[same].mean() > 0.5 > 0.1 > scores[kinds[:, None] != kinds].mean()


def test_queries_find_their_targets() -> None:
    catalogue = SyntheticCatalogue(2_000)
    queries, targets = catalogue.queries(200)
    titles = {listing.id: listing.title for listing in catalogue.read().listings}
    assert all(set(query.text.split()) <= set(titles[id].split()) for query, id in zip(queries, targets, strict=True))
    _, fused = TOWERS.encode_listings(catalogue.read(), "stop")
    scores = TOWERS.encode_texts([query.text for query in queries]) @ fused.vectors.T
    own = scores[np.arange(200), [list(titles).index(id) for id in targets]]
    ranks = (scores > own[:, None]).sum(axis=1)
    assert np.median(ranks) <= 1
    assert len(set(targets)) < 200, "popular listings are targets more often"


def test_exactly_the_changed_listings_differ() -> None:
    before, after = listings(SyntheticCatalogue(100), 10), listings(SyntheticCatalogue(100, changed=range(20, 30)), 10)
    assert [i for i in range(100) if before[i] != after[i]] == list(range(20, 30))
    assert all(a.title.split()[:2] == b.title.split()[:2] for a, b in zip(before, after, strict=True))


def test_unknown_words_are_ignored() -> None:
    np.testing.assert_allclose(
        TOWERS.encode_texts(["rubupe devado"]), TOWERS.encode_texts(["rubupe xylophone devado"]), atol=1e-6
    )
    assert np.isfinite(TOWERS.encode_texts(["", "xylophone"])).all()
