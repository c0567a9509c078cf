"""The vector index of a shop: its kind by the number of vectors, its probes by measured recall.

    exact      compares the query with every vector
    ivf-flat   assigns vectors to the partition of their nearest centroid; reads the partitions nearest to the query
    ivf-sq     the same with vectors of a quarter of the size; compares the best again by the full vectors

Recall is measured when the index is built, with two or three words of listings' titles as queries: the index reads the
fewest partitions that reach the target. Whole titles would measure too high a recall, because they are nearest to
their own listings.
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

from wares.core.errors import SettingsError, ShopError
from wares.core.files import write_json
from wares.core.runners import LOCAL_RUNNER
from wares.shop.table import Vectors

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.query import LanceVectorQueryBuilder
    from lancedb.table import LanceTable, Table

    from wares.core.runners import Runner
    from wares.shop.row_ids import RowIds


IndexKind = Literal["exact", "ivf-flat", "ivf-sq"]
VECTOR_INDEX_FILE = "vector-index.json"  # in the folder of a build
MIN_INDEXED_ROWS = 50_000  # smaller tables are searched exactly
MAX_FLAT_BYTES = 2 * 2**30  # of vectors; larger indexes are quantized (ivf-sq)
REINDEX_GROWTH = 2.0  # an index is rebuilt when the table has this many times its rows
DEFAULT_TARGET_RECALL = 0.95
RECALL_DEPTHS = (10, 100, 500)  # at which recall is measured
TARGET_DEPTH = 100  # at which the target applies
RECALL_QUERIES = 200  # number of queries that recall is measured with
QUERY_BATCH_SIZE = 50  # queries searched at once
SAMPLE_PER_PARTITION = 256  # rows per partition that its centroid is computed from, at most; as in Lance
REFINE_FACTOR = 2  # ivf-sq compares this many times the requested results again by their full vectors
EncodeTexts: TypeAlias = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class VectorIndex:
    """A vector index and its measured recall.

    rows: number of rows when it was built; partitions: their number; probes: partitions read per query, at least
    target: fraction of the true 100 nearest listings that a search should find, in (0, 1]
    recall: depth -> mean fraction of the true nearest listings that a search finds
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
        found = ", ".join(f"{recall:.3f} of the {depth}" for depth, recall in self.recall.items())
        missed = "" if self.reaches_target else f", less than the target of {self.target}"
        return f"A search reads {self.probes} of {self.partitions} partitions and finds {found} nearest{missed}."

    @property
    def reaches_target(self) -> bool:
        """Whether the recall of the 100 nearest, or of the deepest list measured, reaches the target."""
        return not self.recall or self.recall[min(TARGET_DEPTH, max(self.recall))] >= self.target

    def apply(self, query: LanceVectorQueryBuilder, extend_probes: bool = False) -> LanceVectorQueryBuilder:
        """A query of the table that uses this index. extend_probes: read more partitions if these have too few rows"""
        query = query.distance_type("dot")
        if self.kind == "exact":
            return query.bypass_vector_index()
        query = query.minimum_nprobes(self.probes).maximum_nprobes(0 if extend_probes else self.probes)
        return query.refine_factor(REFINE_FACTOR) if self.kind == "ivf-sq" else query


EXACT = VectorIndex()


def read_vector_index(folder: Path) -> VectorIndex:
    """The vector index of a build. Raises ShopError."""
    file = folder / VECTOR_INDEX_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return VectorIndex(**content | {"recall": {int(depth): recall for depth, recall in content["recall"].items()}})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error


def write_vector_index(index: VectorIndex, folder: Path) -> None:
    """Save the vector index of a build."""
    write_json(asdict(index), folder / VECTOR_INDEX_FILE)


def index_vectors(
    table: Table, current: VectorIndex, target: float, encode: EncodeTexts, runner: Runner = LOCAL_RUNNER
) -> VectorIndex:
    """Build the index for the table's size, if the current one is of another kind or outgrown, and return it.

    current: the present index; target: as in `VectorIndex`; encode: returns (n, d) unit vectors of query texts
    runner: builds the index
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
    """Build the IVF index of a table's vectors, on the runner's workers if all of them see the table's folder.

    kind: "ivf-flat" or "ivf-sq"; rows: of the table; size: rows of a partition

    On Ray, this process finds the centroids and each worker assigns its part of the rows to them.
    """
    uri = cast("LanceTable", table).uri
    workers = runner.workers_with(uri)
    # Given only a number of partitions, Lance merges them into larger ones when it first optimizes the table.
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
    """The kind of index for a number of float32 vectors."""
    if rows < MIN_INDEXED_ROWS:
        return "exact"
    return "ivf-flat" if 4 * rows * dimension <= MAX_FLAT_BYTES else "ivf-sq"


def partition_size(rows: int) -> int:
    """√rows, so that a query is compared with as many centroids as a partition has rows."""
    return round(math.sqrt(rows))


def tune_probes(table: Table, index: VectorIndex, encode: EncodeTexts) -> VectorIndex:
    """The index with the fewest probes that reach the target recall, or all partitions if none do."""
    queries = encode(sample_queries(table))
    depth = min(max(RECALL_DEPTHS), table.count_rows())
    exact = _nearest(table, EXACT, queries, depth)
    return minimize_probes(index, lambda probes: _nearest(table, replace(index, probes=probes), queries, depth), exact)


def minimize_probes(
    index: VectorIndex, search: Callable[[int], Sequence[RowIds]], exact: Sequence[RowIds]
) -> VectorIndex:
    """The index with the fewest probes that reach the target recall, or all partitions if none do.

    search: number of probes -> row ids of the nearest for each query, the nearest first; exact: the true ones
    """
    depth = min(len(rows) for rows in exact)

    def measure(probes: int) -> VectorIndex:
        results = search(probes)
        recall = {k: _recall(results, exact, k) for k in RECALL_DEPTHS if k <= depth}
        return replace(index, probes=probes, recall=recall)

    too_few, enough = 0, measure(1)
    while not enough.reaches_target and enough.probes < index.partitions:
        too_few, enough = enough.probes, measure(min(index.partitions, 2 * enough.probes))
    while enough.probes - too_few > 1:
        middle = measure((too_few + enough.probes) // 2)
        too_few, enough = (too_few, middle) if middle.reaches_target else (middle.probes, enough)
    return enough


def sample_queries(table: Table) -> list[str]:
    """Two or three consecutive words of the titles of some listings; the same for the same table."""
    random, rows = np.random.default_rng(0), table.count_rows()
    sample = random.choice(rows, min(RECALL_QUERIES, rows), replace=False)
    titles = table.take_offsets(sorted(sample.tolist())).select(["title"]).to_arrow()["title"].to_pylist()
    return [_consecutive_words(title.split(), random) for title in titles]


def check_target_recall(target: float) -> None:
    """Raise SettingsError if a target recall is not in (0, 1]."""
    if not 0.0 < target <= 1.0:
        raise SettingsError(f"the target recall is {target}. Give a fraction in (0, 1].")


def _dimension(table: Table) -> int:
    return int(table.schema.field("vector").type.list_size)


def _consecutive_words(words: Sequence[str], random: np.random.Generator) -> str:
    length = min(len(words), int(random.integers(2, 4)))
    start = int(random.integers(0, len(words) - length + 1))
    return " ".join(words[start : start + length])


def _nearest(table: Table, index: VectorIndex, queries: Vectors, depth: int) -> list[RowIds]:
    """Row ids of the nearest rows for each query, the nearest first."""
    lists: list[RowIds] = []
    for start in range(0, len(queries), QUERY_BATCH_SIZE):
        block = queries[start : start + QUERY_BATCH_SIZE]
        query = cast("LanceVectorQueryBuilder", table.search(list(block), "vector"))
        rows = index.apply(query).select(["_distance"]).with_row_id(True).limit(depth).to_arrow()
        lists += _split_by_query(rows, len(block))
    return lists


def _split_by_query(rows: pa.Table, queries: int) -> list[RowIds]:
    if "query_index" not in rows.column_names:
        return [rows["_rowid"].to_numpy()]
    query_indices, row_ids, distances = (rows[name].to_numpy() for name in ("query_index", "_rowid", "_distance"))
    order = np.lexsort((distances, query_indices))
    bounds = np.searchsorted(query_indices[order], np.arange(queries + 1))
    return [row_ids[order[start:end]] for start, end in pairwise(bounds)]


def _recall(results: Sequence[RowIds], exact: Sequence[RowIds], k: int) -> float:
    """Mean fraction of the k true nearest rows that the results have among their first k."""
    return float(np.mean([len(np.intersect1d(a[:k], b[:k])) / k for a, b in zip(results, exact, strict=True)]))
