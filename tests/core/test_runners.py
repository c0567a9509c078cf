"""Runners: names, work in order, and killed workers and machines on Ray."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray_cluster import OBJECT_STORE_BYTES

from wares.core.errors import SettingsError, WaresError
from wares.core.runners import RayRunner, open_runner

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster


def test_a_runner_opens_by_name_or_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_runner("local") as runner:
        assert list(runner.map(str, iter([1, 2]))) == ["1", "2"]
    with pytest.raises(SettingsError, match='local, ray or ray://ADDRESS, not "spark"'), open_runner("spark"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'wares\[ray\]'"), open_runner("ray"):
        pass


@dataclass(frozen=True)
class Killing:
    """Work that kills its process once for each file of the item, and notes what it completes.

    folder: with files ITEM-ANYTHING, which are removed one by one
    """

    folder: Path

    def __call__(self, item: int) -> tuple[int, int]:
        for file in self.folder.glob(f"{item}-*"):
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"done-{item}-{os.getpid()}").touch()
        return item, os.getpid()


@pytest.mark.slow
def test_the_item_of_a_killed_worker_is_done_again(tmp_path: Path, on_ray: RayRunner) -> None:
    (tmp_path / "5-a").touch()
    (tmp_path / "7-a").touch()
    results = list(on_ray.map(pickle_by_value(Killing(tmp_path)), range(12)))
    assert [item for item, _ in results] == list(range(12))
    assert len({process for _, process in results}) > 2


@pytest.mark.slow
def test_an_item_that_always_kills_its_worker_is_given_up(tmp_path: Path, on_ray: RayRunner) -> None:
    for i in range(20):
        (tmp_path / f"0-{i}").touch()
    with pytest.raises(WaresError, match=r"workers on Ray died 5 times on the same item") as raised:
        list(on_ray.map(pickle_by_value(Killing(tmp_path)), range(2)))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_items_of_a_killed_machine_are_done_again(tmp_path: Path, ray_cluster: Cluster, on_ray: RayRunner) -> None:
    third = ray_cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    items = []
    for item, _ in RayRunner(3).map(pickle_by_value(Killing(tmp_path)), range(24)):
        items.append(item)
        if third is not None:
            ray_cluster.remove_node(third, allow_graceful=False)
            third = None
    assert items == list(range(24))


def pickle_by_value(work: Any) -> Any:
    """Pickle the class with the work: workers cannot import the test modules that pytest imports."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[type(work).__module__])
    return work
