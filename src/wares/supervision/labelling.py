"""Bulk labelling: what a mixture of teachers says of many queries, block by block, over processes, into a folder.

    mixture = Mixture((bm25, ranker), (False, True), corpus.ids, depth=50, random=30, temperature=0.6, seed=(0, 1))
    labels = label(mixture, queries, Path("run/round-1/dense/labels"))

Each block of queries becomes one Parquet file, written whole, so that a run that was killed redoes only blocks that
were not done. What is drawn follows from the seed and the number of the block: it makes no difference how many
processes there are, or how often the run was stopped. Who teaches, relabel says; what is done with labels, supervise.
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
from wares.ranking.labelers.bm25 import BM25Scorer
from wares.ranking.labelers.function import FunctionScorer
from wares.ranking.labelers.query_likelihood import QueryLikelihoodScorer
from wares.ranking.labelers.rm3 import RM3Scorer
from wares.ranking.labelers.run_file import RunScorer
from wares.supervision.label_files import read_label_blocks, write_label_block
from wares.supervision.mixture import QueryBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wares.core.runners import Runner
    from wares.data.listings import Query
    from wares.supervision.mixture import AggregatedLabels, TeacherEnsemble


BLOCK_SIZE = 1024  # queries of a file. What is drawn depends on it
MIN_PARALLEL_SECONDS = 10.0  # seconds of work below which processes, which take two or three to start, are not worth it
# These keep to one thread, and come with nothing but arrays and Python: they can work in many processes. All others,
# such as those of torch, use all cores from this one.
SINGLE_THREADED_SCORERS = (BM25Scorer, QueryLikelihoodScorer, RM3Scorer, RunScorer, FunctionScorer)


def label_queries(
    ensemble: TeacherEnsemble,
    queries: Sequence[Query],
    folder: Path,
    processes: int | None = None,
    runner: Runner | None = None,
) -> AggregatedLabels:
    """What a mixture says of all queries: read from `folder` where it is there, and else labelled and written.

    processes: at most; by default one a core. A script that calls this guards its own start with
        `if __name__ == "__main__":`
    runner: labels in place of processes (wares.core.runners)

    Memory holds a few blocks, and what is returned. Raises ModelError where the folder holds labels of other queries.
    """
    most = available_cores() if processes is None else processes
    if most < 1:
        raise SettingsError(f"processes are 1 or more, not {most}.")
    folder.mkdir(parents=True, exist_ok=True)
    every = list(split_into_blocks(queries, folder))
    todo = [block for block in every if not block.path.exists()]
    with progress(None, "labelling queries", total=len(todo), unit="blocks") as bar:
        for _ in label_blocks(ensemble, todo, most) if runner is None else _spread(ensemble, todo, runner):
            bar.update(1)
    return read_label_blocks(every, ensemble)


def split_into_blocks(queries: Sequence[Query], folder: Path) -> Iterator[QueryBlock]:
    """The queries in the order they come, `BLOCK_SIZE` at a time."""
    for number, start in enumerate(range(0, len(queries), BLOCK_SIZE)):
        yield QueryBlock(number, queries[start : start + BLOCK_SIZE], folder / f"part-{number:05}.parquet")


def label_blocks(ensemble: TeacherEnsemble, blocks: Sequence[QueryBlock], processes: int) -> Iterator[QueryBlock]:
    """Label blocks, here or, where what is left would take long, in other processes; yields each when it is done.

    The second block tells how long they take, for the first finds things to load and to compile.
    """
    for done, block in enumerate(blocks):
        began = time.monotonic()
        label_block(ensemble, block)
        yield block
        left = blocks[done + 1 :]
        if done and min(processes, len(left)) > 1 and (time.monotonic() - began) * len(left) >= MIN_PARALLEL_SECONDS:
            sent = _packed(ensemble)
            if sent is not None:
                yield from _in_processes(sent, left, min(processes, len(left)))
                return


def _spread(mixture: TeacherEnsemble, todo: Sequence[QueryBlock], runner: Runner) -> Iterator[QueryBlock]:
    """Label blocks wherever a runner does it, and write them here; yields each when it is written."""
    for block, labels in zip(todo, runner.map(_Labelling(mixture), todo), strict=True):
        write_label_block(labels, block, mixture.ids)
        yield block


@dataclass(frozen=True)
class _Labelling:
    """The work of `label_queries`, which can be sent elsewhere where the mixture's scorers can."""

    mixture: TeacherEnsemble

    def __call__(self, block: QueryBlock) -> AggregatedLabels:
        return self.mixture.label(block.queries, block.number)


def label_block(ensemble: TeacherEnsemble, block: QueryBlock) -> None:
    """Label some queries and write what was said, whole or not at all."""
    write_label_block(ensemble.label(block.queries, block.number), block, ensemble.ids)


# Processes ----------------------------------------------------------------------------------------------------------

# A fresh start is cheap: kernels come compiled from disk (wares.ranking.labelers.kernels), teachers come indexed, and
# nothing imports torch.


def _packed(mixture: TeacherEnsemble) -> bytes | None:
    """A mixture to be sent to processes; None where it has to stay, as a function made inside a function does."""
    if not all(isinstance(scorer, SINGLE_THREADED_SCORERS) for scorer in mixture.scorers):
        return None
    try:
        return pickle.dumps(mixture, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _in_processes(mixture: bytes, todo: Sequence[QueryBlock], processes: int) -> Iterator[QueryBlock]:
    """Blocks as they are done, in any order."""
    remedy = "Rerun with --resume and fewer --processes."
    with worker_pool(processes, "labelling queries", remedy, _receive, (mixture,)) as pool:
        under_way = {pool.submit(_label_block, block): block for block in todo}
        for done in as_completed(under_way):
            done.result()
            yield under_way[done]


_sent = b""  # a mixture, in a worker process


def _receive(mixture: bytes) -> None:
    """Keep what was sent to this worker."""
    global _sent
    _sent = mixture


def _label_block(block: QueryBlock) -> None:
    label_block(_mixture(), block)


@cache
def _mixture() -> TeacherEnsemble:
    """What was sent, unpacked with the first block, so that the parent is told what goes wrong."""
    try:
        mixture: TeacherEnsemble = pickle.loads(_sent)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"a process that labels cannot load a labeler ({error}). Put its function into a module that can be "
            "imported, or use --processes 1."
        ) from None
    return mixture
