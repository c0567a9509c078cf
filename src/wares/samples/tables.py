"""Tables of the sample marketplace: TOML files inside the package, read into checked dataclasses."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable
from importlib.resources import files
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from wares.core.errors import WaresError
from wares.samples.drawing.paint import Colour

Table = TypeVar("Table")
CHECKED = ConfigDict(extra="forbid")


def read_table(file: str, form: type[Table]) -> Table:
    """Read a TOML file of this package into a dataclass. Raises WaresError like `parse_table`."""
    return parse_table(files("wares.samples").joinpath(file).read_text(encoding="utf-8"), file, form)


def parse_table(text: str, file: str, form: type[Table]) -> Table:
    """Parse TOML into a dataclass.

    file: name of the file, for messages

    Raises WaresError with the row and the fault if the text is no TOML, a key is missing or unknown, or a value has
    the wrong type.
    """
    try:
        return TypeAdapter(form).validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WaresError(f"{file} is not valid TOML: {error}. Correct the file.") from error
    except ValidationError as error:
        fault = error.errors()[0]
        row = ".".join(map(str, fault["loc"]))
        reason = fault["msg"].removeprefix("Value error, ")
        raise WaresError(f"{file}, {row}: {reason}. Correct the file.") from error


def check_names(file: str, row: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise WaresError if a row uses a name that its table does not have."""
    for name in names:
        if name not in known:
            raise WaresError(f"{file}, {row}: {name!r} is unknown. Choose from {', '.join(known)}.")


def _parse_colour(text: object) -> Colour:
    if not isinstance(text, str) or not re.fullmatch("#[0-9a-f]{6}", text):
        raise ValueError(f"{text!r} is not a colour like #c4262c")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


HexColour = Annotated[Colour, BeforeValidator(_parse_colour)]
