"""Interrupted builds: a rebuild keeps committed rows of unchanged listings, also on object storage."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from goods import rows_by_id, write_goods
from processes import environment
from toys import Toys

from wares.core.errors import ShopError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Catalogue, Listing
from wares.encoders.registry import build_towers
from wares.shop import encoding
from wares.shop.build import encode_shop, summarize_catalogue
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import EncodingTask, RowWriter
from wares.shop.shop import open_shop

INTERRUPTED_BUILD = """
    import os, signal
    from toys import *
    from wares.shop import encoding
    from wares.core.runners import LocalRunner, RayRunner, connect_to_ray
    from wares.shop.build import encode_shop, summarize_catalogue
    from wares.shop.encoding import EncodingTask
    encoding.BATCH_SIZE, encoding.COMMIT_ROWS = 4, 8
    class KilledRunner:
        def map(self, work, items):
            for number, result in enumerate(RUNNER.map(work, items)):
                if number == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield result
    catalogue = Catalogue(Path({folder!r}), tuple(Listing(str(i), "thing %d" % i) for i in range(30)))
    summary = summarize_catalogue(catalogue)
    encode_shop(summary, EncodingTask(Toys(), summary.attributes), catalogue, {out!r}, runner=KilledRunner())
"""


class Counting(Toys):
    """An encoder that remembers the listings that it encoded."""

    def __init__(self, identity: str = "toys-1") -> None:
        super().__init__(identity)
        self.encoded: list[str] = []

    def encode_listings(self, catalogue: Catalogue, on_error: Any) -> Any:
        self.encoded += [listing.id for listing in catalogue.listings]
        return super().encode_listings(catalogue, on_error)


def interrupt_build(tmp_path: Path, runner: str) -> None:
    """Build a shop of 30 listings in a process that is killed after 20 are encoded and 16 committed."""
    script = INTERRUPTED_BUILD.replace("RUNNER", runner).format(folder=str(tmp_path), out=str(tmp_path / "shop"))
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment(), timeout=120)
    assert process.returncode == -signal.SIGKILL


def things(tmp_path: Path, **changed: str) -> Catalogue:
    return Catalogue(tmp_path, tuple(Listing(str(i), changed.get(f"l{i}", f"thing {i}")) for i in range(30)))


def rebuild(tmp_path: Path, toys: Toys, catalogue: Catalogue) -> list[dict[str, Any]]:
    summary = summarize_catalogue(catalogue)
    encode_shop(summary, EncodingTask(toys, summary.attributes), catalogue, tmp_path / "shop")
    return rows_by_id(open_shop(tmp_path / "shop", toys))


@pytest.mark.parametrize("runner_name", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_rebuild_after_a_kill_encodes_only_what_was_not_committed(
    runner_name: str, tmp_path: Path, request: Any
) -> None:
    runner = "LocalRunner()"
    if runner_name == "ray":
        runner = f"(connect_to_ray({request.getfixturevalue('ray_cluster').address!r}), RayRunner())[1]"
    interrupt_build(tmp_path, runner)
    toys = Counting()
    rows = rebuild(tmp_path, toys, things(tmp_path))
    assert toys.encoded == [str(i) for i in range(16, 30)]
    (tmp_path / "whole").mkdir()
    assert rows == rebuild(tmp_path / "whole", Toys(), things(tmp_path))
    [build] = (tmp_path / "shop" / "builds").iterdir()
    assert not build.name.startswith(".")


def test_committed_rows_of_changed_or_deleted_listings_are_not_used(tmp_path: Path) -> None:
    interrupt_build(tmp_path, "LocalRunner()")
    toys = Counting()
    fewer = things(tmp_path, l3="other").subset([*range(9), *range(20, 30)])
    rows = rebuild(tmp_path, toys, fewer)
    assert toys.encoded == ["3", *map(str, range(20, 30))]
    assert rows == rebuild(tmp_path / "whole", Toys(), fewer)


def test_committed_rows_of_another_model_are_cleared(tmp_path: Path) -> None:
    interrupt_build(tmp_path, "LocalRunner()")
    toys = Counting("toys-2")
    assert len(rebuild(tmp_path, toys, things(tmp_path))) == len(toys.encoded) == 30


def test_a_row_that_lacks_a_photo_is_encoded_and_reported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "BATCH_SIZE", 4)
    goods = write_goods(tmp_path / "goods")
    catalogue, towers = read_catalogue(goods), build_towers("small")
    summary = summarize_catalogue(catalogue)
    work = EncodingTask(TowersEncoder(towers, cache=tmp_path), summary.attributes, "skip", tmp_path)
    for encoded_rows in (30, 1):
        writer = RowWriter(str(tmp_path / "rows"), work)
        batches = list(writer.write(map(work, writer.batches(catalogue))))
        assert sum(batch.rows.num_rows for batch in batches if batch.rows is not None) == encoded_rows
        assert (sum(batch.photos for batch in batches), sum(batch.listings for batch in batches)) == (20, 30)
        [problem] = [problem for batch in batches for problem in batch.problems]
        assert problem.startswith("listings.jsonl, line 30: broken.png is not a photo")


# Object storage --------------------------------------------------------------------------------------------------


def write_all_rows(uri: str, toys: Toys, catalogue: Catalogue) -> None:
    summary = summarize_catalogue(catalogue)
    work = EncodingTask(toys, summary.attributes)
    writer = RowWriter(uri, work)
    for _ in writer.write(map(work, writer.batches(catalogue))):
        pass


def test_concurrent_writers_neither_lose_nor_duplicate_rows(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "BATCH_SIZE", 2)
    monkeypatch.setattr(encoding, "COMMIT_ROWS", 4)
    catalogue = things(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        for result in [pool.submit(write_all_rows, bucket, Counting(), catalogue) for _ in range(2)]:
            result.result()
    toys = Counting()
    summary = summarize_catalogue(catalogue)
    encode_shop(summary, EncodingTask(toys, summary.attributes), catalogue, tmp_path / "shop", staging=bucket)
    assert not toys.encoded
    (tmp_path / "whole").mkdir()
    assert rows_by_id(open_shop(tmp_path / "shop", toys)) == rebuild(tmp_path / "whole", Toys(), catalogue)


def test_rows_of_another_model_are_not_replaced(bucket: str, tmp_path: Path) -> None:
    write_all_rows(bucket, Toys(), things(tmp_path))
    with pytest.raises(ShopError, match="has rows of another model or with other attributes"):
        write_all_rows(bucket, Toys("toys-2"), things(tmp_path))
    with pytest.raises(ShopError, match=r"s3://nowhere/x: .*Check the URL"):
        write_all_rows("s3://nowhere/x", Toys(), things(tmp_path))
