"""Duplicate listings: the definition that training, checks and evaluation share.

Two listings are duplicates if they share a product or a title, ignoring case and spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wares.data.listings import Listing

Groups = npt.NDArray[np.int64]
Labels = TypeVar("Labels", bound=Any)  # an array of NumPy, or a tensor


def normalised_title(title: str) -> str:
    """A title in lower case with single spaces."""
    return " ".join(title.casefold().split())


def duplicate_labels(listings: Sequence[Listing]) -> Groups:
    """(N, 2) labels of product and title; duplicates share at least one label.

    A listing without a product gets a product label of its own.
    """
    products = [listing.product or f"\0{index}" for index, listing in enumerate(listings)]
    titles = [normalised_title(listing.title) for listing in listings]
    columns = [np.unique(np.asarray(values, dtype=object), return_inverse=True)[1] for values in (products, titles)]
    return np.stack(columns, axis=1).astype(np.int64) if listings else np.zeros((0, 2), dtype=np.int64)


def duplicate_mask(labels: Labels, others: Labels | None = None) -> Labels:
    """(B, C) True for duplicates, which must not be negatives of each other.

    labels, others: (B, 2) and (C, 2) of `duplicate_labels`, as arrays or tensors; others defaults to labels
    """
    mask: Labels = (labels[:, None] == (labels if others is None else others)[None]).any(2)
    return mask


def relevance_groups(listings: Sequence[Listing]) -> Groups:
    """(N,) group numbers; listings of a group are relevant to each other.

    A group shares a product, or a title if its listings have no product. Groups are disjoint.
    """
    groups: dict[tuple[str, str], int] = {}
    keys = [
        ("product", listing.product) if listing.product else ("title", normalised_title(listing.title))
        for listing in listings
    ]
    return np.array([groups.setdefault(key, len(groups)) for key in keys], dtype=np.int64)
