"""An open shop: where its parts lie on disk, and what is loaded of them.

    SHOP/shop.json                          which build is the shop now (`Current`)
    SHOP/builds/BUILD/about.json            model and counts (`About`)
    SHOP/builds/BUILD/problems.txt          what could not be indexed, one line each; absent where all went well
    SHOP/builds/BUILD/model/                the towers that made the embeddings and that encode queries
    SHOP/builds/BUILD/listings.lance        the table, one row per listing (wares.shop.table)
    SHOP/builds/BUILD/vector-index.json     how its vectors are searched, and what that finds (wares.shop.vector_index)
    SHOP/builds/BUILD/ranker/               what reranks, and query-tower/, what encodes queries, where there are
                                            (wares.shop.reranking)
    SHOP/photos/                            photos that came with updates (wares.shop.update)

Whoever has a shop open keeps reading the build that it opened, also when another takes its place. Building is next
door in wares.shop.build, changing in wares.shop.update, searching in wares.shop.searching.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from wares.core.errors import PhotoError, ShopError
from wares.shop.attributes import quote_column
from wares.shop.encoder import TowersEncoder
from wares.shop.layout import (
    BUILD_INFO_FILE,
    BUILDS_FOLDER,
    LOCK_FILE,
    MODEL_FOLDER,
    PHOTOS_FOLDER,
    PROBLEMS_FILE,
    read_build_info,
    read_current_build,
)
from wares.shop.reranking import RANKER_FOLDER, load_query_towers, load_reranker
from wares.shop.table import INTERNAL_COLUMNS, TABLE_NAME, TableOpener
from wares.shop.vector_index import VectorIndex, read_vector_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lancedb.table import Table

    from wares.data.corpus import Corpus
    from wares.ranking.reranking import Reranker
    from wares.shop.encoder import Encoder
    from wares.shop.layout import BuildInfo, CurrentBuild
    from wares.shop.memory import MemoryVectors


UPLOADED_PHOTO = re.compile(r"uploads/([0-9a-f]{64}\.[a-z]+)")  # the name of a photo in SHOP/photos


class Shop:
    """An open shop; towers and ranker are loaded with the first query that needs them and then kept.

    path: of the shop; build_folder: of the build of it that is open
    table: as it was when the shop was opened or last refreshed; a search that took it sees no change midway
    vector_index: how its vectors are searched; cache, in_memory: as of `open_shop`
    table_opener: gives the table as it is now
    """

    def __init__(
        self,
        path: Path,
        current: CurrentBuild,
        build_info: BuildInfo,
        encoder: Encoder | None = None,
        cache: Path | None = None,
        in_memory: bool = False,
    ):
        self.path = path
        self.build_folder = path / BUILDS_FOLDER / current.build
        self.current = current
        self.build_info = build_info
        self.table_opener = TableOpener(self.build_folder)
        self.cache = cache
        self.in_memory = in_memory
        self._encoder = encoder
        self._reranker: Reranker | None = None
        self._memory: MemoryVectors | None = None
        self._loading = RLock()
        self.refresh()

    def __len__(self) -> int:
        return self.table.count_rows()

    def __copy__(self) -> Shop:
        """The shop as it is at this moment: what one of the two sees of later changes, the other does not."""
        twin = object.__new__(Shop)
        twin.__dict__ |= self.__dict__
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes open the same build in the same folder, by its own towers."""
        return open_build, (self.path, self.current, None, self.cache)

    @property
    def is_outdated(self) -> bool:
        """Whether another build, or a build with another ranker, has taken the place of what is open here."""
        try:
            return read_current_build(self.path) != self.current
        except ShopError:
            return True

    def refresh(self) -> None:
        """See what other processes have changed in the build that is open. Raises ShopError where it is gone."""
        table, vector_index = self.table_opener.open_latest(), read_vector_index(self.build_folder)
        # Before the table, so that who copies the shop meanwhile never has a table whose vectors are yet to come.
        self._memory = self._memory and self._memory.catch_up(table)
        self.vector_index: VectorIndex = vector_index
        self.table: Table = table

    @property
    def memory_vectors(self) -> MemoryVectors | None:
        """The vectors of `table`, where they are held in memory."""
        held = self._memory
        return held if held is not None and held.table is self.table else None

    def load_vectors(self) -> None:
        """Read the vectors of a shop that is to have them in memory, where it has not, or too many have changed.

        Until then the table is searched. Raises SettingsError where faiss is not installed.
        """
        if not self.in_memory or self.memory_vectors is not None:
            return
        from wares.shop.memory import load_vectors

        table = self.table
        held = self._memory and self._memory.catch_up(table)
        self._memory = held or load_vectors(table, self.vector_index, lambda texts: self.encoder.encode_texts(texts))

    @property
    def encoder(self) -> Encoder:
        """Raises ShopError where model/ is not the model that the shop was built with."""
        with self._loading:
            if self._encoder is None:
                from wares.encoders.registry import load_towers

                towers = load_towers(self.build_folder / MODEL_FOLDER)
                encoder = TowersEncoder(towers, load_query_towers(self.build_folder, towers), self.cache)
                _check_model(self.path, self.build_info, encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def has_ranker(self) -> bool:
        """Whether results can be reranked."""
        return (self.build_folder / RANKER_FOLDER).is_dir()

    @property
    def reranker(self) -> Reranker:
        """Raises ShopError where the shop has no ranker, or one that is damaged."""
        with self._loading:
            if self._reranker is None:
                if not self.has_ranker:
                    raise ShopError(
                        f"{self.path} has no ranker. Give it one: wares index … --ranker RUN --out {self.path}"
                    )
                self._reranker = load_reranker(self.build_folder, lambda: _corpus(self))
            return self._reranker

    @property
    def catalogue_folder(self) -> Path:
        """The folder that the photos of the catalogue lie in."""
        return self.path / self.build_info.catalogue

    @property
    def columns(self) -> list[str]:
        """Columns that a filter may name, attributes as `attributes.<name>`."""
        top = [field for field in self.table.schema if field.name not in INTERNAL_COLUMNS]
        return [
            f"attributes.{quote_column(child.name)}" if field.name == "attributes" else field.name
            for field in top
            for child in (field.type if field.name == "attributes" else [field])
        ]

    @property
    def problems(self) -> list[str]:
        """What could not be indexed, one line each."""
        file = self.build_folder / PROBLEMS_FILE
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def photo_path(self, name: str) -> Path:
        """Where a listing's photo lies: one that came with an update in the shop, all others in the catalogue.

        Raises PhotoError for a name that leads anywhere else; whether the file is there is not asked.
        """
        uploaded = UPLOADED_PHOTO.fullmatch(name)
        folder = self.path / PHOTOS_FOLDER if uploaded else self.catalogue_folder
        place = folder / (uploaded[1] if uploaded else name)
        if not _leads_inside(name, place, folder):
            raise PhotoError(f"{json.dumps(name)} leaves the catalogue's folder. Name a photo that lies in it.")
        return place


def open_shop(
    path: Path | str, encoder: Encoder | None = None, cache: Path | None = None, in_memory: bool = False
) -> Shop:
    """Open the build that is the shop now; what is open stays that build, whatever comes later.

    encoder: where it is already loaded; otherwise the shop's own towers, queries by its query tower where it has one
    cache: where features of listings to come, and digests of their photos, are kept (wares.core.cache)
    in_memory: whether the fused vectors are read into memory, for faster searches without a filter (wares.shop.memory)

    Raises ShopError where there is no shop, or one that is damaged, of another format, or of another model;
    SettingsError where vectors are to be held in memory and faiss is not installed.
    """
    path = Path(path).absolute()
    shop = open_build(path, read_current_build(path), encoder, cache, in_memory)
    shop.load_vectors()
    return shop


def open_build(
    path: Path,
    current: CurrentBuild,
    encoder: Encoder | None = None,
    cache: Path | None = None,
    in_memory: bool = False,
) -> Shop:
    """Open a build of the shop in a folder, as `open_shop` does the one that is the shop now; hold nothing yet."""
    folder = path / BUILDS_FOLDER / current.build
    about = read_build_info(folder)
    if encoder is not None:
        _check_model(path, about, encoder)
    shop = Shop(path, current, about, encoder, cache, in_memory)
    try:
        dimension = shop.table.schema.field("vector").type.list_size
    except KeyError as error:
        raise ShopError(
            f"{folder}: {TABLE_NAME}.lance is missing or damaged. Rebuild it with `wares index`."
        ) from error
    if dimension != about.dimension:
        raise ShopError(
            f"{path}: the table's vectors have {dimension} dimensions and {BUILD_INFO_FILE} says {about.dimension}. "
            "Rebuild it with `wares index`."
        )
    return shop


@contextmanager
def write_lock(shop: Shop) -> Iterator[Table]:
    """The shop's table as it is now, while no other process writes to it; afterwards the shop is refreshed.

    Raises ShopError where another build is the shop now.
    """
    from filelock import FileLock

    _check_current(shop)
    with FileLock(shop.build_folder / LOCK_FILE):
        _check_current(shop)  # again: others may have kept the lock for as long as a build takes
        yield shop.table_opener.open_latest()  # not `shop.table`, which others go on reading as it is
    shop.refresh()


def _check_current(shop: Shop) -> None:
    if read_current_build(shop.path).build != shop.current.build:
        raise ShopError(f"{shop.path} was built anew, and this is the build before it. Open the shop again.")


def _check_model(path: Path, about: BuildInfo, encoder: Encoder) -> None:
    if encoder.identity != about.model:
        raise ShopError(
            f"{path} was built with model {about.model[:8]}…; this model is {encoder.identity[:8]}…. "
            "Move it with `wares reembed`, or use the model that it was built with."
        )


def _corpus(shop: Shop) -> Corpus:
    """The listings of a shop as their texts alone, in the order of its table."""
    from wares.data.corpus import Corpus
    from wares.data.listings import Catalogue, Listing

    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    return Corpus(Catalogue(shop.catalogue_folder, tuple(Listing(id, text) for id, text in pairs)))


def _leads_inside(name: str, place: Path, folder: Path) -> bool:
    """Whether a photo's name is a plain path, and the place that it names is inside the folder, links followed."""
    if os.path.isabs(name) or "\\" in name or ".." in name.split("/"):
        return False
    try:
        return Path(os.path.realpath(folder)) in Path(os.path.realpath(place)).parents
    except ValueError:  # a NUL, or letters that no file name can have
        return False
