"""The command-line reference: what `wares COMMAND --help-all` prints, for every command that `wares --help` lists.

The page is written to docs/reference/cli.md before Sphinx reads its sources.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"
WIDTH = 88  # fits beside the tables of contents
ENTRY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["wares"]
START = "from {} import {main}; {main}()".format(ENTRY.partition(":")[0], main=ENTRY.partition(":")[2])
COMMAND = re.compile(r"^  ([a-z][\w-]*) {2,}\S", re.MULTILINE)  # a line of the overview: name, then its text
INTRODUCTION = """# Command line

This page shows what `wares COMMAND --help-all` prints; `--help` prints the options that people use most.
[The glossary](../glossary.md) explains the words.
"""


def help_text(command: str = "") -> str:
    """Help with all options of a command, or the overview of all commands, without colours."""
    terminal = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    environment = {**os.environ, **terminal, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [command, "--help-all"] if command else ["--help"]
    call = [sys.executable, "-c", START, *arguments]
    return subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def help_texts() -> dict[str, str]:
    """Command -> its help, in the order of the overview, which is under the empty name."""
    overview = help_text()
    names = COMMAND.findall(overview)
    if not names:
        raise RuntimeError("wares --help lists no commands. Adapt COMMAND in docs/_ext/command_pages.py.")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {"": overview, **dict(zip(names, pool.map(help_text, names), strict=True))}


def write_page(app: Sphinx) -> None:
    """Write the page if it differs from the one on disk."""
    sections = [f"## {f'wares {name}'.strip()}\n\n```text\n{text}\n```\n" for name, text in help_texts().items()]
    page = "\n".join([INTRODUCTION, *sections])
    if not PAGE.exists() or PAGE.read_text("utf-8") != page:
        PAGE.write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
