"""Marketplace search that needs no labels: one embedding per listing, learned from all of its photos and texts.

The names below are the public surface; each is loaded when first asked for, so that importing `wares` costs
nothing. A recipe or a piece of mathematics is imported from its own module, as in `from wares.pretrain import
pretrain` and `from wares.fuse import fuse`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wares.catalogue import Catalogue, Listing, Query, read_catalogue, read_queries
    from wares.errors import WaresError
    from wares.evaluate import Evaluation, measure, paired_tests, read_qrels
    from wares.index import build_shop
    from wares.pretrain import PretrainSettings
    from wares.runs import read_run
    from wares.shop import open_shop
    from wares.towers import build_towers, load_towers

__version__ = "0.1.0"

_HOMES = {
    "Catalogue": "catalogue",
    "Evaluation": "evaluate",
    "Listing": "catalogue",
    "PretrainSettings": "pretrain",
    "Query": "catalogue",
    "WaresError": "errors",
    "build_shop": "index",
    "build_towers": "towers",
    "load_towers": "towers",
    "measure": "evaluate",
    "open_shop": "shop",
    "paired_tests": "evaluate",
    "read_catalogue": "catalogue",
    "read_qrels": "evaluate",
    "read_queries": "catalogue",
    "read_run": "runs",
}

__all__ = [
    "Catalogue",
    "Evaluation",
    "Listing",
    "PretrainSettings",
    "Query",
    "WaresError",
    "__version__",
    "build_shop",
    "build_towers",
    "load_towers",
    "measure",
    "open_shop",
    "paired_tests",
    "read_catalogue",
    "read_qrels",
    "read_queries",
    "read_run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
