"""Files of a shop folder: its description, its builds, and which build is current."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from wares.core.errors import ShopError
from wares.core.files import write_json
from wares.shop.attributes import AttributeColumns

SHOP_FORMAT = 3
CURRENT_FILE, BUILDS_FOLDER, BUILD_INFO_FILE, PROBLEMS_FILE, MODEL_FOLDER = (
    "shop.json",
    "builds",
    "about.json",
    "problems.txt",
    "model",
)
PHOTOS_FOLDER = "photos"
LOCK_FILE = "update.lock"


@dataclass(frozen=True)
class CurrentBuild:
    """What shop.json says.

    build: folder in builds/ that is the shop now; changed: when it became so, or was given another ranker
    """

    format: int
    build: str
    changed: str


@dataclass(frozen=True)
class BuildInfo:
    """What about.json says of a build, as it was built; updates do not change it.

    model: identity of the towers; catalogue: the folder that the photos lie in, seen from the shop's or absolute
    photos: number of photo views; problems: number of lines in problems.txt
    text_fields: further columns that are texts of its listings
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
        """Attributes that could not be stored as they were."""
        return self.attributes.notes


def read_current_build(path: Path) -> CurrentBuild:
    """What shop.json says. Raises ShopError where there is no shop, or one that is damaged or of another format."""
    file = path / CURRENT_FILE
    if not path.exists():
        raise ShopError(f"{path} does not exist. Build a shop with `wares index`.")
    if not file.is_file():
        raise ShopError(f"{path} is not a shop: it has no {CURRENT_FILE}. Build one with `wares index`.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != SHOP_FORMAT:
            raise ShopError(
                f"{path} has shop format {content['format']}, and this wares reads format {SHOP_FORMAT}. "
                "Rebuild it with `wares index`."
            )
        current = CurrentBuild(**content)
        if Path(current.build).name == current.build:
            return current
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.") from error
    raise ShopError(f"{file} is damaged. Rebuild the shop with `wares index`.")


def set_current_build(path: Path, build: str) -> None:
    """Say in shop.json which build is the shop now, so that a reader sees either what was there or this."""
    current = CurrentBuild(SHOP_FORMAT, build, datetime.now(UTC).isoformat())
    write_json(asdict(current), path / CURRENT_FILE)


def read_build_info(folder: Path) -> BuildInfo:
    file = folder / BUILD_INFO_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return BuildInfo(**content | {"attributes": AttributeColumns(**content["attributes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopError(f"{file} is missing or damaged. Rebuild the shop with `wares index`.") from error
