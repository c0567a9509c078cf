"""Views of listings: which photos and texts there are, what each weighs, and which are drawn in a training step.

A listing's first photo and its title are its primary views, all others are auxiliary. The views of many
listings are held as one ragged table (`Views`), and handed to the mathematics as padded blocks, shape
(B, V), in which a weight of zero marks a place without a view.
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
    """The views of one modality of many listings, in listing order, each listing's primary view first.

    names: (V,) what a view is called in an explanation: a text field, or a photo's path
    items: (V,) what a tower reads: the text, or the photo's path inside the catalogue
    offsets: (N+1,) the views of listing i are offsets[i] to offsets[i+1]
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
        """(V,) the listing that each view belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.counts)

    def filter(self, mask: npt.NDArray[np.bool_]) -> Views:
        """The same listings with only the views marked in `mask`, shape (V,)."""
        counts = np.bincount(self.owners[mask], minlength=len(self.offsets) - 1)
        return self._at(np.flatnonzero(mask), counts)

    def view_indices(self, listings: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where the views of some listings stand in this table, listing by listing."""
        ranges = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in listings]
        return np.concatenate(ranges) if ranges else np.zeros(0, dtype=np.int64)

    def select(self, listings: npt.NDArray[np.int64]) -> Views:
        """The table of some listings, in the order given."""
        return self._at(self.view_indices(listings), self.counts[listings])

    def _at(self, places: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Views:
        return Views([self.names[i] for i in places], [self.items[i] for i in places], _offsets(counts))


def photo_views(catalogue: Catalogue) -> Views:
    """Every photo of every listing, the first photo first."""
    return _table([(name, name) for name in listing.images] for listing in catalogue.listings)


def text_views(catalogue: Catalogue) -> Views:
    """Every text of every listing, the title first; an empty text is no view."""
    return _table(listing_texts(listing) for listing in catalogue.listings)


def listing_texts(listing: Listing) -> list[tuple[str, str]]:
    """Named texts of one listing: title, description, tags, then other declared fields."""
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
    """The catalogue as joint-text sees it: the first photo, and one text that is all texts, a line each.

    A baseline: what a shop does that has one image tower and one text tower and knows of no views. Titles are gone,
    so that which listings share one is to be asked of the catalogue that came in.
    """
    listings = tuple(
        replace(
            each,
            title="\n".join(text for _, text in listing_texts(each)),
            description="",
            tags=(),
            texts={},
            images=each.images[:1],
        )
        for each in catalogue.listings
    )
    return replace(catalogue, listings=listings)
