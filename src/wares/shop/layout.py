"""The files of a shop folder: which build is current, and what each build is."""

from __future__ import annotations

import json
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
# In the folder of a build
BUILD_INFO_FILE = "about.json"
PROBLEMS_FILE = "problems.txt"
MODEL_FOLDER = "model"
LOCK_FILE = "update.lock"


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


def set_current_build(path: Path, build: str) -> None:
    """Make a build the current one. A reader sees either the shop.json of before or this one."""
    current = CurrentBuild(SHOP_FORMAT, build, datetime.now(UTC).isoformat())
    write_json(asdict(current), path / CURRENT_FILE)


def read_build_info(folder: Path) -> BuildInfo:
    """The content of a build's about.json. Raises ShopError."""
    file = folder / BUILD_INFO_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return BuildInfo(**content | {"attributes": AttributeColumns(**content["attributes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error
