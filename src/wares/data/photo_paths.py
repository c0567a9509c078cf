"""Photo paths that a catalogue names, resolved without leaving its folder."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import (
    NamedTuple,
)

from wares.data.formats import display_name

MAX_CACHED_FOLDERS = 10_000  # of photos that are remembered to be inside the catalogue's


# Photos by path --------------------------------------------------------------------------------------------------


class PhotoPathProblem(NamedTuple):
    kind: str
    message: str
    remedy: str


_URL = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.IGNORECASE)
_RESTORE = "Restore the file"
_INSIDE = "Put the photo into the catalogue's folder and name it relative to that"


class PhotoPathChecker:
    """Says what is wrong with a photo's path, short of decoding it."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.root = os.path.realpath(folder)
        self.inside: dict[str, bool] = {}  # by folder: whether, resolved, it is in the catalogue's

    def check(self, name: str) -> PhotoPathProblem | None:
        if self.is_plain_file(name):
            return None
        if not name.strip():
            return PhotoPathProblem("bad photo path", "an empty path", "Remove it")
        kind, what, remedy = self._explain(name)
        return PhotoPathProblem(kind, f"{display_name(name)}, which {what}", remedy) if what else None

    def is_plain_file(self, name: str) -> bool:
        """Whether this is a file with something in it, and no link: what nearly every photo is, at one look."""
        parent, _, last = name.rpartition("/")
        if last in ("", ".", "..") or name[0] == "/":
            return False
        try:
            found = os.lstat(f"{self.folder}/{name}")
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size > 0 and self.contains(parent)

    def contains(self, name: str) -> bool:
        if name not in self.inside:
            if len(self.inside) == MAX_CACHED_FOLDERS:
                self.inside.clear()
            resolved = os.path.realpath(os.path.join(self.folder, name))
            self.inside[name] = resolved == self.root or resolved.startswith(self.root.rstrip(os.sep) + os.sep)
        return self.inside[name]

    def _explain(self, name: str) -> tuple[str, str, str]:
        """Kind of the fault, what is wrong and what to do; empty for a link to a photo inside the folder."""
        if _DRIVE.match(name) or (name.startswith("/") and not name.startswith("//")):
            return "bad photo path", "is an absolute path", _INSIDE
        if _URL.match(name):
            return "photo URL", "is a URL", "Download it first and name the file"
        try:
            if not self.contains(name):
                return "photo outside the folder", "leaves the catalogue's folder", _INSIDE
            found = os.stat(f"{self.folder}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            hint = "; write folders with /" if "\\" in name else ""
            return "missing photo", "does not exist", f"{_RESTORE}{hint}"
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return "bad photo path", f"cannot be looked at ({reason})", "Correct it"
        if not stat.S_ISREG(found.st_mode):
            return "bad photo path", f"is {'a folder' if stat.S_ISDIR(found.st_mode) else 'no file'}", "Name a photo"
        return ("empty photo", "is empty (0 bytes)", _RESTORE) if found.st_size == 0 else ("", "", "")
