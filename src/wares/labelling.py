"""Bulk labelling: what a mixture of teachers says of many queries, block by block, over processes, into a folder.

    mixture = Mixture((bm25, ranker), (False, True), corpus.ids, depth=50, random=30, temperature=0.6, seed=(0, 1))
    labels = label(mixture, queries, Path("run/round-1/dense/labels"))

Each block of queries becomes one Parquet file, written whole, so that a run that was killed redoes only blocks that
were not done. What is drawn follows from the seed and the number of the block: it makes no difference how many
processes there are, or how often the run was stopped. Who teaches, relabel says; what is done with labels, supervise.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.catalogue import replaced
from wares.errors import ModelError, SettingsError, WaresError
from wares.labelers import NONE, Labels, Places, Scorer, Scores
from wares.labelers.bm25 import BM25Scorer
from wares.labelers.function import FunctionScorer
from wares.labelers.query_likelihood import QueryLikelihoodScorer
from wares.labelers.rm3 import RM3Scorer
from wares.labelers.run_file import RunScorer
from wares.performance_prediction import Clarity, Evidence, Predictor
from wares.progress import progress
from wares.relabel import log_shares, pooled, union

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wares.catalogue import Query
    from wares.cluster import Runner

Floats = npt.NDArray[np.float64]

BLOCK = 1024  # queries of a file. What is drawn depends on it
EVIDENCE = 500  # listings that a query performance predictor looks at
WORTH = 10.0  # seconds of work below which processes, which take two or three to start, are not worth it

# These keep to one thread, and come with nothing but arrays and Python: they can work in many processes. All others,
# such as those of torch, use all cores from this one.
ONE_THREAD = (BM25Scorer, QueryLikelihoodScorer, RM3Scorer, RunScorer, FunctionScorer)


@dataclass(frozen=True)
class Performance:
    """How well queries are answered, predicted without judgments.

    Clarity looks at the labels' own ranking. All others look at BM25's, whose scores are positive, as they assume.
    """

    predictor: Predictor
    lexical: BM25Scorer

    def __call__(self, queries: Sequence[Query], labels: Labels) -> Floats:
        """(Q,) predictions; NaN where nothing can be said."""
        own = isinstance(self.predictor, Clarity)
        run = labels if own else self.lexical.retrieve(queries, EVIDENCE)
        terms = self.lexical.terms
        known = [terms.ids(query.text) for query in queries]
        evidence = Evidence(known, terms, run.listings, run.scores, self.lexical.corpus_scores(queries))
        return self.predictor(evidence)


@dataclass(frozen=True)
class Labelled:
    """What a mixture says of some queries.

    listings: (Q, K) places in the corpus, the largest share first; -1 where there are fewer than K
    log_shares: (Q, K) logarithm of each listing's share of its query; -inf where there is none
    predictions: (Q,) of the queries' performance; NaN where there is none
    """

    listings: Places
    log_shares: Floats
    predictions: Floats

    def __len__(self) -> int:
        return len(self.listings)


@dataclass(frozen=True)
class Mixture:
    """Teachers over one corpus, and what they are asked for.

    trained: which of them are rankers; ids: (N,) of the corpus's listings
    depth: best listings of each teacher that are labelled, >= 1; random: further ones, drawn from the corpus, >= 0
    temperature: of labelers, > 0 (wares.relabel.pooled)
    seed: of what is drawn; performance: what predicts the queries' performance, where that is wanted
    """

    scorers: tuple[Scorer, ...]
    trained: tuple[bool, ...]
    ids: npt.NDArray[np.object_]
    depth: int
    random: int
    temperature: float
    seed: tuple[int, ...]
    performance: Performance | None = None

    def label(self, queries: Sequence[Query], block: int) -> Labelled:
        """Candidates are what any teacher puts first, and some that are drawn; labels are what all say of them.

        Queries from which all teachers abstain have no listings.
        """
        found = [scorer.retrieve(queries, self.depth) for scorer in self.scorers]
        listings = self.candidates(found, np.random.default_rng((*self.seed, block)))
        said = [_said(*each, queries, listings) for each in zip(self.scorers, found, strict=True)]
        labels = pooled(said, self.trained, self.temperature)
        order = np.argsort(-labels, axis=1, kind="stable")  # NaN comes last
        labels = np.take_along_axis(labels, order, axis=1)
        listings = np.where(np.isnan(labels), NONE, np.take_along_axis(listings, order, axis=1))
        predictions = np.full(len(queries), np.nan)
        if self.performance is not None:
            predictions = self.performance(queries, Labels(listings, labels.astype(np.float32)))
        return Labelled(listings, log_shares(labels, 1.0), predictions)

    def candidates(self, found: Sequence[Labels], random: np.random.Generator) -> Places:
        """(Q, K) places in the corpus, each once: what any teacher found, and some that are drawn."""
        best = union(found, self.depth)
        drawn = random.integers(0, len(self.ids), (len(best), self.random))
        drawn = np.where((best != NONE).any(axis=1, keepdims=True), drawn, NONE)
        repeated = (drawn[:, :, None] == best[:, None, :]).any(axis=2)
        for place in range(1, drawn.shape[1]):
            repeated[:, place] |= (drawn[:, :place] == drawn[:, place, None]).any(axis=1)
        return np.concatenate([best, np.where(repeated, NONE, drawn)], axis=1)


def _said(scorer: Scorer, found: Labels, queries: Sequence[Query], listings: Places) -> Scores:
    """(Q, K) a teacher's scores of these listings: those that it found are not scored again."""
    scores = found.scores_of(listings)
    others = np.where(np.isnan(scores), listings, NONE)
    return np.where(others == NONE, scores, scorer.score(queries, others)) if (others != NONE).any() else scores


@dataclass(frozen=True)
class Block:
    """Some of the queries, and the file of their labels."""

    number: int
    queries: Sequence[Query]
    path: Path


def label(
    mixture: Mixture,
    queries: Sequence[Query],
    folder: Path,
    processes: int | None = None,
    runner: Runner | None = None,
) -> Labelled:
    """What a mixture says of all queries: read from `folder` where it is there, and else labelled and written.

    processes: at most; by default one a core. A script that calls this guards its own start with
        `if __name__ == "__main__":`
    runner: labels in place of processes (wares.cluster)

    Memory holds a few blocks, and what is returned. Raises ModelError where the folder holds labels of other queries.
    """
    most = _cores() if processes is None else processes
    if most < 1:
        raise SettingsError(f"processes are 1 or more, not {most}.")
    folder.mkdir(parents=True, exist_ok=True)
    every = list(blocks(queries, folder))
    todo = [block for block in every if not block.path.exists()]
    with progress(None, "labelling queries", total=len(todo), unit="blocks") as bar:
        for _ in labelled(mixture, todo, most) if runner is None else _spread(mixture, todo, runner):
            bar.update(1)
    return read_labels(every, mixture)


def blocks(queries: Sequence[Query], folder: Path) -> Iterator[Block]:
    """The queries in the order they come, `BLOCK` at a time."""
    for number, start in enumerate(range(0, len(queries), BLOCK)):
        yield Block(number, queries[start : start + BLOCK], folder / f"part-{number:05}.parquet")


def labelled(mixture: Mixture, todo: Sequence[Block], processes: int) -> Iterator[Block]:
    """Label blocks, here or, where what is left would take long, in other processes; yields each when it is done.

    The second block tells how long they take, for the first finds things to load and to compile.
    """
    for done, block in enumerate(todo):
        began = time.monotonic()
        label_block(mixture, block)
        yield block
        left = todo[done + 1 :]
        if done and min(processes, len(left)) > 1 and (time.monotonic() - began) * len(left) >= WORTH:
            sent = _packed(mixture)
            if sent is not None:
                yield from _in_processes(sent, left, min(processes, len(left)))
                return


def _spread(mixture: Mixture, todo: Sequence[Block], runner: Runner) -> Iterator[Block]:
    """Label blocks wherever a runner does it, and write them here; yields each when it is written."""
    for block, labels in zip(todo, runner.map(_Labelling(mixture), todo), strict=True):
        write_block(labels, block, mixture.ids)
        yield block


@dataclass(frozen=True)
class _Labelling:
    """The work of `label`, which can be sent elsewhere where the mixture's scorers can."""

    mixture: Mixture

    def __call__(self, block: Block) -> Labelled:
        return self.mixture.label(block.queries, block.number)


def label_block(mixture: Mixture, block: Block) -> None:
    """Label some queries and write what was said, whole or not at all."""
    write_block(mixture.label(block.queries, block.number), block, mixture.ids)


# Files --------------------------------------------------------------------------------------------------------------


def write_block(labels: Labelled, block: Block, ids: npt.NDArray[np.object_]) -> None:
    """One row a query: id, text, ids of its listings and their log shares, the largest first, and the prediction."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = labels.listings != NONE
    starts = pa.array(np.concatenate([[0], np.cumsum(there.sum(axis=1))]), pa.int32())
    named = np.zeros(len(ids), dtype=np.bool_)
    named[labels.listings[there]] = True
    codes = (np.cumsum(named) - 1)[labels.listings[there]].astype(np.int32)  # each id is written once a file
    listings = pa.DictionaryArray.from_arrays(codes, pa.array(ids[named], pa.string()))
    columns = {
        "id": [query.id for query in block.queries],
        "text": [query.text for query in block.queries],
        "listings": pa.ListArray.from_arrays(starts, listings),
        "log_shares": pa.ListArray.from_arrays(starts, pa.array(labels.log_shares[there])),
        "prediction": pa.array(labels.predictions, from_pandas=True),
    }
    with replaced(block.path) as part:
        # Dictionaries and statistics of numbers that are all different take five times as long as writing them, and
        # compressed they are as large.
        names = ["listings.list.element"]
        pq.write_table(pa.table(columns), part, compression="none", use_dictionary=names, write_statistics=False)


def read_labels(every: Sequence[Block], mixture: Mixture) -> Labelled:
    """What `write_block` wrote, of all blocks. Raises ModelError where it is of other queries or another corpus."""
    import pyarrow as pa

    many = sum(len(block.queries) for block in every)
    width = mixture.random + mixture.depth * len(mixture.scorers)
    listings = np.full((many, width), NONE, dtype=np.int64)
    shares, predictions = np.full((many, width), -np.inf), np.full(many, np.nan)
    ids, start, widest = pa.array(mixture.ids, pa.string()), 0, 1
    for block in every:
        rows = slice(start, start + len(block.queries))
        widest = max(widest, _read_block(block, ids, listings[rows], shares[rows], predictions[rows]))
        start = rows.stop
    return Labelled(listings[:, :widest], shares[:, :widest], predictions)


def _read_block(block: Block, ids: Any, listings: Places, shares: Floats, predictions: Floats) -> int:
    """Fill in what a file says. Returns how many listings a query has at most."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(block.path).read().combine_chunks()
    lists = table["listings"].combine_chunks()
    named = lists.flatten()
    places = pc.index_in(named.dictionary, value_set=ids)
    if table["id"].to_pylist() != [query.id for query in block.queries] or places.null_count:
        raise ModelError(f"{block.path} has labels of other queries or listings. Remove {block.path.parent}.")
    counts = np.diff(lists.offsets.to_numpy())
    there = np.arange(listings.shape[1]) < counts[:, None]
    listings[there] = places.to_numpy()[named.indices.to_numpy()]
    shares[there] = table["log_shares"].combine_chunks().flatten().to_numpy()
    predictions[:] = table["prediction"].to_numpy()
    return int(counts.max(initial=0))


# Processes ----------------------------------------------------------------------------------------------------------

# They are started afresh ("spawn"). A fork of this one would start sooner, but this one has threads by now, of torch,
# tokenizers and progress bars, and what those hold locked stays locked in a fork for good. What makes a fresh start
# cheap: kernels come compiled from disk (wares.labelers.kernels), teachers come indexed, and nothing imports torch.


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _packed(mixture: Mixture) -> bytes | None:
    """A mixture to be sent to processes; None where it has to stay, as a function made inside a function does."""
    if not all(isinstance(scorer, ONE_THREAD) for scorer in mixture.scorers):
        return None
    try:
        return pickle.dumps(mixture, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _in_processes(mixture: bytes, todo: Sequence[Block], processes: int) -> Iterator[Block]:
    """Blocks as they are done, in any order."""
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start_worker, (mixture,))
    try:
        under_way = {pool.submit(_label_block, block): block for block in todo}
        for done in as_completed(under_way):
            done.result()
            yield under_way[done]
    except BrokenProcessPool as error:
        raise WaresError(
            "A process that labels ended without a word: killed, perhaps for want of memory. Go on with --resume and "
            'fewer --processes; in a script of your own, start under `if __name__ == "__main__":`.'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_sent = b""  # a mixture, in a worker process


def _start_worker(mixture: bytes) -> None:
    """Leave Ctrl-C to the parent, end when it is gone, and keep what was sent."""
    global _sent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _sent = mixture


def _label_block(block: Block) -> None:
    label_block(_mixture(), block)


@cache
def _mixture() -> Mixture:
    """What was sent, unpacked with the first block, so that the parent is told what goes wrong."""
    try:
        mixture: Mixture = pickle.loads(_sent)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"a process that labels cannot load a labeler ({error}). Put its function into a module that can be "
            "imported, or use --processes 1."
        ) from None
    return mixture


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
