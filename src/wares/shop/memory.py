"""A shop's fused vectors held in memory: searches without a filter find the same and do not go to the table for it.

faiss has the vectors, in partitions of √n listings, and searches as deep as the shop's target of recall takes, measured
when they were read; where a table has no index, it compares them all. What has changed since is seen at once: rows that
came are compared one by one, rows that are no more are passed over. When many have, the vectors are to be read anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from wares.core.errors import SettingsError
from wares.core.progress import progress
from wares.shop.table import NO_LIMIT
from wares.shop.vector_index import (
    RECALL_DEPTHS,
    EncodeTexts,
    RowIds,
    VectorIndex,
    Vectors,
    minimize_probes,
    partition_size,
    sample_queries,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import faiss
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table


READ_BATCH_ROWS = 65_536  # rows read at once
TRAINING_VECTORS_PER_PARTITION = 64  # vectors of each partition that its centre is found by
MAX_CHANGED_FRACTION = 0.02  # share of the rows that may have come or gone until all are to be read anew
ALLOWED_CHANGES = 1_000  # and how many may in any case
NO_ROW_IDS = np.zeros(0, np.int64)
ROW_ID_COLUMN = "_rowid"  # as Lance calls where a row stands; to be read without any column, which is much less
Neighbour: TypeAlias = tuple[int, str, float]  # row, id and dot product


@dataclass(frozen=True, eq=False)
class VectorSnapshot:
    """Vectors as they were read; nothing of it ever changes.

    row_ids: (n,) where each stands in the table; ids: of the listings
    index: over the vectors; vector_index: how, and what that finds
    """

    row_ids: RowIds
    ids: pa.Array
    index: faiss.Index
    vector_index: VectorIndex

    def __len__(self) -> int:
        return len(self.row_ids)

    def nearest(self, queries: Vectors, k: int, selector: Any = None, all_partitions: bool = False) -> RowIds:
        """(Q, k) places of the nearest of each query, the nearest first; -1 where there are fewer.

        selector: faiss' selector of the places that may be found; all_partitions: whether all partitions are read
        """
        faiss = import_faiss()
        if self.vector_index.kind == "exact":
            how = faiss.SearchParameters(sel=selector)
        else:
            probes = self.vector_index.partitions if all_partitions else self.vector_index.probes
            how = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        return np.asarray(self.index.search(queries, k, params=how)[1])


@dataclass(frozen=True, eq=False)
class MemoryVectors:
    """The vectors of one state of a table.

    table: that state; snapshot: vectors as they were read; deleted: places among them of rows that are no more
    new_row_ids, new_ids, new_vectors: of rows that have come since, (m,), (m,) and (m, d)
    """

    table: Table
    snapshot: VectorSnapshot
    deleted: RowIds
    new_row_ids: RowIds
    new_ids: pa.Array
    new_vectors: Vectors

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared."""
        return self.snapshot.vector_index.kind == "exact"

    def nearest(self, queries: Vectors, k: int, all_partitions: bool = False) -> list[list[Neighbour]]:
        """The k rows of the largest dot product for each of (Q, d) vectors, in no order.

        all_partitions: whether all partitions are read
        """
        places = self.snapshot.nearest(queries, max(1, min(k, len(self.snapshot))), self._there, all_partitions)
        return [self._found(query, some[some >= 0], k) for query, some in zip(queries, places, strict=True)]

    @cached_property
    def _there(self) -> Any:
        """Faiss' selector of the places whose rows are there still; None where all are."""
        if not len(self.deleted):
            return None
        there = np.ones(len(self.snapshot), dtype=np.bool_)
        there[self.deleted] = False
        return import_faiss().IDSelectorBitmap(np.packbits(there, bitorder="little"))

    def _found(self, query: Vectors, places: RowIds, k: int) -> list[Neighbour]:
        """Dot products are computed anew, so that equal vectors have equal ones, wherever they lie."""
        came = _largest(self.new_vectors @ query, k)
        vectors = np.concatenate([self.snapshot.index.reconstruct_batch(places), self.new_vectors[came]])
        scores = np.asarray(vectors.astype(np.float64) @ query.astype(np.float64), dtype=np.float32)
        rows = np.concatenate([self.snapshot.row_ids[places], self.new_row_ids[came]])
        ids = pa.concat_arrays([self.snapshot.ids.take(pa.array(places)), self.new_ids.take(pa.array(came))])
        best = _largest(scores, k)
        found = zip(rows[best].tolist(), ids.take(pa.array(best)).to_pylist(), scores[best].tolist(), strict=True)
        return list(found)

    def catch_up(self, table: Table) -> MemoryVectors | None:
        """The vectors of a later state of the table; None where so much has changed that all are to be read anew."""
        now = np.sort(np.concatenate([NO_ROW_IDS, *(_rows_of(part) for part in _scanned(table, [ROW_ID_COLUMN]))]))
        gone, came = _missing(self.snapshot.row_ids, now), now[_missing(now, np.sort(self.snapshot.row_ids))]
        if len(gone) + len(came) > max(ALLOWED_CHANGES, MAX_CHANGED_FRACTION * len(self.snapshot)):
            return None
        kept = np.flatnonzero(np.isin(self.new_row_ids, came))
        rows, ids, vectors = _taken(table, np.setdiff1d(came, self.new_row_ids))
        return MemoryVectors(
            table,
            self.snapshot,
            gone,
            np.concatenate([self.new_row_ids[kept], rows]),
            pa.concat_arrays([self.new_ids.take(pa.array(kept)), ids]),
            np.concatenate([self.new_vectors[kept], vectors]),
        )


def load_vectors(table: Table, table_index: VectorIndex, encode: EncodeTexts) -> MemoryVectors:
    """Read all vectors of a table.

    table_index: how the table itself is searched: where it compares all vectors, so is done here; elsewhere its target holds
    encode: gives (n, d) unit vectors of queries, by which what a search finds is measured

    Raises SettingsError where faiss is not installed.
    """
    faiss = import_faiss()
    count, dimension = table.count_rows(), int(table.schema.field("vector").type.list_size)
    if table_index.kind == "exact":
        searched_by, index = replace(table_index, recall={}), faiss.IndexFlatIP(dimension)
    else:
        partitions = count // partition_size(count)
        searched_by = VectorIndex("ivf-flat", count, partitions, target=table_index.target)
        index = faiss.index_factory(dimension, f"IVF{partitions},Flat", faiss.METRIC_INNER_PRODUCT)
        sample = np.linspace(0, count - 1, min(count, TRAINING_VECTORS_PER_PARTITION * partitions), dtype=np.int64)
        index.train(_vectors_of(table.take_offsets(sample.tolist()).select(["vector"]).to_arrow()["vector"], dimension))
    rows, ids = [NO_ROW_IDS], [pa.array([], pa.string())]
    with progress(None, "reading vectors into memory", total=count, unit="listings") as bar:
        for part in _scanned(table, ["id", "vector"]):
            index.add(_vectors_of(part["vector"], dimension))
            rows.append(_rows_of(part))
            ids.append(part["id"])
            bar.update(part.num_rows)
    held = VectorSnapshot(np.concatenate(rows), pa.concat_arrays(ids), index, searched_by)
    if table_index.kind != "exact":
        index.make_direct_map()
        held = _tuned(held, encode(sample_queries(table)))
    return MemoryVectors(table, held, NO_ROW_IDS, *_taken(table, NO_ROW_IDS))


def _tuned(held: VectorSnapshot, queries: Vectors) -> VectorSnapshot:
    """Searched by the fewest partitions that reach the target."""
    depth = min(max(RECALL_DEPTHS), len(held))

    def by(probes: int) -> list[RowIds]:
        tried = replace(held, vector_index=replace(held.vector_index, probes=probes))
        return list(tried.nearest(queries, depth))

    return replace(held, vector_index=minimize_probes(held.vector_index, by, by(held.vector_index.partitions)))


def import_faiss() -> Any:
    """The library. Raises SettingsError where it is not installed."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise SettingsError("vectors are held in memory by faiss: pip install 'wares[memory]'.") from None
    return faiss


def _scanned(table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of all rows, with where they stand."""
    query = cast("LanceEmptyQueryBuilder", table.search()).select(list(columns)).with_row_id(True).limit(NO_LIMIT)
    return iter(query.to_batches(READ_BATCH_ROWS))


def _taken(table: Table, rows: RowIds) -> tuple[RowIds, pa.Array, Vectors]:
    """Rows with their ids and vectors."""
    dimension = int(table.schema.field("vector").type.list_size)
    if not len(rows):
        return rows, pa.array([], pa.string()), np.zeros((0, dimension), np.float32)
    found = table.take_row_ids(rows.tolist()).select(["id", "vector", ROW_ID_COLUMN]).to_arrow().combine_chunks()
    return _rows_of(found), found["id"].combine_chunks(), _vectors_of(found["vector"], dimension)


def _rows_of(part: pa.RecordBatch | pa.Table) -> RowIds:
    return np.asarray(part[ROW_ID_COLUMN].to_numpy(), dtype=np.int64)


def _vectors_of(column: pa.Array | pa.ChunkedArray, dimension: int) -> Vectors:
    """(n, d) of a column of vectors."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(column.flatten().to_numpy(), dtype=np.float32).reshape(-1, dimension)


def _missing(some: RowIds, among: RowIds) -> RowIds:
    """Places of those that are not among others, which ascend."""
    places = np.searchsorted(among, some)
    there = np.append(among, -1)[places] == some
    return np.flatnonzero(~there)


def _largest(scores: Vectors, k: int) -> RowIds:
    """Places of the k largest, in no order."""
    return np.argpartition(-scores, k - 1)[:k] if len(scores) > k else np.arange(len(scores))
