"""Tables as TOML: a fault is named with its file and row."""

from __future__ import annotations

from importlib.resources import files

import pytest

from wares.core.errors import WaresError
from wares.samples.kinds import KindTable
from wares.samples.palette import Accents
from wares.samples.tables import check_names, parse_table


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("price = 62", "price = -1", "kinds.boots.price: Input should be greater than 0. Correct the file."),
        ("price = 62", "prise = 62", "kinds.boots.price: Field required. Correct the file."),
        ("price = 62", "price = 62\npack = 2", "kinds.boots.pack: Unexpected keyword argument. Correct the file."),
        ("[kinds.boots]", "[kinds.boots", "is not valid TOML"),
    ],
)
def test_a_fault_in_a_table_is_named(old: str, new: str, message: str) -> None:
    text = files("wares.samples").joinpath("kinds.toml").read_text(encoding="utf-8")
    with pytest.raises(WaresError, match=r"^kinds\.toml") as fault:
        parse_table(text.replace(old, new, 1), "kinds.toml", KindTable)
    assert message in str(fault.value)


def test_a_colour_is_written_in_hexadecimal() -> None:
    with pytest.raises(WaresError, match="'red' is not a colour like #c4262c"):
        parse_table('woods = []\nneutrals = []\ncold_metal = "red"\nwarm_metal = "#d4b468"', "palette.toml", Accents)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(WaresError, match=r"^kinds\.toml, kinds\.mug\.materials: 'china' is unknown\. Choose from clay"):
        check_names("kinds.toml", "kinds.mug.materials", ["clay", "china"], ["clay", "glass"])
