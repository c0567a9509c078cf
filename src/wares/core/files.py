"""Files written atomically, and the latest checkpoint of a folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wares.core.errors import ModelError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which it replaces only when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.filename == str(part):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        part.unlink(missing_ok=True)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{file} is missing. Name a run of `wares supervise` with all of its files.") from None
    except ValueError:
        raise ModelError(f"{file} is damaged. Train the rankers again.") from None


@contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """A folder to write, which replaces another only when it is complete."""
    part, old = (folder.with_name(f".{folder.name}.{end}") for end in ("part", "old"))
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(value: Any, path: Path) -> None:
    """Written whole, or not at all."""
    with replaced(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that is whole: the trainer writes its state last of all. None where there is none."""
    states = {int(path.parent.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*/trainer_state.json")}
    for step in sorted(states, reverse=True):
        try:
            json.loads(states[step].read_text(encoding="utf-8"))
        except ValueError:
            continue
        return str(states[step].parent)
    return None
