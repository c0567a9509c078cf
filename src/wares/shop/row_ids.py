"""Row ids of a version of the table, and which of them are new or gone in another version.

Lance never reuses a row id. A changed row gets a new one, and so does every row that `optimize` moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from wares.shop.table import NO_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from lancedb.query import LanceEmptyQueryBuilder
    from lancedb.table import Table


READ_BATCH_ROWS = 65_536  # rows read at once
ROW_ID_COLUMN = "_rowid"  # Lance's name; reading it alone is much faster than reading any column
RowIds: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = npt.NDArray[np.int64]


def read_batches(table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of all rows, with their row ids."""
    query = cast("LanceEmptyQueryBuilder", table.search()).select(list(columns)).with_row_id(True).limit(NO_LIMIT)
    return iter(query.to_batches(READ_BATCH_ROWS))


def row_ids_of(rows: pa.RecordBatch | pa.Table) -> RowIds:
    """The row ids of rows that were read with them."""
    return np.asarray(rows[ROW_ID_COLUMN].to_numpy(), dtype=np.int64)


def sorted_row_ids(table: Table) -> RowIds:
    """(N,) row ids of the table, ascending."""
    batches = [row_ids_of(batch) for batch in read_batches(table, [ROW_ID_COLUMN])]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *batches]))


def missing(row_ids: RowIds, ascending: RowIds) -> Indices:
    """Indices of the row ids that are not among others, which are sorted."""
    indices = np.searchsorted(ascending, row_ids)
    return np.flatnonzero(np.append(ascending, -1)[indices] != row_ids)


def find_row_ids(wanted: RowIds, row_ids: RowIds, order: Indices) -> Indices:
    """Index of each wanted row id among others, or -1. order: that sorts the others"""
    if not len(row_ids):
        return np.full(len(wanted), -1)
    indices = order[np.minimum(np.searchsorted(row_ids, wanted, sorter=order), len(row_ids) - 1)]
    return np.where(row_ids[indices] == wanted, indices, -1)
