"""An open shop: where its parts lie on disk, and what is loaded of them.

    SHOP/shop.json                          which build is the shop now (`Current`)
    SHOP/builds/BUILD/about.json            model and counts (`About`)
    SHOP/builds/BUILD/problems.txt          what could not be indexed, one line each; absent where all went well
    SHOP/builds/BUILD/model/                the towers that made the embeddings and that encode queries
    SHOP/builds/BUILD/listings.lance        the table, one row per listing (wares.table)
    SHOP/builds/BUILD/vector-index.json     how its vectors are searched, and what that finds (wares.vector_index)
    SHOP/builds/BUILD/ranker/               what reranks, and query-tower/, what encodes queries, where there are
                                            (wares.reranking)
    SHOP/photos/                            photos that came with updates (wares.update)

Whoever has a shop open keeps reading the build that it opened, also when another takes its place. Building is next
door in wares.index, changing in wares.update, searching in wares.search.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from wares.errors import PhotoError, ShopError
from wares.reranking import RANKER, load_reranker, query_towers
from wares.table import HIDDEN, TABLE, AttributeColumns, Opener, Vectors, storable
from wares.vector_index import VectorIndex, read_vector_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lancedb.table import Table

    from wares.catalogue import Catalogue, OnError
    from wares.corpus import Corpus
    from wares.encode import Embeddings
    from wares.fuse import Fused
    from wares.in_memory import InMemory
    from wares.reranking import Reranker
    from wares.towers import Towers

FORMAT = 3
CURRENT, BUILDS, ABOUT, PROBLEMS, MODEL = "shop.json", "builds", "about.json", "problems.txt", "model"
PHOTOS = "photos"
LOCK = "update.lock"
UPLOADED = re.compile(r"uploads/([0-9a-f]{64}\.[a-z]+)")  # the name of a photo in SHOP/photos


class Encoder(Protocol):
    """What a shop asks of its towers."""

    @property
    def dimension(self) -> int: ...
    @property
    def identity(self) -> str: ...
    def save(self, folder: Path) -> None:
        """Keep the towers that encode listings in a new folder."""
        ...

    def texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors of queries."""
        ...

    def photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors of queries. Raises PhotoError."""
        ...

    def embed(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, Fused]:
        """The views of listings as the table keeps them, and what they fuse to. Raises PhotoError."""
        ...


class TowersEncoder:
    """Towers as the encoder of a shop.

    queries: towers that encode queries, where they are not those that encode listings
    cache: of features of listings (wares.encode)
    """

    def __init__(self, towers: Towers, queries: Towers | None = None, cache: Path | None = None) -> None:
        self._towers, self._queries, self._cache = towers, queries or towers, cache
        self.identity, self.dimension = towers.identity, towers.dimension

    def save(self, folder: Path) -> None:
        self._towers.save(folder)

    def texts(self, texts: Sequence[str]) -> Vectors:
        from wares.encode import embed_texts

        return embed_texts(texts, self._queries)

    def photos(self, paths: Sequence[Path]) -> Vectors:
        from wares.encode import embed_photo_files

        return embed_photo_files(paths, self._queries)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to other processes as what `Towers.save` writes; what is frozen they load by its name."""
        import torch

        from wares.towers import packed

        queries = None if self._queries is self._towers else packed(self._queries)
        return _unpacked, (packed(self._towers), queries, self._cache, torch.get_num_threads())

    def embed(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, Fused]:
        from wares.encode import embed
        from wares.fuse import fuse

        embeddings = storable(embed(catalogue, self._towers, self._cache, on_error))
        return embeddings, fuse(embeddings, self._towers.fusion)


def _unpacked(
    towers: dict[str, bytes], queries: dict[str, bytes] | None, cache: Path | None, threads: int
) -> TowersEncoder:
    """threads: of torch, where this was packed"""
    import torch

    from wares.towers import unpacked

    # With one thread, convolutions are computed another way and differ in the last bits; with more, all are the same.
    torch.set_num_threads(min(threads, max(2, torch.get_num_threads())))
    return TowersEncoder(unpacked(towers), None if queries is None else unpacked(queries), cache)


@dataclass(frozen=True)
class Current:
    """What shop.json says.

    build: folder in builds/ that is the shop now; changed: when it became so, or was given another ranker
    """

    format: int
    build: str
    changed: str


@dataclass(frozen=True)
class About:
    """What about.json says of a build, as it was built; updates do not change it.

    model: identity of the towers; catalogue: the folder that the photos lie in, seen from the shop's or absolute
    photos: number of photo views; problems: number of lines in problems.txt
    texts: further columns that are texts of its listings
    """

    model: str
    dimension: int
    created: str
    catalogue: str
    listings: int
    photos: int
    problems: int
    attributes: AttributeColumns
    versions: dict[str, str]
    texts: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Attributes that could not be stored as they were."""
        return self.attributes.notes


class Shop:
    """An open shop; towers and ranker are loaded with the first query that needs them and then kept.

    path: of the shop; folder: of the build of it that is open
    table: as it was when the shop was opened or last refreshed; a search that took it sees no change midway
    vector_index: how its vectors are searched; cache, in_memory: as of `open_shop`
    opener: gives the table as it is now
    """

    def __init__(
        self,
        path: Path,
        current: Current,
        about: About,
        encoder: Encoder | None = None,
        cache: Path | None = None,
        in_memory: bool = False,
    ):
        self.path = path
        self.folder = path / BUILDS / current.build
        self.current = current
        self.about = about
        self.opener = Opener(self.folder)
        self.cache = cache
        self.in_memory = in_memory
        self._encoder = encoder
        self._reranker: Reranker | None = None
        self._memory: InMemory | None = None
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
    def outdated(self) -> bool:
        """Whether another build, or a build with another ranker, has taken the place of what is open here."""
        try:
            return read_current(self.path) != self.current
        except ShopError:
            return True

    def refresh(self) -> None:
        """See what other processes have changed in the build that is open. Raises ShopError where it is gone."""
        table, vector_index = self.opener.latest(), read_vector_index(self.folder)
        # Before the table, so that who copies the shop meanwhile never has a table whose vectors are yet to come.
        self._memory = self._memory and self._memory.followed(table)
        self.vector_index: VectorIndex = vector_index
        self.table: Table = table

    @property
    def memory(self) -> InMemory | None:
        """The vectors of `table`, where they are held in memory."""
        held = self._memory
        return held if held is not None and held.table is self.table else None

    def hold(self) -> None:
        """Read the vectors of a shop that is to have them in memory, where it has not, or too many have changed.

        Until then the table is searched. Raises SettingsError where faiss is not installed.
        """
        if not self.in_memory or self.memory is not None:
            return
        from wares.in_memory import hold

        table = self.table
        held = self._memory and self._memory.followed(table)
        self._memory = held or hold(table, self.vector_index, lambda texts: self.encoder.texts(texts))

    @property
    def encoder(self) -> Encoder:
        """Raises ShopError where model/ is not the model that the shop was built with."""
        with self._loading:
            if self._encoder is None:
                from wares.towers import load_towers

                towers = load_towers(self.folder / MODEL)
                encoder = TowersEncoder(towers, query_towers(self.folder, towers), self.cache)
                _check_model(self.path, self.about, encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def has_ranker(self) -> bool:
        """Whether results can be reranked."""
        return (self.folder / RANKER).is_dir()

    @property
    def reranker(self) -> Reranker:
        """Raises ShopError where the shop has no ranker, or one that is damaged."""
        with self._loading:
            if self._reranker is None:
                if not self.has_ranker:
                    raise ShopError(
                        f"{self.path} has no ranker. Give it one: wares index … --ranker RUN --out {self.path}"
                    )
                self._reranker = load_reranker(self.folder, lambda: _corpus(self))
            return self._reranker

    @property
    def catalogue(self) -> Path:
        """The folder that the photos of the catalogue lie in."""
        return self.path / self.about.catalogue

    @property
    def columns(self) -> list[str]:
        """Columns that a filter may name, attributes as `attributes.<name>`."""
        top = [field for field in self.table.schema if field.name not in HIDDEN]
        return [
            f"attributes.{quoted(child.name)}" if field.name == "attributes" else field.name
            for field in top
            for child in (field.type if field.name == "attributes" else [field])
        ]

    @property
    def problems(self) -> list[str]:
        """What could not be indexed, one line each."""
        file = self.folder / PROBLEMS
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def photo(self, name: str) -> Path:
        """Where a listing's photo lies: one that came with an update in the shop, all others in the catalogue.

        Raises PhotoError for a name that leads anywhere else; whether the file is there is not asked.
        """
        uploaded = UPLOADED.fullmatch(name)
        folder = self.path / PHOTOS if uploaded else self.catalogue
        place = folder / (uploaded[1] if uploaded else name)
        if not _leads_inside(name, place, folder):
            raise PhotoError(f"{json.dumps(name)} leaves the catalogue's folder. Name a photo that lies in it.")
        return place


def open_shop(
    path: Path | str, encoder: Encoder | None = None, cache: Path | None = None, in_memory: bool = False
) -> Shop:
    """Open the build that is the shop now; what is open stays that build, whatever comes later.

    encoder: where it is already loaded; otherwise the shop's own towers, queries by its query tower where it has one
    cache: where features of listings to come, and digests of their photos, are kept (wares.cache)
    in_memory: whether the fused vectors are read into memory, for faster searches without a filter (wares.in_memory)

    Raises ShopError where there is no shop, or one that is damaged, of another format, or of another model;
    SettingsError where vectors are to be held in memory and faiss is not installed.
    """
    path = Path(path).absolute()
    shop = open_build(path, read_current(path), encoder, cache, in_memory)
    shop.hold()
    return shop


def open_build(
    path: Path, current: Current, encoder: Encoder | None = None, cache: Path | None = None, in_memory: bool = False
) -> Shop:
    """Open a build of the shop in a folder, as `open_shop` does the one that is the shop now; hold nothing yet."""
    folder = path / BUILDS / current.build
    about = _read_about(folder)
    if encoder is not None:
        _check_model(path, about, encoder)
    shop = Shop(path, current, about, encoder, cache, in_memory)
    try:
        dimension = shop.table.schema.field("vector").type.list_size
    except KeyError as error:
        raise ShopError(f"{folder}: {TABLE}.lance is missing or damaged. Rebuild it with `wares index`.") from error
    if dimension != about.dimension:
        raise ShopError(
            f"{path}: the table's vectors have {dimension} dimensions and {ABOUT} says {about.dimension}. "
            "Rebuild it with `wares index`."
        )
    return shop


def read_current(path: Path) -> Current:
    """What shop.json says. Raises ShopError where there is no shop, or one that is damaged or of another format."""
    file = path / CURRENT
    if not path.exists():
        raise ShopError(f"{path} does not exist. Build a shop with `wares index`.")
    if not file.is_file():
        raise ShopError(f"{path} is not a shop: it has no {CURRENT}. Build one with `wares index`.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ShopError(
                f"{path} has shop format {content['format']}, and this wares reads format {FORMAT}. "
                "Rebuild it with `wares index`."
            )
        current = Current(**content)
        if Path(current.build).name == current.build:
            return current
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.") from error
    raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.")


def make_current(path: Path, build: str) -> None:
    """Say in shop.json which build is the shop now, so that a reader sees either what was there or this."""
    current = Current(FORMAT, build, datetime.now(UTC).isoformat())
    part = path / f".{CURRENT}.{os.getpid()}"
    write_json(part, asdict(current))
    os.replace(part, path / CURRENT)


@contextmanager
def writing(shop: Shop) -> Iterator[Table]:
    """The shop's table as it is now, while no other process writes to it; afterwards the shop is refreshed.

    Raises ShopError where another build is the shop now.
    """
    from filelock import FileLock

    _check_current(shop)
    with FileLock(shop.folder / LOCK):
        _check_current(shop)  # again: others may have kept the lock for as long as a build takes
        yield shop.opener.latest()  # not `shop.table`, which others go on reading as it is
    shop.refresh()


def _check_current(shop: Shop) -> None:
    if read_current(shop.path).build != shop.current.build:
        raise ShopError(f"{shop.path} was built anew, and this is the build before it. Open the shop again.")


def write_json(file: Path, content: dict[str, Any]) -> None:
    """An object, indented."""
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_about(folder: Path) -> About:
    file = folder / ABOUT
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return About(**content | {"attributes": AttributeColumns(**content["attributes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error


def _check_model(path: Path, about: About, encoder: Encoder) -> None:
    if encoder.identity != about.model:
        raise ShopError(
            f"{path} was built with model {about.model[:8]}…; this model is {encoder.identity[:8]}…. "
            "Move it with `wares reembed`, or use the model that it was built with."
        )


def _corpus(shop: Shop) -> Corpus:
    """The listings of a shop as their texts alone, in the order of its table."""
    from wares.catalogue import Catalogue, Listing
    from wares.corpus import Corpus

    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    pairs = zip(rows["id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    return Corpus(Catalogue(shop.catalogue, tuple(Listing(id, text) for id, text in pairs)))


def _leads_inside(name: str, place: Path, folder: Path) -> bool:
    """Whether a photo's name is a plain path, and the place that it names is inside the folder, links followed."""
    if os.path.isabs(name) or "\\" in name or ".." in name.split("/"):
        return False
    try:
        return Path(os.path.realpath(folder)) in Path(os.path.realpath(place)).parents
    except ValueError:  # a NUL, or letters that no file name can have
        return False


def quoted(name: str) -> str:
    """A column as a filter spells it."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f"`{name}`"
