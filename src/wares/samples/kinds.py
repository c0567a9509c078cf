"""The kinds of goods on sale, and everything that can be true of each. Read from kinds.toml."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import PositiveFloat
from pydantic.dataclasses import dataclass

from wares.samples.palette import MATERIALS, OCCASIONS, PATTERNS, Words
from wares.samples.shapes.registry import SHAPES
from wares.samples.tables import CHECKED, check_names, read_table

FILE = "kinds.toml"


@dataclass(frozen=True, config=CHECKED)
class Kind:
    """One kind of goods. `patterns` and `sizes` name rows of the tables of the same name."""

    words: Words
    shapes: Mapping[str, Words]
    materials: Words
    patterns: str
    occasions: Words
    price: PositiveFloat
    scene: str
    group: str
    sizes: str = ""
    portrait: bool = False


@dataclass(frozen=True, config=CHECKED)
class KindTable:
    """All of kinds.toml."""

    kinds: Mapping[str, Kind]
    patterns: Mapping[str, Words]
    sizes: Mapping[str, Words]
    groups: Mapping[str, Words]


def _read_kinds() -> KindTable:
    table = read_table(FILE, KindTable)
    check_names(FILE, "kinds", table.kinds, SHAPES)
    for name, patterns in table.patterns.items():
        check_names(FILE, f"patterns.{name}", patterns, PATTERNS)
    for name, kind in table.kinds.items():
        check_names(FILE, f"kinds.{name}.materials", kind.materials, MATERIALS)
        check_names(FILE, f"kinds.{name}.occasions", kind.occasions, OCCASIONS)
        check_names(FILE, f"kinds.{name}.patterns", [kind.patterns], table.patterns)
        check_names(FILE, f"kinds.{name}.sizes", [kind.sizes] if kind.sizes else [], table.sizes)
    return table


_TABLE = _read_kinds()
KINDS, GROUPS = _TABLE.kinds, _TABLE.groups


def patterns_of(kind: str) -> Words:
    """The patterns to draw from for a kind; a repeated pattern is drawn more often."""
    return _TABLE.patterns[KINDS[kind].patterns]


def sizes_of(kind: str) -> Words:
    """The sizes that a kind comes in; empty if it has none."""
    return _TABLE.sizes[KINDS[kind].sizes] if KINDS[kind].sizes else ()


def has_size_range(kind: str) -> bool:
    """Whether a kind comes in more than one size, so that texts name the size."""
    return len(sizes_of(kind)) > 1
