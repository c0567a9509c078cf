"""Earlier builds of a shop, and the way back to them.

A new build keeps the one before it, and `update_shop` first copies the build that it changes. Lance never overwrites
rows, so a copy shares the files of its original and takes space only for what changes afterwards.
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
from wares.shop.layout import BUILDS_FOLDER, read_current_build, shop_lock, switch_build
from wares.shop.shop import open_build
from wares.shop.table import VERSION_HINT_FILE, open_table

if TYPE_CHECKING:
    from pathlib import Path

    from wares.shop.shop import Shop


COPY_MARKER_FILE = "copied"  # an empty file in a build that is a copy


@dataclass(frozen=True)
class Version:
    """A build of a shop.

    name: as `roll_back` takes it; time: at which it was completed or copied; listings: their number
    current: whether it is the current build; copied: whether it is a copy from before an update
    """

    name: str
    time: datetime
    listings: int
    current: bool
    copied: bool


def list_versions(path: Path) -> list[Version]:
    """The current build, then the others, the latest first. Raises ShopError."""
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
    """Make another build the current one, and keep the present one. Raises ShopError if there is no such build.

    A build, re-embedding or update that is running meanwhile is refused when it is about to commit.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_shop, build_towers
        >>> from wares.shop import roll_back
        >>> from wares.shop.versions import list_versions
        >>> path = Path(tempfile.mkdtemp()) / "shop"
        >>> for title in ("Red boots", "Coffee mug"):
        ...     catalogue = Catalogue(Path("."), (Listing("1", title),))
        ...     shop = build_shop(catalogue, build_towers("small"), path, overwrite=True)
        >>> current, previous = list_versions(path)
        >>> roll_back(path, previous.name).path == path
        True
    """
    replaced = read_current_build(path).build
    with shop_lock(path):
        names = [version.name for version in list_versions(path)]
        if name not in names:
            raise ShopError(f'{path} has no version "{name}". Choose one of {", ".join(names)}.')
        current = switch_build(path, replaced, name)
    return open_build(path, current)


def copy_current_build(shop: Shop) -> str:
    """Copy the current build and return the name of the copy. Hold `write_lock` meanwhile. Raises ShopError."""
    name = new_build_name()
    try:
        with partial_build(shop.path, COPY_PREFIX) as partial:
            shutil.copytree(shop.build_folder, partial, copy_function=_link_or_copy, dirs_exist_ok=True)
            (partial / COPY_MARKER_FILE).touch()
            partial.rename(partial.with_name(name))
    except OSError as error:
        raise ShopError(
            f"{shop.path} cannot be copied ({error.strerror or error}). Free disk space beside it."
        ) from error
    delete_old_builds(shop.path, shop.build_folder.name)
    return name


def _link_or_copy(source: str, target: str) -> None:
    """Hard-link a file, or copy it if Lance may overwrite it or the file system has no hard links."""
    if os.path.basename(source) != VERSION_HINT_FILE:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)
