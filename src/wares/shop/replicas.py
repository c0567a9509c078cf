"""Shops on object storage: published there from a folder, and followed from there by replicas.

    wares publish SHOP s3://bucket/shop         where the shop is built and changed
    wares serve s3://bucket/shop                anywhere, as often as wanted

A replica is a copy in a folder of its own, so that no search waits for object storage. It takes over what has changed
whenever it is asked to; photos come when they are first looked at.

Who reads a copy finds a whole shop at any time, also where copying was broken off, because what is named comes before
what names it: photos, rows, states of the table, and shop.json last. Rows never change once they are written (Lance),
and everything else in a build changes together with shop.json, so that the rest need not be compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from wares.core.cache import default_cache
from wares.core.errors import PhotoError, SettingsError, ShopError
from wares.core.progress import progress
from wares.shop.layout import BUILD_INFO_FILE, BUILDS_FOLDER, CURRENT_FILE, PHOTOS_FOLDER
from wares.shop.shop import UPLOADED_PHOTO
from wares.shop.table import TABLE_NAME

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from wares.shop.shop import Shop


CATALOGUE_FOLDER = "catalogue"  # folder of a published shop: the photos that lay in the catalogue's folder
VERSION_HINT_FILE = "latest_version_hint.json"  # the one file of a table that is written again and again
CATCH_UP_LOCK_FILE = ".following.lock"
MAX_PARALLEL_COPIES = 16  # files that are copied
STREAM_BYTES = 8_000_000  # bytes of a file that are held in memory
LOCAL_STORE_OPTIONS: dict[str, Any] = {
    "mkdir": True,
    "automatic_cleanup": True,
}  # of files: folders come and go with them
T = TypeVar("T")


@dataclass(frozen=True)
class CopyResult:
    """files: how many were copied; total_bytes: their bytes; missing: photos that are not where the shop says"""

    files: int = 0
    total_bytes: int = 0
    missing: tuple[str, ...] = ()


def publish(shop: Shop, url: str) -> CopyResult:
    """Copy a shop to object storage, with the photos of its listings; what is there already is not copied again.

    url: s3://, gs:// or az://, with credentials in their providers' environment variables; or file://

    Photos are told by name and size. Raises SettingsError for a URL of another kind, ShopError where the place cannot
    be read and written.
    """
    with _understood(url):
        return _finished(_published(shop, _place(url)))


class Replica:
    """A copy of a published shop that follows it; to be opened with `wares.open_shop(replica.folder)`, not changed.

    url: as `publish` takes it; folder: where the copy lies, by default a folder in wares' cache

    Raises SettingsError for a URL of another kind.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        name = f"{PurePosixPath(url).name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
        self.url = url
        self.folder = (folder or default_cache() / "replicas" / name).absolute()
        with _understood(url):
            self._store = _place(url)

    def catch_up(self) -> CopyResult:
        """Take over what has changed since the last time; one process does so at a time, others return at once.

        Raises ShopError where there is no shop, or no way to it; the copy is as good as before.
        """
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / CATCH_UP_LOCK_FILE, timeout=0), _understood(self.url):
                return _finished(_copied(self._store, _folder(self.folder), {}))
        except Timeout:
            return CopyResult()

    def fetch_photo(self, photo: Path) -> None:
        """Copy a photo to where `Shop.photo_path` of the copy says that it lies. Raises PhotoError where there is none."""
        name = photo.relative_to(self.folder).as_posix()
        try:
            with _understood(self.url):
                _finished(_copy([_File(self._store, name, name, 0)], _folder(self.folder)))
        except ShopError as error:
            raise PhotoError(f"{name} is not to be had from {self.url}. Publish the shop again.") from error


def is_url(location: str) -> bool:
    """Whether a shop's place is on object storage, and not a folder."""
    return "://" in location


@dataclass(frozen=True)
class _File:
    """A file to copy. store: that it is in; name: its name there; to: the copy's name; size: bytes"""

    store: ObjectStore
    name: str
    to: str
    size: int


async def _published(shop: Shop, target: ObjectStore) -> CopyResult:
    from obstore.store import MemoryStore

    if await _read(target, CURRENT_FILE) is None and (
        others := await _top(target) - {CATALOGUE_FOLDER, PHOTOS_FOLDER, BUILDS_FOLDER}
    ):
        raise ShopError(f"something else is there ({min(others)}), and is left alone. Choose another place.")
    photos, missing = await asyncio.to_thread(_photos_of, shop)
    there = await _sizes(target, f"{CATALOGUE_FOLDER}/") | await _sizes(target, f"{PHOTOS_FOLDER}/")
    new = [photo for photo in photos if there.get(photo.to) != photo.size]
    await _copy(new, target)
    # The copy has its photos with it, and is told so.
    about = json.loads((shop.build_folder / BUILD_INFO_FILE).read_text(encoding="utf-8")) | {
        "catalogue": CATALOGUE_FOLDER
    }
    told, memory = json.dumps(about, indent=2).encode(), MemoryStore()
    await memory.put_async(BUILD_INFO_FILE, told)
    name = f"{BUILDS_FOLDER}/{shop.build_folder.name}/{BUILD_INFO_FILE}"
    copied = await _copied(_folder(shop.path), target, {name: _File(memory, BUILD_INFO_FILE, name, len(told))})
    return CopyResult(len(new) + copied.files, sum(photo.size for photo in new) + copied.total_bytes, missing)


def _photos_of(shop: Shop) -> tuple[list[_File], tuple[str, ...]]:
    """The photos that a shop's listings name, and names that lead nowhere."""
    column = shop.table.search().select(["images"]).limit(len(shop)).to_arrow()["images"]
    names = sorted({name for names in column.to_pylist() for name in names})
    catalogue, uploads = _folder(shop.catalogue_folder), _folder(shop.path / PHOTOS_FOLDER)
    found, missing = [], []
    for name in names:
        try:
            size = shop.photo_path(name).stat().st_size
        except (PhotoError, OSError):
            missing.append(name)
            continue
        uploaded, plain = UPLOADED_PHOTO.fullmatch(name), PurePosixPath(name).as_posix()
        found.append(
            _File(uploads, uploaded[1], f"{PHOTOS_FOLDER}/{uploaded[1]}", size)
            if uploaded
            else _File(catalogue, plain, f"{CATALOGUE_FOLDER}/{plain}", size)
        )
    return found, tuple(missing)


async def _copied(source: ObjectStore, target: ObjectStore, instead: Mapping[str, _File]) -> CopyResult:
    """Copy what is new of a shop, less its photos. instead: files that are other ones in the copy, by name"""
    said = await _read(source, CURRENT_FILE)
    if said is None:
        raise ShopError("there is no shop. Publish one with `wares publish SHOP URL`.")
    known = await _read(target, CURRENT_FILE)
    build = f"{BUILDS_FOLDER}/{json.loads(said)['build']}/"
    table, states = f"{build}{TABLE_NAME}.lance/", f"{build}{TABLE_NAME}.lance/_versions/"
    listed = await _sizes(source, states)  # before the rows that they name, so that these are all there
    here, there = await _sizes(source, build), await _sizes(target, build)
    new = [name for name, size in here.items() if name.startswith(table) and there.get(name) != size]
    rows = [name for name in new if not name.startswith(states)]
    rest = [name for name in here if not name.startswith(table)] if said != known else []
    named = [name for name in new if name in listed and name != f"{states}{VERSION_HINT_FILE}"]
    hint = [f"{states}{VERSION_HINT_FILE}"] if named and f"{states}{VERSION_HINT_FILE}" in listed else []
    steps = [[*rows, *rest], named, hint, [CURRENT_FILE] if said != known else []]
    sizes = here | {CURRENT_FILE: len(said)}
    for step in steps:
        await _copy([instead.get(name, _File(source, name, name, sizes[name])) for name in step], target)
    await _delete(target, [name for name in there if name not in here])
    if said != known:
        before = None if known is None else f"{BUILDS_FOLDER}/{json.loads(known)['build']}/"
        builds = (await target.list_with_delimiter_async(f"{BUILDS_FOLDER}/"))["common_prefixes"]
        old = [each for each in builds if f"{each}/" not in (build, before)]
        await _delete(target, [name for each in old for name in await _sizes(target, f"{each}/")])
    copied = [name for step in steps for name in step]
    return CopyResult(len(copied), sum(sizes[name] for name in copied))


async def _copy(files: Sequence[_File], target: ObjectStore) -> None:
    """Copy files, several at once; one that was begun and not ended is not there."""
    turns = asyncio.Semaphore(MAX_PARALLEL_COPIES)
    with progress(None, "copying", total=sum(file.size for file in files), unit="B") as bar:

        async def copy(file: _File) -> None:
            async with turns:
                found = await file.store.get_async(file.name)
                content = found.stream(STREAM_BYTES) if found.meta["size"] > STREAM_BYTES else await found.bytes_async()
                await target.put_async(file.to, content)
                bar.update(file.size)

        await asyncio.gather(*(copy(file) for file in files))


async def _sizes(store: ObjectStore, prefix: str) -> dict[str, int]:
    """The files below a folder with their bytes, less those of whoever works there at the moment."""
    found = await store.list(prefix).collect_async()
    names = {each["path"]: each["size"] for each in found}
    return {
        name: size for name, size in names.items() if not name.endswith(".lock") and not any(
            part.startswith(".") for part in name.split("/")
        )
    }  # fmt: skip


async def _top(store: ObjectStore) -> set[str]:
    """Names of files and folders at the place itself."""
    found = await store.list_with_delimiter_async()
    return {*found["common_prefixes"], *(each["path"] for each in found["objects"])}


async def _read(store: ObjectStore, name: str) -> bytes | None:
    """A file's content; None where there is none."""
    try:
        return bytes(await (await store.get_async(name)).bytes_async())
    except FileNotFoundError:
        return None


async def _delete(store: ObjectStore, names: Sequence[str]) -> None:
    if names:
        await store.delete_async(names)


def _place(url: str) -> ObjectStore:
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, from_url

    try:
        return LocalStore.from_url(url, **LOCAL_STORE_OPTIONS) if url.startswith("file://") else from_url(url)
    except (BaseError, ValueError) as error:
        raise SettingsError(f'"{url}" is no place for a shop. Name one as s3://bucket/shop, gs:// or az://.') from error


def _folder(path: Path) -> ObjectStore:
    from obstore.store import LocalStore

    return LocalStore(path, **LOCAL_STORE_OPTIONS)


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, also where a loop runs already, as in a notebook."""
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, work).result()


@contextmanager
def _understood(url: str) -> Iterator[None]:
    """Whatever goes wrong with object storage as an error of ours, in one line."""
    from obstore.exceptions import BaseError

    try:
        yield
    except ShopError as error:
        raise ShopError(f"{url}: {error}") from error
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ShopError(f"{url}: {reason}. Check the place, and the credentials in the environment.") from error
