"""Trained rankers, found in the folders of supervision runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from wares.core.errors import ModelError, SettingsError
from wares.ranking.trained import TrainedRanker
from wares.supervision.run_folder import RELIABILITY_FILE, SETTINGS_FILE, RoundFolder, RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_ranker(path: Path, name: str | None = None) -> TrainedRanker:
    """The best ranker of a run by its known-item checks, or the ranker in a round's folder.

    path: a run of `wares supervise`, or one ranker's folder in one of its rounds; name: which of the run's rankers

    Without checks (`reliability.json`) it is the ranker of the last round.
    Raises ModelError if there is no ranker, SettingsError if the run has several rankers and no name is given, or none
    of that name.

    Example:
        >>> from pathlib import Path
        >>> from wares.supervision import find_ranker
        >>> find_ranker(Path("no-run"))
        Traceback (most recent call last):
        wares.core.errors.ModelError: no-run is neither a run of `wares supervise` nor a ranker's folder in one. ...
    """
    if RoundFolder(path).finished:
        run = RunFolder(path.parents[1])
        seed = _seed(run)
        record = RoundFolder(path).read()
        return TrainedRanker(record.ranker, record.round, path / "model", seed, run.path)
    run = RunFolder(path)
    if not run.has(SETTINGS_FILE):
        raise ModelError(
            f"{path} is neither a run of `wares supervise` nor a ranker's folder in one. Name RUN or RUN/round-2/dense."
        )
    seed = _seed(run)
    folders = {(record.ranker, record.round): folder for folder in run.finished_rounds() if (record := folder.read())}
    if not folders:
        raise ModelError(f"{path} has no finished round. Finish the run with `wares supervise --resume`.")
    ranker, round = _best_round(run, folders, name)
    return TrainedRanker(ranker, round, folders[ranker, round].model if round else path, seed, run.path)


def _seed(run: RunFolder) -> int:
    try:
        return int(run.read_settings()["settings"]["seed"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{run.path / SETTINGS_FILE} is damaged. Train the rankers again.") from None


def _best_round(run: RunFolder, folders: Mapping[tuple[str, int], RoundFolder], name: str | None) -> tuple[str, int]:
    """The ranker and its best round, 0 if untrained. folders: by ranker and round. Raises SettingsError."""
    rankers = dict.fromkeys(ranker for ranker, _ in folders)
    if name not in (None, *rankers):
        raise SettingsError(f"{run.path} has no ranker {name}. Name one of {', '.join(rankers)}.")
    checked: dict[str, str] = (run.read(RELIABILITY_FILE) or {}).get("best", {}) if run.has(RELIABILITY_FILE) else {}
    best = {
        ranker: _round_of(checked.get(ranker), max(round for other, round in folders if other == ranker))
        for ranker in rankers
        if name in (None, ranker)
    }
    if len(best) == 1:
        return next(iter(best.items()))
    kept = ", ".join(str(folders[ranker, round].path) for ranker, round in best.items() if round)
    rejected = ", ".join(ranker for ranker, round in best.items() if not round)
    if not kept:
        raise SettingsError(
            f"{run.path} has several rankers, and no round of them is better than the untrained ranker. "
            "Name a ranker's folder to take one."
        )
    note = f" (no round of {rejected} is better than the untrained ranker)" if rejected else ""
    raise SettingsError(f"{run.path} has several rankers. Name the folder of one: {kept}{note}.")


def _round_of(system: str | None, last: int) -> int:
    """The round in a system's name ("dense, round 2"), 0 for the untrained ranker; the last round without a system."""
    if system is None:
        return last
    match = re.search(r", round (\d+)$", system)
    return int(match[1]) if match else 0
