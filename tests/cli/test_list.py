"""The command that lists families: every member with its summary, and settings that parse."""

from __future__ import annotations

from typing import get_args

import pytest
from processes import done

from wares.cli.list import Family, describe_family


@pytest.mark.parametrize("family", get_args(Family))
def test_every_member_is_listed_with_what_it_is(family: Family) -> None:
    members = done("list", family, "--json").json
    assert [member["name"] for member in members] == [member.name for member in describe_family(family)]
    assert all(member["summary"] for member in members)
    text = done("list", family).out
    assert all(member["name"] in text for member in members)


def test_settings_are_shown_with_their_defaults() -> None:
    [bm25] = [member for member in done("list", "labelers", "--json").json if member["name"] == "bm25"]
    assert "k1=" in bm25["settings"] and "b=" in bm25["settings"]
