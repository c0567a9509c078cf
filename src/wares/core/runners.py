"""Where work is done: in this process, or by the workers of a Ray cluster.

    with running("ray") as runner:
        for rows in runner.map(work, items):
            ...

Work is a function of one item. Either runner calls the same function with the same items and gives what it returns in
their order, so that what comes of it does not depend on where it was done. Who maps keeps what it has got: when this
process ends, so does the work.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from wares.core.errors import SettingsError, WaresError
from wares.core.processes import PROCESSES

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import LanceTable, Table
    from ray import ObjectRef


INDEX_COLUMN, ITEM_COLUMN, RESULT_COLUMN = (
    "place",
    "item",
    "result",
)  # columns of what goes to a worker, and of what comes back
SAMPLE_PER_PARTITION = 256  # rows for each partition, at most, that its centre is found by; as Lance does it
MAX_ATTEMPTS = 5  # times that an item is begun: workers that die more often do so hardly by chance
# Whatever Ray prints besides its errors, and what it would send home.
QUIET_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol):
    """Does work, and builds indexes."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What the work returns for each item, in order; a few are done ahead at most. Raises what the work raises."""
        ...

    def index(self, table: Table, kind: str, rows: int, size: int) -> None:
        """Give a table of so many rows an index of its vectors, "ivf-flat" or "ivf-sq", in partitions of that size."""
        ...


@dataclass(frozen=True)
class LocalRunner:
    """Does work in this process, one item after the other."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """As of `Runner`."""
        return map(work, items)

    def index(self, table: Table, kind: str, rows: int, size: int) -> None:
        """As of `Runner`."""
        from lancedb.index import IvfFlat, IvfSq

        made = IvfFlat if kind == "ivf-flat" else IvfSq
        # Asked for a number of partitions, Lance would join them to larger ones at the first optimisation.
        table.create_index("vector", config=made(distance_type="dot", target_partition_size=size))


LOCAL_RUNNER = LocalRunner()


@dataclass(frozen=True)
class RayRunner:
    """Does work on the Ray cluster that this process is connected to (ray.init), by actors of ray.data.

    Work, items and results are pickled. A worker takes the work in once; its item is done again where a worker or a
    machine dies. Items wait in Ray's object store, which puts on disk what is too much for memory.

    workers: how many; by default one for each GPU, or for each core where there is none
    """

    workers: int | None = None

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """As of `Runner`. Raises WaresError where workers keep dying."""
        import pyarrow as pa
        import ray
        from ray.exceptions import RayError

        sent = [
            ray.put(pa.table({INDEX_COLUMN: [i], ITEM_COLUMN: [pickle.dumps(item)]})) for i, item in enumerate(items)
        ]
        if not sent:
            return
        try:
            for outcome in self._outcomes([ray.put(work)], sent):
                if isinstance(outcome, _Raised):
                    raise outcome.error
                yield outcome
        except RayError as error:
            raise WaresError(
                f"the work on Ray ended: {_error_line(error)}. What was committed is kept; see to it, and run it again."
            ) from error

    def index(self, table: Table, kind: str, rows: int, size: int) -> None:
        """As of `Runner`: centres are found here, and each worker sorts its part of the rows to them.

        Where not all machines see the table's folder, the index is built here alone.
        """
        import lance_ray

        place = cast("LanceTable", table).uri
        if not _visible_to_all_nodes(place):
            LOCAL_RUNNER.index(table, kind, rows, size)
            return
        lance_ray.create_index(
            place,
            "vector",
            kind.upper().replace("-", "_"),
            "vector_idx",
            metric="dot",
            num_workers=_worker_resources(self.workers)[0],
            num_partitions=rows // size,
            sample_rate=min(SAMPLE_PER_PARTITION, size),
            target_partition_size=size,  # as of `LocalRunner`
        )
        table.checkout_latest()

    def _outcomes(self, parcel: list[ObjectRef[Any]], sent: list[ObjectRef[Any]]) -> Iterator[Any]:
        import ray.data

        workers, cpus, gpus = _worker_resources(self.workers)
        data = ray.data.from_arrow_refs(sent)  # type: ignore[arg-type]
        data.context.enable_progress_bars = False
        data.context.execution_options.preserve_order = True
        # Ray itself tries for ever: it cannot tell work that kills from a machine that is slow to be given up.
        starts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_AttemptCounter).remote()
        done = data.map_batches(
            _Worker,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(parcel, cpus, starts),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(sent))),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        for batch in done.iter_batches(batch_size=1, batch_format="pyarrow"):
            yield pickle.loads(batch[RESULT_COLUMN][0].as_py())


@contextmanager
def open_runner(name: str) -> Iterator[Runner]:
    """The runner of a name: "local"; "ray", a cluster of this machine that goes afterwards; or "ray://ADDRESS".

    Raises SettingsError for another name, or where Ray is not installed; WaresError where no cluster answers.
    """
    scheme, _, address = name.partition("://")
    if name == "local":
        yield LOCAL_RUNNER
        return
    if scheme != "ray":
        raise SettingsError(f'work is done on local, ray or ray://ADDRESS, not "{name}".')
    try:
        import ray
    except ModuleNotFoundError:
        raise SettingsError("Ray is missing. It comes with an extra: pip install 'wares[ray]'") from None
    connect_to_ray(address or "local")
    try:
        yield RayRunner()
    finally:
        ray.shutdown()


def connect_to_ray(address: str, **options: Any) -> None:
    """Connect this process to a cluster, or start one of this machine ("local"). options: of ray.init"""
    for name, value in QUIET_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data  # its loggers are set up with it

    if address == "local":
        options |= {"include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WaresError(f"no Ray cluster at {address}: {_error_line(error)}. Start one with `ray start`.") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _Raised:
    """What work raised on purpose, on its way back."""

    error: WaresError


class _AttemptCounter:
    """An actor that counts how often each item was begun."""

    def __init__(self) -> None:
        self._of: Counter[int] = Counter()

    def begin(self, place: int) -> int:
        self._of[place] += 1
        return self._of[place]


class _Worker:
    """What an actor of ray.data does.

    parcel: holds the work; cpus: that this worker has for itself; starts: the actor that counts (`_AttemptCounter`)
    """

    def __init__(self, parcel: list[ObjectRef[Any]], cpus: int, starts: Any) -> None:
        os.environ[PROCESSES] = str(cpus)
        self._parcel, self._starts = parcel, starts
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        import pyarrow as pa

        outcome = self._outcome(batch[INDEX_COLUMN][0].as_py(), batch[ITEM_COLUMN][0].as_py())
        return pa.table({RESULT_COLUMN: [pickle.dumps(outcome)]})

    def _outcome(self, place: int, item: bytes) -> Any:
        import ray

        if ray.get(self._starts.begin.remote(place)) > MAX_ATTEMPTS:
            return _Raised(
                WaresError(
                    f"workers on Ray died {MAX_ATTEMPTS} times with the same work, perhaps for want of memory. What was "
                    "committed is kept; give them more, and run it again."
                )
            )
        try:
            if self._work is None:
                self._work = ray.get(self._parcel[0])
            return self._work(pickle.loads(item))
        except WaresError as error:
            return _Raised(error)


def _visible_to_all_nodes(folder: str) -> bool:
    """Whether all machines of the cluster have a folder."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    seen = ray.remote(os.path.isdir)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    asked = [
        seen.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(folder)
        for node in nodes
    ]
    return all(ray.get(asked))


def _worker_resources(workers: int | None) -> tuple[int, int, int]:
    """How many workers there are, and how many cores and GPUs of the cluster each has."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()
    cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    if workers is None:
        workers = gpus or cores
    return workers, max(1, cores // gpus if gpus else 1), min(1, gpus)


def _error_line(error: Exception) -> str:
    """The error at the end of a traceback, or the first line of what is said."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in reversed(lines) if re.match(r"\w+Error: ", line)), lines[0]).rstrip(".")
