"""How settings become options.

A command takes a settings dataclass as it is: each field is an option, its docstring the help, its default the default.
Settings know nothing of the command line. `group` puts a dataclass's options under a title in the help, `flatten` opens
a nested one, and `Inputs` adds the values of the file that --config names.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CycloptsError, Group, Parameter
from cyclopts.config import Dict
from cyclopts.validators import Number

from wares.cli.help import Help
from wares.core.specs import split_specs
from wares.data.listings import OnError

if TYPE_CHECKING:
    from cyclopts import App, Argument, ArgumentCollection

INTEGERS = (int, int | None, tuple[int, int])  # types of options that take whole numbers
Given = Annotated[frozenset[str], Parameter(parse=False)]  # names of options that were typed or set in the file
Flag = Annotated[bool, Parameter(negative=())]  # a switch that is off unless typed
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
Catalogue = Annotated[Path, Parameter(help="Folder with listings.jsonl, .csv or .parquet, or such a file.")]
ShopFolder = Annotated[Path, Parameter(help="Folder of a shop that `wares index` built.")]
Model = Annotated[Path | None, Parameter(help="Folder of a model that `wares pretrain` or `wares finetune` wrote.")]
Towers = Annotated[str, Parameter(help="Towers: offline, small, a hub name or folder, or VISION+TEXT.")]
UntrainedTowers = Annotated[str | None, Parameter(help="Untrained towers by name, instead of --model.")]
RunnerName = Annotated[
    str, Parameter(help="Place of the work: local, ray (a Ray cluster on this machine), or ray://ADDRESS.")
]
Resume = Annotated[bool, Parameter(negative=(), help="Continue an interrupted run.")]
Overwrite = Annotated[bool, Parameter(negative=(), help="Replace the files that are there.")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for scripts.")]
JsonFile = Annotated[Path | None, Parameter(name="--json", help="File to write the results to as JSON.")]


def shown_default(value: object) -> str | None:
    """A default as the help shows it; None for those that go without saying."""
    if value is None or value is False or value == () or value == []:
        return None
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return "on" if value is True else str(value)


DEFAULTS = Parameter(negative_iterable=(), show_default=shown_default)


def group(title: str, *essential: str, order: int = 1) -> Parameter:
    """The options of a dataclass, without a prefix, under a title.

    essential: those that --help lists, as "epochs"; order: of the title among a command's titles
    """
    names = frozenset(f"--{name}" for name in essential)
    return Parameter(name="*", group=Group(title, sort_key=(1, order), help_formatter=Help(names)))


def flatten(settings: type, **names: str) -> None:
    """Open a nested dataclass, so that its options have no prefix. names: field -> option, if they differ"""

    def option(name: str) -> str:
        return names.get(name, name.replace("_", "-"))

    Parameter(name="*", name_transform=option)(settings)


@dataclass(frozen=True)
class ReadingOptions:
    """How a catalogue is read."""

    on_error: OnError = "stop"
    """Stop at a bad row or photo, or skip it and list it."""
    text_field: list[str] = field(default_factory=list)
    """Further text column; repeatable."""


@dataclass(frozen=True)
class FeatureOptions(ReadingOptions):
    """How a catalogue is read and its features are cached."""

    cache: Path | None = None
    """Folder for photo and text features; ~/.cache/wares unless given."""


Reading = Annotated[ReadingOptions, group("Reading the catalogue", "on-error", "text-field", order=3)]
Features = Annotated[FeatureOptions, group("Reading the catalogue", "on-error", "text-field", order=3)]


class Inputs:
    """Adds the values of a file to a command's arguments, splits lists at commas, and records what was given.

    file, tables: what --config names, with a table for each command and a key for each option; the command line wins
    given: names of the parameters and fields that were typed, or set in the file or the environment
    """

    def __init__(self) -> None:
        self.file: Path | None = None
        self.tables: dict[str, Any] = {}
        self.given: frozenset[str] = frozenset()

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Complete one command's arguments; a configuration hook of cyclopts."""
        if not commands:  # options of every command, which no file sets
            return
        Dict(self.tables, source=str(self.file))(app, commands, arguments)
        for argument in arguments:
            _check_whole_numbers(argument)
            if argument.hint == tuple[str, ...] and argument.index is None and argument.tokens:
                values = [value for token in argument.tokens for value in split_specs(token.value)]
                argument.tokens[:] = [argument.tokens[0].evolve(value=value, index=i) for i, value in enumerate(values)]
        self.given = frozenset(argument.field_info.name for argument in arguments if argument.tokens)


def _check_whole_numbers(argument: Argument) -> None:
    """Raise CycloptsError for an integer option that was given anything else, which cyclopts would round."""
    if argument.hint not in INTEGERS:
        return
    for token in argument.tokens:
        if not re.fullmatch(r"[+-]?\d+", token.value.strip()):
            source = "" if token.source == "cli" else f" in {token.source}"
            raise CycloptsError(msg=f'{argument.name} is "{token.value}"{source}. Give a whole number.')


def read_tables(path: Path, commands: list[str]) -> dict[str, Any]:
    """Tables of a TOML file, one for each command. Raises CycloptsError if it is no TOML or names another command."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CycloptsError(msg=f"{path} is not valid TOML: {error}.") from None
    for name, table in tables.items():
        if name not in commands:
            kind = "table" if isinstance(table, dict) else "key outside of a table:"
            raise CycloptsError(msg=f'{path}: unknown {kind} "{name}". Name tables after commands, as [pretrain].')
        if not isinstance(table, dict):
            raise CycloptsError(msg=f'{path}: "{name}" is a value. Make it a table, [{name}].')
        for reserved in {"config", "debug", "help-all", "help_all"} & set(table):
            raise CycloptsError(msg=f'{path}: "{reserved}" is no setting of {name}. Type it on the command line.')
    return tables
