"""Links from annotations of wares to the page that documents the name.

Modules import most types for type checkers only, so autodoc sees `Query` where the source means
`wares.data.listings.Query`. This reads the imports of the module's source and completes such names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from functools import cache
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


@cache
def imported_names(module: str) -> dict[str, str]:
    """Local name -> full name of everything that a module imports, also for type checkers only."""
    names: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        elif isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
    return names


@cache
def defining_name(name: str) -> str:
    """Full name at the module that defines it: a package's face exports names of its modules."""
    module, _, attribute = name.rpartition(".")
    if not module.startswith("wares"):
        return name
    value = getattr(importlib.import_module(module), attribute, None)
    home = getattr(value, "__module__", None) or ""
    local = getattr(value, "__qualname__", None)
    return f"{home}.{local}" if home.startswith("wares") and local else name


class CompleteNames(SphinxTransform):
    """Replace names as a module's source writes them by full names."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for node in self.document.findall(pending_xref):
            if node.get("refdomain") != "py" or not node.get("py:module"):
                continue
            node["reftype"] = "obj"  # a type may be documented as a class or, if it is an alias, as data
            head, dot, rest = node["reftarget"].removeprefix(f"{node['py:module']}.").partition(".")
            known = imported_names(node["py:module"])
            if head in known:
                node["reftarget"] = defining_name(known[head] + dot + rest) if not dot else known[head] + dot + rest
            elif not dot and hasattr(importlib.import_module(node["py:module"]), head):
                node["reftarget"] = f"{node['py:module']}.{head}"


def is_alias(app: Sphinx, domain: Any, node: pending_xref) -> bool | None:
    """Whether a missing link is to a name that autodoc gives no entry: a type alias, or what has no docstring."""
    module, _, name = node["reftarget"].rpartition(".")
    if node.get("refdomain") != "py" or not module.startswith("wares"):
        return None
    if hasattr(typing, name):
        return True
    try:
        value = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
    documented = (inspect.isclass(value) or inspect.isroutine(value)) and bool(value.__doc__)
    return None if documented else True


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(CompleteNames)
    app.connect("warn-missing-reference", is_alias)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
