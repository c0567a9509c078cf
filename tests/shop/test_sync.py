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
from toy_catalogues import NEW, build_counting_shop, table_rows, write_catalogue
from toys import BOOTS, MUG, SCARF, THREE, Toys, embedded

from wares.core.errors import CatalogueError, PhotoError, ShopError
from wares.core.runners import LocalRunner
from wares.data.catalogue import open_catalogue, read_catalogue
from wares.data.listings import Listing
from wares.encoders.registry import build_towers
from wares.shop import sync
from wares.shop.build import build_shop, summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import open_shop
from wares.shop.sync import StoredCatalogue, reembed_shop, update_shop
from wares.shop.update import UpdateResult, add_photo, delete, upsert
from wares.shop.versions import list_versions


def test_only_what_has_changed_is_encoded(tmp_path: Path) -> None:
    shop, toys = build_counting_shop(tmp_path, *THREE)
    changed = replace(SCARF, price=99.0)
    catalogue = write_catalogue(tmp_path / "goods", BOOTS, changed, NEW)
    assert update_shop(shop, catalogue) == UpdateResult(added=1, changed=1, deleted=1)
    assert toys.encoded == [SCARF.id, "new"]
    assert set(table_rows(shop)) == {BOOTS.id, SCARF.id, "new"}
    assert table_rows(shop)[SCARF.id]["price"] == 99.0
    assert [hit.id for hit in search(shop, "teapot", k=1)] == ["new"]
    assert update_shop(shop, catalogue) == UpdateResult(0, 0)
    assert toys.encoded == [SCARF.id, "new"]


def test_it_ends_as_a_build_from_scratch_does(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    catalogue = write_catalogue(tmp_path / "goods", NEW, replace(MUG, title="Cup"), BOOTS)
    update_shop(shop, catalogue)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), tmp_path / "again")
    assert table_rows(shop) == table_rows(open_shop(tmp_path / "again"))


def test_a_photo_that_was_painted_over_is_a_change(tmp_path: Path) -> None:
    shop, toys = build_counting_shop(tmp_path, *THREE)
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
    shop, toys = build_counting_shop(folder, *(Listing(id, title) for id, title in before.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "BATCH_SIZE", chunk)
        catalogue = write_catalogue(folder / "goods", *(Listing(id, title) for id, title in after.items()))
        done = update_shop(shop, catalogue)
    assert {id: row["title"] for id, row in table_rows(shop).items()} == after
    assert (done.added, done.deleted) == (len(after.keys() - before.keys()), len(before.keys() - after.keys()))
    assert sorted(toys.encoded) == sorted(id for id in after if before.get(id) != after[id])


def test_a_catalogue_is_read_from_its_file_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, toys = build_counting_shop(tmp_path, *(Listing(f"{i}", f"thing {i}") for i in range(10)))
    monkeypatch.setattr(sync, "BATCH_SIZE", 3)
    write_catalogue(tmp_path / "goods", *(Listing(f"{i}", f"thing {i} {'new' * (i % 2)}".strip()) for i in range(10)))
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
    shop, toys = build_counting_shop(tmp_path, *THREE)
    before = table_rows(shop)
    write_catalogue(tmp_path / "goods", NEW)
    with (tmp_path / "goods" / "listings.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(error, match=says):
        update_shop(shop, open_catalogue(tmp_path / "goods"))
    shop.refresh()
    assert table_rows(shop) == before
    assert toys.encoded == []


def test_a_bad_photo_stops_or_is_left_out(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    catalogue = write_catalogue(tmp_path / "goods", *THREE, NEW)
    (tmp_path / "goods" / NEW.images[0]).write_bytes(b"no photo")
    with pytest.raises(PhotoError, match=r"listings\.jsonl, line 4"):
        update_shop(shop, catalogue)
    done = update_shop(shop, catalogue, on_error="skip")
    assert (done.added, len(done.problems)) == (1, 1)
    assert table_rows(shop)["new"]["images"] == []
    assert update_shop(shop, catalogue, on_error="skip") == UpdateResult(0, 0), "the photo is as bad as it was"


def test_another_catalogue_is_refused(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    with pytest.raises(ShopError, match="was built from the catalogue in"):
        update_shop(shop, write_catalogue(tmp_path / "others", NEW))


def test_another_model_is_refused(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    with pytest.raises(ShopError, match=r"toys-1…; this model is toys-2….*wares reembed"):
        open_shop(shop.path, Toys("toys-2"))


def test_a_killed_update_goes_on(tmp_path: Path) -> None:
    shop, toys = build_counting_shop(tmp_path, *(Listing(f"{i}", f"thing {i}") for i in range(9)))
    write_catalogue(tmp_path / "goods", *(Listing(f"{i}", f"other {i}") for i in range(9)))
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
        shop = open_shop({str(shop.path)!r}, Dying())
        sync.update_shop(shop, open_catalogue({str(tmp_path / "goods")!r}))
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment(), timeout=120)
    assert killed.returncode == -signal.SIGKILL
    shop.refresh()
    assert sorted(row["title"].split()[0] for row in table_rows(shop).values()) == ["other"] * 6 + ["thing"] * 3
    assert update_shop(shop, open_catalogue(tmp_path / "goods")) == UpdateResult(0, 3)
    assert len(toys.encoded) == 3


# Another model ---------------------------------------------------------------------------------------------------


def test_a_shop_moves_to_another_model(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    before = table_rows(shop)
    name = add_photo(shop, (tmp_path / "goods" / BOOTS.images[0]).read_bytes())
    upsert(shop, [Listing("uploaded", "Own photo", images=(name,))])
    delete(shop, [MUG.id])
    towers = build_towers("small")
    moved = reembed_shop(shop.path, towers)
    with pytest.raises(ShopError, match="has this model already"):
        reembed_shop(shop.path, towers)
    assert moved.build_info.model == towers.identity != "toys-1"
    assert set(table_rows(moved)) == {BOOTS.id, SCARF.id, "uploaded"}
    assert table_rows(moved)["uploaded"]["images"] == [name]
    assert table_rows(moved)[BOOTS.id]["title"] == before[BOOTS.id]["title"]
    assert [version.listings for version in list_versions(shop.path)] == [3, 3]
    again = build_shop(StoredCatalogue(moved), towers, tmp_path / "again")
    assert [row["vector"] for row in table_rows(again).values()] == [
        row["vector"] for row in table_rows(moved).values()
    ]


def test_changes_while_a_shop_moves_are_taken_over(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)

    class Meanwhile(LocalRunner):
        def map(self, work: Any, items: Any) -> Any:
            yield from map(work, items)
            other = open_shop(shop.path, Toys())
            upsert(other, [replace(MUG, title="Bowl"), Listing("late", "Late thing")])
            delete(other, [SCARF.id])

    moved = reembed_shop(shop.path, build_towers("small"), runner=Meanwhile())
    assert {id: row["title"] for id, row in table_rows(moved).items()} == {
        BOOTS.id: BOOTS.title,
        MUG.id: "Bowl",
        "late": "Late thing",
    }
    with pytest.raises(ShopError, match="was rebuilt or rolled back"):
        upsert(shop, [Listing("new", "Purple teapot")])


def test_a_move_that_fails_leaves_the_shop(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    (tmp_path / "goods" / BOOTS.images[0]).unlink()
    with pytest.raises(PhotoError):
        reembed_shop(shop.path, build_towers("small"), on_error="stop")
    assert not shop.is_outdated
    upsert(shop, [Listing("new", "Purple teapot")])
    assert len(open_shop(shop.path)) == 4
