"""Label files: blocks of aggregated labels, written to Parquet and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import ModelError
from wares.core.files import atomic_write
from wares.ranking.scoring import NO_LISTING, Indices
from wares.supervision.ensemble import AggregatedLabels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.supervision.ensemble import Floats, QueryBlock, TeacherEnsemble

LABELS_FORMAT = "2"  # in the metadata of each file
FORMAT_KEY = b"wares.labels"


def write_label_block(labels: AggregatedLabels, block: QueryBlock, ids: npt.NDArray[np.object_]) -> None:
    """Write one row for each query: id, text, listing ids and their log-probabilities, best first, and the prediction.

    ids: (N,) of the corpus's listings
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    present = labels.listings != NO_LISTING
    offsets = pa.array(np.concatenate([[0], np.cumsum(present.sum(axis=1))]), pa.int32())
    used = np.zeros(len(ids), dtype=np.bool_)
    used[labels.listings[present]] = True
    codes = (np.cumsum(used) - 1)[labels.listings[present]].astype(np.int32)  # a file holds each id once
    listings = pa.DictionaryArray.from_arrays(codes, pa.array(ids[used], pa.string()))
    columns = {
        "id": [query.id for query in block.queries],
        "text": [query.text for query in block.queries],
        "listings": pa.ListArray.from_arrays(offsets, listings),
        "log_probs": pa.ListArray.from_arrays(offsets, pa.array(labels.log_probs[present])),
        "prediction": pa.array(labels.predictions, from_pandas=True),
    }
    table = pa.table(columns).replace_schema_metadata({FORMAT_KEY: LABELS_FORMAT})
    with atomic_write(block.path) as part:
        # Dictionaries and statistics of numbers that are all different take five times as long as writing them;
        # compression does not make them smaller.
        names = ["listings.list.element"]
        pq.write_table(table, part, compression="none", use_dictionary=names, write_statistics=False)


def read_label_blocks(blocks: Sequence[QueryBlock], ensemble: TeacherEnsemble) -> AggregatedLabels:
    """The labels of all blocks, as `write_label_block` wrote them.

    Raises ModelError if a file holds labels of other queries or of another corpus.
    """
    import pyarrow as pa

    count = sum(len(block.queries) for block in blocks)
    width = ensemble.random_candidates + ensemble.depth * len(ensemble.scorers)
    listings = np.full((count, width), NO_LISTING, dtype=np.int64)
    log_probs, predictions = np.full((count, width), -np.inf), np.full(count, np.nan)
    ids, start, widest = pa.array(ensemble.ids, pa.string()), 0, 1
    for block in blocks:
        rows = slice(start, start + len(block.queries))
        widest = max(widest, _read_block(block, ids, listings[rows], log_probs[rows], predictions[rows]))
        start = rows.stop
    return AggregatedLabels(listings[:, :widest], log_probs[:, :widest], predictions)


def _read_block(block: QueryBlock, ids: Any, listings: Indices, log_probs: Floats, predictions: Floats) -> int:
    """Fill the arrays from a file. Returns the largest number of listings of a query."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(block.path).read().combine_chunks()
    if (table.schema.metadata or {}).get(FORMAT_KEY) != LABELS_FORMAT.encode():
        raise ModelError(f"{block.path} has an older format. Remove {block.path.parent} to label the queries again.")
    lists = table["listings"].combine_chunks()
    encoded = lists.flatten()
    indices = pc.index_in(encoded.dictionary, value_set=ids)
    if table["id"].to_pylist() != [query.id for query in block.queries] or indices.null_count:
        raise ModelError(f"{block.path} has labels of other queries or listings. Remove {block.path.parent}.")
    counts = np.diff(lists.offsets.to_numpy())
    present = np.arange(listings.shape[1]) < counts[:, None]
    listings[present] = indices.to_numpy()[encoded.indices.to_numpy()]
    log_probs[present] = table["log_probs"].combine_chunks().flatten().to_numpy()
    predictions[:] = table["prediction"].to_numpy()
    return int(counts.max(initial=0))
