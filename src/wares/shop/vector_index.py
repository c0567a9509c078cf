"""How a shop's vectors are searched: all of them, or the nearest partitions of an index, measured against all of them.

    exact      every vector is compared with the query
    ivf-flat   vectors lie in partitions by their nearest centre; those of the partitions nearest to the query are read
    ivf-sq     the same in a quarter of the bytes; the best are compared again by the vectors themselves

What an index misses is measured when it is built: queries are a few words of listings' titles, encoded by the text
tower, and the search goes as deep as the share of the true results that is asked for takes. Whole titles would not do:
they lie beside their listings, where an index finds everything, and short queries lie between.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from wares.core.errors import SettingsError, ShopError
from wares.core.files import write_json
from wares.core.runners import LOCAL_RUNNER

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import LanceTable, Table

    from wares.core.runners import Runner


IndexKind = Literal["exact", "ivf-flat", "ivf-sq"]
VECTOR_INDEX_FILE = "vector-index.json"  # in a build's folder
MIN_INDEXED_ROWS = 50_000  # from here on vectors are searched through an index
MAX_FLAT_BYTES = 2 * 2**30  # of vectors, up to which they are kept whole in the index
REINDEX_GROWTH = 2.0  # how many times as many rows make an index too coarse
DEFAULT_TARGET_RECALL = 0.95  # that is asked for where nothing is said
RECALL_DEPTHS = (10, 100, 500)  # of lists whose recall is measured; the target is for AIMED
TARGET_DEPTH = 100
RECALL_QUERIES = 200  # queries that recall is measured by
QUERY_BATCH_SIZE = 50  # of them at once
SAMPLE_PER_PARTITION = 256  # rows that a partition's centre is computed from, at most; as in Lance
REFINE_FACTOR = 2  # how many times the results asked for are compared again by their own vectors
Vectors = npt.NDArray[np.float32]
RowIds = npt.NDArray[np.int64]
EncodeTexts: TypeAlias = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class VectorIndex:
    """How deep a shop's vectors are searched, and what that finds.

    rows: when the index was built; partitions: it has; probes: of them are read at least for a query
    target: the share of the 100 nearest listings that a search is to find, in (0, 1]; recall: what it does find, by
        depth, in the mean
    """

    kind: IndexKind = "exact"
    rows: int = 0
    partitions: int = 0
    probes: int = 0
    target: float = DEFAULT_TARGET_RECALL
    recall: Mapping[int, float] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.kind == "exact":
            return "Search is exact."
        found = ", ".join(f"{share:.3f} of the {depth}" for depth, share in self.recall.items())
        short = "" if self.reaches_target else f", which is less than the {self.target} asked for"
        return f"A search reads {self.probes} of {self.partitions} partitions and finds {found} nearest{short}."

    @property
    def reaches_target(self) -> bool:
        """Whether a search finds as much as was asked for, of the 100 nearest or of the deepest list that there is."""
        return not self.recall or self.recall[min(TARGET_DEPTH, max(self.recall))] >= self.target

    def apply(self, query: LanceVectorQueryBuilder, extend_probes: bool = False) -> LanceVectorQueryBuilder:
        """A query of the table by this index. extend_probes: whether further partitions are read where these leave too few"""
        query = query.distance_type("dot")
        if self.kind == "exact":
            return query.bypass_vector_index()
        query = query.minimum_nprobes(self.probes).maximum_nprobes(0 if extend_probes else self.probes)
        return query.refine_factor(REFINE_FACTOR) if self.kind == "ivf-sq" else query


EXACT = VectorIndex()


def read_vector_index(folder: Path) -> VectorIndex:
    """How the vectors of a build are searched. Raises ShopError."""
    file = folder / VECTOR_INDEX_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return VectorIndex(**content | {"recall": {int(depth): share for depth, share in content["recall"].items()}})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error


def write_vector_index(index: VectorIndex, folder: Path) -> None:
    """Say how the vectors of a build are searched."""
    write_json(asdict(index), folder / VECTOR_INDEX_FILE)


def index_vectors(
    table: Table, current: VectorIndex, target: float, encode: EncodeTexts, runner: Runner = LOCAL_RUNNER
) -> VectorIndex:
    """Give a table the index that goes with its size, where it has another or none; how it is to be searched.

    current: as it is searched now; target: as of `VectorIndex`; encode: gives (n, d) unit vectors of queries
    runner: where it is built
    """
    check_target_recall(target)
    rows = table.count_rows()
    kind = index_kind(rows, _dimension(table))
    if kind == "exact":
        return replace(current, target=target)
    if kind != current.kind or rows >= REINDEX_GROWTH * current.rows:
        size = partition_size(rows)
        build_vector_index(table, kind, rows, size, runner)
        return tune_probes(table, VectorIndex(kind, rows, rows // size, target=target), encode)
    return current if target == current.target else tune_probes(table, replace(current, target=target), encode)


def build_vector_index(table: Table, kind: IndexKind, rows: int, size: int, runner: Runner) -> None:
    """Build the IVF index of a table's vectors, by the runner's workers if they all see the table's folder.

    kind: "ivf-flat" or "ivf-sq"; rows: of the table; size: rows of a partition

    On Ray, this process finds the centres and each worker sorts its part of the rows to them.
    """
    uri = cast("LanceTable", table).uri
    workers = runner.workers_with(uri)
    # Given only a number of partitions, Lance would join them to larger ones at the first optimisation.
    if workers == 0:
        from lancedb.index import IvfFlat, IvfSq

        config = IvfFlat if kind == "ivf-flat" else IvfSq
        table.create_index("vector", config=config(distance_type="dot", target_partition_size=size))
        return
    import lance_ray

    lance_ray.create_index(
        uri,
        "vector",
        kind.upper().replace("-", "_"),
        "vector_idx",
        metric="dot",
        num_workers=workers,
        num_partitions=rows // size,
        sample_rate=min(SAMPLE_PER_PARTITION, size),
        target_partition_size=size,
    )
    table.checkout_latest()


def index_kind(rows: int, dimension: int) -> IndexKind:
    """The kind of index for so many vectors of so many 4-byte numbers."""
    if rows < MIN_INDEXED_ROWS:
        return "exact"
    return "ivf-flat" if 4 * rows * dimension <= MAX_FLAT_BYTES else "ivf-sq"


def partition_size(rows: int) -> int:
    """√rows: as many centres are compared with a query as there are rows in a partition."""
    return round(math.sqrt(rows))


def tune_probes(table: Table, index: VectorIndex, encode: EncodeTexts) -> VectorIndex:
    """The index searched by the fewest partitions that reach its target, or by all where none do."""
    queries = encode(sample_queries(table))
    depth = min(max(RECALL_DEPTHS), table.count_rows())
    exact = _nearest(table, EXACT, queries, depth)

    return minimize_probes(index, lambda probes: _nearest(table, replace(index, probes=probes), queries, depth), exact)


def minimize_probes(
    index: VectorIndex, search: Callable[[int], Sequence[RowIds]], exact: Sequence[RowIds]
) -> VectorIndex:
    """The index searched by the fewest partitions that reach its target, or by all where none do.

    search: the nearest rows for each query, the nearest first, by so many partitions; exact: by all of them
    """
    depth = min(len(rows) for rows in exact)

    def measured(probes: int) -> VectorIndex:
        found = search(probes)
        return replace(index, probes=probes, recall={k: _recall(found, exact, k) for k in RECALL_DEPTHS if k <= depth})

    too_few, enough = 0, measured(1)
    while not enough.reaches_target and enough.probes < index.partitions:
        too_few, enough = enough.probes, measured(min(index.partitions, 2 * enough.probes))
    while enough.probes - too_few > 1:
        middle = measured((too_few + enough.probes) // 2)
        too_few, enough = (too_few, middle) if middle.reaches_target else (middle.probes, enough)
    return enough


def sample_queries(table: Table) -> list[str]:
    """Two or three words in a row of the titles of some listings; always the same."""
    random, rows = np.random.default_rng(0), table.count_rows()
    places = random.choice(rows, min(RECALL_QUERIES, rows), replace=False)
    titles = table.take_offsets(sorted(places.tolist())).select(["title"]).to_arrow()["title"].to_pylist()
    return [_some_words(title.split(), random) for title in titles]


def check_target_recall(target: float) -> None:
    """Raises SettingsError."""
    if not 0.0 < target <= 1.0:
        raise SettingsError(f"recall is a share of the results in (0, 1], not {target}.")


def _dimension(table: Table) -> int:
    return int(table.schema.field("vector").type.list_size)


def _some_words(words: Sequence[str], random: np.random.Generator) -> str:
    length = min(len(words), int(random.integers(2, 4)))
    start = int(random.integers(0, len(words) - length + 1))
    return " ".join(words[start : start + length])


def _nearest(table: Table, index: VectorIndex, queries: Vectors, depth: int) -> list[RowIds]:
    """Row ids of the nearest for each query, the nearest first."""
    lists: list[RowIds] = []
    for start in range(0, len(queries), QUERY_BATCH_SIZE):
        block = queries[start : start + QUERY_BATCH_SIZE]
        query = cast("LanceVectorQueryBuilder", table.search(list(block), "vector"))
        found = index.apply(query).select(["_distance"]).with_row_id(True).limit(depth).to_arrow()
        lists += _by_query(found, len(block))
    return lists


def _by_query(found: pa.Table, queries: int) -> list[RowIds]:
    if "query_index" not in found.column_names:
        return [found["_rowid"].to_numpy()]
    owners, rows, distances = (found[name].to_numpy() for name in ("query_index", "_rowid", "_distance"))
    order = np.lexsort((distances, owners))
    bounds = np.searchsorted(owners[order], np.arange(queries + 1))
    return [rows[order[start:end]] for start, end in pairwise(bounds)]


def _recall(found: Sequence[RowIds], exact: Sequence[RowIds], k: int) -> float:
    return float(np.mean([len(np.intersect1d(a[:k], b[:k])) / k for a, b in zip(found, exact, strict=True)]))
