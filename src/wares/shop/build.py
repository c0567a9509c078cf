"""Building the shop: a catalogue's listings, embedded and written as one self-contained build (wares.shop).

A build is written beside those that are there and takes their place when it is complete. The last few stay on disk
(wares.shop.versions).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares import __version__
from wares.core.errors import ShopError
from wares.core.files import write_json
from wares.core.progress import progress
from wares.core.runners import LOCAL_RUNNER
from wares.data.views import listing_texts
from wares.shop.attributes import AttributeColumns, infer_attribute_columns
from wares.shop.build_folders import check_target, new_build
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import BATCH_SIZE, EncodedBatch, EncodingTask, RowWriter
from wares.shop.layout import (
    BUILD_INFO_FILE,
    MODEL_FOLDER,
    PROBLEMS_FILE,
    BuildInfo,
    read_current_build,
    set_current_build,
)
from wares.shop.reranking import write_ranker
from wares.shop.shop import Shop, open_shop
from wares.shop.table import INTERNAL_COLUMNS, EmbeddedListings
from wares.shop.vector_index import DEFAULT_TARGET_RECALL, EXACT, check_target_recall, index_vectors, write_vector_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lancedb.table import Table

    from wares.core.runners import Runner
    from wares.data.listings import AnyCatalogue, Catalogue, Listing, OnError
    from wares.encoders.towers import Towers
    from wares.ranking.trained import TrainedRanker
    from wares.shop.build_folders import check_target, new_build
from wares.shop.encoder import Encoder


@dataclass(frozen=True)
class CatalogueSummary:
    """What has to be known of a catalogue before its first row is written."""

    folder: Path
    listing_count: int
    attributes: AttributeColumns
    text_fields: list[str]


def build_shop(
    catalogue: AnyCatalogue,
    towers: Towers,
    out: Path | str,
    *,
    cache: Path | None = None,
    on_error: OnError = "stop",
    overwrite: bool = False,
    ranker: TrainedRanker | None = None,
    target_recall: float = DEFAULT_TARGET_RECALL,
    runner: Runner = LOCAL_RUNNER,
    staging: str | None = None,
) -> Shop:
    """Embed a catalogue chunk by chunk and write its shop; of `open_catalogue`, memory does not grow with it.

    cache: where features are kept, so that a second build encodes only what is new
    on_error: "stop" raises PhotoError at the first bad photo; "skip" leaves it out and lists it in the shop
    ranker: what is to rerank, or to encode queries (wares.shop.reranking); it reads the whole catalogue
    target_recall: the share of the 100 nearest listings that a search of a large shop is to find, in (0, 1]; it is measured
    runner: where listings are encoded (wares.core.runners)
    staging: a folder or a URL (s3://, gs://, az://) where rows are gathered on the way to the shop, and stay; by default
        they are gathered in the shop

    A build that fails or is killed leaves no half shop, and older ones as they were. What it had committed is not
    encoded again by the next.
    Raises ShopError where `out` is taken: overwrite=True replaces a shop, never anything else. Raises ModelError where
    the ranker does not go with the model or with the catalogue.
    """
    from wares.data.corpus import Corpus

    def with_ranker(folder: Path) -> None:
        if ranker is not None:
            write_ranker(ranker, Corpus(catalogue.read()), towers.identity, folder)

    check_target_recall(target_recall)
    check_target(Path(out), overwrite)
    encoder = TowersEncoder(towers, cache=cache)
    outline = summarize_catalogue(catalogue)
    work = EncodingTask(encoder, outline.attributes, on_error, cache)
    encode_shop(outline, work, catalogue, out, overwrite, target_recall, with_ranker, runner, staging)
    # A shop with a query tower of its own loads it, and does not encode with the model that it was built by.
    return open_shop(out, None if ranker is not None and ranker.replaces_query_tower else encoder)


def add_ranker(shop: Shop, ranker: TrainedRanker, catalogue: Catalogue) -> Shop:
    """Give a shop a ranker, in place of the one it has, and open it again; no listing is encoded by the model again.

    catalogue: of the shop, as `matches_catalogue` says
    Raises ModelError where the ranker does not go with the model or with the catalogue.
    """
    from wares.data.corpus import Corpus

    write_ranker(ranker, Corpus(catalogue), shop.build_info.model, shop.build_folder)
    set_current_build(shop.path, read_current_build(shop.path).build)  # so that those who have it open notice
    return open_shop(shop.path)


def matches_catalogue(shop: Shop, catalogue: Catalogue) -> bool:
    """Whether a shop has just the listings of a catalogue, as they are now. Photos are told by their names alone."""
    if shop.catalogue_folder != catalogue.folder.absolute() or len(shop) != len(catalogue):
        return False
    columns = [name for name in shop.table.schema.names if name not in INTERNAL_COLUMNS]
    rows = shop.table.search().select(columns).limit(len(shop)).to_arrow().to_pylist()
    found = {row["id"]: row for row in rows}
    attributes = infer_attribute_columns(catalogue.listings)
    whole = shop.build_info.problems == 0
    return all(
        listing.id in found and _is_row_of(found[listing.id], listing, attributes, whole)
        for listing in catalogue.listings
    )


def _is_row_of(row: dict[str, Any], listing: Listing, attributes: AttributeColumns, whole: bool) -> bool:
    """whole: whether all photos could be used; others are in no row"""
    stored = {key: value for key, value in (row.get("attributes") or {}).items() if value is not None}
    same = all(row[name] == getattr(listing, name) for name in ("title", "description", "price", "product"))
    text = "\n".join(text for _, text in listing_texts(listing))
    return (
        same
        and (row["tags"], row["text"]) == (list(listing.tags), text)
        and stored == attributes.to_row(listing)
        and (row["images"] == list(listing.images) if whole else set(row["images"]) <= set(listing.images))
    )


def summarize_catalogue(catalogue: AnyCatalogue) -> CatalogueSummary:
    """Read a catalogue once, to see what is in it. Raises CatalogueError."""
    count, texts = 0, set[str]()

    def listings() -> Iterator[Listing]:
        nonlocal count
        with progress(None, "reading", unit="listings") as bar:
            for part in catalogue.chunks(BATCH_SIZE):
                count += len(part)
                texts.update(*(each.texts for each in part.listings))
                yield from part.listings
                bar.update(len(part))

    attributes = infer_attribute_columns(listings())
    return CatalogueSummary(catalogue.folder.absolute(), count, attributes, sorted(texts))


def write_shop(
    summary: CatalogueSummary,
    encoder: Encoder,
    batches: Iterable[EmbeddedListings],
    out: Path | str,
    overwrite: bool = False,
    target_recall: float = DEFAULT_TARGET_RECALL,
    add_files: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a shop from chunks of the listings that it is to have.

    encoder: made the chunks, and is kept in the shop; batches: read once, one at a time
    target_recall: as of `build_shop`
    add_files: puts what else belongs to the build into its folder, before the folder takes its place
    """
    work = EncodingTask(encoder, summary.attributes)
    with new_build(out, overwrite, summary.listing_count) as partial:
        gathered = RowWriter(partial, work)
        made = (EncodedBatch.from_embedded(chunk, summary.attributes, work.schema) for chunk in batches)
        photos, problems = _noted(gathered.write(made), partial, summary)
        _complete(partial, gathered.table, summary, encoder, photos, problems, target_recall)
        add_files(partial)


def encode_shop(
    summary: CatalogueSummary,
    task: EncodingTask,
    catalogue: AnyCatalogue,
    out: Path | str,
    overwrite: bool = False,
    target_recall: float = DEFAULT_TARGET_RECALL,
    add_files: Callable[[Path], None] = lambda folder: None,
    runner: Runner = LOCAL_RUNNER,
    staging: str | None = None,
) -> None:
    """Write the shop of a catalogue, its listings encoded wherever the runner says.

    staging, target_recall, add_files: as of `build_shop` and `write_shop`
    What a build of the same listings by the same model committed before it was killed is not encoded again.
    """
    with new_build(out, overwrite, summary.listing_count, resume=staging is None) as partial:
        gathered = RowWriter(partial if staging is None else staging, task)
        made = gathered.write(runner.map(task, gathered.batches(catalogue)))
        photos, problems = _noted(made, partial, summary)
        table = gathered.table if staging is None else gathered.copy_to(partial)
        _complete(partial, table, summary, task.encoder, photos, problems, target_recall, runner)
        add_files(partial)


def _noted(made: Iterable[EncodedBatch], folder: Path, outline: CatalogueSummary) -> tuple[int, int]:
    """Go through all rows and write down what could not be used; how many photos and how many problems there are."""
    photos = problems = 0
    with progress(None, "indexing", total=outline.listing_count, unit="listings") as bar:
        for each in made:
            photos += each.photos
            problems += _note(folder, each.problems)
            bar.update(each.listings)
    return photos, problems


def _complete(
    folder: Path,
    table: Table,
    outline: CatalogueSummary,
    encoder: Encoder,
    photos: int,
    problems: int,
    recall: float,
    runner: Runner = LOCAL_RUNNER,
) -> None:
    """Make a build of a folder with a table: index it, and put beside it what a shop has."""
    from lancedb.index import FTS

    if (rows := table.count_rows()) != outline.listing_count:
        raise ShopError(f"{rows} listings were embedded, and the catalogue has {outline.listing_count}.")
    table.create_index("text", config=FTS(with_position=False))
    write_vector_index(index_vectors(table, EXACT, recall, encoder.encode_texts, runner), folder)
    encoder.save(folder / MODEL_FOLDER)
    about = BuildInfo(
        model=encoder.identity,
        dimension=encoder.dimension,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        catalogue=str(outline.folder),
        listings=outline.listing_count,
        photos=photos,
        problems=problems,
        attributes=outline.attributes,
        versions={"wares": __version__} | {name: version(name) for name in ("lancedb", "numpy", "pyarrow")},
        text_fields=outline.text_fields,
    )
    write_json(asdict(about), folder / BUILD_INFO_FILE)


def _note(folder: Path, problems: Sequence[str]) -> int:
    """Add problems to those of a build; how many they are."""
    if problems:
        with (folder / PROBLEMS_FILE).open("a", encoding="utf-8") as file:
            file.writelines(f"{problem}\n" for problem in problems)
    return len(problems)
