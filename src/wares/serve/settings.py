"""Settings of a server: plain values that every worker process can be started with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from wares.core.errors import SettingsError

MIN_KEY_LENGTH = 16  # characters


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a server serves its shops. Raises SettingsError for a value out of range."""

    api_key: str | None = None
    """Secret for write requests, 16 characters or more, sent as `Authorization: Bearer KEY`. Without it the server is
    read-only."""
    cors_origin: tuple[str, ...] = ()
    """Other site whose pages may read responses (CORS), such as https://shop.example; repeatable."""
    rate_limit: str | None = None
    """Requests of one client address to each worker, such as 20/second or 20/second;500/minute. No limit by default."""
    max_upload_bytes: int = 20_000_000
    """Maximum size of a request body, in bytes; at least 1."""
    max_upload_pixels: int = 50_000_000
    """Maximum size of an uploaded photo, in pixels (width times height); at least 1."""
    in_memory: bool = False
    """Search fused vectors in memory instead of on disk. Each worker holds its own copy. Requires `wares[memory]`."""

    def __post_init__(self) -> None:
        if self.api_key is not None and len(self.api_key) < MIN_KEY_LENGTH:
            raise SettingsError(
                f"the API key has {len(self.api_key)} characters, which is easy to guess. "
                f"Choose a key of {MIN_KEY_LENGTH} or more."
            )
        for name, value in (("bytes", self.max_upload_bytes), ("pixels", self.max_upload_pixels)):
            if value < 1:
                raise SettingsError(f"the upload limit is {value} {name}. Choose 1 or more.")
        if self.rate_limit is not None:
            _check_rate_limit(self.rate_limit)


@dataclass(frozen=True, kw_only=True)
class ServeSettings(ServeOptions):
    """Options of a server, and the shops that it serves.

    Example:
        >>> from wares.serve import ServeSettings
        >>> settings = ServeSettings(shops=(("june", "shops/june"),), rate_limit="20/second")
        >>> ServeSettings.from_json(settings.to_json()) == settings
        True
    """

    shops: tuple[tuple[str, str], ...]
    """(name, location) of each shop; requests without `shop` go to the first. A location is a folder, or the URL of a
    published shop."""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.shops]
        if not names:
            raise SettingsError("no shop is given. Give one that `wares index` built.")
        for name in names:
            if not re.fullmatch(r"[\w.-]+", name):
                raise SettingsError(
                    f'"{name}" is not a valid name of a shop. Use letters, digits, dots, - and _, as NAME=FOLDER.'
                )
            if names.count(name) > 1:
                raise SettingsError(f'two shops have the name "{name}". Rename one of them, as NAME=FOLDER.')
        super().__post_init__()

    def to_json(self) -> str:
        """JSON for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServeSettings:
        """Settings from the text that `to_json` returns."""
        values = json.loads(text)
        shops = tuple((name, location) for name, location in values.pop("shops"))
        return cls(shops=shops, cors_origin=tuple(values.pop("cors_origin")), **values)


def parse_shops(arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, location) of shops from the command line's LOCATION or NAME=LOCATION; folders become absolute."""
    from wares.shop.replicas import is_url

    shops = []
    for argument in arguments:
        name, equals, location = argument.partition("=")
        location = location if equals else argument
        location = location if is_url(location) else str(Path(location).absolute())
        shops.append((name if equals else PurePosixPath(location).name, location))
    return tuple(shops)


def _check_rate_limit(rate_limit: str) -> None:
    from limits import parse_many

    try:
        parse_many(rate_limit)
    except ValueError:
        raise SettingsError(
            f'"{rate_limit}" is not a rate. Write numbers and units of time, such as 20/second or 20/second;500/minute.'
        ) from None
