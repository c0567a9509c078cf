"""Worker processes: settings, and a worker that dies."""

from __future__ import annotations

import os

import pytest

from wares.core.errors import SettingsError, WaresError
from wares.core.processes import map_in_order


def test_zero_workers_are_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        map_in_order(str, [1], 0, "reading photos", "Use fewer workers.")


def test_a_killed_worker_raises_one_error() -> None:
    with pytest.raises(WaresError, match="A worker reading photos was killed, probably out of memory"):
        list(map_in_order(os._exit, [3] * 200, 2, "reading photos", "Use fewer workers."))
