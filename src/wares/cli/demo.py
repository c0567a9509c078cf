"""`wares demo`: the tour of the sample marketplace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import Seed
from wares.cli.output import console


def demo(
    *,
    out: Path = Path("demo"),
    listings: Annotated[int, Parameter(validator=Number(gte=50))] = 1000,
    seed: Seed = 0,
) -> None:
    """Draw a sample marketplace, learn from it, index it, measure it and search it.

    Args:
        out: Folder for everything that the demo makes.
        listings: Number of listings to draw, at least 50.
        seed: Seed of the marketplace and of training.
    """
    from wares.cli.tour import run_demo

    run_demo(console(), out, listings, seed)
