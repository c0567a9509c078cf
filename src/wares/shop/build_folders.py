"""Folders of builds: a new one is written beside the others and becomes current when it is complete."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wares.core.errors import ShopError
from wares.core.processes import is_running
from wares.shop.layout import (
    BUILD_INFO_FILE,
    BUILDS_FOLDER,
    CURRENT_FILE,
    LOCK_FILE,
    PROBLEMS_FILE,
    check_current_build,
    current_build_name,
    read_current_build,
    shop_lock,
    switch_build,
)
from wares.shop.table import TABLE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator


KEPT_BUILDS = 2  # besides the current one
BUILD_NAME_FORMAT = "%Y-%m-%dT%H%M%S.%fZ"
# Of the names of folders of builds that are being written or copied, and of rankers that are being written
PARTIAL_PREFIX, COPY_PREFIX, RANKER_PREFIX = ".partial-", ".copy-", ".ranker-"
FORMAT_1_FOLDERS = ("listings.lance", "model", "ranker", "query-tower")  # beside shop.json


def check_target(out: Path, overwrite: bool) -> None:
    """Raise ShopError if a shop cannot be written to this folder."""
    if not out.exists() or (out.is_dir() and all(_is_leftover(path) for path in out.iterdir())):
        return
    if not (out / CURRENT_FILE).is_file():
        raise ShopError(f"{out} is not empty and is not a shop. Choose another --out.")
    if not overwrite:
        raise ShopError(f"{out} is already a shop. Pass --overwrite to replace it, or choose another --out.")


def _is_leftover(path: Path) -> bool:
    """Whether a killed first build left this file or folder."""
    if path.name == BUILDS_FOLDER:
        return all(
            build.name.startswith(PARTIAL_PREFIX) or (build / BUILD_INFO_FILE).is_file() for build in path.iterdir()
        )
    return path.name == LOCK_FILE


@contextmanager
def new_build(out: Path | str, overwrite: bool, listings: int, resume: bool = False) -> Iterator[Path]:
    """A folder that becomes the current build on success and is deleted on failure.

    listings: number of listings to write; resume: as in `partial_build`
    Raises ShopError if there are no listings, as `check_target` does, or if another build became current meanwhile.
    """
    out = Path(out).absolute()
    check_target(out, overwrite)
    replaced = current_build_name(out)
    if listings == 0:
        raise ShopError("the catalogue has no listings to index. Name another catalogue.")
    try:
        with partial_build(out, resume=resume) as partial:
            yield partial
            _move_into_place(partial, out, replaced)
    finally:
        for folder in (out / BUILDS_FOLDER, out):
            with suppress(OSError):  # not empty
                folder.rmdir()


def _move_into_place(partial: Path, out: Path, replaced: str | None) -> None:
    """Rename a complete build and make it current in place of `replaced`. Raises ShopError as `switch_build` does."""
    with shop_lock(out):
        check_current_build(out, replaced)
        build = partial.rename(partial.with_name(new_build_name()))
        switch_build(out, replaced, build.name)
        delete_old_builds(out, replaced)
        for name in FORMAT_1_FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
        (out / PROBLEMS_FILE).unlink(missing_ok=True)


@contextmanager
def partial_build(path: Path, name_prefix: str = PARTIAL_PREFIX, resume: bool = False) -> Iterator[Path]:
    """A folder to write a build to, deleted on exit unless the caller renames it.

    Deletes the folders that killed processes of this machine left under the same prefix.

    name_prefix: PARTIAL_PREFIX, COPY_PREFIX or RANKER_PREFIX
    resume: start with the table of the last killed build, and leave the table if this build fails
    """
    builds = path / BUILDS_FOLDER
    builds.mkdir(parents=True, exist_ok=True)
    prefix = f"{name_prefix}{platform.node()}-"
    partial = builds / f"{prefix}{os.getpid()}"
    folders = [folder for folder in builds.iterdir() if folder.name.startswith(prefix)]
    leftovers = [folder for folder in folders if not is_running(folder.name.removeprefix(prefix))]
    resumable = [folder for folder in leftovers if resume and _has_rows(folder)]
    last = max(resumable, key=lambda folder: folder.stat().st_mtime, default=None)
    for folder in leftovers:
        if folder != last:
            shutil.rmtree(folder)
    if last is not None:
        last.rename(partial)
    partial.mkdir(exist_ok=True)
    for other in partial.iterdir():
        if other.name != f"{TABLE_NAME}.lance":
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    try:
        yield partial
    finally:
        if not (resume and _has_rows(partial)):
            shutil.rmtree(partial, ignore_errors=True)


def new_build_name() -> str:
    """A name for a build: the present time, so that two simultaneous builds get different names."""
    return f"{datetime.now(UTC):{BUILD_NAME_FORMAT}}"


def delete_old_builds(path: Path, previous: str | None) -> None:
    """Delete all but the current build and the last `KEPT_BUILDS`. Hold `shop_lock` meanwhile.

    previous: kept too, as others may be reading it
    """
    current = read_current_build(path).build
    others = [name for name in list_builds(path) if name != current]
    for name in others[KEPT_BUILDS:]:
        if name != previous:
            shutil.rmtree(path / BUILDS_FOLDER / name, ignore_errors=True)


def list_builds(path: Path) -> list[str]:
    """Names of the complete builds, the latest first."""
    folders = [folder for folder in (path / BUILDS_FOLDER).iterdir() if (folder / BUILD_INFO_FILE).is_file()]
    return sorted((folder.name for folder in folders if not folder.name.startswith(".")), reverse=True)


def _has_rows(folder: Path) -> bool:
    """Whether the table in a folder has committed rows."""
    return any((folder / f"{TABLE_NAME}.lance" / "data").glob("*"))
