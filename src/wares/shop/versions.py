"""The builds that a shop has been, and the way back to them.

A build is kept when another takes its place, and a copy of one when the catalogue is taken over into it (wares.
incremental). Rows never change once they are written, so a copy shares its files with what it was made of, and costs
no more than what changes after it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wares.core.errors import ShopError
from wares.shop.build_folders import (
    BUILD_NAME_FORMAT,
    COPY_PREFIX,
    delete_old_builds,
    list_builds,
    new_build_name,
    partial_build,
)
from wares.shop.layout import BUILDS_FOLDER, LOCK_FILE, read_current_build, set_current_build
from wares.shop.shop import open_shop
from wares.shop.table import open_table

if TYPE_CHECKING:
    from pathlib import Path

    from wares.shop.shop import Shop


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
    names = [current, *(name for name in list_builds(path) if name != current)]
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


def _linked(source: str, target: str) -> None:
    """The same file under another name, or a copy where it may be written to, or cannot have two names."""
    if os.path.basename(source) != VERSION_HINT_FILE:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)
