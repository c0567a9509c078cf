"""Shops on object storage: a copy is whole at any time, and becomes what the shop is.

Storage is a folder, or the S3 of moto in a server of its own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from filelock import FileLock
from obstore.store import ObjectStore
from PIL import Image
from processes import command, environment
from served import goods, served, until

from wares.core.errors import PhotoError, SettingsError, ShopError
from wares.data.catalogue import read_catalogue
from wares.data.listings import Listing
from wares.data.writers import write_listings
from wares.encoders.registry import build_towers
from wares.shop import replicas
from wares.shop.build import build_shop
from wares.shop.layout import switch_build
from wares.shop.replicas import Replica, publish
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.update import add_photo, delete, optimize, upsert

ODD = "ä ö#1 100%&[x].png"  # a photo's name


@dataclass(frozen=True)
class Published:
    """A shop, where it is published, and a replica."""

    path: Path
    url: str
    replica: Replica

    @property
    def shop(self) -> Shop:
        return open_shop(self.path)

    @property
    def copy(self) -> Shop:
        return open_shop(self.replica.folder)

    def spread(self) -> int:
        """Publish and follow; how many files came to the replica."""
        publish(self.shop, self.url)
        return self.replica.catch_up().files

    def build(self, count: int, folder: Path) -> None:
        """Another build of the shop."""
        build_shop(read_catalogue(goods(folder, count)), build_towers("small"), self.path, overwrite=True)


@pytest.fixture(params=["file", "s3"])
def published(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    url = request.getfixturevalue("bucket") if request.param == "s3" else f"file://{tmp_path}/bucket/the/shop"
    return built(tmp_path, url)


@pytest.fixture
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setenv("WARES_CACHE", str(tmp_path / "cache"))
    return built(tmp_path, f"file://{tmp_path}/bucket/the/shop")


def built(tmp_path: Path, url: str) -> Published:
    """A shop of 13 listings, not published yet."""
    catalogue = goods(tmp_path / "goods", 12)
    Image.new("RGB", (32, 32), "white").save(catalogue / ODD)
    odd = Listing("odd", "white thing", images=(f"./{ODD}",))
    write_listings([*read_catalogue(catalogue).listings, odd], catalogue / "listings.jsonl")
    build_shop(read_catalogue(catalogue), build_towers("small"), tmp_path / "shop")
    return Published(tmp_path / "shop", url, Replica(url))


def results(shop: Shop) -> list[dict[str, object]]:
    """What a search says, scores included."""
    return [hit.to_json() for hit in search(shop, "red thing", k=20)]


def test_a_replica_answers_as_the_shop_does(published: Published) -> None:
    published.spread()
    assert len(results(published.copy)) == 13
    assert results(published.copy) == results(published.shop)


def test_photos_come_when_they_are_looked_at(published: Published) -> None:
    published.spread()
    uploaded = add_photo(published.shop, (published.shop.catalogue_folder / "red.png").read_bytes())
    upsert(published.shop, [Listing("new", "new thing", images=(uploaded,))])
    published.spread()
    for name in ("blue.png", f"./{ODD}", uploaded):
        place = published.copy.photo_path(name)
        assert published.replica.folder in place.parents and not place.exists()
        published.replica.fetch_photo(place)
        assert place.read_bytes() == published.shop.photo_path(name).read_bytes()
    with pytest.raises(PhotoError, match=r"catalogue/none\.png cannot be copied from .*\. Publish the shop again\."):
        published.replica.fetch_photo(published.copy.photo_path("none.png"))


def test_what_is_published_in_a_folder_is_a_shop_with_its_photos(in_a_folder: Published) -> None:
    publish(in_a_folder.shop, in_a_folder.url)
    shop = open_shop(in_a_folder.url.removeprefix("file://"))
    assert results(shop) == results(in_a_folder.shop)
    for name in ("red.png", f"./{ODD}"):
        assert shop.photo_path(name).read_bytes() == in_a_folder.shop.photo_path(name).read_bytes()


def test_a_place_with_something_else_is_left_alone(in_a_folder: Published, tmp_path: Path) -> None:
    place = tmp_path / "bucket" / "the" / "shop"
    place.mkdir(parents=True, exist_ok=True)
    (place / "listings.jsonl").write_text("mine")
    with pytest.raises(ShopError, match=r"the/shop: the location is not empty \(listings\.jsonl\)"):
        publish(in_a_folder.shop, in_a_folder.url)
    assert [path.name for path in place.iterdir()] == ["listings.jsonl"]


def test_nothing_is_copied_twice(published: Published) -> None:
    assert publish(published.shop, published.url).files > 10
    assert publish(published.shop, published.url).files == 0
    assert published.replica.catch_up().files > 10
    assert published.replica.catch_up().files == 0


def test_a_change_is_all_that_is_copied(published: Published) -> None:
    published.spread()
    before = published.copy
    upsert(published.shop, [Listing("new", "red thing that is new")])
    delete(published.shop, ["g0"])
    assert 0 < published.spread() < 12
    before.refresh()
    assert results(before) == results(published.copy) == results(published.shop)
    assert "new" in {hit["id"] for hit in results(before)}


def test_what_was_put_in_order_stays_in_order(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that the table no longer needs are gone from the copies too."""
    published.spread()
    upsert(published.shop, [Listing("new", "red thing that is new")])
    published.spread()
    monkeypatch.setattr("wares.shop.update.TABLE_HISTORY", timedelta(0))
    optimize(published.shop)
    published.spread()
    assert results(published.copy) == results(published.shop)
    assert tables(published.replica.folder) == tables(published.path)


def tables(folder: Path) -> list[str]:
    """Files of a shop's tables."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("builds/*/*.lance/**/*.*"))


def test_a_new_build_takes_the_place_of_the_old(published: Published, tmp_path: Path) -> None:
    published.spread()
    open_before = published.copy
    before = results(open_before)
    for count in (20, 30, 40):
        published.build(count, tmp_path / "more")
        published.spread()
        assert len(published.copy) == count
    assert open_before.is_outdated
    assert len(list((published.replica.folder / "builds").iterdir())) == 2  # it, and the one before
    assert before != results(published.copy) == results(published.shop)


def reopen(published: Published) -> None:
    """Make others reopen the build, as a new ranker does."""
    build = published.shop.current.build
    switch_build(published.path, build, build)


def test_what_else_is_in_a_build_comes_with_shop_json(published: Published) -> None:
    """As a ranker does that is added later, in place of another of the same size."""
    (published.shop.build_folder / "ranker").mkdir()
    for content in (b"one", b"two"):
        (published.shop.build_folder / "ranker" / "ranker.safetensors").write_bytes(content)
        reopen(published)
        published.spread()
        assert (published.copy.build_folder / "ranker" / "ranker.safetensors").read_bytes() == content
    (published.shop.build_folder / "ranker" / "ranker.safetensors").unlink()
    reopen(published)
    published.spread()
    assert not (published.copy.build_folder / "ranker" / "ranker.safetensors").exists()


@pytest.mark.parametrize("way", ["publish", "follow"])
def test_a_copy_that_is_broken_off_is_whole(way: str, in_a_folder: Published, tmp_path: Path) -> None:
    """After any file: what is there is a state that the shop was in, and never an older one than before."""
    published, known = in_a_folder, [results(in_a_folder.shop)]
    published.spread()
    published.build(20, tmp_path / "more")
    known.append(results(published.shop))
    upsert(published.shop, [Listing("new", "red thing that is new")])
    known.append(results(published.shop))
    if way == "follow":
        publish(published.shop, published.url)
    seen: list[int] = []
    done = False
    while not done:
        after = Replica(published.url, tmp_path / f"after{len(seen)}") if way == "publish" else published.replica
        with only(len(seen)):
            done = ends(lambda: publish(published.shop, published.url)) if way == "publish" else ends(after.catch_up)
        if way == "publish":
            after.catch_up()
        seen.append(known.index(results(open_shop(after.folder))))
    assert seen == sorted(seen) and (seen[0], seen[-1]) == (0, 2) and len(seen) > 5


@contextmanager
def only(count: int) -> Iterator[None]:
    """So many files are copied, then no more."""
    copy, left = replicas._copy, count

    async def limited(files: Sequence[Any], target: ObjectStore) -> None:
        nonlocal left
        for file in files:
            if left == 0:
                raise OSError("cut off")
            left -= 1
            await copy([file], target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replicas, "_copy", limited)
        yield


def ends(work: Callable[[], object]) -> bool:
    """Whether it is not cut off."""
    with suppress(ShopError):
        work()
        return True
    return False


def test_photos_that_are_gone_are_told(published: Published) -> None:
    (published.shop.catalogue_folder / "blue.png").unlink()
    assert publish(published.shop, published.url).missing == ("blue.png",)


def test_it_works_where_a_loop_runs(published: Published) -> None:
    """As in a notebook."""

    async def cell() -> int:
        return publish(published.shop, published.url).files

    assert asyncio.run(cell()) > 10


def test_where_there_is_no_shop(published: Published) -> None:
    with pytest.raises(ShopError, match=f"{published.url}: there is no shop at this location. Publish one"):
        published.replica.catch_up()


@pytest.mark.parametrize("url", ["shop://x/y", "s3://", "s4://bucket/shop"])
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(SettingsError, match=f'"{url}" is not a URL of object storage. Give one such as s3://'):
        Replica(url)


def test_storage_that_is_gone(published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    published.spread()
    before = results(published.copy)
    if published.url.startswith("file"):
        (tmp_path / "bucket").rename(tmp_path / "elsewhere")
    else:
        httpx2.delete(f"{os.environ['AWS_ENDPOINT']}/goods")
        httpx2.post(f"{os.environ['AWS_ENDPOINT']}/moto-api/reset")
    with pytest.raises(ShopError) as caught:
        published.replica.catch_up()
    assert "\n" not in str(caught.value)
    assert results(published.copy) == before


def test_one_process_follows_at_a_time(published: Published) -> None:
    publish(published.shop, published.url)
    published.replica.folder.mkdir(parents=True)
    with FileLock(published.replica.folder / replicas.CATCH_UP_LOCK_FILE):
        assert Replica(published.url).catch_up().files == 0
    assert Replica(published.url).catch_up().files > 10


def test_serving_a_replica(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers, follows changes and builds, refuses to be changed, and outlives its storage."""
    publishing = command("publish", published.path, published.url)
    subprocess.run(publishing, check=True, env=environment())
    with served(f"copy={published.url}", log=tmp_path / "first.log") as server:
        assert server.total() == 13
        assert server.get("api/photos/red.png", size=160).headers["content-type"] == "image/jpeg"
        assert server.get("api/photos/none.png").status_code == 404
        refused = server.put("g1")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "replica")
        upsert(published.shop, [Listing("new", "new thing")])
        subprocess.run(publishing, check=True, env=environment())
        until(lambda: server.get("api/listings/new").status_code == 200)
        published.build(20, tmp_path / "more")
        subprocess.run(publishing, check=True, env=environment())
        until(lambda: server.total() == 20)
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    if published.url.startswith("file"):
        (tmp_path / "bucket").rename(tmp_path / "elsewhere")
    with served(f"copy={published.url}", log=tmp_path / "second.log") as server:
        assert server.total() == 20
        until(lambda: any(line["message"] == "replica cannot catch up" for line in server.lines()))
