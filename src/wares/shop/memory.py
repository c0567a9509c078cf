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
from wares.shop.table import ALL
from wares.shop.vector_index import (
    DEPTHS,
    Encode,
    Rows,
    VectorIndex,
    Vectors,
    fewest,
    partition_size_for,
    sampled_queries,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import faiss
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table


BATCH = 65_536  # rows read at once
TRAINED_BY = 64  # vectors of each partition that its centre is found by
CHANGES = 0.02  # share of the rows that may have come or gone until all are to be read anew
FEW = 1_000  # and how many may in any case
NONE = np.zeros(0, np.int64)
ROW = "_rowid"  # as Lance calls where a row stands; to be read without any column, which is much less
Found: TypeAlias = tuple[int, str, float]  # row, id and dot product


@dataclass(frozen=True, eq=False)
class Held:
    """Vectors as they were read; nothing of it ever changes.

    rows: (n,) where each stands in the table; ids: of the listings
    index: over the vectors; searched_by: how, and what that finds
    """

    rows: Rows
    ids: pa.Array
    index: faiss.Index
    searched_by: VectorIndex

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, queries: Vectors, k: int, among: Any = None, whole: bool = False) -> Rows:
        """(Q, k) places of the nearest of each query, the nearest first; -1 where there are fewer.

        among: faiss' selector of the places that may be found; whole: whether all partitions are read
        """
        faiss = find_faiss()
        if self.searched_by.kind == "exact":
            how = faiss.SearchParameters(sel=among)
        else:
            probes = self.searched_by.partitions if whole else self.searched_by.probes
            how = faiss.SearchParametersIVF(sel=among, nprobe=probes)
        return np.asarray(self.index.search(queries, k, params=how)[1])


@dataclass(frozen=True, eq=False)
class InMemory:
    """The vectors of one state of a table.

    table: that state; held: vectors as they were read; gone: places among them of rows that are no more
    rows, ids, vectors: of rows that have come since, (m,), (m,) and (m, d)
    """

    table: Table
    held: Held
    gone: Rows
    rows: Rows
    ids: pa.Array
    vectors: Vectors

    @property
    def exact(self) -> bool:
        """Whether every vector is compared."""
        return self.held.searched_by.kind == "exact"

    def nearest(self, queries: Vectors, k: int, whole: bool = False) -> list[list[Found]]:
        """The k rows of the largest dot product for each of (Q, d) vectors, in no order.

        whole: whether all partitions are read
        """
        places = self.held.nearest(queries, max(1, min(k, len(self.held))), self._there, whole)
        return [self._found(query, some[some >= 0], k) for query, some in zip(queries, places, strict=True)]

    @cached_property
    def _there(self) -> Any:
        """Faiss' selector of the places whose rows are there still; None where all are."""
        if not len(self.gone):
            return None
        there = np.ones(len(self.held), dtype=np.bool_)
        there[self.gone] = False
        return find_faiss().IDSelectorBitmap(np.packbits(there, bitorder="little"))

    def _found(self, query: Vectors, places: Rows, k: int) -> list[Found]:
        """Dot products are computed anew, so that equal vectors have equal ones, wherever they lie."""
        came = _largest(self.vectors @ query, k)
        vectors = np.concatenate([self.held.index.reconstruct_batch(places), self.vectors[came]])
        scores = np.asarray(vectors.astype(np.float64) @ query.astype(np.float64), dtype=np.float32)
        rows = np.concatenate([self.held.rows[places], self.rows[came]])
        ids = pa.concat_arrays([self.held.ids.take(pa.array(places)), self.ids.take(pa.array(came))])
        best = _largest(scores, k)
        found = zip(rows[best].tolist(), ids.take(pa.array(best)).to_pylist(), scores[best].tolist(), strict=True)
        return list(found)

    def followed(self, table: Table) -> InMemory | None:
        """The vectors of a later state of the table; None where so much has changed that all are to be read anew."""
        now = np.sort(np.concatenate([NONE, *(_rows_of(part) for part in _scanned(table, [ROW]))]))
        gone, came = _missing(self.held.rows, now), now[_missing(now, np.sort(self.held.rows))]
        if len(gone) + len(came) > max(FEW, CHANGES * len(self.held)):
            return None
        kept = np.flatnonzero(np.isin(self.rows, came))
        rows, ids, vectors = _taken(table, np.setdiff1d(came, self.rows))
        return InMemory(
            table,
            self.held,
            gone,
            np.concatenate([self.rows[kept], rows]),
            pa.concat_arrays([self.ids.take(pa.array(kept)), ids]),
            np.concatenate([self.vectors[kept], vectors]),
        )


def hold(table: Table, now: VectorIndex, encode: Encode) -> InMemory:
    """Read all vectors of a table.

    now: how the table itself is searched: where it compares all vectors, so is done here; elsewhere its target holds
    encode: gives (n, d) unit vectors of queries, by which what a search finds is measured

    Raises SettingsError where faiss is not installed.
    """
    faiss = find_faiss()
    count, dimension = table.count_rows(), int(table.schema.field("vector").type.list_size)
    if now.kind == "exact":
        searched_by, index = replace(now, recall={}), faiss.IndexFlatIP(dimension)
    else:
        partitions = count // partition_size_for(count)
        searched_by = VectorIndex("ivf-flat", count, partitions, target=now.target)
        index = faiss.index_factory(dimension, f"IVF{partitions},Flat", faiss.METRIC_INNER_PRODUCT)
        sample = np.linspace(0, count - 1, min(count, TRAINED_BY * partitions), dtype=np.int64)
        index.train(_vectors_of(table.take_offsets(sample.tolist()).select(["vector"]).to_arrow()["vector"], dimension))
    rows, ids = [NONE], [pa.array([], pa.string())]
    with progress(None, "reading vectors into memory", total=count, unit="listings") as bar:
        for part in _scanned(table, ["id", "vector"]):
            index.add(_vectors_of(part["vector"], dimension))
            rows.append(_rows_of(part))
            ids.append(part["id"])
            bar.update(part.num_rows)
    held = Held(np.concatenate(rows), pa.concat_arrays(ids), index, searched_by)
    if now.kind != "exact":
        index.make_direct_map()
        held = _tuned(held, encode(sampled_queries(table)))
    return InMemory(table, held, NONE, *_taken(table, NONE))


def _tuned(held: Held, queries: Vectors) -> Held:
    """Searched by the fewest partitions that reach the target."""
    depth = min(max(DEPTHS), len(held))

    def by(probes: int) -> list[Rows]:
        tried = replace(held, searched_by=replace(held.searched_by, probes=probes))
        return list(tried.nearest(queries, depth))

    return replace(held, searched_by=fewest(held.searched_by, by, by(held.searched_by.partitions)))


def find_faiss() -> Any:
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
    query = cast("LanceEmptyQueryBuilder", table.search()).select(list(columns)).with_row_id(True).limit(ALL)
    return iter(query.to_batches(BATCH))


def _taken(table: Table, rows: Rows) -> tuple[Rows, pa.Array, Vectors]:
    """Rows with their ids and vectors."""
    dimension = int(table.schema.field("vector").type.list_size)
    if not len(rows):
        return rows, pa.array([], pa.string()), np.zeros((0, dimension), np.float32)
    found = table.take_row_ids(rows.tolist()).select(["id", "vector", ROW]).to_arrow().combine_chunks()
    return _rows_of(found), found["id"].combine_chunks(), _vectors_of(found["vector"], dimension)


def _rows_of(part: pa.RecordBatch | pa.Table) -> Rows:
    return np.asarray(part[ROW].to_numpy(), dtype=np.int64)


def _vectors_of(column: pa.Array | pa.ChunkedArray, dimension: int) -> Vectors:
    """(n, d) of a column of vectors."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(column.flatten().to_numpy(), dtype=np.float32).reshape(-1, dimension)


def _missing(some: Rows, among: Rows) -> Rows:
    """Places of those that are not among others, which ascend."""
    places = np.searchsorted(among, some)
    there = np.append(among, -1)[places] == some
    return np.flatnonzero(~there)


def _largest(scores: Vectors, k: int) -> Rows:
    """Places of the k largest, in no order."""
    return np.argpartition(-scores, k - 1)[:k] if len(scores) > k else np.arange(len(scores))
