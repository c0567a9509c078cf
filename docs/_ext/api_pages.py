"""The API reference: a page for every package and module of wares, found by walking `wares.__path__`.

Pages are written to docs/reference/api before Sphinx reads its sources; autodoc fills them from docstrings.
Docstrings are plain text with a little Markdown. They become reStructuredText here, which is what autodoc reads.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import wares

if TYPE_CHECKING:
    from types import ModuleType

    from sphinx.application import Sphinx

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "api"
ENTRY = re.compile(r"([^:`]{1,80}): +(.*)")  # "alpha: weight of the primary view"
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SPLIT_CODE = re.compile(r"(?<!`)`(?:[^`\n]|\n(?!\s*\n))+`(?!`)")  # code, also if a line break falls into it
# *emphasis*, which stays, or a sign to escape
SPECIAL = re.compile(r"(?<![\w*])\*[^\s*](?:[^*]*[^\s*])?\*(?![\w*])|[\\|*]|(?<=\w)_(?!\w)")
PYTHON = re.compile(r"^\s*(from|import|for|def|with|@\w+)\b|^\s*[\w.]+(, \w+)* = |^\s*[\w.]+\(", re.MULTILINE)


def module_names() -> list[str]:
    """Dotted names of wares and all its public packages and modules, in alphabetical order."""
    found = pkgutil.walk_packages(wares.__path__, "wares.")
    return ["wares", *sorted(module.name for module in found if not re.search(r"\._", module.name))]


def face(module: ModuleType) -> list[tuple[str, str, str]]:
    """Name, defining module and first docstring line of everything that a package exports but does not define."""
    exported = []
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        home = getattr(value, "__module__", None)
        if home and home.startswith("wares.") and home != module.__name__:
            exported.append((name, home, (inspect.getdoc(value) or "").partition("\n")[0]))
    return exported


def first_line(module: str) -> str:
    """First line of a module's docstring."""
    return (importlib.import_module(module).__doc__ or "").strip().partition("\n")[0]


def table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    """Lines of a table with a link and a description in each row; none without rows."""
    if not rows:
        return []
    lines = [f".. list-table:: {title}", "   :widths: 30 70", ""]
    for link, text in rows:
        lines += [f"   * - {link}", f"     - {inline(text)}"]
    return [*lines, ""]


def page(name: str, names: list[str]) -> str:
    """Source of one module's page: docstring, exported names, submodules, members."""
    module = importlib.import_module(name)
    lines = [name, "=" * len(name), "", f".. automodule:: {name}", "   :members:", "   :ignore-module-all:", ""]
    lines += table(
        "Exported names", [(f":py:obj:`{export} <{home}.{export}>`", text) for export, home, text in face(module)]
    )
    children = [child for child in names if child.rpartition(".")[0] == name]
    if children:
        described = [(f":doc:`{child.rpartition('.')[2]} <{child}>`", first_line(child)) for child in children]
        lines += table("Modules", described)
        lines += [".. toctree::", "   :hidden:", "   :titlesonly:", ""]
        lines += [f"   {child.rpartition('.')[2]} <{child}>" for child in children]
        lines.append("")
    return "\n".join(lines)


def write_pages(app: Sphinx) -> None:
    """Write every page that differs from the one on disk, and remove pages of modules that are gone."""
    names = module_names()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.rst"):
        if old.stem not in names:
            old.unlink()
    for name in names:
        path, text = FOLDER / f"{name}.rst", page(name, names)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")


def inline(text: str) -> str:
    """One line of a docstring with `code` as literals and all other special characters escaped."""
    parts = CODE.split(text)
    escaped = [SPECIAL.sub(lambda sign: sign[0] if len(sign[0]) > 1 else f"\\{sign[0]}", part) for part in parts[::2]]
    literals = [rf"\ ``{part}``\ " for part in parts[1::2]]
    return "".join(a + b for a, b in zip(escaped, [*literals, ""], strict=True))


def parameter_names(value: Any) -> set[str]:
    """Names that a docstring may describe in lines of `name: text`: parameters, or fields of a class."""
    names: set[str] = set()
    if inspect.isclass(value):
        names.update(*(vars(base).get("__annotations__", {}) for base in value.__mro__))
        if dataclasses.is_dataclass(value):
            names.update(field.name for field in dataclasses.fields(value))
    if callable(value):
        with suppress(TypeError, ValueError):
            names.update(inspect.signature(value).parameters)
    return names


def blocks(lines: list[str]) -> list[list[str]]:
    """Lines in groups that blank lines separate; indented groups in a row are one, since they are one piece of code."""
    groups: list[list[str]] = []
    for filled, lines_of_group in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            groups.append(list(lines_of_group))
    merged: list[list[str]] = []
    for group in groups:
        if merged and group[0].startswith(" ") and merged[-1][-1].startswith(" "):
            merged[-1] += ["", *group]
        else:
            merged.append(group)
    return merged


def described(group: list[str], names: set[str]) -> list[str]:
    """A paragraph whose lines are `name: text` as a list; lines that are no such entry go on as text."""
    hanging = any(line.startswith(" ") for line in group) or all(map(ENTRY.fullmatch, group))
    result: list[str] = []
    in_list = False
    for line in group:
        entry = ENTRY.fullmatch(line)
        if entry and (hanging or set(entry[1].split(", ")) <= names):
            result += [] if in_list else [""]
            result.append(f"* **{inline(entry[1])}**: {inline(entry[2])}")
            in_list = True
        elif in_list and (line.startswith(" ") or not hanging):
            result.append("  " + inline(line.strip()))
        else:
            result += ["", inline(line.strip())] if in_list else [inline(line.strip())]
            in_list = False
    return result


def code_block(lines: list[str]) -> list[str]:
    """Lines of code as a directive, in the language that they seem to be in."""
    code = dedent("\n".join(lines))
    language = "pycon" if ">>>" in code else "python" if PYTHON.search(code) else "text"
    return [f".. code-block:: {language}", "", *(f"   {line}" for line in code.split("\n"))]


def convert_docstring(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place: descriptions of parameters as lists, indented blocks as code."""
    names, result = parameter_names(value), list[str]()
    whole = SPLIT_CODE.sub(lambda code: re.sub(r"\s*\n\s*", " ", code[0]), "\n".join(lines))
    for group in blocks(whole.split("\n")):
        first = ENTRY.fullmatch(group[0])
        if re.match(r" |@|def |>>>", group[0]):
            result += code_block(group)
        elif group[0].endswith(":") and all(line.startswith(" ") for line in group[1:]):
            result += [inline(group[0]), "", *code_block(group[1:])] if group[1:] else [inline(group[0])]
        elif (
            (first and set(first[1].split(", ")) <= names)
            or any(line.startswith(" ") for line in group)
            or (len(group) > 1 and all(map(ENTRY.fullmatch, group)))
        ):
            result += described(group, names)
        else:
            result += map(inline, group)
        result.append("")
    lines[:] = result


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", convert_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
