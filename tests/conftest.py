"""Fixtures shared by all tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

    from wares.core.runners import RayRunner

# The same cases on every machine, as with every other seed, and however slow it is.
settings.register_profile("wares", derandomize=True, deadline=None)
settings.load_profile("wares")

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every tiny model."""
    from tiny_models import save_all

    folder = tmp_path_factory.mktemp("models")
    save_all(folder)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function from a data set's name to its folder; it skips the test where that folder is absent."""

    def folder(name: str) -> Path:
        path = DATA / name
        if not path.is_dir():
            pytest.skip(f"real data set {name!r} is not at ../shared/data/{name}")
        return path

    return folder


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    """The address of an S3 server that runs."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in an empty bucket that the environment has the credentials of."""
    import httpx2

    for name, value in {
        "AWS_ENDPOINT": storage,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    httpx2.post(f"{storage}/moto-api/reset").raise_for_status()
    httpx2.put(f"{storage}/goods").raise_for_status()
    return "s3://goods/the/shop"


@pytest.fixture(scope="module")
def ray_cluster() -> "Iterator[Cluster]":
    """A Ray cluster of two machines that this process is connected to."""
    from ray_cluster import two_machines

    with two_machines() as cluster:
        yield cluster


@pytest.fixture
def on_ray(ray_cluster: "Cluster") -> "RayRunner":
    from wares.core.runners import RayRunner

    return RayRunner()
