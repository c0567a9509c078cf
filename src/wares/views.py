"""Views of listings: which photos and texts there are, what each weighs, and which are drawn in a training step.

A listing's first photo and its title are its primary views, all others are auxiliary. The views of many
listings are held as one ragged table (`Views`), and handed to the mathematics as padded blocks, shape
(B, V), in which a weight of zero marks a place without a view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from wares.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from wares.catalogue import Catalogue, Listing

MARGINALS = ("fixed", "uniform", "agreement", "learned")


@dataclass(frozen=True)
class Marginals:
    """How a listing weighs its own views.

    kind: "fixed" gives the primary view alpha (beta for texts) and splits the rest equally;
        "uniform" gives all views the same; "agreement" and "learned" take "fixed" and multiply each photo's weight,
        by exp(<photo, texts>/epsilon) or by exp(√d <u, photo>), u learned in pretraining
    alpha, beta: weight of the primary photo and of the title where there are other views, in [0, 1]
    epsilon: temperature of the agreement, > 0; large values give the fixed marginals back

    Source: primary emphasis is arXiv 2512.18117; all else is our reading.
    """

    kind: Literal["fixed", "uniform", "agreement", "learned"] = "agreement"
    alpha: float = 0.5
    beta: float = 0.5
    epsilon: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in MARGINALS:
            raise SettingsError(f"no marginals {self.kind!r}; there are {', '.join(MARGINALS)}.")
        for name in ("alpha", "beta"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingsError(f"{name} is a weight in [0, 1], not {getattr(self, name)}.")
        if not self.epsilon > 0.0:
            raise SettingsError(f"epsilon is a temperature above 0, not {self.epsilon}.")

    def primary(self, modality: str) -> float | None:
        """Weight of the primary "photo" or "text" before any reweighing; None where all views weigh the same."""
        if self.kind == "uniform":
            return None
        return self.alpha if modality == "photo" else self.beta


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

    def keep(self, kept: npt.NDArray[np.bool_]) -> Views:
        """The same listings with only the views marked in `kept`, shape (V,)."""
        counts = np.bincount(self.owners[kept], minlength=len(self.offsets) - 1)
        return self._at(np.flatnonzero(kept), counts)

    def places(self, listings: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where the views of some listings stand in this table, listing by listing."""
        ranges = [np.arange(self.offsets[i], self.offsets[i + 1]) for i in listings]
        return np.concatenate(ranges) if ranges else np.zeros(0, dtype=np.int64)

    def select(self, listings: npt.NDArray[np.int64]) -> Views:
        """The table of some listings, in the order given."""
        return self._at(self.places(listings), self.counts[listings])

    def _at(self, places: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Views:
        return Views([self.names[i] for i in places], [self.items[i] for i in places], _offsets(counts))


def photo_views(catalogue: Catalogue) -> Views:
    """Every photo of every listing, the first photo first."""
    return _table([(name, name) for name in listing.images] for listing in catalogue.listings)


def text_views(catalogue: Catalogue) -> Views:
    """Every text of every listing, the title first; an empty text is no view."""
    return _table(texts_of(listing) for listing in catalogue.listings)


def texts_of(listing: Listing) -> list[tuple[str, str]]:
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


def joint_text(catalogue: Catalogue) -> Catalogue:
    """The catalogue as joint-text sees it: the first photo, and one text that is all texts, a line each.

    A baseline: what a shop does that has one image tower and one text tower and knows of no views. Titles are gone,
    so that which listings share one is to be asked of the catalogue that came in.
    """
    listings = tuple(
        replace(
            each,
            title="\n".join(text for _, text in texts_of(each)),
            description="",
            tags=(),
            texts={},
            images=each.images[:1],
        )
        for each in catalogue.listings
    )
    return replace(catalogue, listings=listings)


def duplicate_labels(listings: Sequence[Listing]) -> npt.NDArray[np.int64]:
    """(N, 2) labels of product and title: two listings are one item where either label is the same.

    Titles are compared without case and spacing. A listing without a product is a product of its own.
    """
    products = [listing.product or f"\0{place}" for place, listing in enumerate(listings)]
    titles = [" ".join(listing.title.casefold().split()) for listing in listings]
    columns = [np.unique(np.asarray(values, dtype=object), return_inverse=True)[1] for values in (products, titles)]
    return np.stack(columns, axis=1).astype(np.int64) if listings else np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Chosen:
    """Views chosen for a batch of listings.

    places: (B, V) int64, the place of each chosen view among its listing's own views; 0 is primary
    weights: (B, V) float32; 0 marks a place without a view. A row sums to 1, or to 0 where the
        listing has no view of this modality
    """

    places: Tensor
    weights: Tensor


def all_views(counts: Tensor, primary: float | None) -> Chosen:
    """Every view, with the fixed marginal: `primary` for the first, the rest shared equally; None shares all equally.

    counts: (B,) number of views, >= 0. A listing with a single view gives it all the weight,
    whatever `primary` is.
    """
    import torch

    places = torch.arange(max(1, int(counts.max()))).expand(len(counts), -1)
    first = 1.0 / counts.clamp(min=1)[:, None] if primary is None else torch.tensor(primary)
    weights = torch.where(places == 0, first, (1.0 - first) / (counts - 1).clamp(min=1)[:, None])
    weights = torch.where(counts[:, None] == 1, 1.0, weights)
    return Chosen(places, torch.where(places < counts[:, None], weights, 0.0))


def primary_and_one(counts: Tensor, primary: float, draws: Tensor) -> Chosen:
    """The primary view and one auxiliary view drawn uniformly: constant work per listing.

    draws: (B,) uniform in [0, 1), one a listing

    The weighted sum of the two is an unbiased estimate of the sum over `all_views`.
    Source: "auxiliary views are sampled" (arXiv 2512.18117); weighting the draw is our reading.
    """
    import torch

    drawn = 1 + _uniform(counts - 1, draws)
    places = torch.stack([torch.zeros_like(counts), torch.where(counts > 1, drawn, 0)], dim=1)
    weights = torch.tensor([primary, 1.0 - primary]).repeat(len(counts), 1)
    weights[counts == 1] = torch.tensor([1.0, 0.0])
    weights[counts == 0] = 0.0
    return Chosen(places, weights)


def primary_only(counts: Tensor) -> Chosen:
    """The primary view alone."""
    import torch

    return Chosen(torch.zeros(len(counts), 1, dtype=torch.long), (counts > 0).float()[:, None])


def any_one(counts: Tensor, draws: Tensor) -> Chosen:
    """One view drawn uniformly from all of them. draws: (B,) uniform in [0, 1), one a listing."""
    return Chosen(_uniform(counts, draws)[:, None], (counts > 0).float()[:, None])


def _uniform(counts: Tensor, draws: Tensor) -> Tensor:
    """(B,) an integer from 0 to counts-1 by a uniform draw in [0, 1); 0 where counts is not positive."""
    return (draws * counts.clamp(min=1)).long().clamp(max=int(counts.max().clamp(min=1)) - 1)
