"""The shop's table: one row per listing, written from listings and read back to listings.

A row holds the fused embedding, and the embedding and the weight of each view, which explain a match. Builds and
updates both write rows with `listings_to_rows`, so they write the same rows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.core.errors import ShopError
from wares.data.listings import Listing
from wares.shop.attributes import sql_string
from wares.shop.content_diff import HASH_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from lancedb import Session
    from lancedb.db import DBConnection
    from lancedb.table import Table

    from wares.data.listings import Catalogue
    from wares.encoders.features import Embeddings
    from wares.encoders.fusion import FusedEmbeddings
    from wares.shop.attributes import AttributeColumns


TABLE_NAME = "listings"
VERSION_HINT_FILE = "latest_version_hint.json"  # the only file of a table that Lance overwrites
NO_LIMIT = 2**31 - 1  # the largest number of rows that Lance accepts as a limit
# With a primary key, Lance detects that two writers insert the same rows at the same time.
PRIMARY_KEY_METADATA = {"lance-schema:unenforced-primary-key": "true"}
METADATA_CACHE_BYTES = 256 * 2**20  # of Lance, for the files and versions of a table
STANDARD_TEXT_FIELDS = ("title", "description", "tags")  # texts with columns of their own
# Columns that filters cannot use
INTERNAL_COLUMNS = ("vector", "texts", "view_names", "view_kinds", "view_weights", "view_vectors", "content")
Vectors = npt.NDArray[np.float32]


def round_to_float16(embeddings: Embeddings) -> Embeddings:
    """Embeddings with float16 precision, as the table stores them.

    Fuse these, so that the stored views explain the stored vector exactly.
    """

    def rounded(vectors: Vectors) -> Vectors:
        return vectors.astype(np.float16).astype(np.float32)

    return replace(embeddings, photos=rounded(embeddings.photos), texts=rounded(embeddings.texts))


def table_schema(dimension: int, attributes: AttributeColumns) -> pa.Schema:
    """Columns of the table. `attributes` is a struct; it is left out if no listing has attributes."""
    import pyarrow as pa

    types = {"string": pa.string(), "number": pa.float64(), "bool": pa.bool_(), "list": pa.list_(pa.string())}
    types["mixed"] = types["string"]
    struct = pa.struct([(attributes.names[key], types[kind]) for key, kind in attributes.kinds.items()])
    columns = {
        "id": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "tags": pa.list_(pa.string()),
        "texts": pa.list_(pa.string()),
        "text": pa.string(),
        "price": pa.float64(),
        "product": pa.string(),
        "attributes": struct,
        "images": pa.list_(pa.string()),
        "vector": pa.list_(pa.float32(), dimension),
        "view_names": pa.list_(pa.string()),
        "view_kinds": pa.list_(pa.string()),
        "view_weights": pa.list_(pa.float32()),
        "view_vectors": pa.list_(pa.float16()),
        "content": pa.binary(HASH_BYTES),
    }
    fields = [pa.field(name, kind) for name, kind in columns.items() if name != "attributes" or attributes.names]
    return pa.schema([pa.field("id", pa.string(), nullable=False, metadata=PRIMARY_KEY_METADATA), *fields[1:]])


@dataclass(frozen=True)
class EmbeddedListings:
    """Listings with the embeddings of their views and their fused embeddings.

    embeddings: rounded by `round_to_float16`; content_hashes: one per listing (wares.shop.content_diff)
    """

    catalogue: Catalogue
    embeddings: Embeddings
    fused: FusedEmbeddings
    content_hashes: Sequence[bytes]

    @property
    def problems(self) -> list[str]:
        """Rows and photos of these listings that could not be used, one line each."""
        return [" ".join(str(problem).split()) for problem in (*self.catalogue.problems, *self.embeddings.problems)]


def listings_to_rows(embedded: EmbeddedListings, attributes: AttributeColumns, schema: pa.Schema) -> pa.RecordBatch:
    """One row per listing."""
    import pyarrow as pa

    embeddings, fused = embedded.embeddings, embedded.fused
    photos, texts = embeddings.photo_views, embeddings.text_views
    rows = []
    for i, listing in enumerate(embedded.catalogue.listings):
        p, t = slice(*photos.offsets[i : i + 2]), slice(*texts.offsets[i : i + 2])
        rows.append(
            {
                "id": listing.id,
                "title": listing.title,
                "description": listing.description,
                "tags": listing.tags,
                "texts": _further_texts(texts.names[t], texts.items[t]),
                "text": "\n".join(texts.items[t]),
                "price": listing.price,
                "product": listing.product,
                "attributes": attributes.to_row(listing),
                "images": photos.items[p],
                "view_names": photos.names[p] + texts.names[t],
                "view_kinds": ["photo"] * len(photos.names[p]) + ["text"] * len(texts.names[t]),
                "view_weights": np.concatenate([fused.photo_weights[p], fused.text_weights[t]]),
                "view_vectors": np.concatenate([embeddings.photos[p], embeddings.texts[t]]).astype(np.float16).ravel(),
                "content": embedded.content_hashes[i],
            }
        )
    vectors = pa.array(np.ascontiguousarray(fused.vectors, dtype=np.float32).ravel())
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(vectors, fused.vectors.shape[1])
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def row_to_listing(row: Mapping[str, Any], attributes: AttributeColumns) -> Listing:
    """The listing of a row, without the photos that could not be used."""
    views = zip(row["view_names"], row["view_kinds"], strict=True)
    further_fields = [name for name, kind in views if kind == "text" and name not in STANDARD_TEXT_FIELDS]
    return Listing(
        id=row["id"],
        title=row["title"],
        description=row["description"],
        tags=tuple(row["tags"]),
        images=tuple(row["images"]),
        price=row["price"],
        attributes=attributes.from_row(row["attributes"]) if "attributes" in row else {},
        product=row["product"],
        texts=dict(zip(further_fields, row["texts"], strict=True)),
    )


class TableOpener:
    """Opens the table of a build repeatedly, as it changes.

    All tables share one Lance session with its caches. A table with other indexes gets a new session: Lance never
    frees what it cached of the old indexes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: frozenset[str] | None = None
        self._session: Session | None = None

    def open_latest(self) -> Table:
        """The latest version of the table. Raises ShopError."""
        indexes = frozenset(path.name for path in (self._folder / f"{TABLE_NAME}.lance" / "_indices").glob("*"))
        if self._session is None or indexes != self._indexes:
            import lancedb

            self._indexes, self._session = indexes, lancedb.Session(metadata_cache_size_bytes=METADATA_CACHE_BYTES)
        return open_table(self._folder, self._session)


def open_table(folder: Path, session: Session | None = None) -> Table:
    """The latest version of the table in a build's folder. Raises ShopError."""
    try:
        return connect(folder, session).open_table(TABLE_NAME)
    except (ValueError, OSError, RuntimeError) as error:
        raise ShopError(
            f"{folder}: {TABLE_NAME}.lance is missing or damaged. Rebuild it with `wares index`."
        ) from error


def connect(location: Path | str, session: Session | None = None) -> DBConnection:
    """A connection to Lance. location: the folder of a build, or a URL"""
    os.environ.setdefault("LANCEDB_LOG", "error")  # no warning when a table is created
    import lancedb

    return lancedb.connect(str(location), session=session)


def id_condition(ids: Iterable[str]) -> str:
    """The SQL condition that a row has one of these ids."""
    return f"id IN ({', '.join(map(sql_string, ids))})"


def _further_texts(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    return [text for name, text in zip(names, texts, strict=True) if name not in STANDARD_TEXT_FIELDS]
