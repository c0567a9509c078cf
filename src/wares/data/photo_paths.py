"""Checks of the photo paths in a catalogue; photos must be inside the catalogue's folder."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from wares.data.formats import display_name

MAX_CACHED_FOLDERS = 10_000  # folders whose position, inside or outside the catalogue's, is remembered
_URL = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)
_RESTORE = "Restore the file"
_MOVE_INSIDE = "Put the photo into the catalogue's folder and name it relative to that"


class PhotoPathProblem(NamedTuple):
    """Kind, message and remedy of a `Problem` with a photo's path."""

    kind: str
    message: str
    remedy: str


class PhotoPathChecker:
    """Checks photo paths of one catalogue without decoding the photos."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._resolved_folder = os.path.realpath(folder)
        self._is_inside: dict[str, bool] = {}  # by folder of photos

    def check(self, name: str) -> PhotoPathProblem | None:
        """The problem with a path relative to the catalogue's folder, or None."""
        if self._is_plain_file(name):
            return None
        if not name.strip():
            return PhotoPathProblem("bad photo path", "an empty path", "Remove it")
        kind, fault, remedy = self._explain(name)
        return PhotoPathProblem(kind, f"{display_name(name)}, which {fault}", remedy) if fault else None

    def _is_plain_file(self, name: str) -> bool:
        """Whether a path names a file that is neither empty nor a link: one system call for nearly every photo."""
        parent, _, last = name.rpartition("/")
        if last in ("", ".", "..") or name[0] == "/":
            return False
        try:
            status = os.lstat(f"{self._folder}/{name}")
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size > 0 and self._contains(parent)

    def _contains(self, name: str) -> bool:
        """Whether a path, with links resolved, is inside the catalogue's folder."""
        if name not in self._is_inside:
            if len(self._is_inside) == MAX_CACHED_FOLDERS:
                self._is_inside.clear()
            resolved, folder = os.path.realpath(os.path.join(self._folder, name)), self._resolved_folder
            self._is_inside[name] = resolved == folder or resolved.startswith(folder.rstrip(os.sep) + os.sep)
        return self._is_inside[name]

    def _explain(self, name: str) -> tuple[str, str, str]:
        """Kind, fault and remedy of a path; empty strings for a link to a photo inside the folder."""
        if _DRIVE.match(name) or (name.startswith("/") and not name.startswith("//")):
            return "bad photo path", "is an absolute path", _MOVE_INSIDE
        if _URL.match(name):
            return "photo URL", "is a URL", "Download it first and name the file"
        try:
            if not self._contains(name):
                return "photo outside the folder", "leaves the catalogue's folder", _MOVE_INSIDE
            status = os.stat(f"{self._folder}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            hint = "; write folders with /" if "\\" in name else ""
            return "missing photo", "does not exist", f"{_RESTORE}{hint}"
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return "bad photo path", f"is not accessible ({reason})", "Correct it"
        if not stat.S_ISREG(status.st_mode):
            fault = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
            return "bad photo path", fault, "Name a photo"
        return ("empty photo", "is empty (0 bytes)", _RESTORE) if status.st_size == 0 else ("", "", "")
