"""Building the shop: a catalogue's listings, embedded and written as one self-contained build (wares.shop).

A build is written beside those that are there and takes their place when it is complete. The one before it stays on
disk: others may be reading it, and `build` in shop.json may be set back to it.
"""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares import __version__
from wares.errors import ShopError
from wares.reranking import keep_ranker
from wares.shop import (
    ABOUT,
    BUILDS,
    CURRENT,
    MODEL,
    PROBLEMS,
    About,
    Model,
    Shop,
    TowersEncoder,
    make_current,
    open_shop,
    read_current,
    write_json,
)
from wares.table import (
    HIDDEN,
    TABLE,
    AttributeColumns,
    attribute_columns,
    connect,
    index_vectors,
    rows_of,
    table_schema,
)
from wares.views import texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from tqdm import tqdm

    from wares.catalogue import Catalogue, Listing, OnError
    from wares.encode import Embeddings
    from wares.fuse import Fused
    from wares.reranking import TrainedRanker
    from wares.shop import Encoder
    from wares.towers import Towers

CHUNK = 2048  # listings embedded and held in memory at once
FORMAT_1 = ("listings.lance", "model", "ranker", "query-tower")  # folders that lay beside shop.json
PARTIAL = ".partial-"  # before the name of a build that is being written


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

    A build that fails or is killed leaves no half shop, and older ones as they were.
    Raises ShopError where `out` is taken: overwrite=True replaces a shop, never anything else. Raises ModelError where
    the ranker does not go with the model or with the catalogue.
    """
    from wares.corpus import Corpus

    def with_ranker(folder: Path) -> None:
        if ranker is not None:
            keep_ranker(ranker, Corpus(catalogue), towers.identity, folder)

    problems = [str(problem) for problem in catalogue.problems]
    encoder = TowersEncoder(towers, cache=cache)
    chunks = _embedded(catalogue, encoder, on_error, problems)
    write_shop(catalogue, towers, chunks, out, problems, overwrite, with_ranker)
    # A shop with a query tower of its own loads it, and does not encode with the model that it was built by.
    return open_shop(out, None if ranker is not None and ranker.changes_queries else encoder)


def add_ranker(shop: Shop, ranker: TrainedRanker, catalogue: Catalogue) -> Shop:
    """Give a shop a ranker, in place of the one it has, and open it again; no listing is encoded by the model again.

    catalogue: of the shop, as `is_of` says
    Raises ModelError where the ranker does not go with the model or with the catalogue.
    """
    from wares.corpus import Corpus

    keep_ranker(ranker, Corpus(catalogue), shop.about.model, shop.folder)
    make_current(shop.path, read_current(shop.path).build)  # so that those who have it open notice
    return open_shop(shop.path)


def is_of(shop: Shop, catalogue: Catalogue) -> bool:
    """Whether a shop has just the listings of a catalogue, as they are now. Photos are told by their names alone."""
    if shop.catalogue != catalogue.folder.absolute() or len(shop) != len(catalogue):
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
    furnish: puts what else belongs to the build into its folder, before the folder takes its place
    """
    out = Path(out).absolute()
    _check_target(out, overwrite)
    if len(catalogue) == 0:
        raise ShopError("the catalogue has no listings, so there is nothing to index.")
    attributes = attribute_columns(catalogue.listings)
    with _new_build(out) as partial:
        photos = _write_table(partial, catalogue, model.dimension, attributes, chunks)
        model.save(partial / MODEL)
        if problems:
            lines = (" ".join(problem.split()) for problem in problems)
            (partial / PROBLEMS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        about = About(
            model=model.identity,
            dimension=model.dimension,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            catalogue=str(catalogue.folder.absolute()),
            listings=len(catalogue),
            photos=photos,
            problems=len(problems),
            attributes=attributes,
            versions={"wares": __version__} | {name: version(name) for name in ("lancedb", "numpy", "pyarrow")},
        )
        write_json(partial / ABOUT, asdict(about))
        furnish(partial)


def _embedded(
    catalogue: Catalogue, encoder: Encoder, on_error: OnError, problems: list[str]
) -> Iterator[tuple[Embeddings, Fused]]:
    from wares.progress import progress

    bar: tqdm[None] = progress(None, "indexing", total=len(catalogue), unit="listings")
    with bar:
        for start in range(0, len(catalogue), CHUNK):
            part = catalogue.subset(range(start, min(start + CHUNK, len(catalogue))))
            embeddings, fused = encoder.embed(part, on_error)
            problems += [str(problem) for problem in embeddings.problems]
            yield embeddings, fused
            bar.update(len(part))


def _write_table(
    folder: Path,
    catalogue: Catalogue,
    dimension: int,
    attributes: AttributeColumns,
    chunks: Iterable[tuple[Embeddings, Fused]],
) -> int:
    """Stream the chunks into the table and index it; returns the number of photo views."""
    from lancedb.index import FTS

    schema = table_schema(dimension, attributes)
    rows = photos = 0
    failure: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows, photos
        try:
            for embeddings, fused in chunks:
                listings = catalogue.listings[rows : rows + len(fused.vectors)]
                yield rows_of(listings, embeddings, fused, attributes, schema)
                rows += len(fused.vectors)
                photos += len(embeddings.photo_views.items)
        except BaseException as error:
            failure.append(error)
            raise

    try:
        table = connect(folder).create_table(TABLE, batches(), schema=schema)
    except Exception:
        # Lance turns what the chunks raise into a text of its own.
        if failure:
            raise failure[0] from None
        raise
    if rows != len(catalogue):
        raise ShopError(f"{rows} listings were embedded, and the catalogue has {len(catalogue)}.")
    table.create_index("text", config=FTS(with_position=False))
    index_vectors(table)
    return photos


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and all(_is_left_over(path) for path in out.iterdir())):
        return
    if not (out / CURRENT).is_file():
        raise ShopError(f"{out} exists and is not a shop, so it is left alone. Choose another place.")
    if not overwrite:
        raise ShopError(f"{out} is already a shop. Pass --overwrite to replace it, or choose another place.")


def _is_left_over(path: Path) -> bool:
    """Whether this is all that a first build wrote before it was killed."""
    return path.name == BUILDS and all(
        build.name.startswith(PARTIAL) or (build / ABOUT).is_file() for build in path.iterdir()
    )


@contextmanager
def _new_build(out: Path) -> Iterator[Path]:
    """A folder that becomes the shop's build when all went well, and disappears when not."""
    builds = out / BUILDS
    builds.mkdir(parents=True, exist_ok=True)
    prefix = f"{PARTIAL}{platform.node()}-"
    for leftover in [path for path in builds.iterdir() if path.name.startswith(prefix)]:
        if not _running(leftover.name.removeprefix(prefix)):
            shutil.rmtree(leftover)
    partial = builds / f"{prefix}{os.getpid()}"
    partial.mkdir()
    try:
        yield partial
        _move_into_place(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in (builds, out):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _move_into_place(partial: Path, out: Path) -> None:
    """Make a build the current one. The one before it is kept, older ones go.

    Builds are named by when they were completed, so that of two that run at once neither takes the other for old.
    """
    build = partial.with_name(f"{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}")
    try:
        before = read_current(out).build
    except ShopError:  # the first build, or one in place of a shop that is damaged or of an older format
        before = ""
    partial.rename(build)
    make_current(out, build.name)
    for old in build.parent.iterdir():
        if not old.name.startswith(".") and old.name < before and old != build:
            shutil.rmtree(old, ignore_errors=True)
    for name in FORMAT_1:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / PROBLEMS).unlink(missing_ok=True)


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
