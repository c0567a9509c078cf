"""Builds a shop from a catalogue.

A build is written beside the others and becomes current when it is complete. The last few builds are kept
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
from wares.shop.build_folders import RANKER_PREFIX, check_target, new_build, partial_build
from wares.shop.encoder import TowersEncoder
from wares.shop.encoding import BATCH_SIZE, EncodedBatch, EncodingTask, RowWriter
from wares.shop.layout import (
    BUILD_INFO_FILE,
    MODEL_FOLDER,
    PROBLEMS_FILE,
    BuildInfo,
    switch_build,
)
from wares.shop.reranking import move_ranker, write_ranker
from wares.shop.shop import Shop, open_build, open_shop, write_lock
from wares.shop.table import INTERNAL_COLUMNS, EmbeddedListings
from wares.shop.vector_index import DEFAULT_TARGET_RECALL, EXACT, check_target_recall, index_vectors, write_vector_index
from wares.shop.word_index import build_word_index, write_word_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lancedb.table import Table

    from wares.core.runners import Runner
    from wares.data.listings import AnyCatalogue, Catalogue, Listing, OnError
    from wares.encoders.towers import Towers
    from wares.ranking.trained import TrainedRanker
    from wares.shop.encoder import Encoder


@dataclass(frozen=True)
class CatalogueSummary:
    """Facts about a catalogue that its first row depends on. folder: of its photos"""

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
    """Embed a catalogue and write it as a shop. Memory does not grow with a catalogue from `open_catalogue`.

    cache: folder of cached features; a second build encodes only what is new
    on_error: "stop" raises PhotoError at the first bad photo; "skip" leaves it out and lists it in the shop
    overwrite: replace an existing shop; any other folder that is not empty raises ShopError
    ranker: reranks results or encodes queries (wares.shop.reranking); needs the whole catalogue in memory
    target_recall: fraction of the true 100 nearest listings that a search of a large shop finds, in (0, 1]; measured
    runner: encodes the listings (wares.core.runners)
    staging: folder or URL (s3://, gs://, az://) that collects the rows first and keeps them; None: the shop itself

    A build that fails or is killed leaves older builds as they were. The next build does not encode again what it
    committed. Raises ModelError if the ranker does not fit the model or the catalogue, and ShopError if another build
    became current meanwhile.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers, search
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug")))
        >>> shop = build_shop(catalogue, build_towers("small"), Path(tempfile.mkdtemp()) / "shop")
        >>> [hit.id for hit in search(shop, "mug", system="bm25")]
        ['2']
    """
    from wares.data.corpus import Corpus

    def add_files(folder: Path) -> None:
        if ranker is not None:
            write_ranker(ranker, Corpus(catalogue.read()), towers.identity, folder)

    check_target_recall(target_recall)
    check_target(Path(out), overwrite)
    encoder = TowersEncoder(towers, cache=cache)
    summary = summarize_catalogue(catalogue)
    task = EncodingTask(encoder, summary.attributes, on_error, cache)
    encode_shop(summary, task, catalogue, out, overwrite, target_recall, add_files, runner, staging)
    # A shop with a query tower loads it; this encoder would encode queries with the model's own.
    return open_shop(out, None if ranker is not None and ranker.replaces_query_tower else encoder)


def add_ranker(shop: Shop, ranker: TrainedRanker, catalogue: Catalogue) -> Shop:
    """Give a shop a ranker in place of the one it has, and open it again. No listing is encoded again by the model.

    catalogue: of the shop, as `matches_catalogue` checks
    Raises ModelError if the ranker does not fit the model or the catalogue, ShopError if another build is current.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers
        >>> from wares.data import Corpus
        >>> from wares.ranking import TrainedRanker, get_ranker
        >>> from wares.shop import add_ranker
        >>> folder = Path(tempfile.mkdtemp())
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug")))
        >>> shop = build_shop(catalogue, build_towers("small"), folder / "shop")
        >>> name = "dense(towers='small')"
        >>> get_ranker(name).fit(Corpus(catalogue), seed=0).save(folder / "ranker")
        >>> trained = TrainedRanker(name, round=1, folder=folder / "ranker", seed=0, run_folder=folder)
        >>> add_ranker(shop, trained, catalogue).reranker.score("mug", ["1", "2"], list).shape
        (2,)
    """
    from wares.data.corpus import Corpus

    with partial_build(shop.path, RANKER_PREFIX) as folder:
        write_ranker(ranker, Corpus(catalogue), shop.build_info.model, folder)
        with write_lock(shop):
            move_ranker(folder, shop.build_folder)
            current = switch_build(shop.path, shop.current.build, shop.current.build)  # so that others reopen it
    return open_build(shop.path, current)


def matches_catalogue(shop: Shop, catalogue: Catalogue) -> bool:
    """Whether a shop has exactly the listings of a catalogue. Photos are compared by name only."""
    if shop.catalogue_folder != catalogue.folder.absolute() or len(shop) != len(catalogue):
        return False
    columns = [name for name in shop.table.schema.names if name not in INTERNAL_COLUMNS]
    rows = shop.table.search().select(columns).limit(len(shop)).to_arrow().to_pylist()
    rows_by_id = {row["id"]: row for row in rows}
    attributes = infer_attribute_columns(catalogue.listings)
    all_photos = shop.build_info.problems == 0
    return all(
        listing.id in rows_by_id and _matches_row(listing, rows_by_id[listing.id], attributes, all_photos)
        for listing in catalogue.listings
    )


def _matches_row(listing: Listing, row: dict[str, Any], attributes: AttributeColumns, all_photos: bool) -> bool:
    """Whether a row is this listing's. all_photos: whether all photos were usable; a row has the usable ones"""
    stored = {key: value for key, value in (row.get("attributes") or {}).items() if value is not None}
    fields_match = all(row[name] == getattr(listing, name) for name in ("title", "description", "price", "product"))
    text = "\n".join(text for _, text in listing_texts(listing))
    return (
        fields_match
        and (row["tags"], row["text"]) == (list(listing.tags), text)
        and stored == attributes.to_row(listing)
        and (row["images"] == list(listing.images) if all_photos else set(row["images"]) <= set(listing.images))
    )


def summarize_catalogue(catalogue: AnyCatalogue) -> CatalogueSummary:
    """Read a catalogue once and summarize it. Raises CatalogueError."""
    count, text_fields = 0, set[str]()

    def listings() -> Iterator[Listing]:
        nonlocal count
        with progress(None, "reading", unit="listings") as bar:
            for chunk in catalogue.chunks(BATCH_SIZE):
                count += len(chunk)
                text_fields.update(*(listing.texts for listing in chunk.listings))
                yield from chunk.listings
                bar.update(len(chunk))

    attributes = infer_attribute_columns(listings())
    return CatalogueSummary(catalogue.folder.absolute(), count, attributes, sorted(text_fields))


def write_shop(
    summary: CatalogueSummary,
    encoder: Encoder,
    batches: Iterable[EmbeddedListings],
    out: Path | str,
    overwrite: bool = False,
    target_recall: float = DEFAULT_TARGET_RECALL,
    add_files: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a shop from embedded listings.

    encoder: embedded the listings, and is saved in the shop; batches: read once, one at a time
    target_recall: as in `build_shop`
    add_files: called with the folder of the build before it becomes current
    """
    task = EncodingTask(encoder, summary.attributes)
    with new_build(out, overwrite, summary.listing_count) as partial:
        writer = RowWriter(partial, task)
        encoded = (EncodedBatch.from_embedded(batch, summary.attributes, task.schema) for batch in batches)
        photos, problems = _write_problems(writer.write(encoded), partial, summary)
        _complete_build(partial, writer.table, summary, encoder, photos, problems, target_recall)
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
    """Write the shop of a catalogue, with a runner that encodes the listings.

    staging, target_recall, add_files: as in `build_shop` and `write_shop`
    Rows that a killed build with the same model committed are not encoded again.
    """
    with new_build(out, overwrite, summary.listing_count, resume=staging is None) as partial:
        writer = RowWriter(partial if staging is None else staging, task)
        encoded = writer.write(runner.map(task, writer.batches(catalogue)))
        photos, problems = _write_problems(encoded, partial, summary)
        table = writer.table if staging is None else writer.copy_to(partial)
        _complete_build(partial, table, summary, task.encoder, photos, problems, target_recall, runner)
        add_files(partial)


def _write_problems(batches: Iterable[EncodedBatch], folder: Path, summary: CatalogueSummary) -> tuple[int, int]:
    """Consume the batches and write their problems to problems.txt. Returns the numbers of photos and of problems."""
    photos = problems = 0
    with progress(None, "indexing", total=summary.listing_count, unit="listings") as bar:
        for batch in batches:
            photos += batch.photos
            problems += len(batch.problems)
            if batch.problems:
                with (folder / PROBLEMS_FILE).open("a", encoding="utf-8") as file:
                    file.writelines(f"{problem}\n" for problem in batch.problems)
            bar.update(batch.listings)
    return photos, problems


def _complete_build(
    folder: Path,
    table: Table,
    summary: CatalogueSummary,
    encoder: Encoder,
    photos: int,
    problems: int,
    target_recall: float,
    runner: Runner = LOCAL_RUNNER,
) -> None:
    """Index the table in a folder, and write the model and about.json beside it."""
    if (rows := table.count_rows()) != summary.listing_count:
        raise ShopError(
            f"{rows} listings were embedded, but the catalogue has {summary.listing_count}. Build the shop again."
        )
    write_vector_index(index_vectors(table, EXACT, target_recall, encoder.encode_texts, runner), folder)
    write_word_index(build_word_index(table), folder)
    encoder.save(folder / MODEL_FOLDER)
    build_info = BuildInfo(
        model=encoder.identity,
        dimension=encoder.dimension,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        catalogue=str(summary.folder),
        listings=summary.listing_count,
        photos=photos,
        problems=problems,
        attributes=summary.attributes,
        versions={"wares": __version__} | {name: version(name) for name in ("lancedb", "numpy", "pyarrow")},
        text_fields=summary.text_fields,
    )
    write_json(asdict(build_info), folder / BUILD_INFO_FILE)
