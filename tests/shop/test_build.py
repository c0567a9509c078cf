"""The shop: what its table holds, what it refuses, and that a build is all or nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import environment
from toy_catalogues import edit_build_info
from toys import BOOTS, MUG, THREE, Toys, embedded, toy_shop, write_photos

from wares.core.errors import PhotoError, SettingsError, ShopError
from wares.data.listings import Catalogue, Listing, Problem
from wares.shop import vector_index
from wares.shop.build import build_shop, summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return toy_shop(tmp_path_factory.mktemp("three"))


def rows(shop: Shop) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.table.to_arrow().to_pylist()}


def catalogue_of(folder: Path, listings: tuple[Listing, ...] = THREE) -> Catalogue:
    write_photos(folder, listings)
    return Catalogue(folder, listings)


# What a shop holds -----------------------------------------------------------------------------------------------


def test_a_row_is_the_listing(three: Shop) -> None:
    row = rows(three)["boots"]
    assert (row["title"], row["description"], row["tags"]) == (BOOTS.title, BOOTS.description, list(BOOTS.tags))
    assert (row["price"], row["product"], row["images"]) == (80.0, None, list(BOOTS.images))
    assert row["attributes"] == BOOTS.attributes
    assert row["text"] == "Leather boots\nSturdy boots for winter\nWool, Shoes"
    assert row["view_names"] == [*BOOTS.images, "title", "description", "tags"]
    assert row["view_kinds"] == ["photo"] * 2 + ["text"] * 3
    assert rows(three)["mug"]["price"] is None


def test_the_stored_views_explain_the_stored_vector(three: Shop) -> None:
    for row in rows(three).values():
        weights = np.asarray(row["view_weights"])
        views = np.asarray(row["view_vectors"], dtype=np.float64).reshape(len(weights), -1)
        assert weights @ views == pytest.approx(np.asarray(row["vector"]), abs=1e-6)
        assert np.linalg.norm(row["vector"]) == pytest.approx(1.0, abs=1e-6)


def test_a_shop_says_what_it_is(three: Shop) -> None:
    current = json.loads((three.path / "shop.json").read_text())
    assert (current["format"], three.path / "builds" / current["build"]) == (4, three.build_folder)
    about = json.loads((three.build_folder / "about.json").read_text())
    assert (about["model"], about["dimension"]) == ("toys-1", 48)
    assert (about["listings"], about["photos"], about["problems"], three.build_info.notes) == (3, 3, 0, [])
    assert about["versions"].keys() == {"wares", "lancedb", "numpy", "pyarrow"}
    assert len(three) == 3
    assert three.photo_path("scarf-blue.png").is_file()
    assert (three.build_folder / "model" / "toys.txt").read_text() == "toys-1"
    assert "price" in three.columns
    assert "attributes.gender" in three.columns
    assert "vector" not in three.columns


def test_the_size_of_the_chunks_changes_nothing(three: Shop, tmp_path: Path) -> None:
    assert rows(toy_shop(tmp_path, chunk=3)) == rows(three)


def test_problems_are_kept(tmp_path: Path) -> None:
    problems = (Problem("listings.jsonl", 4, "price", "broken"), Problem("listings.jsonl", 5, "images", "two\nlines"))
    catalogue = replace(catalogue_of(tmp_path / "c"), problems=problems)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), tmp_path / "shop")
    shop = open_shop(tmp_path / "shop")
    assert shop.problems == ["listings.jsonl, line 4: broken.", "listings.jsonl, line 5: two lines."]
    assert shop.build_info.problems == 2


# All or nothing --------------------------------------------------------------------------------------------------


def failing(catalogue: Catalogue, error: BaseException) -> Iterator[Any]:
    yield next(embedded(catalogue, Toys()))
    raise error


@pytest.mark.parametrize(
    "error", [PhotoError("photo.jpg is truncated."), KeyboardInterrupt("stop"), MemoryError("full")]
)
def test_a_build_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    catalogue = catalogue_of(tmp_path / "c")
    with pytest.raises(type(error), match=str(error)):
        write_shop(summarize_catalogue(catalogue), Toys(), failing(catalogue, error), tmp_path / "shops" / "shop")
    assert list((tmp_path / "shops").iterdir()) == []


def test_a_build_that_fails_leaves_the_old_shop(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    before = rows(shop)
    other = catalogue_of(tmp_path / "other", (MUG, BOOTS))
    with pytest.raises(PhotoError):
        write_shop(
            summarize_catalogue(other), Toys("new"), failing(other, PhotoError("no.")), shop.path, overwrite=True
        )
    assert not shop.is_outdated
    assert rows(open_shop(shop.path, Toys())) == before
    assert {path.name for path in shop.path.iterdir()} == {"builds", "shop.json", "shop.lock"}
    assert list((shop.path / "builds").iterdir()) == [shop.build_folder]


def test_a_killed_build_leaves_no_half_shop_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path / "c")
    script = f"""
        import os, signal
        from pathlib import Path
        from toys import *
        catalogue = Catalogue(Path({str(catalogue.folder)!r}), THREE)
        def chunks():
            yield next(embedded(catalogue, Toys()))
            os.kill(os.getpid(), signal.SIGKILL)
        write_shop(summarize_catalogue(catalogue), Toys(), chunks(), {str(tmp_path / "shop")!r})
    """
    assert run(script).returncode == -signal.SIGKILL
    with pytest.raises(ShopError, match="is not a shop"):
        open_shop(tmp_path / "shop")
    [left] = (tmp_path / "shop" / "builds").iterdir()
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), tmp_path / "shop")
    assert list((tmp_path / "shop" / "builds").iterdir()) == [open_shop(tmp_path / "shop").build_folder] != [left]


def test_too_few_embeddings_are_no_shop(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path / "c")
    with pytest.raises(ShopError, match="2 listings were embedded, but the catalogue has 3"):
        write_shop(summarize_catalogue(catalogue), Toys(), [next(embedded(catalogue, Toys()))], tmp_path / "shop")
    assert not (tmp_path / "shop").exists()


def test_overwriting_is_asked_for(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    catalogue = catalogue_of(tmp_path / "other", (MUG,))
    with pytest.raises(ShopError, match=r"already a shop\. Pass --overwrite"):
        write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), shop.path)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), shop.path, overwrite=True)
    assert list(rows(open_shop(shop.path))) == ["mug"]


def test_a_shop_that_is_open_stays_the_build_that_it_is(tmp_path: Path) -> None:
    first, catalogue = toy_shop(tmp_path), catalogue_of(tmp_path / "other", (MUG,))
    before = rows(first)

    def build() -> Shop:
        write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), first.path, overwrite=True)
        return open_shop(first.path, Toys())

    second = build()
    assert [shop.is_outdated for shop in (first, second)] == [True, False]
    assert rows(first) == before and search(first, "red leather", k=1)[0].id == "boots"
    assert [hit.id for hit in search(second, "red leather")] == ["mug"]
    third, fourth = build(), build()
    assert set((first.path / "builds").iterdir()) == {second.build_folder, third.build_folder, fourth.build_folder}
    assert [shop.is_outdated for shop in (first, second, third, fourth)] == [True, True, True, False]


def test_a_build_killed_before_it_was_named_the_current_one_is_no_obstacle(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    (shop.path / "shop.json").unlink()
    catalogue = catalogue_of(tmp_path / "other", (MUG,))
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), shop.path)
    assert list(rows(open_shop(shop.path))) == ["mug"]


def test_a_shop_of_the_older_format_is_refused_and_replaced(tmp_path: Path) -> None:
    old = tmp_path / "shop"
    for name in ("model", "listings.lance", "ranker"):
        (old / name).mkdir(parents=True)
    (old / "problems.txt").write_text("a problem")
    (old / "shop.json").write_text('{"format": 1, "model": "toys-1"}')
    with pytest.raises(ShopError, match=r"shop format 1; this version of wares reads format 4\. Rebuild it"):
        open_shop(old)
    catalogue = catalogue_of(tmp_path / "c")
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), old, overwrite=True)
    assert len(open_shop(old)) == 3
    assert {path.name for path in old.iterdir()} == {"builds", "shop.json", "shop.lock"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_but_a_shop_is_ever_overwritten(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("dear")
    (tmp_path / "file").write_text("dear")
    catalogue = catalogue_of(tmp_path / "c")
    for name in ("thesis", "file"):
        with pytest.raises(ShopError, match="is not empty and is not a shop"):
            write_shop(
                summarize_catalogue(catalogue),
                Toys(),
                embedded(catalogue, Toys()),
                tmp_path / name,
                overwrite=overwrite,
            )
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == (tmp_path / "file").read_text() == "dear"


def test_an_empty_folder_may_become_a_shop(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert len(toy_shop(tmp_path)) == 3


def test_no_listings_are_no_shop(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match="no listings"):
        write_shop(summarize_catalogue(Catalogue(tmp_path, ())), Toys(), [], tmp_path / "shop")


# Many listings, and real towers ----------------------------------------------------------------------------------


def test_an_indexed_shop_finds_what_an_exact_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index on the vectors, also where a filter leaves fewer rows than the index looks at by itself."""
    listings = [Listing(f"{i:04}", f"thing {i}", price=float(i)) for i in range(900)]
    exact = toy_shop(tmp_path / "exact", listings, chunk=300)
    monkeypatch.setattr(vector_index, "MIN_INDEXED_ROWS", 900)
    indexed = toy_shop(tmp_path / "indexed", listings, chunk=300)
    assert [len(list(shop.table.list_indices())) for shop in (exact, indexed)] == [0, 1]
    for where, k in (("price < 7", 7), ("price IN (3, 400, 899)", 3), (None, 900)):
        hits = [[hit.id for hit in search(shop, "thing 5", k=1000, where=where)] for shop in (exact, indexed)]
        assert hits[0] == hits[1]
        assert len(hits[0]) == k


def test_real_towers_build_a_shop_and_come_with_it(tmp_path: Path) -> None:
    from wares.encoders.registry import build_towers

    catalogue = catalogue_of(tmp_path / "c")
    (tmp_path / "c" / "boots-chart.png").write_bytes(b"broken")
    towers = build_towers("small")
    with pytest.raises(PhotoError, match=r"boots-chart\.png"):
        build_shop(catalogue, towers, tmp_path / "shop", cache=tmp_path / "cache")
    built = build_shop(catalogue, towers, tmp_path / "shop", cache=tmp_path / "cache", on_error="skip")
    assert built.build_info.photos == 2
    assert "boots-chart.png" in built.problems[0]
    opened = open_shop(tmp_path / "shop")
    assert search(opened, "leather boots") == search(built, "leather boots")
    assert search(opened, like="mug") == search(built, like="mug")
    with pytest.raises(SettingsError, match="image tower is untrained"):
        search(opened, photo=catalogue.photo_path("boots-red.png"))
    edit_build_info(opened, model="another")
    with pytest.raises(ShopError, match="built with model another"):
        search(open_shop(tmp_path / "shop"), "boots")


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
