"""Component specs: names with settings, as in `bm25(k1=0.9, b=0.4)`, that parse and print to the same thing.

The Python API, the command line, file names and table headers share this language. A family is a mapping from names to
frozen dataclasses; the fields of a dataclass are its settings.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wares.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


T = TypeVar("T")
# Type of a setting -> how messages call its values, and the check of a value.
SETTING_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a number", lambda value: type(value) in (int, float) and math.isfinite(value)),
    "str": ("a text in quotes", lambda value: isinstance(value, str)),
}


@dataclass(frozen=True)
class Description:
    """A member of a family, as `wares list` prints it.

    settings: with their defaults, as in a spec; requires: what the member needs besides a catalogue, or ""
    source: the publication, or ""
    """

    name: str
    summary: str
    settings: str
    requires: str
    source: str


def describe(family: Mapping[str, type]) -> list[Description]:
    """Descriptions of all members of a family, in its order.

    The summary is the first line of a member's docstring. `requires` and `source` are class variables of the member.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Boot:
        ...     "Keeps feet dry."
        ...
        ...     size: int = 42
        >>> [(boot.name, boot.summary, boot.settings) for boot in describe({"boot": Boot})]
        [('boot', 'Keeps feet dry', 'size=42')]
    """
    return [
        Description(name, _summary(member), _default_settings(member), *_class_texts(member, "requires", "source"))
        for name, member in family.items()
    ]


def parse_spec(text: str, family: Mapping[str, type[T]], kind: str) -> T:
    """The member of a family that a spec describes.

    kind: what messages call a member, as in "labeler"

    Raises SettingsError if the family has no such name, the member has no such setting, or a value has another type.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Boot:
        ...     size: int = 42
        >>> parse_spec("boot(size=44)", {"boot": Boot}, "shoe").size
        44
    """
    name, bracket, rest = text.strip().partition("(")
    if name not in family:
        raise SettingsError(f"no {kind} {name!r}; there are {', '.join(family)}.")
    if not bracket:
        return family[name]()
    settings = _parse_settings(text, f"settings({rest}", kind)
    types = {field.name: field.type for field in fields(family[name]) if field.init}  # type: ignore[arg-type]
    for setting, value in settings.items():
        if setting not in types:
            raise SettingsError(f"{kind} {name} has no setting {setting!r}; it has {', '.join(types) or 'none'}.")
        type_name = getattr(types[setting], "__name__", str(types[setting]))
        optional = type_name.endswith(" | None")
        expected, is_valid = SETTING_TYPES.get(type_name.removesuffix(" | None"), ("", lambda _: True))
        if not is_valid(value) and not (optional and value is None):
            raise SettingsError(f"{setting} of {kind} {name} must be {expected}, not {value!r}.")
    return family[name](**settings)


def format_spec(member: object, family: Mapping[str, type]) -> str:
    """The spec that `parse_spec` reads back: the name, and settings that differ from their defaults.

    Raises SettingsError if the member does not belong to the family.
    """
    name = next((name for name, kind in family.items() if type(member) is kind), None)
    if name is None:
        raise SettingsError(f"{member!r} has no name here. Use one of {', '.join(family)}.")
    assert is_dataclass(member) and not isinstance(member, type)
    changed = [
        f"{field.name}={getattr(member, field.name)!r}"
        for field in fields(member)
        if field.init and getattr(member, field.name) != field.default
    ]
    return f"{name}({', '.join(changed)})" if changed else name


def split_specs(text: str) -> list[str]:
    """Specs of a comma-separated list; commas in brackets or quotes do not separate."""
    specs, depth, quote, start, escaped = [], 0, "", 0, False
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and not depth:
            specs.append(text[start:index].strip())
            start = index + 1
    return [spec for spec in [*specs, text[start:].strip()] if spec]


def _parse_settings(text: str, call: str, kind: str) -> dict[str, Any]:
    try:
        node = ast.parse(call, mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            raise ValueError
        names = [keyword.arg for keyword in node.keywords]
        if None in names or len(set(names)) < len(names):
            raise ValueError
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    except (SyntaxError, ValueError, TypeError):
        raise SettingsError(
            f"{text!r} is not a valid {kind}. Write it as name(setting=value, ...), with texts in quotes."
        ) from None


def _summary(member: type) -> str:
    text = (member.__doc__ or "").strip()
    if text.startswith(f"{member.__name__}("):  # the signature, which dataclass writes if there is no docstring
        return ""
    return text.partition("\n")[0].removesuffix(".")


def _default_settings(member: type) -> str:
    settings = []
    for field in fields(member) if is_dataclass(member) else ():
        if field.init:
            default = field.default if field.default_factory is MISSING else field.default_factory()
            settings.append(field.name if default is MISSING else f"{field.name}={default!r}")
    return ", ".join(settings)


def _class_texts(member: type, *names: str) -> list[str]:
    return [str(getattr(member, name, "")) for name in names]
