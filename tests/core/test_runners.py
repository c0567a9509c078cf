"""Work on Ray: the same rows, labels and negatives as here, whatever dies meanwhile; and rows on object storage.

One cluster of two machines, which are processes of this one, serves all tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import ray
from lancedb.query import LanceVectorQueryBuilder
from PIL import Image
from processes import SOURCE, TESTS, environment
from ray.cluster_utils import Cluster
from toys import Toys

from wares.core.errors import PhotoError, SettingsError, ShopError, WaresError
from wares.core.runners import LocalRunner, RayRunner, Runner, connect_to_ray, open_runner
from wares.data.catalogue import read_catalogue
from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.writers import write_listings
from wares.encoders.features import catalogue_features
from wares.encoders.registry import build_towers
from wares.ranking.labelers.registry import get_labeler
from wares.shop import encoding as gathering
from wares.shop.build import build_shop, encode_shop, summarize_catalogue
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import EncodingTask, RowWriter
from wares.shop.shop import Shop, open_shop
from wares.shop.sync import StoredCatalogue, reembed_shop, update_shop
from wares.supervision import labelling
from wares.supervision.labelling import label_queries
from wares.supervision.mixture import TeacherEnsemble
from wares.training import finetuning
from wares.training.finetuning import mine_hard_negatives

MEMORY = 80 * 2**20  # of each machine's object store, the least that Ray takes


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    """Two machines of one core each; what runs on them finds what this process does."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [SOURCE, TESTS])))
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False},
    )
    try:
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        connect_to_ray(cluster.address)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        patch.undo()


@pytest.fixture
def on_ray(machines: Cluster) -> RayRunner:
    return RayRunner()


@pytest.fixture
def goods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of 30 listings, 20 photos and one file that is no photo, in chunks of 4."""
    monkeypatch.setattr(gathering, "BATCH_SIZE", 4)
    folder = tmp_path / "goods"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(random.integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no photo")
    listings = [
        Listing(f"l{i}", f"thing {i}", "of some kind" * (i % 3), (), (f"{i}.png",) if i < 20 else (), 1.0 * i)
        for i in range(29)
    ]
    write_listings([*listings, Listing("b", "broken", images=("broken.png",))], folder / "listings.jsonl")
    return folder


def table(shop: Shop) -> list[dict[str, Any]]:
    """All rows by id; one that is there twice is there twice."""
    return sorted(shop.table.search().limit(10_000).to_arrow().to_pylist(), key=lambda row: str(row["id"]))


# The same, here and there ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "offline"])
def test_a_shop_is_the_same_to_the_last_bit(name: str, goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    catalogue, towers = read_catalogue(goods), build_towers(name)
    runners: dict[str, Runner] = {"here": LocalRunner(), "ray": on_ray}
    shops = [
        build_shop(
            catalogue, towers, tmp_path / place, cache=tmp_path / f"{place}-cache", on_error="skip", runner=runner
        )
        for place, runner in runners.items()
    ]
    here, there = map(table, shops)
    assert here == there
    assert len(here) == 30
    assert shops[0].problems == shops[1].problems != []
    assert (shops[0].build_info.photos, shops[1].build_info.photos) == (20, 20)


@pytest.mark.slow
def test_updates_and_other_models(goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    (goods / "broken.png").write_bytes((goods / "3.png").read_bytes())
    shop = build_shop(read_catalogue(goods), build_towers("small"), tmp_path / "shop", cache=tmp_path / "cache")
    listings = read_catalogue(goods).listings
    write_listings([*listings[1:], replace(listings[0], title="other")], goods / "listings.jsonl")
    assert update_shop(open_shop(shop.path), read_catalogue(goods), runner=on_ray).changed == 1
    moved = reembed_shop(shop.path, build_towers("small", seed=1), runner=on_ray)
    again = build_shop(StoredCatalogue(moved), build_towers("small", seed=1), tmp_path / "again")
    assert table(again) == table(moved)
    assert {row["title"] for row in table(moved)} >= {"other", "thing 1"}


@pytest.mark.slow
def test_labels_are_the_same(tmp_path: Path, on_ray: RayRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "BLOCK_SIZE", 4)
    words = ["red", "leather", "boots", "blue", "wool", "scarf"]
    listings = tuple(Listing(f"l{i}", f"{words[i % 6]} {words[(i * 5 + 1) % 6]}") for i in range(40))
    corpus = Corpus(Catalogue(tmp_path, listings))
    queries = [Query(f"q{i}", f"{words[i % 6]} {words[(i // 6) % 6]}") for i in range(26)]
    teachers = tuple(get_labeler(name).fit(corpus) for name in ("bm25", "dense"))
    mixture = TeacherEnsemble(teachers, (False, False), corpus.ids, 5, 3, 0.3, (0, 1))
    found = {"here": label_queries(mixture, queries, tmp_path / "here", 1)}
    found["ray"] = label_queries(mixture, queries, tmp_path / "ray", runner=on_ray)
    np.testing.assert_array_equal(found["here"].listings, found["ray"].listings)
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (tmp_path / "ray" / path.name).read_bytes()


@pytest.mark.slow
def test_negatives_are_the_same(
    goods: Path, tmp_path: Path, on_ray: RayRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "QUERIES_PER_BLOCK", 3)
    towers = build_towers("small")
    features = catalogue_features(read_catalogue(goods), towers, tmp_path / "cache", "skip")
    asked = (features, towers, [f"thing {i}" for i in range(10)], np.array([3, 33, 34, 299]), (2, 12))
    found = mine_hard_negatives(*asked)
    np.testing.assert_array_equal(found, mine_hard_negatives(*asked, runner=on_ray))
    assert found.shape == (10, 10)


@pytest.mark.slow
def test_an_index_that_all_build_is_the_same_after_tidying(tmp_path: Path, on_ray: RayRunner) -> None:
    random = np.random.default_rng(0)

    def some(many: int) -> pa.Table:
        vectors = random.normal(size=(many, 16)).astype(np.float32)
        return pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 16)})

    def partitions() -> set[int]:
        found = indexed.to_lance().stats.index_stats("vector_idx")["indices"]
        return {part["num_partitions"] for part in found}

    indexed = lancedb.connect(tmp_path).create_table("listings", some(1500))
    indexed.add(some(500))
    on_ray.index(indexed, "ivf-flat", 2000, 45)
    assert partitions() == {44}
    indexed.add(some(100))
    indexed.optimize()
    assert partitions() == {44}, "asked for by number alone, there would be 2"
    query = random.normal(size=16).astype(np.float32)
    search = (
        cast("LanceVectorQueryBuilder", indexed.search(query, "vector"))
        .distance_type("dot")
        .with_row_id(True)
        .limit(10)
    )
    read = search.minimum_nprobes(44).maximum_nprobes(44).to_arrow()["_rowid"]
    assert read.to_pylist() == search.bypass_vector_index().to_arrow()["_rowid"].to_pylist()


# What dies -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dying:
    """Work that kills its process as often as there are files in a folder; what it does is noted beside them."""

    folder: Path

    def __call__(self, item: int) -> tuple[int, int]:
        for file in self.folder.glob(f"{item}-*"):
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"done-{item}-{os.getpid()}").touch()
        return item, os.getpid()


@pytest.mark.slow
def test_a_killed_worker_costs_what_it_was_doing(tmp_path: Path, on_ray: RayRunner) -> None:
    (tmp_path / "5-a").touch()
    (tmp_path / "7-a").touch()
    done = list(on_ray.map(pickle_by_value(Dying(tmp_path)), range(12)))
    assert [item for item, _ in done] == list(range(12))
    assert len({process for _, process in done}) > 2


@pytest.mark.slow
def test_work_that_always_kills_is_given_up(tmp_path: Path, on_ray: RayRunner) -> None:
    for i in range(20):
        (tmp_path / f"0-{i}").touch()
    with pytest.raises(WaresError, match=r"workers on Ray died 5 times with the same work") as raised:
        list(on_ray.map(pickle_by_value(Dying(tmp_path)), range(2)))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_killed_machine_costs_what_was_done_there(tmp_path: Path, machines: Cluster, on_ray: RayRunner) -> None:
    third = machines.add_node(num_cpus=1, object_store_memory=MEMORY)
    done = []
    for item, _ in RayRunner(3).map(pickle_by_value(Dying(tmp_path)), range(24)):
        done.append(item)
        if third is not None:
            machines.remove_node(third, allow_graceful=False)
            third = None
    assert done == list(range(24))


def pickle_by_value(work: Any) -> Any:
    """Workers do not have the modules of tests that pytest imports."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[type(work).__module__])
    return work


KILLED = """
    import os, signal
    from toys import *
    from wares.shop import encoding as rows
    from wares.core.runners import LocalRunner, RayRunner, connect
    from wares.shop.build import encode_shop, summarize_catalogue
    from wares.shop.encoding import EncodingTask
    rows.BATCH_SIZE, rows.COMMIT_ROWS = 4, 8
    class Dying:
        def map(self, work, items):
            for done, made in enumerate(RUNNER.map(work, items)):
                if done == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield made
    catalogue = Catalogue(Path({folder!r}), tuple(Listing(str(i), "thing %d" % i) for i in range(30)))
    summary = summarize_catalogue(catalogue)
    encode_shop(summary, EncodingTask(Toys(), summary.attributes), catalogue, {out!r}, runner=Dying())
"""


class Counting(Toys):
    """Toys that remember what they have encoded."""

    def __init__(self, identity: str = "toys-1") -> None:
        super().__init__(identity)
        self.encoded: list[str] = []

    def encode_listings(self, catalogue: Catalogue, on_error: Any) -> Any:
        self.encoded += [listing.id for listing in catalogue.listings]
        return super().encode_listings(catalogue, on_error)


def killed(tmp_path: Path, runner: str) -> None:
    """Build a shop of 30 listings in another process, killed when 20 are encoded and 16 committed."""
    script = KILLED.replace("RUNNER", runner).format(folder=str(tmp_path), out=str(tmp_path / "shop"))
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment(), timeout=120)
    assert done.returncode == -signal.SIGKILL


def things(tmp_path: Path, **changed: str) -> Catalogue:
    return Catalogue(tmp_path, tuple(Listing(str(i), changed.get(f"l{i}", f"thing {i}")) for i in range(30)))


def rebuilt(tmp_path: Path, toys: Toys, catalogue: Catalogue) -> list[dict[str, Any]]:
    outline = summarize_catalogue(catalogue)
    encode_shop(outline, EncodingTask(toys, outline.attributes), catalogue, tmp_path / "shop")
    return table(open_shop(tmp_path / "shop", toys))


@pytest.mark.parametrize("where", ["here", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_driver_loses_what_it_had_not_committed(where: str, tmp_path: Path, request: Any) -> None:
    runner = "LocalRunner()"
    if where == "ray":
        runner = f"(connect({request.getfixturevalue('machines').address!r}), RayRunner())[1]"
    killed(tmp_path, runner)
    toys = Counting()
    found = rebuilt(tmp_path, toys, things(tmp_path))
    assert toys.encoded == [str(i) for i in range(16, 30)]
    (tmp_path / "whole").mkdir()
    assert found == rebuilt(tmp_path / "whole", Toys(), things(tmp_path))
    [build] = (tmp_path / "shop" / "builds").iterdir()
    assert not build.name.startswith(".")


def test_what_was_committed_of_listings_that_have_changed_is_not_taken(tmp_path: Path) -> None:
    killed(tmp_path, "Here()")
    toys = Counting()
    fewer = things(tmp_path, l3="other").subset([*range(9), *range(20, 30)])
    found = rebuilt(tmp_path, toys, fewer)
    assert toys.encoded == ["3", *map(str, range(20, 30))]
    assert found == rebuilt(tmp_path / "whole", Toys(), fewer)


def test_what_was_committed_by_another_model_is_cleared(tmp_path: Path) -> None:
    killed(tmp_path, "Here()")
    toys = Counting("toys-2")
    assert len(rebuilt(tmp_path, toys, things(tmp_path))) == len(toys.encoded) == 30


def test_a_row_that_lacks_a_photo_is_made_again_so_that_it_is_told_again(goods: Path, tmp_path: Path) -> None:
    catalogue, towers = read_catalogue(goods), build_towers("small")
    outline = summarize_catalogue(catalogue)
    work = EncodingTask(TowersEncoder(towers, cache=tmp_path), outline.attributes, "skip", tmp_path)
    for made_again in (30, 1):
        gathered = RowWriter(str(tmp_path / "rows"), work)
        made = list(gathered.write(map(work, gathered.batches(catalogue))))
        assert sum(each.rows.num_rows for each in made if each.rows is not None) == made_again
        assert (sum(each.photos for each in made), sum(each.listings for each in made)) == (20, 30)
        [problem] = [problem for each in made for problem in each.problems]
        assert problem.startswith("listings.jsonl, line 30: broken.png is not a photo")


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_work_raises_is_raised(goods: Path, tmp_path: Path, on_ray: RayRunner) -> None:
    with pytest.raises(PhotoError, match=r"line 30: .*broken\.png.*--on-error skip"):
        build_shop(read_catalogue(goods), build_towers("small"), tmp_path / "shop", runner=on_ray)


def test_names_of_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runner("local") as runner:
        assert list(runner.map(str, iter([1, 2]))) == ["1", "2"]
    with pytest.raises(SettingsError, match='local, ray or ray://ADDRESS, not "spark"'), open_runner("spark"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'wares\[ray\]'"), open_runner("ray"):
        pass


# Object storage --------------------------------------------------------------------------------------------------


def many(tmp_path: Path, place: str, toys: Toys, catalogue: Catalogue) -> None:
    outline = summarize_catalogue(catalogue)
    work = EncodingTask(toys, outline.attributes)
    gathered = RowWriter(place, work)
    for _ in gathered.write(map(work, gathered.batches(catalogue))):
        pass


def test_who_writes_at_the_same_time_loses_nothing_and_doubles_nothing(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "BATCH_SIZE", 2)
    monkeypatch.setattr(gathering, "COMMIT_ROWS", 4)
    catalogue = things(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(many, tmp_path, bucket, Counting(), catalogue) for _ in range(2)]:
            done.result()
    toys = Counting()
    outline = summarize_catalogue(catalogue)
    encode_shop(outline, EncodingTask(toys, outline.attributes), catalogue, tmp_path / "shop", staging=bucket)
    assert not toys.encoded
    (tmp_path / "whole").mkdir()
    assert table(open_shop(tmp_path / "shop", toys)) == rebuilt(tmp_path / "whole", Toys(), catalogue)


def test_rows_of_another_model_stay(bucket: str, tmp_path: Path) -> None:
    many(tmp_path, bucket, Toys(), things(tmp_path))
    with pytest.raises(ShopError, match="has rows of another model or with other attributes"):
        many(tmp_path, bucket, Toys("toys-2"), things(tmp_path))
    with pytest.raises(ShopError, match=r"s3://nowhere/x: .*Check the URL"):
        many(tmp_path, "s3://nowhere/x", Toys(), things(tmp_path))
