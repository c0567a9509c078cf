"""Names of parts with their settings, as in `bm25(k1=0.9, b=0.4)`: they print and parse to the same thing.

One language for the programming interface, the command line, file names and table headers. A family is a table from
names to frozen dataclasses; the fields of a dataclass are its settings.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wares.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


T = TypeVar("T")
SETTING_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # of values, by the type of the setting
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a number", lambda value: type(value) in (int, float) and math.isfinite(value)),
    "str": ("a text in quotes", lambda value: isinstance(value, str)),
}


def parse_spec(text: str, family: Mapping[str, type[T]], kind: str) -> T:
    """The member of a family that a name stands for.

    kind: what members are called in messages. Raises SettingsError where there is no such name or setting.
    """
    name, bracket, rest = text.strip().partition("(")
    if name not in family:
        raise SettingsError(f"no {kind} {name!r}; there are {', '.join(family)}.")
    if not bracket:
        return family[name]()
    settings = _settings(text, f"settings({rest}", kind)
    known = {field.name: field.type for field in fields(family[name]) if field.init}  # type: ignore[arg-type]
    for given, value in settings.items():
        if given not in known:
            raise SettingsError(f"{kind} {name} has no setting {given!r}; it has {', '.join(known) or 'none'}.")
        wanted, fits = SETTING_TYPES.get(getattr(known[given], "__name__", str(known[given])), ("", lambda _: True))
        if not fits(value):
            raise SettingsError(f"{given} of {kind} {name} is {wanted}, not {value!r}.")
    return family[name](**settings)


def format_spec(member: object, family: Mapping[str, type]) -> str:
    """The name that `parse_spec` reads back: settings that differ from their defaults, in their order.

    Raises SettingsError where the member is of another family, or of none.
    """
    name = next((name for name, kind in family.items() if type(member) is kind), None)
    if name is None:
        raise SettingsError(f"{member!r} has no name: it is none of {', '.join(family)}.")
    assert is_dataclass(member) and not isinstance(member, type)
    changed = [
        f"{field.name}={getattr(member, field.name)!r}"
        for field in fields(member)
        if field.init and getattr(member, field.name) != field.default
    ]
    return f"{name}({', '.join(changed)})" if changed else name


def split_specs(text: str) -> list[str]:
    """The names in a list of them: commas within brackets or quotes do not count."""
    found, depth, quote, start, escaped = [], 0, "", 0, False
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote and not escaped else quote
            escaped = sign == "\\" and not escaped
        elif sign in "'\"":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "," and not depth:
            found.append(text[start:place].strip())
            start = place + 1
    return [name for name in [*found, text[start:].strip()] if name]


def _settings(text: str, call: str, kind: str) -> dict[str, Any]:
    try:
        node = ast.parse(call, mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            raise ValueError
        names = [each.arg for each in node.keywords]
        if None in names or len(set(names)) < len(names):
            raise ValueError
        return {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    except (SyntaxError, ValueError, TypeError):
        raise SettingsError(
            f"{text!r} does not read as a {kind}; write it as name(setting=value, ...), texts in quotes."
        ) from None
