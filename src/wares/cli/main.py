"""The command line: one command a job. Heavy libraries are imported inside the commands, so that --help is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from wares.cli import data, demo, evaluate, serve, shop, supervise, train  # noqa: F401  (commands of the app)
from wares.cli.options import SERVING, app
from wares.core.errors import WaresError


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options of every command; --debug is read by `main`."""


def main() -> None:
    """Run a command; print an error that is the user's to mend in one line.

    What the system refuses (no space, no permission, no such folder) is theirs to mend as well.
    """
    debug = "--debug" in sys.argv[1:]
    try:
        app(prog_name="wares")
    except WaresError as error:
        if debug:
            raise
        print(f"wares: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if debug or error.name not in SERVING:
            raise
        print(f"wares: {error.name} is missing. It comes with an extra: pip install 'wares[serve]'", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if debug or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"wares: {where}{error.strerror}.", file=sys.stderr)
        sys.exit(1)
