"""A shop's fused vectors in memory, for searches without a filter that do not read the table.

A faiss index holds the vectors in partitions of √n listings and reads as many of them as the target recall takes,
measured when the vectors are loaded. If the table is searched exactly, so are the vectors. Later changes of the table
count at once: new rows are compared exhaustively and deleted rows are skipped. After many changes the vectors must be
loaded again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from wares.core.errors import SettingsError
from wares.core.progress import progress
from wares.shop.row_ids import (
    ROW_ID_COLUMN,
    Indices,
    RowIds,
    find_row_ids,
    missing,
    read_batches,
    row_ids_of,
    sorted_row_ids,
)
from wares.shop.table import Vectors
from wares.shop.vector_index import (
    RECALL_DEPTHS,
    EncodeTexts,
    VectorIndex,
    minimize_probes,
    partition_size,
    sample_queries,
)

if TYPE_CHECKING:
    import faiss
    from lancedb.table import Table


TRAINING_VECTORS_PER_PARTITION = 64  # to find the centroids
MAX_CHANGED_FRACTION = 0.02  # of the rows; after more changes all vectors are loaded again,
ALLOWED_CHANGES = 1_000  # except if there are no more than these
NO_ROW_IDS = np.zeros(0, np.int64)
Neighbour: TypeAlias = tuple[int, str, float]  # row id, listing id and dot product


@dataclass(frozen=True, eq=False)
class VectorSnapshot:
    """Vectors as they were loaded. It is immutable.

    row_ids: (n,) of the vectors in the table; ids: (n,) of the listings
    index: faiss index of the vectors; vector_index: its probes and its recall
    """

    row_ids: RowIds
    ids: pa.Array
    index: faiss.Index
    vector_index: VectorIndex

    def __len__(self) -> int:
        return len(self.row_ids)

    @cached_property
    def row_order(self) -> Indices:
        """(n,) order that sorts the row ids."""
        return np.argsort(self.row_ids)

    def nearest(self, queries: Vectors, k: int, selector: Any = None, all_partitions: bool = False) -> Indices:
        """(Q, k) indices of the nearest vectors of each query, the nearest first; -1 if there are fewer.

        selector: faiss selector of the indices to search; all_partitions: read all partitions
        """
        faiss = import_faiss()
        if self.vector_index.kind == "exact":
            parameters = faiss.SearchParameters(sel=selector)
        else:
            probes = self.vector_index.partitions if all_partitions else self.vector_index.probes
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        return np.asarray(self.index.search(queries, k, params=parameters)[1])


@dataclass(frozen=True, eq=False)
class MemoryVectors:
    """The vectors of one version of a table.

    table: that version; snapshot: vectors as they were loaded; deleted: indices in it of rows deleted since
    new_row_ids, new_ids, new_vectors: (m,), (m,) and (m, d), of rows added since
    """

    table: Table
    snapshot: VectorSnapshot
    deleted: Indices
    new_row_ids: RowIds
    new_ids: pa.Array
    new_vectors: Vectors

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared with the query."""
        return self.snapshot.vector_index.kind == "exact"

    def nearest(self, queries: Vectors, k: int, all_partitions: bool = False) -> list[list[Neighbour]]:
        """The k rows with the largest dot products for each of (Q, d) vectors, unordered.

        all_partitions: read all partitions
        """
        rows = self.snapshot.nearest(queries, max(1, min(k, len(self.snapshot))), self._not_deleted, all_partitions)
        return [self._score(query, indices[indices >= 0], k) for query, indices in zip(queries, rows, strict=True)]

    @cached_property
    def _not_deleted(self) -> Any:
        """Faiss selector of the indices whose rows still exist; None if all do."""
        if not len(self.deleted):
            return None
        exists = np.ones(len(self.snapshot), dtype=np.bool_)
        exists[self.deleted] = False
        return import_faiss().IDSelectorBitmap(np.packbits(exists, bitorder="little"))

    def _score(self, query: Vectors, indices: Indices, k: int) -> list[Neighbour]:
        """The k best of some vectors of the snapshot and all new ones.

        All dot products are computed again in float64, so that equal vectors have equal scores.
        """
        new = _largest(self.new_vectors @ query, k)
        vectors = np.concatenate([self.snapshot.index.reconstruct_batch(indices), self.new_vectors[new]])
        scores = np.asarray(vectors.astype(np.float64) @ query.astype(np.float64), dtype=np.float32)
        row_ids = np.concatenate([self.snapshot.row_ids[indices], self.new_row_ids[new]])
        ids = pa.concat_arrays([self.snapshot.ids.take(pa.array(indices)), self.new_ids.take(pa.array(new))])
        best = _largest(scores, k)
        return list(
            zip(row_ids[best].tolist(), ids.take(pa.array(best)).to_pylist(), scores[best].tolist(), strict=True)
        )

    def vectors(self, row_ids: RowIds) -> Vectors:
        """(n, d) vectors of rows of this version."""
        indices = find_row_ids(row_ids, self.snapshot.row_ids, self.snapshot.row_order)
        is_loaded = indices >= 0
        vectors = np.empty((len(row_ids), self.new_vectors.shape[1]), np.float32)
        vectors[is_loaded] = self.snapshot.index.reconstruct_batch(indices[is_loaded])
        new = find_row_ids(row_ids[~is_loaded], self.new_row_ids, np.argsort(self.new_row_ids))
        vectors[~is_loaded] = self.new_vectors[new]
        return vectors

    def catch_up(self, table: Table) -> MemoryVectors | None:
        """The vectors of a later version of the table; None if too many rows have changed."""
        current = sorted_row_ids(table)
        deleted = missing(self.snapshot.row_ids, current)
        added = current[missing(current, np.sort(self.snapshot.row_ids))]
        if len(deleted) + len(added) > max(ALLOWED_CHANGES, MAX_CHANGED_FRACTION * len(self.snapshot)):
            return None
        kept = np.flatnonzero(np.isin(self.new_row_ids, added))
        row_ids, ids, vectors = _read_rows(table, np.setdiff1d(added, self.new_row_ids))
        return MemoryVectors(
            table,
            self.snapshot,
            deleted,
            np.concatenate([self.new_row_ids[kept], row_ids]),
            pa.concat_arrays([self.new_ids.take(pa.array(kept)), ids]),
            np.concatenate([self.new_vectors[kept], vectors]),
        )


def load_vectors(table: Table, table_index: VectorIndex, encode: EncodeTexts) -> MemoryVectors:
    """Load all vectors of a table.

    table_index: of the table; an exact one is exact in memory too, otherwise its target recall applies
    encode: returns (n, d) unit vectors of query texts, to measure recall

    Raises SettingsError if faiss is not installed.
    """
    faiss = import_faiss()
    count, dimension = table.count_rows(), int(table.schema.field("vector").type.list_size)
    if table_index.kind == "exact":
        vector_index, index = replace(table_index, recall={}), faiss.IndexFlatIP(dimension)
    else:
        partitions = count // partition_size(count)
        vector_index = VectorIndex("ivf-flat", count, partitions, target=table_index.target)
        index = faiss.index_factory(dimension, f"IVF{partitions},Flat", faiss.METRIC_INNER_PRODUCT)
        sample = np.linspace(0, count - 1, min(count, TRAINING_VECTORS_PER_PARTITION * partitions), dtype=np.int64)
        sampled = table.take_offsets(sample.tolist()).select(["vector"]).to_arrow()["vector"]
        index.train(_as_matrix(sampled, dimension))
    row_ids, ids = [NO_ROW_IDS], [pa.array([], pa.string())]
    with progress(None, "reading vectors into memory", total=count, unit="listings") as bar:
        for batch in read_batches(table, ["id", "vector"]):
            index.add(_as_matrix(batch["vector"], dimension))
            row_ids.append(row_ids_of(batch))
            ids.append(batch["id"])
            bar.update(batch.num_rows)
    snapshot = VectorSnapshot(np.concatenate(row_ids), pa.concat_arrays(ids), index, vector_index)
    if table_index.kind != "exact":
        index.make_direct_map()
        snapshot = _tune(snapshot, encode(sample_queries(table)))
    return MemoryVectors(table, snapshot, NO_ROW_IDS, *_read_rows(table, NO_ROW_IDS))


def _tune(snapshot: VectorSnapshot, queries: Vectors) -> VectorSnapshot:
    """The snapshot with the fewest probes that reach the target recall."""
    index, depth = snapshot.vector_index, min(max(RECALL_DEPTHS), len(snapshot))

    def search(probes: int) -> list[Indices]:
        tried = replace(snapshot, vector_index=replace(index, probes=probes))
        return list(tried.nearest(queries, depth))

    return replace(snapshot, vector_index=minimize_probes(index, search, search(index.partitions)))


def import_faiss() -> Any:
    """The faiss module. Raises SettingsError if it is not installed."""
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name != "faiss":
            raise
        raise SettingsError(
            "vectors in memory need faiss, which is not installed. Install it: pip install 'wares[memory]'."
        ) from None
    return faiss


def _read_rows(table: Table, row_ids: RowIds) -> tuple[RowIds, pa.Array, Vectors]:
    """Row ids, listing ids and vectors of some rows."""
    dimension = int(table.schema.field("vector").type.list_size)
    if not len(row_ids):
        return row_ids, pa.array([], pa.string()), np.zeros((0, dimension), np.float32)
    rows = table.take_row_ids(row_ids.tolist()).select(["id", "vector", ROW_ID_COLUMN]).to_arrow().combine_chunks()
    return row_ids_of(rows), rows["id"].combine_chunks(), _as_matrix(rows["vector"], dimension)


def _as_matrix(column: pa.Array | pa.ChunkedArray, dimension: int) -> Vectors:
    """(n, d) vectors of a column."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(column.flatten().to_numpy(), dtype=np.float32).reshape(-1, dimension)


def _largest(scores: Vectors, k: int) -> Indices:
    """Indices of the k largest scores, unordered."""
    return np.argpartition(-scores, k - 1)[:k] if len(scores) > k else np.arange(len(scores))
