"""Versions: rolling back, copies of builds, and which builds are kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from toy_catalogues import NEW, build_counting_shop, table_rows, write_catalogue
from toys import BOOTS, MUG, THREE, Toys, embedded

from wares.core.errors import ShopError
from wares.data.listings import Listing
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.build_folders import KEPT_BUILDS
from wares.shop.searching import search
from wares.shop.shop import open_shop
from wares.shop.sync import update_shop
from wares.shop.update import upsert
from wares.shop.versions import list_versions, roll_back
from wares.shop.word_index import WORD_INDEX_FILE


def test_one_can_go_back_and_forth(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    before = table_rows(shop)
    update_shop(shop, write_catalogue(tmp_path / "goods", BOOTS, NEW))
    after = table_rows(shop)
    now, kept = list_versions(shop.path)
    assert (now.listings, now.current, now.copied) == (2, True, False)
    assert (kept.listings, kept.current, kept.copied) == (3, False, True)
    back = roll_back(shop.path, kept.name)
    assert shop.is_outdated, "who has it open is told"
    assert table_rows(back) == before
    assert search(open_shop(shop.path, Toys()), "teapot", system="bm25") == []
    upsert(open_shop(shop.path, Toys()), [replace(MUG, title="Bowl")])
    assert table_rows(roll_back(shop.path, now.name)) == after, "a change of one build is none of the other"
    assert table_rows(roll_back(shop.path, kept.name))[MUG.id]["title"] == "Bowl"


def test_a_copy_takes_no_room_of_its_own(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    update_shop(shop, write_catalogue(tmp_path / "goods", *THREE, NEW))
    copy = shop.path / "builds" / list_versions(shop.path)[1].name
    changed = ("latest_version_hint.json", WORD_INDEX_FILE)
    files = [file for file in copy.rglob("*") if file.is_file() and file.name not in changed]
    assert all(file.stat().st_nlink == 2 for file in files if (shop.build_folder / file.relative_to(copy)).exists())


def test_where_files_have_one_name_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    shop, _ = build_counting_shop(tmp_path, *THREE)
    before = table_rows(shop)
    update_shop(shop, write_catalogue(tmp_path / "goods", NEW))
    assert table_rows(roll_back(shop.path, list_versions(shop.path)[1].name)) == before


def test_one_can_go_back_to_the_build_before(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    catalogue = write_catalogue(tmp_path / "goods", NEW)
    write_shop(
        summarize_catalogue(catalogue), Toys("toys-2"), embedded(catalogue, Toys("toys-2")), shop.path, overwrite=True
    )
    now, before = list_versions(shop.path)
    assert (now.listings, before.listings, before.name) == (1, 3, shop.build_folder.name)
    assert roll_back(shop.path, before.name).build_info.model == "toys-1"
    assert {version.name for version in list_versions(shop.path)} == {now.name, before.name}


def test_the_last_few_versions_are_kept(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    for number in range(KEPT_BUILDS + 2):
        update_shop(shop, write_catalogue(tmp_path / "goods", *(Listing(f"{i}", "thing") for i in range(number + 1))))
    found = list_versions(shop.path)
    assert [version.listings for version in found] == [4, 3, 2]
    assert [version.current for version in found] == [True, False, False]
    assert found[1].time > found[2].time
    assert len(roll_back(shop.path, found[-1].name)) == 2


def test_a_version_that_is_not_there_is_told(tmp_path: Path) -> None:
    shop, _ = build_counting_shop(tmp_path, *THREE)
    with pytest.raises(ShopError, match=f'has no version "yesterday". Choose one of {shop.build_folder.name}'):
        roll_back(shop.path, "yesterday")
