"""The shop: a Lance table of listings and their embeddings, in one self-contained folder.

    SHOP/shop.json        format, model and counts (`About`)
    SHOP/problems.txt     what could not be indexed, one line each; absent where all went well
    SHOP/model/           the towers that made the embeddings and that encode queries
    SHOP/listings.lance   the table, one row per listing
    SHOP/ranker/          what reranks, and SHOP/query-tower/, what encodes queries, where there are (wares.reranking)

Every row holds the fused embedding and, so that a match can be explained, the embedding and the weight of each
view. Searching is next door, in wares.search.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wares import __version__
from wares.errors import ShopError
from wares.reranking import RANKER, keep_ranker, load_reranker, use_query_tower
from wares.views import texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.table import Table
    from tqdm import tqdm

    from wares.catalogue import Attribute, Catalogue, Listing, OnError
    from wares.corpus import Corpus
    from wares.encode import Embeddings
    from wares.fuse import Fused
    from wares.reranking import Reranker, TrainedRanker
    from wares.towers import Towers

FORMAT = 1
TABLE = "listings"
CHUNK = 2048  # listings embedded and held in memory at once
EXACT_ROWS = 50_000  # from here on vectors are searched through an index
# columns that no filter can use
HIDDEN = ("vector", "view_names", "view_kinds", "view_weights", "view_vectors")
Vectors = npt.NDArray[np.float32]
Kind = Literal["string", "number", "bool", "list"]


class Model(Protocol):
    """What a shop keeps of the towers that made its embeddings."""

    @property
    def dimension(self) -> int: ...
    @property
    def identity(self) -> str: ...
    def save(self, folder: Path) -> None: ...


class Encoder(Protocol):
    """What a shop asks of the towers that encode its queries."""

    @property
    def identity(self) -> str: ...
    def texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors."""
        ...

    def photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors. Raises PhotoError."""
        ...


class TowersEncoder:
    """Towers as the encoder of a shop's queries."""

    def __init__(self, towers: Towers) -> None:
        self._towers = towers
        self.identity = towers.identity

    def texts(self, texts: Sequence[str]) -> Vectors:
        from wares.encode import embed_texts

        return embed_texts(texts, self._towers)

    def photos(self, paths: Sequence[Path]) -> Vectors:
        from wares.encode import embed_photo_files

        return embed_photo_files(paths, self._towers)


@dataclass(frozen=True)
class About:
    """What shop.json says.

    model: identity of the towers; catalogue: absolute path of the folder that the photos lie in
    photos: number of photo views; problems: number of lines in problems.txt
    notes: attributes that could not be stored as they were
    """

    format: int
    model: str
    dimension: int
    created: str
    catalogue: str
    listings: int
    photos: int
    problems: int
    notes: list[str]
    versions: dict[str, str]


class Shop:
    """An open shop; towers and ranker are loaded with the first query that needs them and then kept."""

    def __init__(self, path: Path, about: About, table: Table, encoder: Encoder | None = None) -> None:
        self.path = path
        self.about = about
        self.table = table
        self._encoder = encoder
        self._reranker: Reranker | None = None

    def __len__(self) -> int:
        return self.table.count_rows()

    @property
    def encoder(self) -> Encoder:
        """Raises ShopError where model/ is not the model that the shop was built with."""
        if self._encoder is None:
            from wares.towers import load_towers

            towers = load_towers(self.path / "model")
            encoder = TowersEncoder(towers)
            _check_model(self.path, self.about, encoder)
            use_query_tower(self.path, towers)
            self._encoder = encoder
        return self._encoder

    @property
    def has_ranker(self) -> bool:
        """Whether results can be reranked."""
        return (self.path / RANKER).is_dir()

    @property
    def reranker(self) -> Reranker:
        """Raises ShopError where the shop has no ranker, or one that is damaged."""
        if self._reranker is None:
            self._reranker = load_reranker(self.path, lambda: _corpus(self))
        return self._reranker

    @property
    def columns(self) -> list[str]:
        """Columns that a filter may name, attributes as `attributes.<name>`."""
        top = [field for field in self.table.schema if field.name not in HIDDEN]
        return [
            f"attributes.{_quoted(child.name)}" if field.name == "attributes" else field.name
            for field in top
            for child in (field.type if field.name == "attributes" else [field])
        ]

    @property
    def problems(self) -> list[str]:
        """What could not be indexed, one line each."""
        file = self.path / "problems.txt"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def photo(self, name: str) -> Path:
        """Where a listing's photo lies."""
        return Path(self.about.catalogue) / name


def build_shop(
    catalogue: Catalogue,
    towers: Towers,
    out: Path | str,
    *,
    cache: Path | None = None,
    on_error: OnError = "stop",
    overwrite: bool = False,
    ranker: TrainedRanker | None = None,
) -> Shop:
    """Embed a catalogue chunk by chunk, so that memory stays flat, and write its shop.

    cache: where features are kept, so that a second build encodes only what is new
    on_error: "stop" raises PhotoError at the first bad photo; "skip" leaves it out and lists it in the shop
    ranker: what is to rerank, or to encode queries (wares.reranking)

    A build that fails or is killed leaves no half shop, and an older one as it was.
    Raises ShopError where `out` is taken: overwrite=True replaces a shop, never anything else. Raises ModelError where
    the ranker does not go with the model or with the catalogue.
    """
    from wares.corpus import Corpus

    def with_ranker(folder: Path) -> None:
        if ranker is not None:
            keep_ranker(ranker, Corpus(catalogue), towers.identity, folder)

    problems = [str(problem) for problem in catalogue.problems]
    chunks = _embedded(catalogue, towers, cache, on_error, problems)
    write_shop(catalogue, towers, chunks, out, problems, overwrite, with_ranker)
    # A shop with a query tower of its own loads it, and does not encode with the model that it was built by.
    return open_shop(out, None if ranker is not None and ranker.changes_queries else TowersEncoder(towers))


def add_ranker(shop: Shop, ranker: TrainedRanker, catalogue: Catalogue) -> Shop:
    """Give a shop a ranker, in place of the one it has, and open it again; no listing is encoded by the model again.

    catalogue: of the shop, as `is_of` says
    Raises ModelError where the ranker does not go with the model or with the catalogue.
    """
    from wares.corpus import Corpus

    keep_ranker(ranker, Corpus(catalogue), shop.about.model, shop.path)
    return open_shop(shop.path)


def is_of(shop: Shop, catalogue: Catalogue) -> bool:
    """Whether a shop has just the listings of a catalogue, as they are now. Photos are told by their names alone."""
    if shop.about.catalogue != str(catalogue.folder.absolute()) or len(shop) != len(catalogue):
        return False
    columns = [name for name in shop.table.schema.names if name not in HIDDEN]
    rows = shop.table.search().select(columns).limit(len(shop)).to_arrow().to_pylist()
    found = {row["id"]: row for row in rows}
    attributes = attribute_columns(catalogue.listings)
    whole = shop.about.problems == 0
    return all(
        listing.id in found and _is_row_of(found[listing.id], listing, attributes, whole)
        for listing in catalogue.listings
    )


def _is_row_of(row: dict[str, Any], listing: Listing, attributes: AttributeColumns, whole: bool) -> bool:
    """whole: whether all photos could be used; others are in no row"""
    stored = {key: value for key, value in (row.get("attributes") or {}).items() if value is not None}
    same = all(row[name] == getattr(listing, name) for name in ("title", "description", "price", "product"))
    text = "\n".join(text for _, text in texts_of(listing))
    return (
        same
        and (row["tags"], row["text"]) == (list(listing.tags), text)
        and stored == attributes.row(listing)
        and (row["images"] == list(listing.images) if whole else set(row["images"]) <= set(listing.images))
    )


def _corpus(shop: Shop) -> Corpus:
    """The listings of a shop as their texts alone, in the order of its table."""
    from wares.catalogue import Catalogue, Listing
    from wares.corpus import Corpus

    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    return Corpus(Catalogue(Path(shop.about.catalogue), tuple(Listing(id, text) for id, text in pairs)))


def open_shop(path: Path | str, encoder: Encoder | None = None) -> Shop:
    """Open a shop for searching.

    encoder: of the queries, where it is already loaded; otherwise the shop's own towers, queries by its query tower
        where it has one

    Raises ShopError where there is no shop, or one that is damaged, of another format, or of another model.
    """
    path = Path(path).absolute()
    about = _read_about(path)
    try:
        table = _connect(path).open_table(TABLE)
        vector = table.schema.field("vector").type
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise ShopError(f"{path}: {TABLE}.lance is missing or damaged. Rebuild it with `wares index`.") from error
    if vector.list_size != about.dimension:
        raise ShopError(
            f"{path}: the table's vectors have {vector.list_size} dimensions and shop.json says {about.dimension}. "
            "Rebuild it with `wares index`."
        )
    if encoder is not None:
        _check_model(path, about, encoder)
    return Shop(path, about, table, encoder)


def write_shop(
    catalogue: Catalogue,
    model: Model,
    chunks: Iterable[tuple[Embeddings, Fused]],
    out: Path | str,
    problems: Sequence[str] = (),
    overwrite: bool = False,
    furnish: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a shop from embeddings that come chunk by chunk, in the catalogue's order.

    chunks: embeddings that have been through `storable`, and what they fuse to; read once, one at a time
    problems: read after the last chunk, so the chunks may add to it
    furnish: puts what else belongs to the shop into its folder, before the folder takes its place
    """
    out = Path(out).absolute()
    _check_target(out, overwrite)
    if len(catalogue) == 0:
        raise ShopError("the catalogue has no listings, so there is nothing to index.")
    attributes = attribute_columns(catalogue.listings)
    with _replacing(out) as partial:
        photos = _write_table(partial, catalogue, model.dimension, attributes, chunks)
        model.save(partial / "model")
        if problems:
            lines = (" ".join(problem.split()) for problem in problems)
            (partial / "problems.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        about = About(
            format=FORMAT,
            model=model.identity,
            dimension=model.dimension,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            catalogue=str(catalogue.folder.absolute()),
            listings=len(catalogue),
            photos=photos,
            problems=len(problems),
            notes=attributes.notes,
            versions={"wares": __version__} | {name: version(name) for name in ("lancedb", "numpy", "pyarrow")},
        )
        (partial / "shop.json").write_text(json.dumps(asdict(about), indent=2) + "\n", encoding="utf-8")
        furnish(partial)


def storable(embeddings: Embeddings) -> Embeddings:
    """The embeddings as the table keeps them, rounded to float16.

    What is fused is what is stored, so that the stored views explain the stored vector exactly.
    """

    def rounded(vectors: Vectors) -> Vectors:
        return vectors.astype(np.float16).astype(np.float32)

    return replace(embeddings, photos=rounded(embeddings.photos), texts=rounded(embeddings.texts))


@dataclass(frozen=True)
class AttributeColumns:
    """How the listings' attributes become columns.

    names: column of each attribute; kinds: type of each attribute
    notes: attributes that are stored under another name or type than they came with
    """

    names: Mapping[str, str]
    kinds: Mapping[str, Kind]
    notes: list[str]

    def row(self, listing: Listing) -> dict[str, Attribute]:
        """A listing's attributes by column."""
        return {
            self.names[key]: _as_text(value) if self.kinds[key] == "string" else value
            for key, value in listing.attributes.items()
        }


def attribute_columns(listings: Iterable[Listing]) -> AttributeColumns:
    """Infer a column for every attribute that any listing has.

    An attribute of several types becomes a string. A name that a filter could not spell (a dot, a backtick,
    nothing at all) is stored with underscores.
    """
    seen: dict[str, set[Kind]] = {}
    for listing in listings:
        for key, value in listing.attributes.items():
            seen.setdefault(key, set()).add(_kind(value))
    names: dict[str, str] = {}
    kinds: dict[str, Kind] = {}
    notes = []
    for key, found in sorted(seen.items()):
        name = re.sub(r"[.`]", "_", key) or "_"
        while name != key and (name in seen or name in names.values()):
            name += "_"
        names[key], kinds[key] = name, found.pop() if len(found) == 1 else "string"
        if found:
            notes.append(f'attribute "{key}" has values of several types, so all are stored as text.')
        if name != key:
            notes.append(f'attribute "{key}" is stored as "{name}", which a filter can spell.')
    return AttributeColumns(names, kinds, notes)


def table_schema(dimension: int, attributes: AttributeColumns) -> pa.Schema:
    """Columns of the table; `attributes` is a struct, left out where no listing has any."""
    import pyarrow as pa

    types = {"string": pa.string(), "number": pa.float64(), "bool": pa.bool_(), "list": pa.list_(pa.string())}
    struct = pa.struct([(attributes.names[key], types[kind]) for key, kind in attributes.kinds.items()])
    columns = {
        "id": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "tags": pa.list_(pa.string()),
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
    }
    return pa.schema([(name, kind) for name, kind in columns.items() if name != "attributes" or attributes.names])


def _embedded(
    catalogue: Catalogue, towers: Towers, cache: Path | None, on_error: OnError, problems: list[str]
) -> Iterator[tuple[Embeddings, Fused]]:
    from wares.encode import embed
    from wares.fuse import fuse
    from wares.progress import progress

    bar: tqdm[None] = progress(None, "indexing", total=len(catalogue), unit="listings")
    with bar:
        for start in range(0, len(catalogue), CHUNK):
            part = catalogue.subset(range(start, min(start + CHUNK, len(catalogue))))
            embeddings = storable(embed(part, towers, cache, on_error))
            problems += [str(problem) for problem in embeddings.problems]
            yield embeddings, fuse(embeddings, towers.fusion)
            bar.update(len(part))


def _write_table(
    folder: Path,
    catalogue: Catalogue,
    dimension: int,
    attributes: AttributeColumns,
    chunks: Iterable[tuple[Embeddings, Fused]],
) -> int:
    """Stream the chunks into the table and index it; returns the number of photo views."""
    from lancedb.index import FTS, IvfFlat

    schema = table_schema(dimension, attributes)
    rows = photos = 0
    failure: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows, photos
        try:
            for embeddings, fused in chunks:
                listings = catalogue.listings[rows : rows + len(fused.vectors)]
                yield _batch(listings, embeddings, fused, attributes, schema)
                rows += len(fused.vectors)
                photos += len(embeddings.photo_views.items)
        except BaseException as error:
            failure.append(error)
            raise

    try:
        table = _connect(folder).create_table(TABLE, batches(), schema=schema)
    except Exception:
        # Lance turns what the chunks raise into a text of its own.
        if failure:
            raise failure[0] from None
        raise
    if rows != len(catalogue):
        raise ShopError(f"{rows} listings were embedded, and the catalogue has {len(catalogue)}.")
    table.create_index("text", config=FTS(with_position=False))
    if rows >= EXACT_ROWS:
        table.create_index("vector", config=IvfFlat(distance_type="dot", num_partitions=round(rows**0.5)))
    return photos


def _batch(
    listings: Sequence[Listing], embeddings: Embeddings, fused: Fused, attributes: AttributeColumns, schema: pa.Schema
) -> pa.RecordBatch:
    import pyarrow as pa

    photos, texts = embeddings.photo_views, embeddings.text_views
    rows = []
    for i, listing in enumerate(listings):
        p, t = slice(*photos.offsets[i : i + 2]), slice(*texts.offsets[i : i + 2])
        rows.append(
            {
                "id": listing.id,
                "title": listing.title,
                "description": listing.description,
                "tags": listing.tags,
                "text": "\n".join(texts.items[t]),
                "price": listing.price,
                "product": listing.product,
                "attributes": attributes.row(listing),
                "images": photos.items[p],
                "view_names": photos.names[p] + texts.names[t],
                "view_kinds": ["photo"] * len(photos.names[p]) + ["text"] * len(texts.names[t]),
                "view_weights": np.concatenate([fused.photo_weights[p], fused.text_weights[t]]),
                "view_vectors": np.concatenate([embeddings.photos[p], embeddings.texts[t]]).astype(np.float16).ravel(),
            }
        )
    vectors = pa.array(np.ascontiguousarray(fused.vectors, dtype=np.float32).ravel())
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(vectors, fused.vectors.shape[1])
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def _kind(value: Attribute) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list | tuple) else "number"


def _as_text(value: Attribute) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(value)
    return str(int(value)) if float(value).is_integer() else repr(value)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"


def _connect(folder: Path) -> DBConnection:
    os.environ.setdefault("LANCEDB_LOG", "error")  # creating a table is no reason for a warning
    import lancedb

    return lancedb.connect(str(folder))


def _read_about(path: Path) -> About:
    file = path / "shop.json"
    if not path.exists():
        raise ShopError(f"{path} does not exist. Build a shop with `wares index`.")
    if not file.is_file():
        raise ShopError(f"{path} is not a shop: it has no shop.json. Build one with `wares index`.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ShopError(
                f"{path} has shop format {content['format']}, and this wares reads format {FORMAT}. "
                "Rebuild it with `wares index`."
            )
        return About(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.") from error


def _check_model(path: Path, about: About, encoder: Encoder) -> None:
    if encoder.identity != about.model:
        raise ShopError(
            f"{path} was built with model {about.model[:8]}…; this model is {encoder.identity[:8]}…. "
            "Rebuild it with `wares index`, or open it with the old model."
        )


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "shop.json").is_file():
        raise ShopError(f"{out} exists and is not a shop, so it is left alone. Choose another place.")
    if not overwrite:
        raise ShopError(f"{out} is already a shop. Pass --overwrite to replace it, or choose another place.")


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when all went well, and disappears when not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}.partial-{platform.node()}-"
    for leftover in [path for path in out.parent.iterdir() if path.name.startswith(prefix)]:
        if not _running(leftover.name.removeprefix(prefix)):
            shutil.rmtree(leftover)
    partial = out.with_name(f"{prefix}{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        _move_into_place(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move_into_place(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old)


def _running(process: str) -> bool:
    """Whether another process of this number runs; where that cannot be asked without harm, it is taken to."""
    if os.name != "posix":
        return process != str(os.getpid())
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return process != str(os.getpid())
