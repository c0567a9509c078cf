"""Duplicate listings: the definition that training, checks and evaluation share.

Two listings are duplicates if they share a product or a title, ignoring case and spacing. A group is a connected
component of duplicates: listings of a group are relevant to each other, a group is one unit of a significance test,
and a split keeps it on one side. Only in-batch negatives look at single pairs: `duplicate_mask`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wares.data.listings import Listing

Groups = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
Labels = TypeVar("Labels", bound=Any)  # an array of NumPy, or a tensor
MIN_GROUPS = 10  # to hold some out: with fewer, a side would be a handful of products


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


def duplicate_groups(labels: npt.ArrayLike) -> Groups:
    """(N,) number of each listing's group, in order of appearance.

    labels: (N, 2) of `duplicate_labels`. A group is a connected component: if A shares its product with B, and B its
    title with C, all three are one group. Groups are disjoint, and listings of different groups share nothing.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = np.asarray(labels, dtype=np.int64)
    count = len(labels)
    if not count:
        return np.zeros(0, dtype=np.int64)
    # A graph of listings, products and titles: each listing has an edge to its product and one to its title.
    nodes, start = [], count
    for column in labels.T:
        values, inverse = np.unique(column, return_inverse=True)
        nodes.append(start + inverse)
        start += len(values)
    rows = np.tile(np.arange(count), labels.shape[1])
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, np.concatenate(nodes))), shape=(start, start))
    _, components = connected_components(graph, directed=False)
    return _number_by_appearance(components[:count])


def split_by_group(labels: npt.ArrayLike, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Indices of the training listings and of the held-out ones, in ascending order; no group is on both sides.

    labels: (N, 2) of `duplicate_labels`
    fraction: of the listings to hold out, in (0, 1); the held-out fraction is as near as whole groups in random order
        allow
    seed: decides the order of the groups

    A side is empty only if there are fewer than two groups. `group_count` counts the groups of a side.

    Example:
        >>> import numpy as np
        >>> training, held_out = split_by_group(np.array([[0, 0], [1, 0], [2, 2], [3, 3]]), 0.25, seed=0)
        >>> len(held_out), {0, 1} <= set(training.tolist())
        (1, True)
    """
    groups = duplicate_groups(labels)
    if not len(groups):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    sizes = np.bincount(groups)
    missing, held_out = min(round(fraction * len(groups)), len(groups) - 1), np.zeros(len(sizes), dtype=np.bool_)
    order = np.random.default_rng(seed).permutation(len(sizes))
    for group in order:
        if sizes[group] <= missing:
            held_out[group] = True
            missing -= sizes[group]
    rest = order[~held_out[order]]
    if len(rest) > 1:
        smallest = rest[np.argmin(sizes[rest])]
        held_out[smallest] = sizes[smallest] - missing < missing or not held_out.any()
    side = held_out[groups]
    return np.flatnonzero(~side), np.flatnonzero(side)


def group_count(labels: npt.ArrayLike) -> int:
    """Number of groups among listings. labels: (N, 2) of `duplicate_labels`"""
    return int(duplicate_groups(labels).max(initial=-1)) + 1


def _number_by_appearance(values: npt.NDArray[Any]) -> Groups:
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    numbers: Groups = np.argsort(np.argsort(first))[inverse].astype(np.int64)
    return numbers
