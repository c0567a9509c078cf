"""Results on Ray equal results in this process: shops, labels, mined negatives and vector indexes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from goods import rows_by_id, write_goods

from wares.core.errors import PhotoError
from wares.core.runners import LocalRunner, RayRunner, Runner
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.writers import write_listings
from wares.encoders.features import catalogue_features
from wares.encoders.registry import build_towers
from wares.ranking.labelers.registry import get_labeler
from wares.shop import encoding
from wares.shop.build import build_shop
from wares.shop.shop import open_shop
from wares.shop.sync import StoredCatalogue, reembed_shop, update_shop
from wares.shop.vector_index import build_vector_index
from wares.supervision import labelling
from wares.supervision.ensemble import TeacherEnsemble
from wares.supervision.labelling import label_queries
from wares.training import finetuning
from wares.training.finetuning import mine_hard_negatives

if TYPE_CHECKING:
    from lancedb.query import LanceVectorQueryBuilder

pytestmark = pytest.mark.slow


@pytest.fixture
def goods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue that is encoded four listings at a time."""
    monkeypatch.setattr(encoding, "BATCH_SIZE", 4)
    return write_goods(tmp_path / "goods")


@pytest.mark.parametrize("towers_name", ["small", "offline"])
def test_a_shop_is_equal_to_the_last_bit(towers_name: str, goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    catalogue, towers = read_catalogue(goods), build_towers(towers_name)
    runners: dict[str, Runner] = {"local": LocalRunner(), "ray": on_ray}
    shops = [
        build_shop(catalogue, towers, tmp_path / name, cache=tmp_path / f"{name}-cache", on_error="skip", runner=runner)
        for name, runner in runners.items()
    ]
    local, ray = map(rows_by_id, shops)
    assert local == ray
    assert len(local) == 30
    assert shops[0].problems == shops[1].problems != []
    assert (shops[0].build_info.photos, shops[1].build_info.photos) == (20, 20)


def test_updates_and_reembedding_work_on_ray(goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    (goods / "broken.png").write_bytes((goods / "3.png").read_bytes())
    shop = build_shop(read_catalogue(goods), build_towers("small"), tmp_path / "shop", cache=tmp_path / "cache")
    listings = read_catalogue(goods).listings
    write_listings([*listings[1:], replace(listings[0], title="other")], goods / "listings.jsonl")
    assert update_shop(open_shop(shop.path), read_catalogue(goods), runner=on_ray).changed == 1
    reembedded = reembed_shop(shop.path, build_towers("small", seed=1), runner=on_ray)
    rebuilt = build_shop(StoredCatalogue(reembedded), build_towers("small", seed=1), tmp_path / "again")
    assert rows_by_id(rebuilt) == rows_by_id(reembedded)
    assert {row["title"] for row in rows_by_id(reembedded)} >= {"other", "thing 1"}


def test_labels_are_equal(tmp_path: Path, on_ray: RayRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "BLOCK_SIZE", 4)
    words = ["red", "leather", "boots", "blue", "wool", "scarf"]
    listings = tuple(Listing(f"l{i}", f"{words[i % 6]} {words[(i * 5 + 1) % 6]}") for i in range(40))
    corpus = Corpus(Catalogue(tmp_path, listings))
    queries = [Query(f"q{i}", f"{words[i % 6]} {words[(i // 6) % 6]}") for i in range(26)]
    teachers = tuple(get_labeler(name).fit(corpus) for name in ("bm25", "dense"))
    ensemble = TeacherEnsemble(teachers, (False, False), corpus.ids, 5, 3, 0.3, (0, 1))
    local = label_queries(ensemble, queries, tmp_path / "local", 1)
    ray = label_queries(ensemble, queries, tmp_path / "ray", runner=on_ray)
    np.testing.assert_array_equal(local.listings, ray.listings)
    for path in (tmp_path / "local").iterdir():
        assert path.read_bytes() == (tmp_path / "ray" / path.name).read_bytes()


def test_mined_negatives_are_equal(
    goods: Path, tmp_path: Path, on_ray: RayRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "QUERIES_PER_BLOCK", 3)
    towers = build_towers("small")
    features = catalogue_features(read_catalogue(goods), towers, tmp_path / "cache", "skip")
    arguments = (features, towers, [f"thing {i}" for i in range(10)], np.array([3, 33, 34, 299]), (2, 12))
    negatives = mine_hard_negatives(*arguments)
    np.testing.assert_array_equal(negatives, mine_hard_negatives(*arguments, runner=on_ray))
    assert negatives.shape == (10, 10)


def test_an_index_built_by_all_machines_keeps_its_partitions_when_optimized(tmp_path: Path, on_ray: RayRunner) -> None:
    random = np.random.default_rng(0)

    def random_vectors(count: int) -> pa.Table:
        vectors = random.normal(size=(count, 16)).astype(np.float32)
        return pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 16)})

    def partitions() -> set[int]:
        indices = indexed.to_lance().stats.index_stats("vector_idx")["indices"]
        return {index["num_partitions"] for index in indices}

    indexed = lancedb.connect(tmp_path).create_table("listings", random_vectors(1500))
    indexed.add(random_vectors(500))
    build_vector_index(indexed, "ivf-flat", 2000, 45, on_ray)
    assert partitions() == {44}
    indexed.add(random_vectors(100))
    indexed.optimize()
    assert partitions() == {44}, "given only a number of partitions, Lance would join them to 2"
    query = random.normal(size=16).astype(np.float32)
    search = (
        cast("LanceVectorQueryBuilder", indexed.search(query, "vector"))
        .distance_type("dot")
        .with_row_id(True)
        .limit(10)
    )
    read = search.minimum_nprobes(44).maximum_nprobes(44).to_arrow()["_rowid"]
    assert read.to_pylist() == search.bypass_vector_index().to_arrow()["_rowid"].to_pylist()


def test_an_error_of_the_work_is_raised_here(goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    with pytest.raises(PhotoError, match=r"line 30: .*broken\.png.*--on-error skip"):
        build_shop(read_catalogue(goods), build_towers("small"), tmp_path / "shop", runner=on_ray)
