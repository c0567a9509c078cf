"""The sample marketplace: listings, photos, queries and judgments, all drawn and written by code, to try wares on.

It imports `wares.core` alone; only the command line imports it.
To add a kind of goods: a table in kinds.toml and a function in `shapes`. To add a shape: the kind's table and function.
To add a scene: `photography.scenes`. To add colours, materials or phrases: palette.toml, phrases.toml.
Any change of these changes the marketplace that a seed draws, and with it every figure measured on it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wares.samples.marketplace import Marketplace, write_marketplace
    from wares.samples.sheet import contact_sheet

_HOMES = {"Marketplace": "marketplace", "contact_sheet": "sheet", "write_marketplace": "marketplace"}

__all__ = ["Marketplace", "contact_sheet", "write_marketplace"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
