"""The command that runs the tour of the sample marketplace: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wares.cli.options import app
from wares.cli.output import _console


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    listings: Annotated[int, typer.Option(min=50, help="How many listings to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the marketplace and of training.")] = 0,
) -> None:
    """The whole story on a sample marketplace that is drawn by code."""
    from wares.cli.tour import run_demo

    run_demo(_console(), out, listings, seed)
