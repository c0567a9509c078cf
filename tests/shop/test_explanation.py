"""Explanations: contributions are similarities times weights, and the photo shown is the most similar one."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import Toys, embedded, write_photos

from wares.data.listings import Catalogue, Listing, OnError
from wares.encoders.features import Embeddings
from wares.encoders.fusion import FusedEmbeddings, fuse
from wares.encoders.settings import Fusion, Marginals
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.systems import System

DRESS = Listing("dress", "Dress", images=("dress-blue.png", "dress-red.png"))


class Weighing(Toys):
    """Toys that weigh the photos of a listing as they are told."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        embeddings, _ = super().encode_listings(catalogue, on_error)
        return embeddings, fuse(embeddings, self.fusion)


def shop_of(folder: Path, alpha: float, gamma: float = 0.4) -> Shop:
    toys = Weighing(Fusion(Marginals("fixed", alpha=alpha), gamma))
    catalogue = Catalogue(folder, (DRESS,))
    write_photos(folder, catalogue.listings)
    write_shop(summarize_catalogue(catalogue), toys, embedded(catalogue, toys), folder / "shop")
    return open_shop(folder / "shop", toys)


@pytest.mark.parametrize("system", ["fused", "fused+bm25"])
def test_the_photo_shown_matches_best_even_if_it_contributes_less(tmp_path: Path, system: System) -> None:
    """The first photo has nineteen times the weight of the second, and half its similarity."""
    [hit] = search(shop_of(tmp_path, alpha=0.95), "red red blue", system=system)
    first, second = (next(why for why in hit.why if why.view == name) for name in DRESS.images)
    assert first.similarity is not None and second.similarity is not None
    assert second.similarity > 1.2 * first.similarity > 0
    assert first.contribution > 5 * second.contribution > 0
    assert second.contribution / second.similarity * 19 == pytest.approx(first.contribution / first.similarity)
    assert hit.photo == "dress-red.png"
    assert hit.to_json()["why"][0].keys() >= {"view", "kind", "contribution"}


def test_the_first_photo_is_shown_if_photos_do_not_count(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, alpha=0.5, gamma=0.0)
    assert search(shop, "red")[0].photo == "dress-blue.png"
    assert search(shop, "dress", system="bm25")[0].photo == "dress-blue.png"
