"""`wares list`: the members of the open families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wares.cli.options import Json
from wares.cli.output import console, print_json
from wares.core.specs import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.core.specs import Description

Family = Literal["towers", "labelers", "rankers", "predictors"]


def list_family(family: Family, /, *, as_json: Json = False) -> None:
    """List the members of a family with their settings, requirements and source.

    Args:
        family: Family of interchangeable parts.
    """
    from dataclasses import asdict, astuple

    from rich.markup import escape
    from rich.table import Table

    members = describe_family(family)
    if as_json:
        print_json([asdict(member) for member in members])
        return
    table = Table("name", "what it is", "settings", "requires", "source", box=None, pad_edge=False)
    for member in members:
        table.add_row(*(escape(text) for text in astuple(member)))
    console().print(table)


def describe_family(family: Family) -> Sequence[Description]:
    """Descriptions of every member of a family."""
    match family:
        case "towers":
            from wares.encoders.families import TOWERS

            return describe(TOWERS)
        case "labelers":
            from wares.ranking.labelers.registry import labelers

            return describe(labelers())
        case "rankers":
            from wares.ranking.rankers.registry import rankers

            return describe(rankers())
        case "predictors":
            from wares.supervision.predictors.registry import PREDICTORS

            return describe(PREDICTORS)
