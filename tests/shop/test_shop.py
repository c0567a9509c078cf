"""Opening shops: moved, damaged, of another format or of another model."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from processes import environment
from toy_catalogues import edit_build_info
from toys import Toys, toy_shop

from wares.core.errors import ShopError
from wares.shop.layout import switch_build
from wares.shop.shop import open_shop


def test_a_shop_can_be_moved_and_opened_by_another_process(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    moved = shop.path.rename(tmp_path / "elsewhere" / "moved")
    found = run(f"""
        from toys import *
        from wares.shop.searching import search
        shop = open_shop({str(moved)!r}, Toys())
        print(*[hit.id for hit in search(shop, "red leather", k=1) + search(shop, "coffee", system="bm25")])
    """)
    assert found.stdout.split() == ["boots", "mug"], found.stderr
    assert found.stderr == ""


def test_what_is_no_shop_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match=r"does not exist\. Build a shop with `wares index`"):
        open_shop(tmp_path / "nowhere")
    with pytest.raises(ShopError, match=r"is not a shop: it has no shop\.json"):
        open_shop(tmp_path)


def test_another_format_is_not_opened(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    (shop.path / "shop.json").write_text('{"format": 99}')
    with pytest.raises(ShopError, match="shop format 99; this version of wares reads format 4"):
        open_shop(shop.path)


def test_another_model_is_not_opened(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    with pytest.raises(ShopError, match="built with model toys-1…; this model is toys-2…"):
        open_shop(shop.path, Toys("toys-2"))
    with pytest.raises(ShopError, match=r"vectors of the table have 48 dimensions, but about\.json says 47"):
        open_shop(edit_build_info(shop, dimension=47))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 4}', '{"format": 4, "colour": "red"}'])
@pytest.mark.parametrize("name", ["shop.json", "about.json"])
def test_a_damaged_description_is_not_opened(tmp_path: Path, name: str, content: str) -> None:
    shop = toy_shop(tmp_path)
    (shop.path / name if name == "shop.json" else shop.build_folder / name).write_text(content)
    with pytest.raises(ShopError, match=rf"{name} is (missing or )?damaged"):
        open_shop(shop.path)


@pytest.mark.parametrize("build", ["..", "", "gone", "../builds"])
def test_a_build_that_is_not_there_is_not_opened(tmp_path: Path, build: str) -> None:
    shop = toy_shop(tmp_path)
    switch_build(shop.path, shop.current.build, build)
    with pytest.raises(ShopError, match="damaged"):
        open_shop(shop.path)


@pytest.mark.parametrize("part", ["listings.lance", "listings.lance/_versions"])
def test_a_damaged_table_is_not_opened(tmp_path: Path, part: str) -> None:
    shop = toy_shop(tmp_path)
    shutil.rmtree(shop.build_folder / part)
    with pytest.raises(ShopError, match=r"listings\.lance is missing or damaged"):
        open_shop(shop.path)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
