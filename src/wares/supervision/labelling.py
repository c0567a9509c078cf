"""Bulk labelling: an ensemble of teachers labels many queries, block by block, in several processes, into a folder.

    ensemble = TeacherEnsemble((bm25, ranker), (False, True), corpus.ids, 50, 30, temperature=0.6, seed=(0, 1))
    labels = label_queries(ensemble, queries, Path("run/round-1/dense/labels"))

Each block of queries becomes one Parquet file, written atomically, so an interrupted run repeats only unfinished
blocks. Random candidates depend on the seed and the number of the block alone: the number of processes and
interruptions change no result.
"""

from __future__ import annotations

import pickle
import time
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from wares.core.errors import SettingsError
from wares.core.processes import available_cores, worker_pool
from wares.core.progress import progress
from wares.supervision.ensemble import QueryBlock
from wares.supervision.label_files import read_label_blocks, write_label_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wares.core.runners import Runner
    from wares.data.listings import Query
    from wares.supervision.ensemble import AggregatedLabels, TeacherEnsemble


BLOCK_SIZE = 1024  # queries in a file; random candidates depend on it
MIN_PARALLEL_SECONDS = 10.0  # of work: for less it is not worth starting processes, which takes two or three seconds


def label_queries(
    ensemble: TeacherEnsemble,
    queries: Sequence[Query],
    folder: Path,
    processes: int | None = None,
    runner: Runner | None = None,
) -> AggregatedLabels:
    """Labels of all queries: blocks that are in `folder` are read, the others labelled and written.

    processes: maximum number; by default one for each core. A script that calls this must guard its start with
        `if __name__ == "__main__":`
    runner: labels in place of processes (wares.core.runners)

    Memory holds a few blocks and the result. Raises ModelError if the folder holds labels of other queries.
    """
    workers = available_cores() if processes is None else processes
    if workers < 1:
        raise SettingsError(f"processes must be at least 1, not {workers}.")
    folder.mkdir(parents=True, exist_ok=True)
    blocks = list(split_into_blocks(queries, folder))
    unlabelled = [block for block in blocks if not block.path.exists()]
    with progress(None, "labelling queries", total=len(unlabelled), unit="blocks") as bar:
        labelled = (
            label_blocks(ensemble, unlabelled, workers)
            if runner is None
            else _label_with_runner(ensemble, unlabelled, runner)
        )
        for _ in labelled:
            bar.update(1)
    return read_label_blocks(blocks, ensemble)


def split_into_blocks(queries: Sequence[Query], folder: Path) -> Iterator[QueryBlock]:
    """The queries in their order, `BLOCK_SIZE` at a time."""
    for number, start in enumerate(range(0, len(queries), BLOCK_SIZE)):
        yield QueryBlock(number, queries[start : start + BLOCK_SIZE], folder / f"part-{number:05}.parquet")


def label_blocks(ensemble: TeacherEnsemble, blocks: Sequence[QueryBlock], processes: int) -> Iterator[QueryBlock]:
    """Label blocks, in other processes if the rest would take long; yields each block once it is written.

    The second block is timed, because the first one also loads and compiles.
    """
    for index, block in enumerate(blocks):
        started = time.monotonic()
        label_block(ensemble, block)
        yield block
        rest = blocks[index + 1 :]
        seconds = (time.monotonic() - started) * len(rest)
        if index and min(processes, len(rest)) > 1 and seconds >= MIN_PARALLEL_SECONDS:
            pickled = _pickled(ensemble)
            if pickled is not None:
                yield from _label_in_processes(pickled, rest, min(processes, len(rest)))
                return


def label_block(ensemble: TeacherEnsemble, block: QueryBlock) -> None:
    """Label a block of queries and write it atomically."""
    write_label_block(ensemble.label(block.queries, block.number), block, ensemble.ids)


def _label_with_runner(ensemble: TeacherEnsemble, blocks: Sequence[QueryBlock], runner: Runner) -> Iterator[QueryBlock]:
    """Label blocks by a runner and write them in this process; yields each block once it is written."""
    for block, labels in zip(blocks, runner.map(_LabelBlock(ensemble), blocks), strict=True):
        write_label_block(labels, block, ensemble.ids)
        yield block


@dataclass(frozen=True)
class _LabelBlock:
    """The work of a runner; it can be pickled if the scorers of the ensemble can."""

    ensemble: TeacherEnsemble

    def __call__(self, block: QueryBlock) -> AggregatedLabels:
        return self.ensemble.label(block.queries, block.number)


# Processes ----------------------------------------------------------------------------------------------------------

# Spawned processes start fast: kernels are compiled on disk (wares.ranking.labelers.kernels), teachers are indexed, and
# nothing imports torch.


def _pickled(ensemble: TeacherEnsemble) -> bytes | None:
    """The ensemble for other processes; None if it cannot leave this one, as with a function defined in a function."""
    # Scorers with threads of their own, such as those of torch, use all cores from this process.
    if not all(getattr(scorer, "single_threaded", False) for scorer in ensemble.scorers):
        return None
    try:
        return pickle.dumps(ensemble, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _label_in_processes(ensemble: bytes, blocks: Sequence[QueryBlock], processes: int) -> Iterator[QueryBlock]:
    """Yields blocks in the order in which they are finished."""
    remedy = "Rerun with --resume and fewer --processes."
    with worker_pool(processes, "labelling queries", remedy, _receive, (ensemble,)) as pool:
        pending = {pool.submit(_label_received, block): block for block in blocks}
        for finished in as_completed(pending):
            finished.result()
            yield pending[finished]


_received = b""  # the pickled ensemble, in a worker process


def _receive(ensemble: bytes) -> None:
    """Keep the pickled ensemble of this worker."""
    global _received
    _received = ensemble


def _label_received(block: QueryBlock) -> None:
    label_block(_received_ensemble(), block)


@cache
def _received_ensemble() -> TeacherEnsemble:
    """The ensemble, unpickled with the first block, so that the parent gets the error."""
    try:
        ensemble: TeacherEnsemble = pickle.loads(_received)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"a labelling worker cannot load a labeler ({error}). Put its function into a module that can be "
            "imported, or use --processes 1."
        ) from None
    return ensemble
