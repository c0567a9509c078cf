"""An open shop: its files, and what is loaded from them.

    SHOP/shop.json                          which build is current (`CurrentBuild`)
    SHOP/shop.lock                          writers take turns by it (wares.shop.layout)
    SHOP/builds/BUILD/about.json            model and counts (`BuildInfo`)
    SHOP/builds/BUILD/problems.txt          what could not be indexed, one line each; absent if there is nothing
    SHOP/builds/BUILD/model/                the towers that encode listings and queries
    SHOP/builds/BUILD/listings.lance        the table, one row per listing (wares.shop.table)
    SHOP/builds/BUILD/vector-index.json     the vector index and its recall (wares.shop.vector_index)
    SHOP/builds/BUILD/words.arrow           the word index, for BM25 (wares.shop.word_index)
    SHOP/builds/BUILD/ranker/               an optional reranker (wares.shop.reranking)
    SHOP/builds/BUILD/query-tower/          an optional trained query tower (wares.shop.reranking)
    SHOP/photos/                            photos that were added with updates (wares.shop.update)

An open shop keeps reading the build that it opened after another becomes current. wares.shop.build writes builds,
wares.shop.update changes them, wares.shop.searching searches them.
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
    MODEL_FOLDER,
    PHOTOS_FOLDER,
    PROBLEMS_FILE,
    check_current_build,
    read_build_info,
    read_current_build,
    shop_lock,
)
from wares.shop.reranking import RANKER_FOLDER, load_query_towers, load_reranker
from wares.shop.table import INTERNAL_COLUMNS, TABLE_NAME, TableOpener
from wares.shop.vector_index import VectorIndex, read_vector_index
from wares.shop.word_index import WordIndexLoader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lancedb.table import Table

    from wares.data.corpus import Corpus
    from wares.ranking.reranking import Reranker
    from wares.shop.encoder import Encoder
    from wares.shop.layout import BuildInfo, CurrentBuild
    from wares.shop.memory import MemoryVectors
    from wares.shop.word_index import WordIndex


UPLOADED_PHOTO = re.compile(r"uploads/([0-9a-f]{64}\.[a-z]+)")  # how listings name a photo in SHOP/photos


class Shop:
    """An open shop. The first query that needs towers or the ranker loads them.

    path: folder of the shop; build_folder: of the build that is open
    table: the version that was opened or last refreshed; it does not change during a search
    table_opener: opens the latest version of the table
    word_index_loader: gives the word index of any version of the table
    vector_index: how the vectors are searched; cache, in_memory: as in `open_shop`
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
        self._memory_vectors: MemoryVectors | None = None
        self._word_index: WordIndex | None = None
        self.word_index_loader = WordIndexLoader(self.build_folder)
        self._loading = RLock()
        self.refresh()

    def __len__(self) -> int:
        return self.table.count_rows()

    def __copy__(self) -> Shop:
        """A shop that sees the same table and is refreshed on its own."""
        duplicate = object.__new__(Shop)
        duplicate.__dict__ |= self.__dict__
        return duplicate

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path and the build: the other process opens it with the towers of the shop."""
        return open_build, (self.path, self.current, None, self.cache)

    @property
    def is_outdated(self) -> bool:
        """Whether another build became current, or this one got another ranker."""
        try:
            return read_current_build(self.path) != self.current
        except ShopError:
            return True

    def refresh(self) -> None:
        """Read the latest version of the open build's table. Raises ShopError if the build is deleted."""
        table, vector_index = self.table_opener.open_latest(), read_vector_index(self.build_folder)
        # Before the table, so that a concurrent copy of the shop never has a table without its vectors.
        self._memory_vectors = self._memory_vectors and self._memory_vectors.catch_up(table)
        self.vector_index: VectorIndex = vector_index
        self.table: Table = table

    @property
    def memory_vectors(self) -> MemoryVectors | None:
        """The vectors of `table` in memory; None if they are not loaded."""
        loaded = self._memory_vectors
        return loaded if loaded is not None and loaded.table is self.table else None

    def load_vectors(self) -> None:
        """Read the vectors into memory if the shop was opened so and they are missing or too many have changed.

        Until then searches read the table. Raises SettingsError if faiss is not installed.
        """
        if not self.in_memory or self.memory_vectors is not None:
            return
        from wares.shop.memory import load_vectors

        table = self.table
        loaded = self._memory_vectors and self._memory_vectors.catch_up(table)
        self._memory_vectors = loaded or load_vectors(
            table, self.vector_index, lambda texts: self.encoder.encode_texts(texts)
        )

    @property
    def word_index(self) -> WordIndex:
        """The word index of `table`, read from its file or caught up when it is first needed. Raises ShopError."""
        table, index = self.table, self._word_index
        if index is None or index.version != table.version:
            index = self._word_index = self.word_index_loader.load(table)
        return index

    @property
    def encoder(self) -> Encoder:
        """The encoder of listings and queries. Raises ShopError if model/ is not the model of the shop."""
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
        """Whether the shop has a ranker that reranks."""
        return (self.build_folder / RANKER_FOLDER).is_dir()

    @property
    def reranker(self) -> Reranker:
        """The shop's ranker. Raises ShopError if there is none or it is damaged."""
        with self._loading:
            if self._reranker is None:
                if not self.has_ranker:
                    raise ShopError(f"{self.path} has no ranker. Add one: wares index … --ranker RUN --out {self.path}")
                self._reranker = load_reranker(self.build_folder, lambda: _corpus(self))
            return self._reranker

    @property
    def catalogue_folder(self) -> Path:
        """The folder of the catalogue's photos."""
        return self.path / self.build_info.catalogue

    @property
    def columns(self) -> list[str]:
        """Columns for filters; an attribute is `attributes.<name>`."""
        fields = [field for field in self.table.schema if field.name not in INTERNAL_COLUMNS]
        return [
            f"attributes.{quote_column(child.name)}" if field.name == "attributes" else field.name
            for field in fields
            for child in (field.type if field.name == "attributes" else [field])
        ]

    @property
    def problems(self) -> list[str]:
        """Rows and photos that could not be indexed, one line each."""
        file = self.build_folder / PROBLEMS_FILE
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def photo_path(self, name: str) -> Path:
        """The path of a photo: in the shop if it was added with an update, in the catalogue's folder otherwise.

        Raises PhotoError if the name leads out of these folders. The file need not exist.
        """
        uploaded = UPLOADED_PHOTO.fullmatch(name)
        folder = self.path / PHOTOS_FOLDER if uploaded else self.catalogue_folder
        path = folder / (uploaded[1] if uploaded else name)
        if not _is_inside(name, path, folder):
            raise PhotoError(f"{json.dumps(name)} leaves the catalogue's folder. Name a photo inside it.")
        return path


def open_shop(
    path: Path | str, encoder: Encoder | None = None, cache: Path | None = None, in_memory: bool = False
) -> Shop:
    """Open the current build of a shop.

    encoder: if already loaded; None: the shop's own towers, with its query tower if it has one
    cache: folder for features and photo digests of listings that are added later (wares.core.cache)
    in_memory: read the fused vectors into memory, which makes searches without a filter faster (wares.shop.memory)

    Raises ShopError if the shop is missing, damaged, of another format or of another model; SettingsError if
    `in_memory` needs faiss and it is not installed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers, open_shop
        >>> folder = Path(tempfile.mkdtemp()) / "shop"
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug")))
        >>> _ = build_shop(catalogue, build_towers("small"), folder)
        >>> len(open_shop(folder))
        2
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
    """Open any build of a shop, as `open_shop` opens the current one, without loading vectors into memory."""
    folder = path / BUILDS_FOLDER / current.build
    build_info = read_build_info(folder)
    if encoder is not None:
        _check_model(path, build_info, encoder)
    shop = Shop(path, current, build_info, encoder, cache, in_memory)
    try:
        dimension = shop.table.schema.field("vector").type.list_size
    except KeyError as error:
        raise ShopError(
            f"{folder}: {TABLE_NAME}.lance is missing or damaged. Rebuild it with `wares index`."
        ) from error
    if dimension != build_info.dimension:
        raise ShopError(
            f"{path}: the vectors of the table have {dimension} dimensions, but {BUILD_INFO_FILE} says "
            f"{build_info.dimension}. Rebuild the shop with `wares index`."
        )
    return shop


@contextmanager
def write_lock(shop: Shop) -> Iterator[Table]:
    """The latest version of the table, under the shop's lock. On exit the shop is refreshed.

    Raises ShopError if another build is current.
    """
    with shop_lock(shop.path):
        check_current_build(shop.path, shop.current.build)
        yield shop.table_opener.open_latest()  # not `shop.table`, which concurrent searches keep reading
    shop.refresh()


def _check_model(path: Path, build_info: BuildInfo, encoder: Encoder) -> None:
    if encoder.identity != build_info.model:
        raise ShopError(
            f"{path} was built with model {build_info.model[:8]}…; this model is {encoder.identity[:8]}…. "
            "Embed it again with `wares reembed`, or use the model that it was built with."
        )


def _corpus(shop: Shop) -> Corpus:
    """The texts of a shop's listings as a corpus, in the order of the table."""
    from wares.data.corpus import Corpus
    from wares.data.listings import Catalogue, Listing

    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    return Corpus(Catalogue(shop.catalogue_folder, tuple(Listing(id, text) for id, text in pairs)))


def _is_inside(name: str, path: Path, folder: Path) -> bool:
    """Whether a photo's name is a plain relative path that stays inside the folder after links are resolved."""
    if os.path.isabs(name) or "\\" in name or ".." in name.split("/"):
        return False
    try:
        return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents
    except ValueError:  # a NUL, or characters that no file name can have
        return False
