"""All errors that wares raises on purpose.

    WaresError
    ├── SettingsError
    ├── CatalogueError
    │   └── PhotoError
    ├── ModelError
    ├── ShopError
    │   └── FilterError
    └── EvaluationError

A message is one line: where, what is wrong, and what to do.
"""

from __future__ import annotations


class WaresError(Exception):
    """Base class for errors that the user can fix; the command line prints them in one line."""


class SettingsError(WaresError):
    """A setting is out of range or contradicts another setting."""


class CatalogueError(WaresError):
    """A catalogue, query or interaction file is not usable."""


class PhotoError(CatalogueError):
    """A photo is missing, empty, truncated, too large, or not an image."""


class ModelError(WaresError):
    """A tower or a saved model is missing, or does not load or resume."""


class ShopError(WaresError):
    """A shop is missing, damaged, or built with another model."""


class FilterError(ShopError):
    """A filter does not parse or names an unknown column."""


class EvaluationError(WaresError):
    """Judgments, queries and runs do not fit together."""


def condensed(error: BaseException) -> str:
    """The first 200 characters of an error's message, with its lines joined, without a final period."""
    return " ".join(str(error).split())[:200].rstrip(".")


def one_line(error: BaseException) -> str:
    """The first line of an error's message without its period, or the name of its type."""
    lines = str(error).splitlines() or [""]
    return lines[0].rstrip(".") or type(error).__name__
