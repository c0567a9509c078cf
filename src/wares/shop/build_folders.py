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
from wares.shop.layout import (
    BUILD_INFO_FILE,
    BUILDS_FOLDER,
    CURRENT_FILE,
    PROBLEMS_FILE,
    read_current_build,
    set_current_build,
)
from wares.shop.table import TABLE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator


KEPT_BUILDS = 2  # builds besides the one that is the shop now
BUILD_NAME_FORMAT = "%Y-%m-%dT%H%M%S.%fZ"
PARTIAL_PREFIX, COPY_PREFIX = ".partial-", ".copy-"  # before the name of a build that is being written, or copied
FORMAT_1_FOLDERS = ("listings.lance", "model", "ranker", "query-tower")  # folders that lay beside shop.json


def check_target(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and all(_is_left_over(path) for path in out.iterdir())):
        return
    if not (out / CURRENT_FILE).is_file():
        raise ShopError(f"{out} exists and is not a shop, so it is left alone. Choose another place.")
    if not overwrite:
        raise ShopError(f"{out} is already a shop. Pass --overwrite to replace it, or choose another place.")


def _is_left_over(path: Path) -> bool:
    """Whether this is all that a first build wrote before it was killed."""
    return path.name == BUILDS_FOLDER and all(
        build.name.startswith(PARTIAL_PREFIX) or (build / BUILD_INFO_FILE).is_file() for build in path.iterdir()
    )


@contextmanager
def new_build(out: Path | str, overwrite: bool, listings: int, resume: bool = False) -> Iterator[Path]:
    """A folder that becomes the shop's build when all went well, and disappears when not.

    resume: as of `partial_build`. Raises ShopError as `check_target` does, or where there is nothing to index.
    """
    out = Path(out).absolute()
    check_target(out, overwrite)
    if listings == 0:
        raise ShopError("the catalogue has no listings, so there is nothing to index.")
    try:
        with partial_build(out, resume=resume) as partial:
            yield partial
            _move_into_place(partial, out)
    finally:
        for folder in (out / BUILDS_FOLDER, out):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _move_into_place(partial: Path, out: Path) -> None:
    """Make a build the current one."""
    build = partial.with_name(new_build_name())
    try:
        before = read_current_build(out).build
    except ShopError:  # the first build, or one in place of a shop that is damaged or of an older format
        before = ""
    partial.rename(build)
    set_current_build(out, build.name)
    delete_old_builds(out, before)
    for name in FORMAT_1_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    (out / PROBLEMS_FILE).unlink(missing_ok=True)


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
    others = [name for name in list_builds(path) if name != current]
    for name in others[KEPT_BUILDS:]:
        if name != previous:
            shutil.rmtree(path / BUILDS_FOLDER / name, ignore_errors=True)


def list_builds(path: Path) -> list[str]:
    """Complete builds, the latest first."""
    folders = [folder for folder in (path / BUILDS_FOLDER).iterdir() if (folder / BUILD_INFO_FILE).is_file()]
    return sorted((folder.name for folder in folders if not folder.name.startswith(".")), reverse=True)


def _has_rows(folder: Path) -> bool:
    """Whether rows were committed to the table in a folder."""
    return any((folder / f"{TABLE_NAME}.lance" / "data").glob("*"))


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
