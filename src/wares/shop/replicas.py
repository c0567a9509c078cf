"""Shops on object storage: published from a folder, and replicated to local folders.

    wares publish SHOP s3://bucket/shop         on the machine that builds and updates the shop
    wares serve s3://bucket/shop                on any number of other machines

A replica is a local copy, so no search waits for object storage. `Replica.catch_up` copies what has changed since;
a photo is copied when it is first requested.

A copy is a complete shop at any time, even if copying is interrupted, because files are copied before the files that
refer to them: photos, rows, versions of the table, and shop.json last. Lance never changes rows once they are written,
and all other files of a build change together with shop.json, so only these need to be compared.
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
from wares.core.errors import PhotoError, SettingsError, ShopError, one_line
from wares.core.progress import progress
from wares.shop.layout import BUILD_INFO_FILE, BUILDS_FOLDER, CURRENT_FILE, PHOTOS_FOLDER, check_current_build
from wares.shop.shop import UPLOADED_PHOTO
from wares.shop.table import TABLE_NAME, VERSION_HINT_FILE

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from wares.shop.shop import Shop


CATALOGUE_FOLDER = "catalogue"  # in a published shop: the photos from the catalogue's folder
CATCH_UP_LOCK_FILE = ".catch-up.lock"
MAX_PARALLEL_COPIES = 16
STREAM_BYTES = 8_000_000  # larger files are streamed in parts of this size
LOCAL_STORE_OPTIONS: dict[str, Any] = {"mkdir": True, "automatic_cleanup": True}  # create and delete empty folders
T = TypeVar("T")


@dataclass(frozen=True)
class CopyResult:
    """Number of copied files, their bytes, and names of photos that do not exist."""

    files: int = 0
    total_bytes: int = 0
    missing: tuple[str, ...] = ()


def publish(shop: Shop, url: str) -> CopyResult:
    """Copy a shop with its photos to object storage. Files that are there already are not copied again.

    url: s3://, gs:// or az://, with credentials in the environment variables of the provider; or file://

    Photos are compared by name and size. Raises SettingsError for another kind of URL, ShopError if the location
    cannot be read and written.
    """
    with _storage_errors(url):
        return _run(_publish(shop, _open_store(url)))


class Replica:
    """A local, read-only copy of a published shop. Open it with `wares.open_shop(replica.folder)`.

    url: as `publish` takes it; folder: of the copy, by default in the cache of wares

    Raises SettingsError for another kind of URL.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        name = f"{PurePosixPath(url).name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
        self.url = url
        self.folder = (folder or default_cache() / "replicas" / name).absolute()
        with _storage_errors(url):
            self._store = _open_store(url)

    def catch_up(self) -> CopyResult:
        """Copy what has changed since the last call. If another process is doing so, return at once.

        Raises ShopError if there is no shop at the URL or it cannot be reached; the copy stays usable.
        """
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / CATCH_UP_LOCK_FILE, timeout=0), _storage_errors(self.url):
                return _run(_catch_up(self._store, _local_store(self.folder)))
        except Timeout:
            return CopyResult()

    def fetch_photo(self, photo: Path) -> None:
        """Copy the photo that belongs at a path of `Shop.photo_path`. Raises PhotoError if it does not exist."""
        name = photo.relative_to(self.folder).as_posix()
        try:
            with _storage_errors(self.url):
                _run(_copy([_File(self._store, name, name, 0)], _local_store(self.folder)))
        except ShopError as error:
            raise PhotoError(f"{name} cannot be copied from {self.url}. Publish the shop again.") from error


def is_url(location: str) -> bool:
    """Whether a location is on object storage rather than a folder."""
    return "://" in location


@dataclass(frozen=True)
class _File:
    """A file to copy. store, name: of the source; target_name: of the copy; size: in bytes"""

    store: ObjectStore
    name: str
    target_name: str
    size: int


async def _catch_up(source: ObjectStore, target: ObjectStore) -> CopyResult:
    current = await _read(source, CURRENT_FILE)
    if current is None:
        raise ShopError("there is no shop at this location. Publish one with `wares publish SHOP URL`.")
    return await _copy_shop(source, current, target, {})


async def _publish(shop: Shop, target: ObjectStore) -> CopyResult:
    from obstore.store import MemoryStore

    if await _read(target, CURRENT_FILE) is None and (
        others := await _top_names(target) - {CATALOGUE_FOLDER, PHOTOS_FOLDER, BUILDS_FOLDER}
    ):
        raise ShopError(f"the location is not empty ({min(others)}) and has no shop. Choose another URL.")
    photos, missing = await asyncio.to_thread(_find_photos, shop)
    existing = await _sizes(target, f"{CATALOGUE_FOLDER}/") | await _sizes(target, f"{PHOTOS_FOLDER}/")
    new = [photo for photo in photos if existing.get(photo.target_name) != photo.size]
    await _copy(new, target)
    # In the copy, about.json names the folder of the copied photos.
    build_info = json.loads((shop.build_folder / BUILD_INFO_FILE).read_text(encoding="utf-8")) | {
        "catalogue": CATALOGUE_FOLDER
    }
    content, memory = json.dumps(build_info, indent=2).encode(), MemoryStore()
    await memory.put_async(BUILD_INFO_FILE, content)
    name = f"{BUILDS_FOLDER}/{shop.build_folder.name}/{BUILD_INFO_FILE}"
    current = (shop.path / CURRENT_FILE).read_bytes()
    check_current_build(shop.path, shop.current.build)
    replacements = {name: _File(memory, BUILD_INFO_FILE, name, len(content))}
    copied = await _copy_shop(_local_store(shop.path), current, target, replacements)
    return CopyResult(len(new) + copied.files, sum(photo.size for photo in new) + copied.total_bytes, missing)


def _find_photos(shop: Shop) -> tuple[list[_File], tuple[str, ...]]:
    """The photos that a shop's listings name, and the names of those that do not exist."""
    column = shop.table.search().select(["images"]).limit(len(shop)).to_arrow()["images"]
    names = sorted({name for names in column.to_pylist() for name in names})
    catalogue, uploads = _local_store(shop.catalogue_folder), _local_store(shop.path / PHOTOS_FOLDER)
    photos, missing = [], []
    for name in names:
        try:
            size = shop.photo_path(name).stat().st_size
        except (PhotoError, OSError):
            missing.append(name)
            continue
        uploaded, plain = UPLOADED_PHOTO.fullmatch(name), PurePosixPath(name).as_posix()
        photos.append(
            _File(uploads, uploaded[1], f"{PHOTOS_FOLDER}/{uploaded[1]}", size)
            if uploaded
            else _File(catalogue, plain, f"{CATALOGUE_FOLDER}/{plain}", size)
        )
    return photos, tuple(missing)


async def _copy_shop(
    source: ObjectStore, current: bytes, target: ObjectStore, replacements: Mapping[str, _File]
) -> CopyResult:
    """Copy what is new in a build of a shop, without the photos.

    current: the shop.json that names the build, which the copy gets even if the source has another one meanwhile
    replacements: files that differ in the copy, by name
    """
    copied_current = await _read(target, CURRENT_FILE)
    is_new = current != copied_current  # a new build, or the same with another ranker or index
    build = f"{BUILDS_FOLDER}/{json.loads(current)['build']}/"
    table, versions = f"{build}{TABLE_NAME}.lance/", f"{build}{TABLE_NAME}.lance/_versions/"
    listed = await _sizes(source, versions)  # before the rows, so that all rows of these versions are listed too
    source_sizes, target_sizes = await _sizes(source, build), await _sizes(target, build)
    new = [name for name, size in source_sizes.items() if name.startswith(table) and target_sizes.get(name) != size]
    rows = [name for name in new if not name.startswith(versions)]
    other_files = [name for name in source_sizes if not name.startswith(table)] if is_new else []
    hint_file = f"{versions}{VERSION_HINT_FILE}"
    version_files = [name for name in new if name in listed and name != hint_file]
    hint = [hint_file] if version_files and hint_file in listed else []
    steps = [[*rows, *other_files], version_files, hint]
    for step in steps:
        await _copy([replacements.get(name, _File(source, name, name, source_sizes[name])) for name in step], target)
    if is_new:
        await target.put_async(CURRENT_FILE, current)
    await _delete(target, [name for name in target_sizes if name not in source_sizes])
    if is_new:
        await _delete_old_builds(target, build, copied_current)
    sizes = [source_sizes[name] for step in steps for name in step] + [len(current)] * is_new
    return CopyResult(len(sizes), sum(sizes))


async def _delete_old_builds(store: ObjectStore, build: str, previous_current: bytes | None) -> None:
    """Delete all builds but the new one and the one before it, which others may be reading."""
    previous = None if previous_current is None else f"{BUILDS_FOLDER}/{json.loads(previous_current)['build']}/"
    builds = (await store.list_with_delimiter_async(f"{BUILDS_FOLDER}/"))["common_prefixes"]
    old = [folder for folder in builds if f"{folder}/" not in (build, previous)]
    await _delete(store, [name for folder in old for name in await _sizes(store, f"{folder}/")])


async def _copy(files: Sequence[_File], target: ObjectStore) -> None:
    """Copy files in parallel. An interrupted copy of a file leaves no file."""
    semaphore = asyncio.Semaphore(MAX_PARALLEL_COPIES)
    with progress(None, "copying", total=sum(file.size for file in files), unit="B") as bar:

        async def copy(file: _File) -> None:
            async with semaphore:
                source = await file.store.get_async(file.name)
                is_large = source.meta["size"] > STREAM_BYTES
                content = source.stream(STREAM_BYTES) if is_large else await source.bytes_async()
                await target.put_async(file.target_name, content)
                bar.update(file.size)

        await asyncio.gather(*(copy(file) for file in files))


async def _sizes(store: ObjectStore, prefix: str) -> dict[str, int]:
    """Sizes in bytes of the files below a folder, by name, without locks and unfinished builds."""
    files = await store.list(prefix).collect_async()
    return {
        file["path"]: file["size"]
        for file in files
        if not file["path"].endswith(".lock") and not any(part.startswith(".") for part in file["path"].split("/"))
    }


async def _top_names(store: ObjectStore) -> set[str]:
    """Names of the files and folders at the top."""
    listing = await store.list_with_delimiter_async()
    return {*listing["common_prefixes"], *(file["path"] for file in listing["objects"])}


async def _read(store: ObjectStore, name: str) -> bytes | None:
    """The content of a file; None if it does not exist."""
    try:
        return bytes(await (await store.get_async(name)).bytes_async())
    except FileNotFoundError:
        return None


async def _delete(store: ObjectStore, names: Sequence[str]) -> None:
    if names:
        await store.delete_async(names)


def _open_store(url: str) -> ObjectStore:
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, from_url

    try:
        return LocalStore.from_url(url, **LOCAL_STORE_OPTIONS) if url.startswith("file://") else from_url(url)
    except (BaseError, ValueError) as error:
        raise SettingsError(
            f'"{url}" is not a URL of object storage. Give one such as s3://bucket/shop, gs:// or az://.'
        ) from error


def _local_store(path: Path) -> ObjectStore:
    from obstore.store import LocalStore

    return LocalStore(path, **LOCAL_STORE_OPTIONS)


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own, because a loop may be running already, as in a notebook."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


@contextmanager
def _storage_errors(url: str) -> Iterator[None]:
    """Turn errors of object storage into ShopError with a message of one line."""
    from obstore.exceptions import BaseError

    try:
        yield
    except ShopError as error:
        raise ShopError(f"{url}: {error}") from error
    except (BaseError, OSError, ValueError) as error:
        raise ShopError(f"{url}: {one_line(error)}. Check the URL, and the credentials in the environment.") from error
