"""Views of listings: their photos and texts, as ragged tables.

A listing's first photo and its title are its primary views; all others are auxiliary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wares.data.listings import Catalogue, Listing


@dataclass(frozen=True)
class Views:
    """Views of one modality of many listings, in listing order, each listing's primary view first.

    names: (V,) name in explanations: a text field, or a photo's path
    items: (V,) input of the tower: the text, or the photo's path inside the catalogue
    offsets: (N+1,) the views of listing i are offsets[i] to offsets[i+1] - 1
    """

    names: list[str]
    items: list[str]
    offsets: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(N,) number of views of each listing."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """(V,) index of the listing of each view."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)

    def filter(self, mask: npt.NDArray[np.bool_]) -> Views:
        """The same listings with only some of their views. mask: (V,) True for views to keep"""
        counts = np.bincount(self.owners[mask], minlength=len(self.offsets) - 1)
        return self._take(np.flatnonzero(mask), counts)

    def view_indices(self, listings: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Indices of the views of some listings, listing by listing."""
        ranges = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in listings]
        return np.concatenate(ranges) if ranges else np.zeros(0, dtype=np.int64)

    def select(self, listings: npt.NDArray[np.int64]) -> Views:
        """Views of some listings, in the given order."""
        return self._take(self.view_indices(listings), self.counts[listings])

    def _take(self, indices: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Views:
        return Views([self.names[i] for i in indices], [self.items[i] for i in indices], _offsets(counts))


def photo_views(catalogue: Catalogue) -> Views:
    """All photos of all listings."""
    return _table([(name, name) for name in listing.images] for listing in catalogue.listings)


def text_views(catalogue: Catalogue) -> Views:
    """All texts of all listings that are not blank."""
    return _table(listing_texts(listing) for listing in catalogue.listings)


def listing_texts(listing: Listing) -> list[tuple[str, str]]:
    """Names and texts of a listing: title, description, tags, then further text fields; blank texts are left out."""
    named = [("title", listing.title), ("description", listing.description), ("tags", ", ".join(listing.tags))]
    return [(name, text) for name, text in [*named, *listing.texts.items()] if text.strip()]


def _table(rows: Iterable[Sequence[tuple[str, str]]]) -> Views:
    names, items, counts = [], [], []
    for row in rows:
        counts.append(len(row))
        names += [name for name, _ in row]
        items += [item for _, item in row]
    return Views(names, items, _offsets(np.asarray(counts, dtype=np.int64)))


def _offsets(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])


def with_joint_text(catalogue: Catalogue) -> Catalogue:
    """A catalogue for the joint-text baseline: each listing has its first photo and all texts joined as its title.

    The baseline has one image, one text and no notion of views. Titles change, so take duplicates from the original
    catalogue.
    """
    listings = tuple(
        replace(
            listing,
            title="\n".join(text for _, text in listing_texts(listing)),
            description="",
            tags=(),
            texts={},
            images=listing.images[:1],
        )
        for listing in catalogue.listings
    )
    return replace(catalogue, listings=listings)
