"""Progress of long jobs: a bar with rate and time left on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import os
import sys
from functools import cache
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm


DISABLE_BARS_VARIABLE = "TQDM_DISABLE"  # tqdm itself reads it only once, at its import
CURSOR_UP = "\x1b[A"  # tqdm returns from the line of a nested bar with it


class _LineStream:
    """A stream for pipes that writes each redraw of a bar as one line."""

    def write(self, text: str) -> None:
        line = text.replace("\r", "").replace(CURSOR_UP, "").strip()
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Iterable[Any] | None, description: str, total: int | None = None, unit: str = "it") -> tqdm[Any]:
    """Iterate with a bar that appears after two seconds.

    items: None if the caller calls `.update(n)` itself; unit: of the items; "B" for bytes, shown as kB and MB
    """
    from tqdm.auto import tqdm

    # By name, because importing tqdm.notebook loads ipywidgets.
    has_bar = sys.stderr.isatty() or any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
    style: dict[str, Any] = {} if has_bar else {"file": _LineStream(), "mininterval": 10.0, "ncols": 100, "ascii": True}
    style |= {"unit_scale": unit == "B", "leave": not has_bar, "dynamic_ncols": has_bar}
    disabled = bool(os.environ.get(DISABLE_BARS_VARIABLE))
    return tqdm(items, desc=description, total=total, unit=unit, delay=2.0, disable=disabled, **style)


@cache
def notice(text: str) -> None:
    """Print a line to stderr, above the bars: once, and not in worker processes, which would repeat it."""
    from tqdm.auto import tqdm

    if parent_process() is None:
        tqdm.write(text, file=sys.stderr)
