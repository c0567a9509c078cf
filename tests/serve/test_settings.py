"""Settings of a server: validation, shops of the command line, JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wares.core.errors import SettingsError
from wares.serve.settings import ServeSettings, parse_shops


def test_shops_are_named_by_their_folder_or_explicitly(tmp_path: Path) -> None:
    assert parse_shops([str(tmp_path / "a"), f"b={tmp_path}/c"]) == (("a", f"{tmp_path}/a"), ("b", f"{tmp_path}/c"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shops": ()}, "no shop is given"),
        ({"shops": (("a b", "x"),)}, "is not a valid name of a shop"),
        ({"shops": (("a", "x"), ("a", "y"))}, 'two shops have the name "a"'),
        ({"api_key": "short"}, "has 5 characters"),
        ({"rate_limit": "often"}, '"often" is not a rate'),
        ({"rate_limit": "20/second;often"}, '"20/second;often" is not a rate'),
        ({"max_upload_bytes": 0}, "upload limit is 0 bytes"),
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ServeSettings(**{"shops": (("a", "x"),), **settings})


def test_settings_survive_json() -> None:
    settings = ServeSettings(
        shops=(("a", "x"), ("b", "y")),
        api_key="k" * 16,
        cors_origin=("https://a.example",),
        rate_limit="3/second",
        max_upload_bytes=7,
        max_upload_pixels=8,
    )
    assert ServeSettings.from_json(settings.to_json()) == settings
