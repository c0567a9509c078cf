"""The builds that a shop has been, and the way back to them.

A build is kept when another takes its place, and a copy of one when the catalogue is taken over into it (wares.
incremental). Rows never change once they are written, so a copy shares its files with what it was made of, and costs
no more than what changes after it.
"""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wares.core.errors import ShopError
from wares.shop.layout import BUILD_INFO_FILE, BUILDS_FOLDER, LOCK_FILE, read_current_build, set_current_build
from wares.shop.shop import open_shop
from wares.shop.table import TABLE_NAME, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wares.shop.shop import Shop


KEPT_BUILDS = 2  # builds besides the one that is the shop now
BUILD_NAME_FORMAT = "%Y-%m-%dT%H%M%S.%fZ"
PARTIAL_PREFIX, COPY_PREFIX = ".partial-", ".copy-"  # before the name of a build that is being written, or copied
COPY_MARKER_FILE = "copied"  # an empty file in a build that is a copy
VERSION_HINT_FILE = "latest_version_hint.json"  # the one file of a table that is written again and again


@dataclass(frozen=True)
class Version:
    """A build. name: `roll_back` takes it; time: when it was completed, or copied; current: whether it is the shop

    copied: whether it is what the shop was before an update began at that time
    """

    name: str
    time: datetime
    listings: int
    current: bool
    copied: bool


def list_versions(path: Path) -> list[Version]:
    """What a shop is, and what it can be set back to, the latest first. Raises ShopError."""
    current = read_current_build(path).build
    names = [current, *(name for name in _builds(path) if name != current)]
    return [
        Version(
            name,
            datetime.strptime(name, BUILD_NAME_FORMAT).replace(tzinfo=UTC),
            open_table(path / BUILDS_FOLDER / name).count_rows(),
            name == current,
            (path / BUILDS_FOLDER / name / COPY_MARKER_FILE).exists(),
        )
        for name in names
    ]


def roll_back(path: Path, name: str) -> Shop:
    """Make another build the shop; what was the shop is kept. Raises ShopError where there is no such build."""
    known = [version.name for version in list_versions(path)]
    if name not in known:
        raise ShopError(f'{path} has no version "{name}". It has {", ".join(known)}.')
    set_current_build(path, name)
    return open_shop(path)


def copy_current_build(shop: Shop) -> str:
    """Copy the build that is the shop, which nobody may be writing to; the copy's name. Raises ShopError."""
    name = new_build_name()
    try:
        with partial_build(shop.path, COPY_PREFIX) as partial:
            shutil.copytree(
                shop.build_folder,
                partial,
                ignore=shutil.ignore_patterns(LOCK_FILE),
                copy_function=_linked,
                dirs_exist_ok=True,
            )
            (partial / COPY_MARKER_FILE).touch()
            partial.rename(partial.with_name(name))
    except OSError as error:
        raise ShopError(f"{shop.path} cannot be copied ({error.strerror or error}). Make room beside it.") from error
    delete_old_builds(shop.path, shop.build_folder.name)
    return name


@contextmanager
def partial_build(path: Path, name_prefix: str = PARTIAL_PREFIX, resume: bool = False) -> Iterator[Path]:
    """A folder for a build that is to be moved to its name, or else disappears; what was killed before is cleared.

    name_prefix: PARTIAL or COPY, each of which clears its own
    resume: start with the table that was left by the last one that was killed, and leave it where this one fails
    """
    builds = path / BUILDS_FOLDER
    builds.mkdir(parents=True, exist_ok=True)
    prefix = f"{name_prefix}{platform.node()}-"
    partial = builds / f"{prefix}{os.getpid()}"
    left = [folder for folder in builds.iterdir() if folder.name.startswith(prefix)]
    left = [folder for folder in left if not _running(folder.name.removeprefix(prefix))]
    tables = [folder for folder in left if resume and _has_rows(folder)]
    last = max(tables, key=lambda folder: folder.stat().st_mtime, default=None)
    for folder in left:
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
    """Builds are named by when they were completed, so that of two that are made at once none takes the other's."""
    return f"{datetime.now(UTC):{BUILD_NAME_FORMAT}}"


def delete_old_builds(path: Path, previous: str) -> None:
    """Remove all builds but the last few. previous: a build that others may be reading, which stays"""
    current = read_current_build(path).build
    others = [name for name in _builds(path) if name != current]
    for name in others[KEPT_BUILDS:]:
        if name != previous:
            shutil.rmtree(path / BUILDS_FOLDER / name, ignore_errors=True)


def _builds(path: Path) -> list[str]:
    """Complete builds, the latest first."""
    folders = [folder for folder in (path / BUILDS_FOLDER).iterdir() if (folder / BUILD_INFO_FILE).is_file()]
    return sorted((folder.name for folder in folders if not folder.name.startswith(".")), reverse=True)


def _has_rows(folder: Path) -> bool:
    """Whether rows were committed to the table in a folder."""
    return any((folder / f"{TABLE_NAME}.lance" / "data").glob("*"))


def _linked(source: str, target: str) -> None:
    """The same file under another name, or a copy where it may be written to, or cannot have two names."""
    if os.path.basename(source) != VERSION_HINT_FILE:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)


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
