"""Label files: blocks of aggregated labels, written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import ModelError
from wares.core.files import atomic_write
from wares.ranking.scoring import NO_LISTING, Indices
from wares.supervision.mixture import AggregatedLabels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.supervision.mixture import Floats, QueryBlock, TeacherEnsemble


# Files --------------------------------------------------------------------------------------------------------------


def write_label_block(labels: AggregatedLabels, block: QueryBlock, ids: npt.NDArray[np.object_]) -> None:
    """One row a query: id, text, ids of its listings and their log shares, the largest first, and the prediction."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = labels.listings != NO_LISTING
    starts = pa.array(np.concatenate([[0], np.cumsum(there.sum(axis=1))]), pa.int32())
    named = np.zeros(len(ids), dtype=np.bool_)
    named[labels.listings[there]] = True
    codes = (np.cumsum(named) - 1)[labels.listings[there]].astype(np.int32)  # each id is written once a file
    listings = pa.DictionaryArray.from_arrays(codes, pa.array(ids[named], pa.string()))
    columns = {
        "id": [query.id for query in block.queries],
        "text": [query.text for query in block.queries],
        "listings": pa.ListArray.from_arrays(starts, listings),
        "log_probs": pa.ListArray.from_arrays(starts, pa.array(labels.log_probs[there])),
        "prediction": pa.array(labels.predictions, from_pandas=True),
    }
    with atomic_write(block.path) as part:
        # Dictionaries and statistics of numbers that are all different take five times as long as writing them, and
        # compressed they are as large.
        names = ["listings.list.element"]
        pq.write_table(pa.table(columns), part, compression="none", use_dictionary=names, write_statistics=False)


def read_label_blocks(blocks: Sequence[QueryBlock], ensemble: TeacherEnsemble) -> AggregatedLabels:
    """What `write_label_block` wrote, of all blocks. Raises ModelError where it is of other queries or another corpus."""
    import pyarrow as pa

    many = sum(len(block.queries) for block in blocks)
    width = ensemble.random_candidates + ensemble.depth * len(ensemble.scorers)
    listings = np.full((many, width), NO_LISTING, dtype=np.int64)
    shares, predictions = np.full((many, width), -np.inf), np.full(many, np.nan)
    ids, start, widest = pa.array(ensemble.ids, pa.string()), 0, 1
    for block in blocks:
        rows = slice(start, start + len(block.queries))
        widest = max(widest, _read_block(block, ids, listings[rows], shares[rows], predictions[rows]))
        start = rows.stop
    return AggregatedLabels(listings[:, :widest], shares[:, :widest], predictions)


def _read_block(block: QueryBlock, ids: Any, listings: Indices, shares: Floats, predictions: Floats) -> int:
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
    shares[there] = table["log_probs"].combine_chunks().flatten().to_numpy()
    predictions[:] = table["prediction"].to_numpy()
    return int(counts.max(initial=0))
