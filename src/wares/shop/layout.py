"""The files of a shop folder: which build is current, and what each build is.

Everything that writes to a shop takes turns by `shop_lock`, and makes a build current with `switch_build` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from wares.core.errors import ShopError
from wares.core.files import write_json
from wares.shop.attributes import AttributeColumns

SHOP_FORMAT = 4
CURRENT_FILE = "shop.json"
BUILDS_FOLDER = "builds"
PHOTOS_FOLDER = "photos"
LOCK_FILE = "shop.lock"
# In the folder of a build
BUILD_INFO_FILE = "about.json"
PROBLEMS_FILE = "problems.txt"
MODEL_FOLDER = "model"


@dataclass(frozen=True)
class CurrentBuild:
    """The content of shop.json.

    build: name of the current build, a folder in builds/
    changed: time at which it became current or got another ranker, ISO 8601
    """

    format: int
    build: str
    changed: str


@dataclass(frozen=True)
class BuildInfo:
    """The content of about.json: a build as it was written. Updates do not change it.

    model: identity of the towers; dimension: of their vectors
    catalogue: folder of the photos, absolute or relative to the shop
    listings, photos, problems: number of listings, of photo views and of lines in problems.txt
    text_fields: further columns of the catalogue that are texts of a listing
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
    text_fields: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Attributes that are stored under another name or type, one line each."""
        return self.attributes.notes


def read_current_build(path: Path) -> CurrentBuild:
    """The content of shop.json. Raises ShopError if the shop is missing, damaged or of another format."""
    file = path / CURRENT_FILE
    if not path.exists():
        raise ShopError(f"{path} does not exist. Build a shop with `wares index`.")
    if not file.is_file():
        raise ShopError(f"{path} is not a shop: it has no {CURRENT_FILE}. Build one with `wares index`.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != SHOP_FORMAT:
            raise ShopError(
                f"{path} has shop format {content['format']}; this version of wares reads format {SHOP_FORMAT}. "
                f"Rebuild it with `wares index CATALOGUE --model MODEL --out {path} --overwrite`."
            )
        current = CurrentBuild(**content)
        if Path(current.build).name == current.build:
            return current
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.") from error
    raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.")


def current_build_name(path: Path) -> str | None:
    """The name of the current build; None if there is no shop, or one that is damaged or of another format."""
    try:
        return read_current_build(path).build
    except ShopError:
        return None


@contextmanager
def shop_lock(path: Path) -> Iterator[None]:
    """Exclude the other writers of a shop, in all processes. A thread that holds the lock can take it again.

    Hold it for a commit, not while listings are encoded. A process that is killed releases it.
    """
    from filelock import FileLock

    with FileLock(path / LOCK_FILE, is_singleton=True):
        yield


def check_current_build(path: Path, expected: str | None) -> None:
    """Raise ShopError if a build is not current any more. expected: its name, as of `current_build_name`"""
    if current_build_name(path) != expected:
        raise ShopError(
            f"{path} was rebuilt or rolled back by another process meanwhile. Open the shop again, or run the command "
            "again."
        )


def switch_build(path: Path, expected: str | None, build: str) -> CurrentBuild:
    """Make a build current in place of the one that is expected to be: compare and swap, under the shop's lock.

    expected: name of the build that was current when the caller began; None: none was
    build: another, or the same if its ranker or index is new, so that processes that have it open reopen it

    A reader sees either the shop.json of before or this one. Raises ShopError if another build is current.
    """
    with shop_lock(path):
        check_current_build(path, expected)
        current = CurrentBuild(SHOP_FORMAT, build, datetime.now(UTC).isoformat())
        write_json(asdict(current), path / CURRENT_FILE)
        return current


def read_build_info(folder: Path) -> BuildInfo:
    """The content of a build's about.json. Raises ShopError."""
    file = folder / BUILD_INFO_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return BuildInfo(**content | {"attributes": AttributeColumns(**content["attributes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error
