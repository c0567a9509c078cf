"""The two-tower labeler: damaged photos, and scores of fused embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labeler_cases import (
    LISTINGS,
    QUERIES,
    all_listings,
    make_corpus,
)
from toys import write_photos

from wares.core.errors import PhotoError
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue
from wares.encoders.registry import build_towers
from wares.ranking.labelers.two_tower import TwoTowerLabeler
from wares.ranking.rankers.two_tower import TwoTowerRanker


@pytest.mark.parametrize("work", ["labels", "learns"])
def test_a_damaged_photo_raises_or_is_recorded(work: str, tmp_path: Path) -> None:
    write_photos(tmp_path, LISTINGS)
    photo = tmp_path / "boots-red.png"
    photo.write_bytes(photo.read_bytes()[:40])
    build_towers("small", 2).save(tmp_path / "model")
    model = str(tmp_path / "model")

    def use(corpus: Corpus) -> object:
        return TwoTowerLabeler(model).fit(corpus) if work == "labels" else TwoTowerRanker(model).fit(corpus, 0)

    with pytest.raises(PhotoError, match=r"boots-red\.png"):
        use(make_corpus(*LISTINGS, folder=tmp_path))
    skipping = Corpus(Catalogue(tmp_path, LISTINGS), "skip")
    for _ in range(2):
        use(skipping)
    assert ["boots-red.png" in str(problem) for problem in skipping.problems] == [True]


def test_scores_are_inner_products_with_fused_embeddings(goods: Corpus, tmp_path: Path) -> None:
    from wares.encoders.features import embed, embed_texts
    from wares.encoders.fusion import fuse

    towers = build_towers("small", seed=3)
    towers.save(tmp_path / "model")
    expected = (
        embed_texts([query.text for query in QUERIES], towers)
        @ fuse(embed(goods.catalogue, towers), towers.fusion).vectors.T
    )
    scores = TwoTowerLabeler(str(tmp_path / "model")).fit(goods).score(QUERIES, all_listings(QUERIES, goods))
    np.testing.assert_allclose(scores, expected, atol=1e-5)
