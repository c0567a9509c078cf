"""A disk cache of features of photos and texts, keyed by their content."""

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
FEATURES_PER_WRITE = 64  # in a transaction


def default_cache() -> Path:
    """The cache folder: $WARES_CACHE, or wares/ in $XDG_CACHE_HOME or ~/.cache."""
    folder = os.environ.get("WARES_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) if folder else Path(base) / "wares"


class FeatureCache:
    """Features of one tower by content key, in a SQLite file that processes can share.

    Rows are written while others are computed, so an interrupted job resumes where it stopped.

    Example:
        >>> import numpy as np
        >>> cache = FeatureCache(Path("cache"), "tower")
        >>> features, errors = cache.get_or_compute(["a", "b", "a"], lambda indices: [np.ones(4) for _ in indices])
        >>> features.shape, errors
        ((3, 4), {})
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
        """Features of all keys without an error, in order, and the errors by index in `keys`.

        keys: content keys, or the error that prevented one
        compute: features or errors of the indices it receives, in their order; called once, with the first index of
            each key that the cache lacks, and not at all if it lacks none

        Returns features of shape (keys without an error, ...).
        """
        failed: dict[str, PhotoError] = {}
        first = {key: index for index, key in reversed(list(enumerate(keys))) if isinstance(key, str)}
        missing = sorted(index for key, index in first.items() if not self._has(key))
        for batch in batched(zip(missing, compute(missing) if missing else (), strict=True), FEATURES_PER_WRITE):
            failed |= {str(keys[i]): outcome for i, outcome in batch if isinstance(outcome, PhotoError)}
            self._put([(str(keys[i]), outcome) for i, outcome in batch if not isinstance(outcome, PhotoError)])
        outcomes = [key if isinstance(key, PhotoError) else failed.get(key) for key in keys]
        valid = [str(key) for key, error in zip(keys, outcomes, strict=True) if error is None]
        errors = {i: error for i, error in enumerate(outcomes) if error is not None}
        return stack_features([self._get(key) for key in valid]), errors

    def _has(self, key: str) -> bool:
        return self._database.execute("SELECT 1 FROM features WHERE key = ?", (key,)).fetchone() is not None

    def _get(self, key: str) -> Features:
        row = self._database.execute("SELECT dtype, shape, data FROM features WHERE key = ?", (key,)).fetchone()
        return np.frombuffer(row[2], dtype=row[0]).reshape([int(n) for n in row[1].split(",")])

    def _put(self, rows: list[tuple[str, Features]]) -> None:
        """Write rows in one short transaction, so other processes never wait for a tower."""
        cells = [
            (key, value.dtype.str, ",".join(map(str, value.shape)), np.ascontiguousarray(value).tobytes())
            for key, value in rows
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", cells)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items in order; the last list may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def stack_features(rows: Iterable[Features]) -> Features:
    """(n, ...) the features of n views; (0, 1) if there are none."""
    arrays = list(rows)
    return np.stack(arrays) if arrays else np.zeros((0, 1), dtype=np.float16)
