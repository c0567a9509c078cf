"""The word index of a shop: BM25 over its listings, with the terms and the formula of the labeler `bm25`.

A build saves the index in its folder (`WORD_INDEX_FILE`). An index of another version of the table catches up: rows
that were added since are counted, deleted ones are skipped, and all statistics follow, so the scores are those of a
fresh build of the same listings. After many changes the parts are merged.

The file is an Arrow table of one row, whose columns are lists: ids, row ids, content hashes, terms, and the counts of
the terms in the form of CSR.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wares.core.errors import ShopError, one_line
from wares.core.files import atomic_write
from wares.core.progress import progress
from wares.data.terms import TermCounts, analyse, count_terms
from wares.ranking.labelers.bm25 import BM25, bm25_idf, mean_text_length, posting_arrays
from wares.shop.content_diff import HASH_BYTES
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lancedb.table import Table
    from scipy.sparse import csr_array

Scores = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint8]
WORD_INDEX_FILE = "words.arrow"  # in the folder of a build
VERSION_KEY = b"table-version"  # in the metadata of its schema
SETTINGS = BM25()
MAX_CHANGED_FRACTION = 0.02  # of the listings; after more changes the parts are merged,
ALLOWED_CHANGES = 1_000  # except if there are no more than these
READ_ROWS = 16_384  # changed rows read at once


@dataclass(frozen=True)
class WordScores:
    """BM25 scores of the listings that share a term with a query; all others score 0.

    indices: (M,) ascending indices of these listings in the word index
    scores: (M,) above 0
    coverage: (M,) share of the query's idf that the listing's terms have, in (0, 1]; unknown terms have the largest idf
    count: N, the number of listings of the shop
    """

    indices: Indices
    scores: Scores
    coverage: Scores
    count: int

    def select(self, rows: npt.NDArray[Any]) -> WordScores:
        """The scores of some of these listings. rows: positions in `indices`, ascending, or (M,) which to keep"""
        return replace(self, indices=self.indices[rows], scores=self.scores[rows], coverage=self.coverage[rows])

    def best(self, k: int) -> Indices:
        """Positions in `indices` of the k best, best first, equal scores by ascending index."""
        positions = np.arange(len(self.scores))
        if k < len(positions):
            threshold = -np.partition(-self.scores, k - 1)[k - 1] if k > 0 else np.inf
            positions = np.flatnonzero(self.scores >= threshold)
        return positions[np.argsort(-self.scores[positions], kind="stable")][:k]


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows of a table with their term counts, in ascending order of ids.

    ids, row_ids, contents: (n,) listing ids, (n,) row ids and (n, 16) content hashes (wares.shop.content_diff)
    """

    ids: pa.Array
    row_ids: RowIds
    contents: Hashes
    terms: TermCounts

    @classmethod
    def empty(cls) -> _Part:
        no_rows = np.zeros(0, np.int64)
        return cls(pa.array([], pa.string()), no_rows, np.zeros((0, HASH_BYTES), np.uint8), TermCounts.from_texts([]))

    def __len__(self) -> int:
        return len(self.row_ids)

    def take(self, rows: Indices) -> _Part:
        """Some of the rows, in the given order."""
        terms = TermCounts(self.terms.vocabulary, self.terms.counts[rows])
        return _Part(self.ids.take(pa.array(rows)), self.row_ids[rows], self.contents[rows], terms)

    def merge(self, other: _Part) -> _Part:
        """The rows of both. other: its vocabulary continues this one"""
        counts = _concatenate(self.terms.counts, other.terms.counts)
        merged = _Part(
            pa.concat_arrays([self.ids, other.ids]),
            np.concatenate([self.row_ids, other.row_ids]),
            np.concatenate([self.contents, other.contents]),
            TermCounts(other.terms.vocabulary, counts),
        )
        return merged.take(pc.sort_indices(merged.ids).to_numpy())

    @cached_property
    def postings(self) -> tuple[npt.NDArray[Any], ...]:
        """The counts by term, as the kernels take them."""
        return posting_arrays(self.terms.counts.tocsc())


@dataclass(frozen=True, eq=False)
class WordIndex:
    """The words of all listings of one version of a table.

    version: of the table
    base: rows of an earlier version; exists: (n,) which of them still exist; added: rows that came since. Its
        vocabulary continues that of `base`
    """

    version: int
    base: _Part
    exists: npt.NDArray[np.bool_]
    added: _Part

    @classmethod
    def from_parts(cls, version: int, base: _Part) -> WordIndex:
        """An index without changes."""
        added = replace(_Part.empty(), terms=TermCounts(base.terms.vocabulary, count_terms([], base.terms.vocabulary)))
        return cls(version, base, np.ones(len(base), np.bool_), added)

    def __len__(self) -> int:
        return int(self.exists.sum()) + len(self.added)

    @cached_property
    def ids(self) -> pa.Array:
        """(N,) ids of the listings, ascending."""
        return self._join([self.base.ids, self.added.ids])

    @cached_property
    def row_ids(self) -> RowIds:
        """(N,) row ids of the listings in the table."""
        return np.asarray(self._join([pa.array(self.base.row_ids), pa.array(self.added.row_ids)]))

    def indices_of(self, row_ids: RowIds) -> Indices:
        """Index of each row id in `row_ids`; -1 if there is none."""
        return find_row_ids(row_ids, self.row_ids, self._row_order)

    @cached_property
    def terms(self) -> TermCounts:
        """Term counts of the listings; takes seconds for a million listings that have changed."""
        return self.merge().base.terms

    def scores(self, text: str) -> WordScores:
        """BM25 scores of the listings that share a term with a text, and how much of its idf they cover."""
        from wares.ranking.labelers.kernels import add_bm25_scores

        counts = sorted(Counter(analyse(text)).items())
        columns = np.asarray([self.added.terms.vocabulary.get(term, -1) for term, _ in counts], dtype=np.int64)
        query_counts = np.asarray([count for _, count in counts], dtype=np.float32)
        frequency = np.array([self._document_frequency[column] if column >= 0 else 0 for column in columns])
        idf = bm25_idf(frequency, len(self))
        found: list[tuple[Indices, Scores, npt.NDArray[np.float64]]] = []
        for part, positions in zip((self.base, self.added), self._positions, strict=True):
            scores, covered = np.zeros(len(part), np.float32), np.zeros(len(part), np.float64)
            own = (columns >= 0) & (columns < part.terms.vocabulary_size)
            arrays = (*part.postings, part.terms.lengths, columns[own], query_counts[own], idf[own])
            add_bm25_scores(*arrays, SETTINGS.k1, SETTINGS.b, self._mean_length, scores, covered)
            rows = np.flatnonzero(scores)
            rows = rows[positions[rows] >= 0]
            found.append((positions[rows], scores[rows], covered[rows]))
        indices, all_scores, all_covered = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(indices, kind="stable")
        total = sum((query_counts * idf).tolist())  # in the order of the kernel, so that the whole is exactly 1
        coverage = (all_covered[order] / max(total, 1e-300)).astype(np.float32)
        return WordScores(indices[order], all_scores[order], coverage, len(self))

    def catch_up(self, table: Table) -> WordIndex:
        """The index of another version of the table."""
        if table.version == self.version:
            return self
        current = sorted_row_ids(table)
        known = np.sort(np.concatenate([self.base.row_ids[self.exists], self.added.row_ids]))
        new = _read_ids(table, current[missing(current, known)])
        base, exists, new = _match(self.base, self.exists, current, new)
        added, kept, new = _match(self.added, np.ones(len(self.added), np.bool_), current, new)
        added = _read_parts(table, new.row_ids, added.take(np.flatnonzero(kept)))
        index = WordIndex(table.version, base, exists, added)
        changes = len(added) + len(base) - int(exists.sum())
        return index.merge() if changes > max(ALLOWED_CHANGES, MAX_CHANGED_FRACTION * len(base)) else index

    def merge(self) -> WordIndex:
        """The same index with all rows in one part."""
        if self.exists.all() and not len(self.added):
            return self
        return WordIndex.from_parts(self.version, self.base.take(np.flatnonzero(self.exists)).merge(self.added))

    @cached_property
    def _row_order(self) -> Indices:
        return np.argsort(self.row_ids)

    @cached_property
    def _positions(self) -> tuple[Indices, Indices]:
        """Index in ascending order of ids of each row of `base` and of `added`; -1 if it no longer exists."""
        existing_before = np.concatenate([[0], np.cumsum(self.exists)])
        keys = _Strings(self.base.ids)
        places = np.array([bisect_left(keys, id) for id in self.added.ids.to_pylist()], dtype=np.int64)
        added_before = np.cumsum(np.bincount(places, minlength=len(self.base) + 1))[: len(self.base)]
        base = np.where(self.exists, existing_before[:-1] + added_before, -1)
        return base, existing_before[places] + np.arange(len(places))

    def _join(self, columns: Sequence[pa.Array]) -> pa.Array:
        """Values of the rows of `base` and of `added` in ascending order of ids."""
        if self.exists.all() and not len(self.added):
            return columns[0]
        positions = np.concatenate(self._positions)
        rows = np.flatnonzero(positions >= 0)
        order = np.empty(len(rows), dtype=np.int64)
        order[positions[rows]] = rows
        return pa.concat_arrays(columns).take(pa.array(order))

    @cached_property
    def _document_frequency(self) -> npt.NDArray[np.int64]:
        """(V,) number of listings with each term."""
        frequency = self.added.terms.document_frequency.copy()
        frequency[: self.base.terms.vocabulary_size] += self.base.terms.document_frequency
        gone = self.base.terms.counts[np.flatnonzero(~self.exists)]
        return frequency - np.bincount(gone.indices, minlength=len(frequency))

    @cached_property
    def _mean_length(self) -> float:
        total = int(self.base.terms.lengths[self.exists].sum()) + int(self.added.terms.lengths.sum())
        return mean_text_length(total, len(self))


class WordIndexLoader:
    """Loads the word index of a build once, and lets it follow the versions of the table.

    folder: of the build. Copies of an open shop share a loader.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._latest: WordIndex | None = None

    def load(self, table: Table) -> WordIndex:
        """The word index of a version of the table; counted again if its file is missing or damaged.

        Raises ShopError if the table cannot be read.
        """
        latest = self._latest
        if latest is not None and latest.version == table.version:
            return latest
        with self._lock:
            try:
                latest = self._latest or read_word_index(self._folder) or build_word_index(table)
                index = latest.catch_up(table)
            except (ValueError, RuntimeError, OSError) as error:
                raise ShopError(
                    f"the words of {self._folder} cannot be read ({one_line(error)}). Rebuild the shop with "
                    "`wares index`."
                ) from error
            if self._latest is None or index.version > self._latest.version:
                self._latest = index
            return index


def build_word_index(table: Table) -> WordIndex:
    """Count the words of all rows of a table."""
    with progress(None, "counting words", total=table.count_rows(), unit="listings") as bar:

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in read_batches(table, ["id", "content", "text"]):
                yield batch
                bar.update(batch.num_rows)

        return WordIndex.from_parts(table.version, _append(_Part.empty(), rows()))


def write_word_index(index: WordIndex, folder: Path) -> None:
    """Save the index in the folder of a build. Readers of the file that it replaces keep what they read."""
    part = index.merge().base
    counts = part.terms.counts
    hashes = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(HASH_BYTES), len(part), [None, pa.py_buffer(np.ascontiguousarray(part.contents))]
    )
    columns = {
        "ids": part.ids,
        "row_ids": pa.array(part.row_ids),
        "contents": hashes,
        "terms": pa.array(part.terms.term_list, pa.string()),
        "starts": pa.array(counts.indptr),
        "columns": pa.array(counts.indices),
        "counts": pa.array(counts.data),
    }
    lists = [
        pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values) for values in columns.values()
    ]
    rows = pa.RecordBatch.from_arrays(lists, names=list(columns))
    rows = rows.replace_schema_metadata({VERSION_KEY: str(index.version)})
    with atomic_write(folder / WORD_INDEX_FILE) as file, pa.ipc.new_file(str(file), rows.schema) as writer:
        writer.write_batch(rows)


def read_word_index(folder: Path) -> WordIndex | None:
    """The saved index of a build, mapped into memory; None if its file is missing or damaged."""
    from scipy.sparse import csr_array

    try:
        reader = pa.ipc.open_file(pa.memory_map(str(folder / WORD_INDEX_FILE)))
        rows = reader.get_batch(0)
        rows.validate(full=True)
        values = {name: rows[name].values for name in rows.schema.names}
        ids, row_ids = values["ids"], values["row_ids"].to_numpy()
        contents = _hashes(values["contents"])
        vocabulary = {term: column for column, term in enumerate(values["terms"].to_pylist())}
        arrays = (values[name].to_numpy() for name in ("counts", "columns", "starts"))
        counts = csr_array(tuple(arrays), shape=(len(ids), len(vocabulary)))
        counts.check_format(full_check=True)  # before compiled loops read it
        if not len(ids) == len(row_ids) == len(contents):
            return None
        version = int(reader.schema.metadata[VERSION_KEY])
        return WordIndex.from_parts(version, _Part(ids, row_ids, contents, TermCounts(vocabulary, counts)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, eq=False)
class _NewRows:
    """Ids, row ids and content hashes of rows that an index does not have."""

    ids: pa.Array
    row_ids: RowIds
    contents: Hashes


def _read_ids(table: Table, row_ids: RowIds) -> _NewRows:
    if not len(row_ids):
        empty = _Part.empty()
        return _NewRows(empty.ids, empty.row_ids, empty.contents)
    rows = table.take_row_ids(row_ids.tolist()).select(["id", "content", ROW_ID_COLUMN]).to_arrow()
    return _NewRows(_array(rows["id"]), row_ids_of(rows), _hashes(_array(rows["content"])))


def _match(
    part: _Part, exists: npt.NDArray[np.bool_], current: RowIds, new: _NewRows
) -> tuple[_Part, npt.NDArray[np.bool_], _NewRows]:
    """A part in another version of the table, which of its rows exist, and the new rows that are none of its own.

    A row that only moved has a new row id, and the id and content hash that it had.
    """
    gone = np.flatnonzero(exists)[missing(part.row_ids[exists], current)]
    exists = exists.copy()
    exists[gone] = False
    if not len(gone) or not len(new.row_ids):
        return part, exists, new
    match = pc.fill_null(pc.index_in(new.ids, value_set=part.ids.take(pa.array(gone))), -1).to_numpy()
    candidates = np.flatnonzero(match >= 0)
    rows = gone[match[candidates]]
    same = (part.contents[rows] == new.contents[candidates]).all(axis=1)
    row_ids = part.row_ids.copy()
    row_ids[rows[same]] = new.row_ids[candidates[same]]
    exists[rows[same]] = True
    rest = np.setdiff1d(np.arange(len(new.row_ids)), candidates[same])
    remaining = _NewRows(new.ids.take(pa.array(rest)), new.row_ids[rest], new.contents[rest])
    return replace(part, row_ids=row_ids), exists, remaining


def _read_parts(table: Table, row_ids: RowIds, part: _Part) -> _Part:
    """A part with further rows of the table, whose words are counted."""

    def rows() -> Iterator[pa.Table]:
        for start in range(0, len(row_ids), READ_ROWS):
            chosen = table.take_row_ids(row_ids[start : start + READ_ROWS].tolist())
            yield chosen.select(["id", "content", "text", ROW_ID_COLUMN]).to_arrow()

    return _append(part, rows()) if len(row_ids) else part


def _append(part: _Part, batches: Iterable[pa.RecordBatch | pa.Table]) -> _Part:
    """A part with the rows of batches that have the columns id, content, text and the row id."""
    vocabulary = dict(part.terms.vocabulary)
    ids, row_ids, contents = [part.ids], [part.row_ids], [part.contents]

    def texts() -> Iterator[str]:
        for batch in batches:
            ids.append(_array(batch["id"]))
            row_ids.append(row_ids_of(batch))
            contents.append(_hashes(_array(batch["content"])))
            yield from batch["text"].to_pylist()

    counts = count_terms(texts(), vocabulary)
    new = _Part(
        pa.concat_arrays(ids[1:] or [part.ids.slice(0, 0)]),
        np.concatenate([np.zeros(0, np.int64), *row_ids[1:]]),
        np.concatenate([np.zeros((0, HASH_BYTES), np.uint8), *contents[1:]]),
        TermCounts(vocabulary, counts),
    )
    return part.merge(new)


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _hashes(column: pa.Array) -> Hashes:
    """(n, 16) bytes of a column of hashes."""
    content = column.buffers()[1] if len(column) else b""
    start = column.offset * HASH_BYTES
    return np.frombuffer(content, np.uint8)[start : start + len(column) * HASH_BYTES].reshape(-1, HASH_BYTES)


def _concatenate(first: csr_array[Any], second: csr_array[Any]) -> csr_array[Any]:
    """The rows of both; the second may have more columns."""
    from scipy.sparse import csr_array

    starts = np.concatenate([first.indptr, second.indptr[1:].astype(np.int64) + first.nnz])
    arrays = [np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("data", "indices")]
    starts = starts.astype(np.int32 if starts[-1] < 2**31 else np.int64)
    return csr_array((*arrays, starts), shape=(len(starts) - 1, second.shape[1]))


class _Strings:
    """An Arrow array of strings as a sequence, for `bisect`."""

    def __init__(self, values: pa.Array) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> str:
        return str(self._values[index])
