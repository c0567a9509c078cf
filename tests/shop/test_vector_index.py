"""Which index goes with which size, what it is measured to find, and that a search finds that much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import THREE, toy_shop

from wares.core.errors import SettingsError, ShopError
from wares.evaluation.synthetic_shops import SyntheticCatalogue, SyntheticTowers
from wares.shop import vector_index
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.update import optimize
from wares.shop.vector_index import (
    VECTOR_INDEX_FILE,
    VectorIndex,
    index_kind,
    index_vectors,
    partition_size,
    read_vector_index,
    tune_probes,
)

ROWS = 3_000


@pytest.fixture
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index is worth it from a thousand rows on."""
    monkeypatch.setattr(vector_index, "MIN_INDEXED_ROWS", 1_000)


def cloud_shop(folder: Path, listings: int = ROWS, recall: float = 0.9) -> Shop:
    clouds, towers = SyntheticCatalogue(listings, photos_per_listing=1), SyntheticTowers(64)
    write_shop(summarize_catalogue(clouds), towers, towers.chunks(clouds, 1_000), folder, target_recall=recall)
    return open_shop(folder, towers)


def true_share(shop: Shop, k: int, queries: int = 40) -> float:
    """Of the k nearest by NumPy, the mean share that a search finds."""
    rows = shop.table.search().select(["id", "vector"]).limit(len(shop)).to_arrow()
    ids, vectors = rows["id"].to_pylist(), np.array(rows["vector"].to_pylist(), dtype=np.float32)
    texts = [query.text for query in SyntheticCatalogue(ROWS).queries(queries)[0]]
    scores = shop.encoder.encode_texts(texts) @ vectors.T
    nearest = [{ids[place] for place in np.argsort(-row, kind="stable")[:k]} for row in scores]
    found = [{hit.id for hit in search(shop, text, k=k)} for text in texts]
    return float(np.mean([len(a & b) / k for a, b in zip(nearest, found, strict=True)]))


@pytest.mark.parametrize(
    ("rows", "dimension", "kind"),
    [
        (0, 256, "exact"),
        (49_999, 4096, "exact"),
        (50_000, 256, "ivf-flat"),
        (2_097_152, 256, "ivf-flat"),
        (2_097_153, 256, "ivf-sq"),
        (100_000_000, 64, "ivf-sq"),
    ],
)
def test_the_index_goes_by_size(rows: int, dimension: int, kind: str) -> None:
    assert index_kind(rows, dimension) == kind


def test_partitions_are_as_many_as_they_are_large() -> None:
    assert (partition_size(10_000), partition_size(1_000_000)) == (100, 1_000)


def test_a_small_shop_is_searched_exactly(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    assert shop.vector_index == VectorIndex("exact")
    assert str(shop.vector_index) == "Search is exact."
    assert len(search(shop, "boots", k=3)) == len(THREE)


@pytest.mark.usefixtures("small_numbers")
@pytest.mark.parametrize("kind", ["ivf-flat", "ivf-sq"])
def test_what_is_measured_is_what_is_found(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "MAX_FLAT_BYTES", 0 if kind == "ivf-sq" else 2**31)
    shop = cloud_shop(tmp_path / "shop")
    index = shop.vector_index
    assert (index.kind, index.rows, index.partitions, index.target) == (kind, ROWS, 54, 0.9)
    assert 1 <= index.probes < 54
    assert list(index.recall) == [10, 100, 500]
    assert index.recall[100] >= 0.9
    assert f"reads {index.probes} of 54 partitions" in str(index)
    # Of other queries than those that it was measured by; it is their mean that is promised, not each.
    assert true_share(shop, 100) >= 0.85


@pytest.mark.usefixtures("small_numbers")
def test_more_recall_takes_more_partitions(tmp_path: Path) -> None:
    shop = cloud_shop(tmp_path / "shop", recall=0.6)
    few = shop.vector_index
    optimize(shop, target_recall=0.99)
    many = shop.vector_index
    assert few.probes < many.probes
    assert few.recall[100] < 0.99 <= many.recall[100]
    assert true_share(shop, 100) >= 0.95
    optimize(shop, target_recall=1.0)
    assert shop.vector_index.recall[100] == 1.0
    assert true_share(shop, 100) >= 0.99


@pytest.mark.usefixtures("small_numbers")
def test_an_index_stays_what_it_is_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    """Lance would join partitions that it takes for too small; then all rows would be in a few of them."""
    shop = cloud_shop(tmp_path / "shop")
    optimize(shop)
    again = tune_probes(shop.table, shop.vector_index, shop.encoder.encode_texts)
    assert abs(again.probes - shop.vector_index.probes) <= 2
    assert abs(again.recall[100] - shop.vector_index.recall[100]) < 0.03


@pytest.mark.usefixtures("small_numbers")
def test_fewer_partitions_would_not_do(tmp_path: Path) -> None:
    """By looking at every number of partitions, not by halving."""
    shop = cloud_shop(tmp_path / "shop")
    index, queries = shop.vector_index, shop.encoder.encode_texts(vector_index.sample_queries(shop.table))
    exact = vector_index._nearest(shop.table, vector_index.EXACT, queries, 500)
    for probes in range(1, index.probes):
        found = vector_index._nearest(shop.table, replace(index, probes=probes), queries, 500)
        assert vector_index._recall(found, exact, 100) < 0.9


@pytest.mark.usefixtures("small_numbers")
def test_an_index_that_has_become_too_coarse_is_made_anew(tmp_path: Path) -> None:
    shop = cloud_shop(tmp_path / "shop", 1_000)
    was = shop.vector_index
    assert index_vectors(shop.table, was, was.target, shop.encoder.encode_texts) == was
    more = cloud_shop(tmp_path / "more", 2_500)
    shop.table.add(more.table.to_arrow().slice(1_000, 900))
    optimize(shop)
    assert shop.vector_index.rows == 1_000
    shop.table.add(more.table.to_arrow().slice(1_900, 100))
    before = shop.current.changed
    optimize(shop)
    assert (shop.vector_index.rows, shop.vector_index.partitions) == (2_000, 44)
    assert open_shop(shop.path).current.changed > before, "who has it open is told"


@pytest.mark.parametrize("recall", [0.0, -1.0, 1.01, float("nan")])
def test_a_recall_that_is_no_share_is_refused(tmp_path: Path, recall: float) -> None:
    with pytest.raises(SettingsError, match="the target recall is"):
        cloud_shop(tmp_path / "shop", 10, recall)
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"kind": "exact", "recall": 3}'])
def test_a_damaged_index_file_is_told(tmp_path: Path, content: str | None) -> None:
    shop = toy_shop(tmp_path)
    (shop.build_folder / VECTOR_INDEX_FILE).unlink()
    if content is not None:
        (shop.build_folder / VECTOR_INDEX_FILE).write_text(content)
    with pytest.raises(ShopError, match=r"vector-index\.json is missing or damaged"):
        read_vector_index(shop.build_folder)
