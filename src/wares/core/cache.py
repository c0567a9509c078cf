"""What was computed once and is kept on disk by content: features of photos and texts, and digests of photos."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from wares.core.errors import PhotoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


Features = npt.NDArray[np.generic]
T = TypeVar("T")
FEATURES_PER_WRITE = 64  # features written at once


def default_cache() -> Path:
    """$WARES_CACHE, or wares/ under $XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get("WARES_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "wares"


class FeatureCache:
    """Features by content, one SQLite file per tower; safe to kill and to share between processes.

    Rows are written as they are computed, so an interrupted job continues where it stopped.
    """

    def __init__(self, folder: Path, tower_key: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(tower_key.encode()).hexdigest()[:16]
        self._database = sqlite3.connect(folder / f"{name}.sqlite", timeout=60.0)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS features "
            "(key TEXT PRIMARY KEY, dtype TEXT, shape TEXT, data BLOB) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._database.close()

    def get_or_compute(
        self,
        keys: Sequence[str | PhotoError],
        compute: Callable[[list[int]], Iterable[Features | PhotoError]],
    ) -> tuple[Features, dict[int, PhotoError]]:
        """Features of the places whose key is good, in order, and the errors of the others by place.

        keys: content keys, or the error met in making one
        compute: features (or errors) of the places it is given, in their order; called once, with the
            first place of each key that is not stored yet
        """
        bad: dict[str, PhotoError] = {}
        first = {key: place for place, key in reversed(list(enumerate(keys))) if isinstance(key, str)}
        new = sorted(place for key, place in first.items() if not self._has(key))
        for block in batched(zip(new, compute(new) if new else (), strict=True), FEATURES_PER_WRITE):
            bad |= {str(keys[place]): outcome for place, outcome in block if isinstance(outcome, PhotoError)}
            self._put([(str(keys[i]), outcome) for i, outcome in block if not isinstance(outcome, PhotoError)])
        errors = {i: key if isinstance(key, PhotoError) else bad.get(key) for i, key in enumerate(keys)}
        good = [str(key) for i, key in enumerate(keys) if errors[i] is None]
        return stack_features([self._get(key) for key in good]), {i: e for i, e in errors.items() if e is not None}

    def _has(self, key: str) -> bool:
        return self._database.execute("SELECT 1 FROM features WHERE key = ?", (key,)).fetchone() is not None

    def _get(self, key: str) -> Features:
        row = self._database.execute("SELECT dtype, shape, data FROM features WHERE key = ?", (key,)).fetchone()
        return np.frombuffer(row[2], dtype=row[0]).reshape([int(n) for n in row[1].split(",")])

    def _put(self, rows: list[tuple[str, Features]]) -> None:
        """Write rows in a transaction of their own: others that share the file do not wait for a tower."""
        packed = [
            (key, value.dtype.str, ",".join(map(str, value.shape)), np.ascontiguousarray(value).tobytes())
            for key, value in rows
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", packed)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """So many items at a time."""
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block


def stack_features(rows: Iterable[Features]) -> Features:
    """(n, ...) features of n views, also where n is 0."""
    listed = list(rows)
    return np.stack(listed) if listed else np.zeros((0, 1), dtype=np.float16)
