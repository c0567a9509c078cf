"""The command line: `wares COMMAND`. Every command is a function in a file of its group, loaded when it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter, UnusedCliTokensError
from cyclopts.config import Env

from wares.cli.help import Help
from wares.cli.options import DEFAULTS, Flag, Inputs, read_tables
from wares.core.errors import WaresError

EXTRAS = {"fastapi": "serve", "uvicorn": "serve", "obstore": "serve"}  # library -> the extra that installs it
COMMANDS = {
    "Start": {"demo": "demo", "check": "data", "queries": "data"},
    "Training": {"pretrain": "train", "finetune": "train", "supervise": "supervise"},
    "Search": {
        "index": "shop",
        "search": "shop",
        "reembed": "shop",
        "versions": "shop",
        "rollback": "shop",
        "publish": "shop",
        "serve": "serve",
    },
    "Evaluation": {"evaluate": "evaluate", "compare": "evaluate"},
    "Other": {"list": "list"},
}  # group of the help -> command -> its module in wares.cli
GROUPS = {title: Group(title, sort_key=(1, order)) for order, title in enumerate(COMMANDS)}
EVERY_COMMAND = Group("Every command", sort_key=(2,))


def version() -> str:
    """The text of --version."""
    from importlib.metadata import version

    return f"wares {version('wares')}"


inputs = Inputs()
app = App(
    name="wares",
    help="Marketplace search that needs no labels: one embedding per listing, from all of its photos and texts.",
    version=version,
    help_format="plaintext",
    help_formatter=Help(),
    group_parameters=Group("Options", sort_key=(0,)),
    default_parameter=DEFAULTS,
    config=(inputs,),
)
app["--help"].group = app["--version"].group = GROUPS["Other"]
for title, modules in COMMANDS.items():
    for order, (name, module) in enumerate(modules.items()):
        sources = (Env("WARES_", command=False), inputs) if name == "serve" else (inputs,)
        function = "list_family" if name == "list" else name
        app.command(f"wares.cli.{module}:{function}", name=name, group=GROUPS[title], config=sources, sort_key=order)


@app.command(group=GROUPS["Other"])
def completion(shell: Literal["bash", "zsh", "fish", "powershell"] | None = None, /, *, install: Flag = False) -> None:
    """Print the script with which a shell completes `wares`, or install it.

    Args:
        shell: Shell to complete in; the running one unless given.
        install: Write the script where the shell finds it, and name it in the shell's start file.
    """
    if install:
        print(f"Completion is in {app.install_completion(shell=shell)}. Open a new shell to use it.")
    else:
        print(app.generate_completion(shell=shell))


@app.meta.default
def session(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[Path | None, Parameter(group=EVERY_COMMAND)] = None,
    help_all: Annotated[Flag, Parameter(group=EVERY_COMMAND)] = False,
    debug: Annotated[Flag, Parameter(group=EVERY_COMMAND)] = False,
) -> int | None:
    """Run one command; its return value is the exit code.

    Args:
        config: TOML file of options with a table for each command, as [pretrain]; the command line wins.
        help_all: Print the help with all options.
        debug: Show the traceback of an error.
    """
    if help_all:
        Help.show_all = True
        app.help_print(tokens)
        return 0
    inputs.file, inputs.tables = config, {} if config is None else read_tables(config, commands())
    command, bound, extra = app.parse_args(tokens)
    if "given" in extra:
        bound.arguments["given"] = inputs.given
    status: int | None = command(*bound.args, **bound.kwargs)
    return status


def commands() -> list[str]:
    """Names of all commands."""
    return [name for name in app if not name.startswith("-")]


def main() -> None:
    """Run the command that was typed; print an error that the user can fix in one line."""
    arguments = sys.argv[1:]
    Help.show_all = False
    if not set(arguments) & set(commands()):
        app.resolved_commands()  # the help of all commands shows the first line of each
    try:
        status = app.meta(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        message = explain_error(error)
        if message is None or "--debug" in arguments:
            raise
        print(f"wares: {message}", file=sys.stderr)
        status = 2 if isinstance(error, CycloptsError) else 1
    sys.exit(status)


def explain_error(error: Exception) -> str | None:
    """An error in one line; None if the user cannot fix it."""
    match error:
        case CycloptsError():
            return f"{_usage(error)} See `{' '.join(['wares', *(error.command_chain or ())])} --help`."
        case WaresError():
            return str(error)
        case ModuleNotFoundError(name=str(name)) if name in EXTRAS:
            return f"{name} is not installed. Install it with pip install 'wares[{EXTRAS[name]}]'"
        case OSError(strerror=str(reason)):
            return f"{error.filename}: {reason}." if error.filename is not None else f"{reason}."
    return None


def _usage(error: CycloptsError) -> str:
    match error:
        case MissingArgumentError(argument=argument) if argument is not None:
            typed = set(argument.names) & set(sys.argv)
            return f"{typed.pop()} needs a value." if typed else f"{argument.name} is missing."
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return f'unexpected argument "{first}".'
    return " ".join(str(error).split())
