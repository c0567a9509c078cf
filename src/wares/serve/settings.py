"""Settings of a server: plain values, so that every worker process can be started with them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from wares.core.errors import SettingsError
from wares.shop.replicas import is_url


@dataclass(frozen=True)
class ServeSettings:
    """How shops are served.

    shops: (name, place) of each, the first by default; a place is a folder, or a URL on object storage
    key: opens the write routes; they are closed without
    origins: of other sites whose pages may read answers (CORS)
    rate: requests of one client, such as "20/second", in each worker process; None for no limit
    upload_bytes, upload_pixels: of a request's body and of a photo in it, at most
    in_memory: whether the shops' fused vectors are held in memory (wares.shop.memory)
    """

    shops: tuple[tuple[str, str], ...]
    key: str | None = None
    origins: tuple[str, ...] = ()
    rate: str | None = None
    upload_bytes: int = 20_000_000
    upload_pixels: int = 50_000_000
    in_memory: bool = False

    def __post_init__(self) -> None:
        names = [name for name, _ in self.shops]
        if not names:
            raise SettingsError("no shop was named. Name one that `wares index` made.")
        for name in names:
            if not re.fullmatch(r"[\w.-]+", name):
                raise SettingsError(
                    f'"{name}" is no name for a shop: use letters, digits, dots, - and _, as NAME=FOLDER.'
                )
            if names.count(name) > 1:
                raise SettingsError(f'two shops are called "{name}". Give one another name, as NAME=FOLDER.')
        if self.key is not None and len(self.key) < 16:
            raise SettingsError(
                "the key for writing has fewer than 16 characters, which can be guessed. Take a longer one."
            )
        if min(self.upload_bytes, self.upload_pixels) < 1:
            raise SettingsError("the limits of uploads are 1 or more.")
        if self.rate is not None:
            _check_rate(self.rate)

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServeSettings:
        """As `to_json` wrote it."""
        given = json.loads(text)
        shops = tuple((name, folder) for name, folder in given.pop("shops"))
        return cls(shops=shops, origins=tuple(given.pop("origins")), **given)


def named_shops(arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, place) of shops as they are given on the command line: PLACE, or NAME=PLACE."""
    found = []
    for argument in arguments:
        name, equals, place = argument.partition("=")
        place = place if equals else argument
        place = place if is_url(place) else str(Path(place).absolute())
        found.append((name if equals else PurePosixPath(place).name, place))
    return tuple(found)


def _check_rate(rate: str) -> None:
    from limits import parse

    try:
        parse(rate)
    except ValueError:
        raise SettingsError(f'"{rate}" is no rate. Write a number and a time, as 20/second or 1000/hour.') from None
