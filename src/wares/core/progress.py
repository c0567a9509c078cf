"""Progress of long jobs: a bar with rate and time left on a terminal or in a notebook, plain lines in a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm


DISABLE_BARS_VARIABLE = "TQDM_DISABLE"  # environment variable, which tqdm itself reads once, when it is imported
CURSOR_UP = "\x1b[A"  # moves the cursor back from the line of a bar inside another


class _LineStream:
    """A stream for a pipe: each redraw of the bar becomes a line of its own."""

    def write(self, text: str) -> None:
        line = text.replace("\r", "").replace(CURSOR_UP, "").strip()
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Iterable[Any] | None, description: str, total: int | None = None, unit: str = "it") -> tqdm[Any]:
    """Iterate with a bar that appears once the job has taken two seconds.

    items: what to iterate over, or None to call `.update(n)` by hand; unit: "B" for bytes, told in kB and MB
    """
    from tqdm.auto import tqdm

    # Asked by name: to import that module would load widgets where there is no notebook.
    drawn = sys.stderr.isatty() or any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
    style: dict[str, Any] = {} if drawn else {"file": _LineStream(), "mininterval": 10.0, "ncols": 100, "ascii": True}
    style |= {"unit_scale": unit == "B", "leave": not drawn, "dynamic_ncols": drawn}
    off = bool(os.environ.get(DISABLE_BARS_VARIABLE))
    return tqdm(items, desc=description, total=total, unit=unit, delay=2.0, disable=off, **style)
