"""Building the shop: a catalogue's listings, embedded and written as one self-contained build (wares.shop).

A build is written beside those that are there and takes their place when it is complete. The last few stay on disk
(wares.shop.versions).
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares import __version__
from wares.core.errors import ShopError
from wares.core.files import write_json
from wares.core.progress import progress
from wares.core.runners import HERE
from wares.data.views import texts_of
from wares.shop.attributes import AttributeColumns, attribute_columns
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import CHUNK, Encoding, Gathered, Made
from wares.shop.layout import ABOUT, BUILDS, CURRENT, MODEL, PROBLEMS, About, make_current, read_current
from wares.shop.reranking import keep_ranker
from wares.shop.shop import Shop, open_shop
from wares.shop.table import HIDDEN, Chunk
from wares.shop.vector_index import EXACT, RECALL, check_recall, index_vectors, write_vector_index
from wares.shop.versions import PARTIAL, build_name, drop_old_builds, partial_build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lancedb.table import Table

    from wares.core.runners import Runner
    from wares.data.listings import AnyCatalogue, Catalogue, Listing, OnError
    from wares.encoders.towers import Towers
    from wares.ranking.trained import TrainedRanker
    from wares.shop.encoder import Encoder


FORMAT_1 = ("listings.lance", "model", "ranker", "query-tower")  # folders that lay beside shop.json


@dataclass(frozen=True)
class Outline:
    """What has to be known of a catalogue before its first row is written."""

    folder: Path
    listings: int
    attributes: AttributeColumns
    texts: list[str]


def build_shop(
    catalogue: AnyCatalogue,
    towers: Towers,
    out: Path | str,
    *,
    cache: Path | None = None,
    on_error: OnError = "stop",
    overwrite: bool = False,
    ranker: TrainedRanker | None = None,
    recall: float = RECALL,
    runner: Runner = HERE,
    rows: str | None = None,
) -> Shop:
    """Embed a catalogue chunk by chunk and write its shop; of `open_catalogue`, memory does not grow with it.

    cache: where features are kept, so that a second build encodes only what is new
    on_error: "stop" raises PhotoError at the first bad photo; "skip" leaves it out and lists it in the shop
    ranker: what is to rerank, or to encode queries (wares.shop.reranking); it reads the whole catalogue
    recall: the share of the 100 nearest listings that a search of a large shop is to find, in (0, 1]; it is measured
    runner: where listings are encoded (wares.core.runners)
    rows: a folder or a URL (s3://, gs://, az://) where rows are gathered on the way to the shop, and stay; by default
        they are gathered in the shop

    A build that fails or is killed leaves no half shop, and older ones as they were. What it had committed is not
    encoded again by the next.
    Raises ShopError where `out` is taken: overwrite=True replaces a shop, never anything else. Raises ModelError where
    the ranker does not go with the model or with the catalogue.
    """
    from wares.data.corpus import Corpus

    def with_ranker(folder: Path) -> None:
        if ranker is not None:
            keep_ranker(ranker, Corpus(catalogue.read()), towers.identity, folder)

    check_recall(recall)
    check_target(Path(out), overwrite)
    encoder = TowersEncoder(towers, cache=cache)
    outline = outline_of(catalogue)
    work = Encoding(encoder, outline.attributes, on_error, cache)
    encode_shop(outline, work, catalogue, out, overwrite, recall, with_ranker, runner, rows)
    # A shop with a query tower of its own loads it, and does not encode with the model that it was built by.
    return open_shop(out, None if ranker is not None and ranker.changes_queries else encoder)


def add_ranker(shop: Shop, ranker: TrainedRanker, catalogue: Catalogue) -> Shop:
    """Give a shop a ranker, in place of the one it has, and open it again; no listing is encoded by the model again.

    catalogue: of the shop, as `is_of` says
    Raises ModelError where the ranker does not go with the model or with the catalogue.
    """
    from wares.data.corpus import Corpus

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


def outline_of(catalogue: AnyCatalogue) -> Outline:
    """Read a catalogue once, to see what is in it. Raises CatalogueError."""
    count, texts = 0, set[str]()

    def listings() -> Iterator[Listing]:
        nonlocal count
        with progress(None, "reading", unit="listings") as bar:
            for part in catalogue.chunks(CHUNK):
                count += len(part)
                texts.update(*(each.texts for each in part.listings))
                yield from part.listings
                bar.update(len(part))

    attributes = attribute_columns(listings())
    return Outline(catalogue.folder.absolute(), count, attributes, sorted(texts))


def write_shop(
    outline: Outline,
    encoder: Encoder,
    chunks: Iterable[Chunk],
    out: Path | str,
    overwrite: bool = False,
    recall: float = RECALL,
    furnish: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a shop from chunks of the listings that it is to have.

    encoder: made the chunks, and is kept in the shop; chunks: read once, one at a time
    recall: as of `build_shop`
    furnish: puts what else belongs to the build into its folder, before the folder takes its place
    """
    work = Encoding(encoder, outline.attributes)
    with _new_build(out, overwrite, outline) as partial:
        gathered = Gathered(partial, work)
        made = (Made.of(chunk, outline.attributes, work.schema) for chunk in chunks)
        photos, problems = _noted(gathered.take(made), partial, outline)
        _complete(partial, gathered.table, outline, encoder, photos, problems, recall)
        furnish(partial)


def encode_shop(
    outline: Outline,
    work: Encoding,
    catalogue: AnyCatalogue,
    out: Path | str,
    overwrite: bool = False,
    recall: float = RECALL,
    furnish: Callable[[Path], None] = lambda folder: None,
    runner: Runner = HERE,
    rows: str | None = None,
) -> None:
    """Write the shop of a catalogue, its listings encoded wherever the runner says.

    rows, recall, furnish: as of `build_shop` and `write_shop`
    What a build of the same listings by the same model committed before it was killed is not encoded again.
    """
    with _new_build(out, overwrite, outline, resume=rows is None) as partial:
        gathered = Gathered(partial if rows is None else rows, work)
        made = gathered.take(runner.map(work, gathered.parts(catalogue)))
        photos, problems = _noted(made, partial, outline)
        table = gathered.table if rows is None else gathered.copy(partial)
        _complete(partial, table, outline, work.encoder, photos, problems, recall, runner)
        furnish(partial)


def _noted(made: Iterable[Made], folder: Path, outline: Outline) -> tuple[int, int]:
    """Go through all rows and write down what could not be used; how many photos and how many problems there are."""
    photos = problems = 0
    with progress(None, "indexing", total=outline.listings, unit="listings") as bar:
        for each in made:
            photos += each.photos
            problems += _note(folder, each.problems)
            bar.update(each.listings)
    return photos, problems


def _complete(
    folder: Path,
    table: Table,
    outline: Outline,
    encoder: Encoder,
    photos: int,
    problems: int,
    recall: float,
    runner: Runner = HERE,
) -> None:
    """Make a build of a folder with a table: index it, and put beside it what a shop has."""
    from lancedb.index import FTS

    if (rows := table.count_rows()) != outline.listings:
        raise ShopError(f"{rows} listings were embedded, and the catalogue has {outline.listings}.")
    table.create_index("text", config=FTS(with_position=False))
    write_vector_index(index_vectors(table, EXACT, recall, encoder.texts, runner), folder)
    encoder.save(folder / MODEL)
    about = About(
        model=encoder.identity,
        dimension=encoder.dimension,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        catalogue=str(outline.folder),
        listings=outline.listings,
        photos=photos,
        problems=problems,
        attributes=outline.attributes,
        versions={"wares": __version__} | {name: version(name) for name in ("lancedb", "numpy", "pyarrow")},
        texts=outline.texts,
    )
    write_json(asdict(about), folder / ABOUT)


def _note(folder: Path, problems: Sequence[str]) -> int:
    """Add problems to those of a build; how many they are."""
    if problems:
        with (folder / PROBLEMS).open("a", encoding="utf-8") as file:
            file.writelines(f"{problem}\n" for problem in problems)
    return len(problems)


def check_target(out: Path, overwrite: bool) -> None:
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
def _new_build(out: Path | str, overwrite: bool, outline: Outline, resume: bool = False) -> Iterator[Path]:
    """A folder that becomes the shop's build when all went well, and disappears when not.

    resume: as of `partial_build`. Raises ShopError as `check_target` does, or where there is nothing to index.
    """
    out = Path(out).absolute()
    check_target(out, overwrite)
    if outline.listings == 0:
        raise ShopError("the catalogue has no listings, so there is nothing to index.")
    try:
        with partial_build(out, resume=resume) as partial:
            yield partial
            _move_into_place(partial, out)
    finally:
        for folder in (out / BUILDS, out):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _move_into_place(partial: Path, out: Path) -> None:
    """Make a build the current one."""
    build = partial.with_name(build_name())
    try:
        before = read_current(out).build
    except ShopError:  # the first build, or one in place of a shop that is damaged or of an older format
        before = ""
    partial.rename(build)
    make_current(out, build.name)
    drop_old_builds(out, before)
    for name in FORMAT_1:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / PROBLEMS).unlink(missing_ok=True)
