"""A Ray cluster of two machines, which are processes of this one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from processes import SOURCE, TESTS
from ray.cluster_utils import Cluster

from wares.core.runners import connect_to_ray

OBJECT_STORE_BYTES = 80 * 2**20  # of each machine: the minimum that Ray accepts


@contextmanager
def two_machines() -> Iterator[Cluster]:
    """Two machines of one core each, whose workers import what this process imports."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [SOURCE, TESTS])))
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False},
    )
    try:
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
        connect_to_ray(cluster.address)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        patch.undo()
