"""Help as plain text in two columns: the same on a terminal and in a pipe."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

COLUMN = 30  # letters of names before their text begins
WIDTH = 120  # of a line, at most


class Help:
    """Prints panels of options and commands.

    essential: options that a panel lists, as "--epochs"; None for all
    show_all: True if --help-all was typed
    """

    show_all = False

    def __init__(self, essential: frozenset[str] | None = None) -> None:
        self.essential = essential

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        entries = [entry for entry in panel.entries if self._lists(entry)]
        hidden = len(panel.entries) - len(entries)
        if not panel.entries or (hidden and not entries):
            return
        print(f"{panel.title}:{_text(console, panel.description)}")
        for entry in entries:
            print(_row(", ".join(entry.display_labels_with_metavar), _described(console, entry)))
        if hidden:
            print(_row("", f"({hidden} more with --help-all)"))
        print()

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print how the command is typed."""
        print(f"Usage: {str(usage).strip()}\n")

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the command does."""
        print(f"{_text(console, description).strip()}\n")

    def _lists(self, entry: HelpEntry) -> bool:
        return Help.show_all or self.essential is None or bool(self.essential & set(entry.positive_names))


def _described(console: Console, entry: HelpEntry) -> str:
    parts = [_text(console, entry.description).strip()]
    if entry.choices:
        parts.append(f"[{', '.join(entry.choices)}]")
    if entry.env_var:
        parts.append(f"[environment: {', '.join(entry.env_var)}]")
    if entry.default is not None:
        parts.append(f"[default: {entry.default}]")
    if entry.required:
        parts.append("[required]")
    return " ".join(filter(None, parts))


def _row(names: str, text: str) -> str:
    """Names and their text beside them, or below where the names are long."""
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
    lines = textwrap.wrap(text, max(width - COLUMN, 20), break_on_hyphens=False) or [""]
    if len(names) + 4 > COLUMN:
        return "\n".join([f"  {names}", *(" " * COLUMN + line for line in lines)])
    return "\n".join([f"  {names}".ljust(COLUMN) + lines[0], *(" " * COLUMN + line for line in lines[1:])]).rstrip()


def _text(console: Console, renderable: Any) -> str:
    """The letters of what cyclopts wraps for rich, in one line with a space before."""
    words = "".join(segment.text for segment in console.render(renderable)).split() if renderable else []
    return " " + " ".join(words) if words else ""
