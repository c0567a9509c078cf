"""Batches of listings and their photos, decoded by worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from wares.core.errors import SettingsError
from wares.data.photos import augment, load_photo
from wares.encoders.settings import FROZEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wares.data.listings import Catalogue
    from wares.data.photos import Fit
    from wares.data.views import Views
    from wares.encoders.base import Features
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.listing_encoder import Batch
    from wares.encoders.marginals import SampledViews
    from wares.encoders.towers import Towers
    from wares.training.settings import TrainerSettings


class ListingDraw(NamedTuple):
    """A listing in a batch, and the numbers in [0, 1) by which its views are drawn; `seed` is of its augmentation."""

    listing: int
    photo_draw: float
    text_draw: float
    seed: int


class BatchSchedule(Sampler[list[ListingDraw]]):
    """Every batch of a run, epoch after epoch, all of one size; a few listings sit out an epoch to make it so.

    listing_count: how many there are; batch_size: at most this many in a batch, over all processes
    rank, world_size: which of how many processes this is; it gets its part of every batch

    Raises SettingsError where a batch would leave a process less than one listing.
    """

    def __init__(
        self, listing_count: int, batch_size: int, epochs: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.listing_count, self.epochs, self.seed, self.rank, self.world_size = (
            listing_count,
            epochs,
            seed,
            rank,
            world_size,
        )
        self.steps_per_epoch = -(-listing_count // batch_size)
        self.rank_batch_size = listing_count // self.steps_per_epoch // world_size
        if self.rank_batch_size < 1:
            raise SettingsError(
                f"{listing_count} listings in batches of {batch_size} are too few for {world_size} processes."
            )

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch

    def __iter__(self) -> Iterator[list[ListingDraw]]:
        for epoch in range(self.epochs):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            order = torch.randperm(self.listing_count, generator=generator)
            draws = torch.rand(2, self.listing_count, generator=generator, dtype=torch.float64)
            seeds = torch.randint(2**62, (self.listing_count,), generator=generator)
            columns = [column.tolist() for column in (order, draws[0], draws[1], seeds)]
            for step in range(self.steps_per_epoch):
                start = (step * self.world_size + self.rank) * self.rank_batch_size
                rows = zip(*(column[start : start + self.rank_batch_size] for column in columns), strict=True)
                yield [ListingDraw(*row) for row in rows]


class BatchDataset(Protocol):
    """Training data: so many rows, and a batch for some of them."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: Sequence[ListingDraw]) -> Batch:
        """Called in a worker."""


@dataclass(frozen=True)
class ModalityData:
    """One modality of the training data: features of a frozen backbone, or what a trained one is to read.

    features: (V, ...) or None where the items are to be read
    paths: of the photos, with the size and fit of the image tower; None for texts
    """

    views: Views
    features: Features | None
    paths: Sequence[Path] | None = None
    size: int = 0
    fit: Fit = "pad"

    def load(self, indices: Tensor, seeds: Tensor | None) -> Batch:
        """Features under "features", or photos and texts under "items"; seeds: (n,) of augmentations, if any."""
        if self.features is not None:
            return {"features": torch.from_numpy(self.features[indices.numpy()])}
        if self.paths is None:
            return {"items": [self.views.items[place] for place in indices.tolist()]}
        photos = [load_photo(self.paths[place], self.size, self.fit) for place in indices.tolist()]
        if seeds is not None:
            each = zip(photos, seeds.tolist(), strict=True)
            photos = [augment(photo, np.random.default_rng(seed)) for photo, seed in each]
        return {"items": torch.from_numpy(np.stack(photos)) if photos else torch.zeros(0, self.size, self.size, 3)}


@dataclass(frozen=True)
class ListingDataset(Dataset[Any]):
    """Listings as batches of chosen views.

    duplicate_labels: (N, 2) labels of product and title
    sample_views: (photo counts, photo draws, text counts, text draws), each (B,), to the views of either modality
    """

    photos: ModalityData
    texts: ModalityData
    duplicate_labels: Tensor
    sample_views: Any
    augment: bool = False

    @classmethod
    def from_catalogue(
        cls,
        catalogue: Catalogue,
        features: CatalogueFeatures,
        towers: Towers,
        settings: TrainerSettings,
        sample_views: Any,
    ) -> ListingDataset:
        """Of a catalogue: a frozen backbone's side is the features it gave, a trained one reads photos or texts."""
        photos, texts, image = features.photo_views, features.text_views, towers.image
        paths = [catalogue.photo_path(name) for name in photos.items]
        return cls(
            ModalityData(photos, features.photos)
            if settings.image_backbone == FROZEN
            else ModalityData(photos, None, paths, image.size, image.fit),
            ModalityData(texts, features.texts if settings.text_backbone == FROZEN else None),
            features.duplicate_labels,
            sample_views,
            settings.augment,
        )

    def __len__(self) -> int:
        return len(self.duplicate_labels)

    def __getitems__(self, draws: Sequence[ListingDraw]) -> Batch:
        """One batch; called in a worker."""
        listings = torch.tensor([draw.listing for draw in draws])
        seeds = torch.tensor([draw.seed for draw in draws])
        counts = [torch.from_numpy(side.views.counts)[listings] for side in (self.photos, self.texts)]
        numbers = torch.tensor([[draw.photo_draw, draw.text_draw] for draw in draws], dtype=torch.float64)
        photos, texts = self.sample_views(counts[0], numbers[:, 0], counts[1], numbers[:, 1])
        return {
            "photos": self._read(self.photos, listings, photos, seeds if self.augment else None),
            "photo_weights": photos.weights,
            "texts": self._read(self.texts, listings, texts, None),
            "text_weights": texts.weights,
            "duplicate_labels": self.duplicate_labels[listings],
        }

    @staticmethod
    def _read(side: ModalityData, listings: Tensor, chosen: SampledViews, seeds: Tensor | None) -> Batch:
        present = chosen.weights > 0
        places = (torch.from_numpy(side.views.offsets)[listings][:, None] + chosen.indices)[present]
        each = None if seeds is None else (seeds[:, None] + chosen.indices)[present]
        return side.load(places, each)
