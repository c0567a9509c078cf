"""Updates encode what has changed and nothing else; re-embedding loses no change; one can go back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import environment
from toys import BOOTS, MUG, SCARF, THREE, Toys, embedded, write_photos

from wares.core.errors import CatalogueError, PhotoError, ShopError
from wares.core.runners import LocalRunner
from wares.data.catalogue import open_catalogue, read_catalogue
from wares.data.digests import photo_digests
from wares.data.listings import Catalogue, Listing, OnError
from wares.data.writers import write_listings
from wares.encoders.features import Embeddings
from wares.encoders.fusion import FusedEmbeddings
from wares.encoders.registry import build_towers
from wares.shop import sync as incremental
from wares.shop.build import build_shop, summarize_catalogue, write_shop
from wares.shop.build_folders import KEPT_BUILDS
from wares.shop.content import content_hashes
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.sync import StoredCatalogue, reembed_shop, update_shop
from wares.shop.update import UpdateResult, add_photo, delete, upsert
from wares.shop.versions import list_versions, roll_back


class Counting(Toys):
    """Toys that remember what they have encoded."""

    def __init__(self, identity: str = "toys-1") -> None:
        super().__init__(identity)
        self.encoded: list[str] = []

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        self.encoded += [listing.id for listing in catalogue.listings]
        return super().encode_listings(catalogue, on_error)


def written(folder: Path, *listings: Listing) -> Catalogue:
    """A catalogue on disk, with its photos."""
    write_photos(folder, listings)
    write_listings(listings, folder / "listings.jsonl")
    return read_catalogue(folder, "skip")


def shop_of(folder: Path, *listings: Listing) -> tuple[Shop, Counting]:
    catalogue = written(folder / "goods", *listings)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), folder / "shop")
    toys = Counting()
    return open_shop(folder / "shop", toys), toys


def rows(shop: Shop) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.table.search().limit(10_000).to_arrow().to_pylist()}


NEW = Listing("new", "Purple teapot", images=("teapot-red.png",))


def test_only_what_has_changed_is_encoded(tmp_path: Path) -> None:
    shop, toys = shop_of(tmp_path, *THREE)
    changed = replace(SCARF, price=99.0)
    catalogue = written(tmp_path / "goods", BOOTS, changed, NEW)
    assert update_shop(shop, catalogue) == UpdateResult(added=1, changed=1, deleted=1)
    assert toys.encoded == [SCARF.id, "new"]
    assert set(rows(shop)) == {BOOTS.id, SCARF.id, "new"}
    assert rows(shop)[SCARF.id]["price"] == 99.0
    assert [hit.id for hit in search(shop, "teapot", k=1)] == ["new"]
    assert update_shop(shop, catalogue) == UpdateResult(0, 0)
    assert toys.encoded == [SCARF.id, "new"]


def test_it_ends_as_a_build_from_scratch_does(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    catalogue = written(tmp_path / "goods", NEW, replace(MUG, title="Cup"), BOOTS)
    update_shop(shop, catalogue)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), tmp_path / "again")
    assert rows(shop) == rows(open_shop(tmp_path / "again"))


def test_a_photo_that_was_painted_over_is_a_change(tmp_path: Path) -> None:
    shop, toys = shop_of(tmp_path, *THREE)
    photo = tmp_path / "goods" / BOOTS.images[0]
    Image.new("RGB", (8, 8), "white").save(photo)
    assert update_shop(shop, read_catalogue(tmp_path / "goods")) == UpdateResult(0, 1)
    assert toys.encoded == [BOOTS.id]
    os.utime(photo)
    assert update_shop(shop, read_catalogue(tmp_path / "goods")) == UpdateResult(0, 0), "a new time is no change"


ids = st.sampled_from([f"g{i}" for i in range(8)])
catalogues = st.dictionaries(ids, st.sampled_from(["red boots", "blue scarf", "mug"]), min_size=1)


@settings(max_examples=15, deadline=None)
@given(before=catalogues, after=catalogues, chunk=st.integers(1, 4))
def test_any_catalogue_follows_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], after: dict[str, str], chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    shop, toys = shop_of(folder, *(Listing(id, title) for id, title in before.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incremental, "BATCH_SIZE", chunk)
        catalogue = written(folder / "goods", *(Listing(id, title) for id, title in after.items()))
        done = update_shop(shop, catalogue)
    assert {id: row["title"] for id, row in rows(shop).items()} == after
    assert (done.added, done.deleted) == (len(after.keys() - before.keys()), len(before.keys() - after.keys()))
    assert sorted(toys.encoded) == sorted(id for id in after if before.get(id) != after[id])


def test_a_catalogue_is_read_from_its_file_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, toys = shop_of(tmp_path, *(Listing(f"{i}", f"thing {i}") for i in range(10)))
    monkeypatch.setattr(incremental, "BATCH_SIZE", 3)
    written(tmp_path / "goods", *(Listing(f"{i}", f"thing {i} {'new' * (i % 2)}".strip()) for i in range(10)))
    assert update_shop(shop, open_catalogue(tmp_path / "goods")) == UpdateResult(0, 5)
    assert toys.encoded == ["1", "3", "5", "7", "9"]


@pytest.mark.parametrize(
    ("row", "error", "says"),
    [
        ({"id": "x"}, CatalogueError, '"title" is missing'),
        ({"id": "x", "title": "x", "attributes": {"wheels": 4}}, CatalogueError, '"wheels" has no column'),
    ],
)
def test_a_catalogue_that_cannot_be_used_changes_nothing(
    tmp_path: Path, row: dict[str, Any], error: type[Exception], says: str
) -> None:
    shop, toys = shop_of(tmp_path, *THREE)
    before = rows(shop)
    written(tmp_path / "goods", NEW)
    with (tmp_path / "goods" / "listings.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(error, match=says):
        update_shop(shop, open_catalogue(tmp_path / "goods"))
    shop.refresh()
    assert rows(shop) == before
    assert toys.encoded == []


def test_a_bad_photo_stops_or_is_left_out(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    catalogue = written(tmp_path / "goods", *THREE, NEW)
    (tmp_path / "goods" / NEW.images[0]).write_bytes(b"no photo")
    with pytest.raises(PhotoError, match=r"listings\.jsonl, line 4"):
        update_shop(shop, catalogue)
    done = update_shop(shop, catalogue, on_error="skip")
    assert (done.added, len(done.problems)) == (1, 1)
    assert rows(shop)["new"]["images"] == []
    assert update_shop(shop, catalogue, on_error="skip") == UpdateResult(0, 0), "the photo is as bad as it was"


def test_another_catalogue_is_refused(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    with pytest.raises(ShopError, match="was built from the catalogue in"):
        update_shop(shop, written(tmp_path / "others", NEW))


def test_another_model_is_refused(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    with pytest.raises(ShopError, match=r"toys-1…; this model is toys-2….*wares reembed"):
        open_shop(shop.path, Toys("toys-2"))


def test_a_killed_update_goes_on(tmp_path: Path) -> None:
    shop, toys = shop_of(tmp_path, *(Listing(f"{i}", f"thing {i}") for i in range(9)))
    written(tmp_path / "goods", *(Listing(f"{i}", f"other {i}") for i in range(9)))
    script = f"""
        import os, signal
        from toys import *
        from wares.shop import sync
        from wares.data.catalogue import open_catalogue
        sync.BATCH_SIZE = 3
        class Dying(Toys):
            left = 2
            def encode_listings(self, catalogue, on_error):
                if not self.left:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.left -= 1
                return super().encode_listings(catalogue, on_error)
        sync.update_shop(open_shop({str(shop.path)!r}, Dying()), open_catalogue({str(tmp_path / "goods")!r}))
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment(), timeout=120)
    assert killed.returncode == -signal.SIGKILL
    shop.refresh()
    assert sorted(row["title"].split()[0] for row in rows(shop).values()) == ["other"] * 6 + ["thing"] * 3
    assert update_shop(shop, open_catalogue(tmp_path / "goods")) == UpdateResult(0, 3)
    assert len(toys.encoded) == 3


# Content ---------------------------------------------------------------------------------------------------------


def test_every_field_is_content(tmp_path: Path) -> None:
    full = Listing(
        "a", "t", "d", ("x", "y"), ("red.png",), 1.0, {"n": 1.0, "l": ["p", "q"]}, "p", {"review": "good"}
    )  # fmt: skip
    changes: dict[str, Any] = {
        "id": "b", "title": "T", "description": "D", "tags": ("x", "z"), "images": (), "price": 2.0,
        "attributes": {"n": 1.0, "l": ["p"]}, "product": None, "texts": {"review": "bad"},
    }  # fmt: skip
    others = [replace(full, **{name: value}) for name, value in changes.items()]
    write_photos(tmp_path, [full])
    assert len(set(content_hashes(Catalogue(tmp_path, (full, *others))))) == 1 + len(others)
    reordered = replace(full, attributes={"l": ["p", "q"], "n": 1.0})
    assert content_hashes(Catalogue(tmp_path, (full,))) == content_hashes(Catalogue(tmp_path, (reordered,)))


def test_a_photo_that_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, [BOOTS])
    paths = [tmp_path / name for name in (*BOOTS.images, BOOTS.images[0], "missing.png")]
    for path in paths[:-2]:
        os.utime(path, (1, 1))
    monkeypatch.setattr("wares.data.digests.MIN_AGE_NS", -(10**18))
    first = photo_digests(paths, tmp_path / "cache")
    assert first[0] == first[-2] and isinstance(first[-1], PhotoError)
    monkeypatch.setattr(
        "wares.data.digests.file_digests", lambda paths: first[-1:] if len(paths) == 1 else pytest.fail("read")
    )
    assert photo_digests(paths, tmp_path / "cache") == first


def test_a_photo_that_may_still_change_is_read_again(tmp_path: Path) -> None:
    write_photos(tmp_path, [BOOTS])
    path = tmp_path / BOOTS.images[0]
    [before] = photo_digests([path], tmp_path / "cache")
    found = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert photo_digests([path], tmp_path / "cache") != [before]


# Versions --------------------------------------------------------------------------------------------------------


def test_one_can_go_back_and_forth(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    before = rows(shop)
    update_shop(shop, written(tmp_path / "goods", BOOTS, NEW))
    after = rows(shop)
    now, kept = list_versions(shop.path)
    assert (now.listings, now.current, now.copied) == (2, True, False)
    assert (kept.listings, kept.current, kept.copied) == (3, False, True)
    back = roll_back(shop.path, kept.name)
    assert shop.is_outdated, "who has it open is told"
    assert rows(back) == before
    assert search(open_shop(shop.path, Toys()), "teapot", system="bm25") == []
    upsert(open_shop(shop.path, Toys()), [replace(MUG, title="Bowl")])
    assert rows(roll_back(shop.path, now.name)) == after, "a change of one build is none of the other"
    assert rows(roll_back(shop.path, kept.name))[MUG.id]["title"] == "Bowl"


def test_a_copy_takes_no_room_of_its_own(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    update_shop(shop, written(tmp_path / "goods", *THREE, NEW))
    copy = shop.path / "builds" / list_versions(shop.path)[1].name
    files = [file for file in copy.rglob("*") if file.is_file() and file.name != "latest_version_hint.json"]
    assert all(file.stat().st_nlink == 2 for file in files if (shop.build_folder / file.relative_to(copy)).exists())
    assert not (copy / "update.lock").exists()


def test_where_files_have_one_name_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    shop, _ = shop_of(tmp_path, *THREE)
    before = rows(shop)
    update_shop(shop, written(tmp_path / "goods", NEW))
    assert rows(roll_back(shop.path, list_versions(shop.path)[1].name)) == before


def test_one_can_go_back_to_the_build_before(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    catalogue = written(tmp_path / "goods", NEW)
    write_shop(
        summarize_catalogue(catalogue), Toys("toys-2"), embedded(catalogue, Toys("toys-2")), shop.path, overwrite=True
    )
    now, before = list_versions(shop.path)
    assert (now.listings, before.listings, before.name) == (1, 3, shop.build_folder.name)
    assert roll_back(shop.path, before.name).build_info.model == "toys-1"
    assert {version.name for version in list_versions(shop.path)} == {now.name, before.name}


def test_the_last_few_versions_are_kept(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    for number in range(KEPT_BUILDS + 2):
        update_shop(shop, written(tmp_path / "goods", *(Listing(f"{i}", "thing") for i in range(number + 1))))
    found = list_versions(shop.path)
    assert [version.listings for version in found] == [4, 3, 2]
    assert [version.current for version in found] == [True, False, False]
    assert found[1].time > found[2].time
    assert len(roll_back(shop.path, found[-1].name)) == 2


def test_a_version_that_is_not_there_is_told(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    with pytest.raises(ShopError, match=f'has no version "yesterday". Choose one of {shop.build_folder.name}'):
        roll_back(shop.path, "yesterday")


# Another model ---------------------------------------------------------------------------------------------------


def test_a_shop_moves_to_another_model(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    before = rows(shop)
    name = add_photo(shop, (tmp_path / "goods" / BOOTS.images[0]).read_bytes())
    upsert(shop, [Listing("uploaded", "Own photo", images=(name,))])
    delete(shop, [MUG.id])
    towers = build_towers("small")
    moved = reembed_shop(shop.path, towers)
    with pytest.raises(ShopError, match="of this model already"):
        reembed_shop(shop.path, towers)
    assert moved.build_info.model == towers.identity != "toys-1"
    assert set(rows(moved)) == {BOOTS.id, SCARF.id, "uploaded"}
    assert rows(moved)["uploaded"]["images"] == [name]
    assert rows(moved)[BOOTS.id]["title"] == before[BOOTS.id]["title"]
    assert [version.listings for version in list_versions(shop.path)] == [3, 3]
    again = build_shop(StoredCatalogue(moved), towers, tmp_path / "again")
    assert [row["vector"] for row in rows(again).values()] == [row["vector"] for row in rows(moved).values()]


def test_changes_while_a_shop_moves_are_taken_over(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)

    class Meanwhile(LocalRunner):
        def map(self, work: Any, items: Any) -> Any:
            yield from map(work, items)
            other = open_shop(shop.path, Toys())
            upsert(other, [replace(MUG, title="Bowl"), Listing("late", "Late thing")])
            delete(other, [SCARF.id])

    moved = reembed_shop(shop.path, build_towers("small"), runner=Meanwhile())
    assert {id: row["title"] for id, row in rows(moved).items()} == {
        BOOTS.id: BOOTS.title,
        MUG.id: "Bowl",
        "late": "Late thing",
    }
    with pytest.raises(ShopError, match="built anew"):
        upsert(shop, [Listing("new", "Purple teapot")])


def test_a_move_that_fails_leaves_the_shop(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path, *THREE)
    (tmp_path / "goods" / BOOTS.images[0]).unlink()
    with pytest.raises(PhotoError):
        reembed_shop(shop.path, build_towers("small"), on_error="stop")
    assert not shop.is_outdated
    upsert(shop, [Listing("new", "Purple teapot")])
    assert len(open_shop(shop.path)) == 4
