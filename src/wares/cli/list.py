"""`wares list`: the members of the open families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wares.cli.options import Json
from wares.cli.output import console, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

Family = Literal["towers", "labelers", "rankers", "predictors"]


def list_family(family: Family, /, *, as_json: Json = False) -> None:
    """List the members of a family with their settings, requirements and source.

    Args:
        family: Family of interchangeable parts.
    """
    from dataclasses import asdict

    from rich.table import Table

    from wares.core.specs import describe

    members = describe(family_members(family))
    if as_json:
        print_json([asdict(member) for member in members])
        return
    table = Table("name", "what it is", "settings", "requires", "source", box=None, pad_edge=False)
    for member in members:
        table.add_row(member.name, member.summary, member.settings, member.requires, member.source)
    console().print(table, markup=False)


def family_members(family: Family) -> Mapping[str, type]:
    """Name -> class of every member of a family."""
    match family:
        case "towers":
            from wares.encoders.registry import towers

            return towers()
        case "labelers":
            from wares.ranking.labelers.registry import labelers

            return labelers()
        case "rankers":
            from wares.ranking.rankers.registry import rankers

            return rankers()
        case "predictors":
            from wares.supervision.predictors.registry import predictors

            return predictors()
