"""Runners: where work is done, in this process or by the workers of a Ray cluster.

    with open_runner("ray") as runner:
        for rows in runner.map(work, items):
            ...

Work is a function of one item. Every runner calls the same function with the same items and yields the results in
their order, so results do not depend on the runner. The caller stores results; work in progress ends with this process.
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
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wares.core.errors import SettingsError, WaresError
from wares.core.processes import PROCESSES

if TYPE_CHECKING:
    import pyarrow as pa
    from ray import ObjectRef


# Columns of the tables that workers receive (index, item) and return (result).
INDEX_COLUMN, ITEM_COLUMN, RESULT_COLUMN = "index", "item", "result"
MAX_ATTEMPTS = 5  # times that an item is started: workers that die more often hardly die by chance
# Ray prints errors only, and sends no usage statistics.
QUIET_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
T = TypeVar("T")
R = TypeVar("R")


class Runner(Protocol):
    """Maps work over items."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results of the work in the order of the items, computed only a few items ahead.

        Raises what the work raises.
        """
        ...

    def workers_with(self, folder: str) -> int:
        """Number of worker processes that can read a folder; 0 if only this process can."""
        ...


@dataclass(frozen=True)
class LocalRunner:
    """Works in this process, one item after the other."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """See `Runner.map`."""
        return map(work, items)

    def workers_with(self, folder: str) -> int:
        """0: this process has no workers."""
        return 0


LOCAL_RUNNER = LocalRunner()


@dataclass(frozen=True)
class RayRunner:
    """Works on the Ray cluster that this process is connected to, through actors of ray.data.

    Work, items and results are pickled. A worker unpickles the work once. If a worker or a machine dies, its item is
    done again. Items wait in Ray's object store, which spills to disk when memory is full.

    workers: number of workers; None is one per GPU, or one per core if the cluster has no GPU
    """

    workers: int | None = None

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """See `Runner.map`. Raises WaresError if workers keep dying."""
        import pyarrow as pa
        import ray
        from ray.exceptions import RayError

        tables = [
            ray.put(pa.table({INDEX_COLUMN: [i], ITEM_COLUMN: [pickle.dumps(item)]})) for i, item in enumerate(items)
        ]
        if not tables:
            return
        try:
            for outcome in self._outcomes([ray.put(work)], tables):
                if isinstance(outcome, _Raised):
                    raise outcome.error
                yield outcome
        except RayError as error:
            raise WaresError(
                f"the work on Ray failed: {_error_line(error)}. Fix the cluster and rerun: committed results are kept."
            ) from error

    def workers_with(self, folder: str) -> int:
        """See `Runner.workers_with`. 0 if one machine of the cluster does not see the folder."""
        return _worker_resources(self.workers)[0] if _visible_to_all_nodes(folder) else 0

    def _outcomes(self, work: list[ObjectRef[Any]], tables: list[ObjectRef[Any]]) -> Iterator[Any]:
        import ray.data

        workers, cpus, gpus = _worker_resources(self.workers)
        data = ray.data.from_arrow_refs(tables)  # type: ignore[arg-type]
        data.context.enable_progress_bars = False
        data.context.execution_options.preserve_order = True
        # Ray itself retries for ever: it cannot tell work that kills its worker from a machine that is lost slowly.
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_AttemptCounter).remote()
        results = data.map_batches(
            _Worker,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(work, cpus, attempts),
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(tables))),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        for batch in results.iter_batches(batch_size=1, batch_format="pyarrow"):
            yield pickle.loads(batch[RESULT_COLUMN][0].as_py())


@contextmanager
def open_runner(name: str) -> Iterator[Runner]:
    """The runner of that name, connected to its cluster while the block runs.

    name: "local", "ray" (a cluster of this machine that ends with the block) or "ray://ADDRESS"

    Raises SettingsError for another name or if Ray is not installed, WaresError if no cluster answers.

    Example:
        >>> with open_runner("local") as runner:
        ...     list(runner.map(abs, [-1, 2]))
        [1, 2]
    """
    scheme, _, address = name.partition("://")
    if name == "local":
        yield LOCAL_RUNNER
        return
    if scheme != "ray":
        raise SettingsError(f'runner must be local, ray or ray://ADDRESS, not "{name}".')
    try:
        import ray
    except ModuleNotFoundError:
        raise SettingsError("Ray is not installed. Install it with pip install 'wares[ray]'.") from None
    connect_to_ray(address or "local")
    try:
        yield RayRunner()
    finally:
        ray.shutdown()


def connect_to_ray(address: str, **options: Any) -> None:
    """Connect this process to a Ray cluster; "local" starts one on this machine.

    options: of ray.init. Raises WaresError if no cluster answers.
    """
    for variable, value in QUIET_ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    import ray
    import ray.data  # sets up its loggers, which the last line quiets

    if address == "local":
        options |= {"include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise WaresError(f"no Ray cluster at {address}: {_error_line(error)}. Start one with `ray start`.") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@dataclass(frozen=True)
class _Raised:
    """A WaresError that the work raised, on its way back to the caller."""

    error: WaresError


class _AttemptCounter:
    """An actor that counts how often each item was started."""

    def __init__(self) -> None:
        self._attempts: Counter[int] = Counter()

    def begin(self, index: int) -> int:
        self._attempts[index] += 1
        return self._attempts[index]


class _Worker:
    """An actor of ray.data: does the work for one item at a time.

    work: a list with the reference of the pickled work; cpus: cores of this worker; attempts: actor `_AttemptCounter`
    """

    def __init__(self, work: list[ObjectRef[Any]], cpus: int, attempts: Any) -> None:
        os.environ[PROCESSES] = str(cpus)
        self._reference, self._attempts = work, attempts
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        import pyarrow as pa

        outcome = self._outcome(batch[INDEX_COLUMN][0].as_py(), batch[ITEM_COLUMN][0].as_py())
        return pa.table({RESULT_COLUMN: [pickle.dumps(outcome)]})

    def _outcome(self, index: int, item: bytes) -> Any:
        import ray

        if ray.get(self._attempts.begin.remote(index)) > MAX_ATTEMPTS:
            return _Raised(
                WaresError(
                    f"workers on Ray died {MAX_ATTEMPTS} times on the same item, probably out of memory. "
                    "Give each worker more memory and rerun: committed results are kept."
                )
            )
        try:
            if self._work is None:
                self._work = ray.get(self._reference[0])
            return self._work(pickle.loads(item))
        except WaresError as error:
            return _Raised(error)


def _visible_to_all_nodes(folder: str) -> bool:
    """Whether every machine of the cluster sees a folder."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    is_folder = ray.remote(os.path.isdir)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    answers = [
        is_folder.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            folder
        )
        for node in nodes
    ]
    return all(ray.get(answers))


def _worker_resources(workers: int | None) -> tuple[int, int, int]:
    """Number of workers, and the cores and GPUs of the cluster for each."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()
    cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    if workers is None:
        workers = gpus or cores
    return workers, max(1, cores // gpus if gpus else 1), min(1, gpus)


def _error_line(error: Exception) -> str:
    """The last `SomeError: ...` line of a traceback, or the first line of the message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in reversed(lines) if re.match(r"\w+Error: ", line)), lines[0]).rstrip(".")
