"""Everything wares raises on purpose: one tree, one line per message (what, where, what to do)."""

from __future__ import annotations


class WaresError(Exception):
    """Base of every error that is the user's to mend; the command line prints it in one line."""


class SettingsError(WaresError):
    """A setting is out of range, or two of them contradict each other."""


class CatalogueError(WaresError):
    """A catalogue, query or interaction file cannot be used as it is."""


class PhotoError(CatalogueError):
    """A photo is missing, empty, truncated, too large, or not an image."""


class ModelError(WaresError):
    """A tower or a saved model cannot be found, loaded or resumed."""


class ShopError(WaresError):
    """A shop is missing, damaged, or was built with another model."""


class FilterError(ShopError):
    """A filter does not parse or names a column that the shop does not have."""


class EvaluationError(WaresError):
    """Judgments, queries and runs do not fit together."""
