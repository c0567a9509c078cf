"""The command-line reference: what `wares COMMAND --help` prints, for every command that `wares --help` lists.

The page is written to docs/reference/cli.md before Sphinx reads its sources. To show more than `--help` does,
change HELP_OPTION.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"
HELP_OPTION = "--help"
WIDTH = 100
ENTRY = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["wares"]
START = "from {} import {main}; {main}()".format(ENTRY.partition(":")[0], main=ENTRY.partition(":")[2])
COMMAND = re.compile(r"^[│|]?\s{1,3}([a-z][\w-]*)(?:\s{2,}|\s*│|$)", re.MULTILINE)
INTRODUCTION = """# Command line

This page shows what `wares COMMAND {option}` prints, as of this version.
[The glossary](../glossary.md) explains the words.
"""


def help_text(*command: str) -> str:
    """Standard output of `wares` with these arguments and the help option, without colours."""
    terminal = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    environment = {**os.environ, **terminal, "PYTHONPATH": os.pathsep.join(sys.path)}
    option = HELP_OPTION if command else "--help"
    call = [sys.executable, "-c", START, *command, option]
    return subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout


def command_names(overview: str) -> list[str]:
    """Names of the commands in the output of `wares --help`, in its order."""
    _, heading, listing = overview.partition("Commands")
    names = COMMAND.findall(listing)
    if not heading or not names:
        raise RuntimeError("wares --help lists no commands. Adapt command_names in docs/_ext/command_pages.py.")
    return names


def write_page(app: Sphinx) -> None:
    """Write the page if it differs from the one on disk."""
    overview = help_text()
    texts = {"wares": overview} | {f"wares {name}": help_text(name) for name in command_names(overview)}
    sections = [f"## {name}\n\n```text\n{text.strip()}\n```\n" for name, text in texts.items()]
    page = "\n".join([INTRODUCTION.format(option=HELP_OPTION), *sections])
    if not PAGE.exists() or PAGE.read_text("utf-8") != page:
        PAGE.write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
