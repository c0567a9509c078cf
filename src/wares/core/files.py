"""Files written atomically, and the latest checkpoint of a folder."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wares.core.processes import is_running


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces it once it is complete."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # each process writes its own
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if other != part and not is_running(other.name.split(".")[-2]):  # its writer was killed
            other.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.filename == str(part):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which replaces it once it is complete."""
    part, old = (folder.with_name(f".{folder.name}.{suffix}") for suffix in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
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
    """Write a value as indented JSON, atomically."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def last_checkpoint(folder: Path) -> str | None:
    """Path of the newest complete checkpoint in a trainer's folder, or None.

    A checkpoint is complete if its trainer state parses: the trainer writes it last.
    """
    states = {int(path.parent.name.rpartition("-")[2]): path for path in folder.glob("checkpoint-*/trainer_state.json")}
    for step in sorted(states, reverse=True):
        try:
            json.loads(states[step].read_text(encoding="utf-8"))
        except ValueError:
            continue
        return str(states[step].parent)
    return None
