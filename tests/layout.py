"""The packages of wares, what each may import, and all modules by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import wares

SOURCE = Path(wares.__file__).parent

# What each package may import, besides itself.
BELOW_TRAINING = {"core", "data", "encoders"}
BELOW_SHOP = BELOW_TRAINING | {"training", "ranking"}
MAY_IMPORT = {
    "core": set(),
    "data": {"core"},
    "encoders": {"core", "data"},
    "training": BELOW_TRAINING,
    "ranking": BELOW_TRAINING,
    "supervision": BELOW_SHOP,
    "shop": BELOW_SHOP,
    "evaluation": BELOW_SHOP | {"supervision", "shop"},
    "serve": BELOW_SHOP | {"supervision", "shop"},
    "samples": {"core"},
    "cli": BELOW_SHOP | {"supervision", "shop", "evaluation", "serve", "samples"},
}


def module_name(path: Path) -> str:
    parts = ("wares", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
INSIDE = {name: path for name, path in MODULES.items() if name != "wares"}


def resolve(path: str) -> object:
    """The member of a dotted path, such as wares.core.cache.FeatureCache."""
    module = max((name for name in MODULES if path.startswith(f"{name}.")), key=len)
    found: object = import_module(module)
    for name in path.removeprefix(f"{module}.").split("."):
        found = getattr(found, name)
    return found
