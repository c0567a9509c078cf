"""Writers of listings: JSON Lines, CSV and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from wares.core.errors import SettingsError
from wares.core.files import atomic_write
from wares.data.listings import Listing
from wares.data.schema import LISTING_FIELDS, listing_to_row


def write_listings(listings: Iterable[Listing], path: str | Path) -> None:
    """Write listings to a .jsonl, .csv or .parquet file; photos are not copied."""
    path = Path(path)
    if path.suffix not in _WRITERS:
        raise SettingsError(f"{path} has an unknown format. Name a .jsonl, .csv or .parquet file.")
    with atomic_write(path) as part:
        _WRITERS[path.suffix](part, listings)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON Lines; not atomic, see `atomic_write`."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _table_rows(listings: Iterable[Listing], json_columns: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of a table. json_columns: columns that are written as JSON"""
    rows = [listing_to_row(listing) for listing in listings]
    for row in rows:
        row.update({name: json.dumps(row[name], ensure_ascii=False) for name in json_columns if name in row})
    return list(dict.fromkeys([*LISTING_FIELDS, *(name for row in rows for name in row)])), rows


def _write_csv(path: Path, listings: Iterable[Listing]) -> None:
    columns, rows = _table_rows(listings, json_columns=("tags", "images", "attributes"))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, listings: Iterable[Listing]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, rows = _table_rows(listings, json_columns=("attributes",))
    types = {"tags": pa.list_(pa.string()), "images": pa.list_(pa.string()), "price": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


_WRITERS: dict[str, Callable[[Path, Iterable[Listing]], None]] = {
    ".jsonl": lambda path, listings: write_jsonl(path, map(listing_to_row, listings)),
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
