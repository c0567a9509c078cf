"""Writers of one shop in several processes: none undoes what another has finished, and a killed one blocks nobody."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import environment
from toy_catalogues import CountingToys, table_rows, write_catalogue
from toys import Toys, embedded

from wares.core.errors import ShopError
from wares.core.runners import LocalRunner
from wares.data.listings import Catalogue, Listing
from wares.encoders.registry import build_towers
from wares.shop import build as build_module
from wares.shop import replicas, sync, update, vector_index
from wares.shop.build import add_ranker, encode_shop, summarize_catalogue, write_shop
from wares.shop.encoding import EncodingTask
from wares.shop.replicas import publish
from wares.shop.shop import Shop, open_shop
from wares.shop.sync import reembed_shop, update_shop
from wares.shop.table import EmbeddedListings
from wares.shop.update import optimize, upsert
from wares.shop.versions import list_versions, roll_back

MEANWHILE = r"was rebuilt or rolled back by another process meanwhile\. Open the shop again, or run the command again"
REBUILD = """
    import sys
    from toys import *
    catalogue = Catalogue(Path({goods!r}), tuple(Listing(str(i), "thing %d" % i) for i in range({count})))
    def about_to_switch(folder):
        print("complete", flush=True)
        {then}
    write_shop(
        summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), {path!r}, overwrite=True,
        add_files=about_to_switch,
    )
"""


def start_rebuild(shop: Shop, count: int, then: str = "pass") -> subprocess.Popen[str]:
    """Another process that rebuilds a shop with some listings. It prints a line before it switches, and runs `then`."""
    script = REBUILD.format(goods=str(shop.catalogue_folder), count=count, path=str(shop.path), then=then)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment(), stdout=subprocess.PIPE, text=True
    )


def rebuild(shop: Shop, count: int) -> None:
    """Rebuild a shop with some listings."""
    catalogue = Catalogue(shop.catalogue_folder, tuple(Listing(str(i), f"thing {i}") for i in range(count)))
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), shop.path, overwrite=True)


class Meanwhile(LocalRunner):
    """A runner that calls a function once the first batch is encoded."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def map(self, work: Any, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            yield work(item)
            if number == 0:
                self.act()


def things(tmp_path: Path, count: int, title: str = "thing") -> Catalogue:
    return write_catalogue(tmp_path / "goods", *(Listing(str(i), f"{title} {i}") for i in range(count)))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Twenty listings."""
    catalogue = things(tmp_path, 20)
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), tmp_path / "shop")
    return open_shop(tmp_path / "shop", Toys())


def begin_and_switch(shop: Shop, catalogue: Catalogue, act: Callable[[], object], toys: Toys) -> None:
    """Rebuild a shop from a catalogue in this process; `act` runs after the first batch."""
    summary = summarize_catalogue(catalogue)
    task = EncodingTask(toys, summary.attributes)
    encode_shop(summary, task, catalogue, shop.path, overwrite=True, runner=Meanwhile(act))


def test_a_rebuild_that_ends_during_an_optimize_is_not_undone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []

    def during(*arguments: Any) -> Any:
        process = start_rebuild(shop, 30)
        assert process.stdout is not None and process.stdout.readline() == "complete\n"
        processes.append(process)
        return vector_index.index_vectors(*arguments)

    monkeypatch.setattr(update, "index_vectors", during)
    optimize(shop, target_recall=0.9)
    [process] = processes
    process.communicate()
    assert process.returncode == 0, "it waits for the lock, and then switches"
    assert len(open_shop(shop.path)) == 30


def test_an_optimize_of_a_build_that_was_replaced_is_refused(shop: Shop) -> None:
    rebuild(shop, 30)
    with pytest.raises(ShopError, match=MEANWHILE):
        optimize(shop, target_recall=0.9)
    assert len(open_shop(shop.path)) == 30


def test_of_two_rebuilds_the_first_to_end_stays_and_the_other_resumes(shop: Shop, tmp_path: Path) -> None:
    toys, catalogue = CountingToys(), things(tmp_path, 10, "other")
    with pytest.raises(ShopError, match=MEANWHILE):
        begin_and_switch(shop, catalogue, lambda: start_rebuild(shop, 30).communicate(), toys)
    assert len(open_shop(shop.path)) == 30
    assert len(toys.encoded) == 10
    begin_and_switch(shop, catalogue, lambda: None, toys)
    assert len(open_shop(shop.path)) == 10
    assert len(toys.encoded) == 10, "what the refused build encoded is kept"


def test_of_two_first_builds_the_first_to_end_stays(shop: Shop, tmp_path: Path) -> None:
    def batches() -> Iterator[EmbeddedListings]:
        yield from embedded(catalogue, Toys())
        shutil.copytree(shop.path, tmp_path / "new", dirs_exist_ok=True)  # as another process would write it

    catalogue = things(tmp_path, 5)
    with pytest.raises(ShopError, match=MEANWHILE):
        write_shop(summarize_catalogue(catalogue), Toys(), batches(), tmp_path / "new")
    assert len(open_shop(tmp_path / "new")) == 20


def test_a_roll_back_during_a_rebuild_stays(shop: Shop, tmp_path: Path) -> None:
    rebuild(shop, 30)
    with pytest.raises(ShopError, match=MEANWHILE):
        begin_and_switch(shop, things(tmp_path, 10), lambda: roll_back(shop.path, shop.current.build), Toys())
    assert len(open_shop(shop.path)) == 20
    assert [version.listings for version in list_versions(shop.path)] == [20, 30]


def test_changes_during_a_rebuild_are_made_and_replaced(shop: Shop, tmp_path: Path) -> None:
    def change() -> None:
        upsert(shop, [Listing("new", "Purple teapot")])
        assert len(open_shop(shop.path)) == 21

    begin_and_switch(shop, things(tmp_path, 10), change, Toys())
    assert len(open_shop(shop.path)) == 10
    assert [version.listings for version in list_versions(shop.path)] == [10, 21], "a roll back has them"


def test_an_update_during_which_the_shop_is_rebuilt_is_refused(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "BATCH_SIZE", 4)
    catalogue = things(tmp_path, 20, "other")
    with pytest.raises(ShopError, match=MEANWHILE):
        update_shop(shop, catalogue, runner=Meanwhile(lambda: rebuild(shop, 30)))
    rows = table_rows(open_shop(shop.path))
    assert len(rows) == 30 and {row["title"].split()[0] for row in rows.values()} == {"thing"}


def test_a_reembedding_during_which_the_shop_is_rebuilt_is_refused(shop: Shop) -> None:
    with pytest.raises(ShopError, match=MEANWHILE):
        reembed_shop(shop.path, build_towers("small"), runner=Meanwhile(lambda: rebuild(shop, 30)))
    current = open_shop(shop.path)
    assert (len(current), current.build_info.model) == (30, "toys-1")


def test_a_ranker_is_not_added_to_a_shop_that_was_rebuilt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_ranker(trained: Any, corpus: Any, model: str, folder: Path) -> None:
        (folder / "ranker").mkdir()
        rebuild(shop, 30)

    monkeypatch.setattr(build_module, "write_ranker", write_ranker)
    before = list(shop.build_folder.iterdir())
    with pytest.raises(ShopError, match=MEANWHILE):
        add_ranker(shop, None, Catalogue(shop.catalogue_folder, ()))  # type: ignore[arg-type]
    current = open_shop(shop.path)
    assert len(current) == 30 and not current.has_ranker
    assert list(shop.build_folder.iterdir()) == before
    assert {path.name for path in shop.build_folder.parent.iterdir()} == {shop.current.build, current.current.build}


def test_a_rebuild_during_a_publication_is_not_published_by_halves(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, calls = replicas._copy, 0

    async def during(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # the rows; the first are photos
            rebuild(shop, 30)
        await copy(*arguments)

    monkeypatch.setattr(replicas, "_copy", during)
    publish(shop, f"file://{tmp_path}/published")
    assert len(open_shop(tmp_path / "published")) == 20
    publish(open_shop(shop.path), f"file://{tmp_path}/published")
    assert len(open_shop(tmp_path / "published")) == 30


@pytest.mark.parametrize("function", ["check_current_build", "switch_build", "delete_old_builds"])
def test_a_rebuild_that_is_killed_while_it_switches_blocks_nobody(shop: Shop, function: str) -> None:
    """It has the lock: before it renames the build, before it names it the current one, and before it cleans up."""
    kill = f"from wares.shop import build_folders; build_folders.{function} = lambda *a: os.kill(os.getpid(), 9)"
    process = start_rebuild(shop, 30, f"import os; {kill}")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    expected = 30 if function == "delete_old_builds" else 20
    current = open_shop(shop.path, Toys())
    assert len(current) == expected
    assert upsert(current, [Listing("new", "Purple teapot")]).added == 1
    rebuild(shop, 5)
    assert len(open_shop(shop.path)) == 5
