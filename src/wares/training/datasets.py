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
from wares.training.view_sampling import drop_features

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
    """A listing of a batch, and its random numbers.

    photo_draw, text_draw: uniform in [0, 1), to sample its views
    seed: seed of the augmentation of its photos
    """

    listing: int
    photo_draw: float
    text_draw: float
    seed: int


class BatchSchedule(Sampler[list[ListingDraw]]):
    """Every batch of a run, epoch after epoch.

    All batches have the same size, so an epoch leaves out a few random listings.

    batch_size: largest size of a batch over all processes
    rank, world_size: number of this process, and number of processes; each process gets its part of every batch

    Raises SettingsError if a batch has less than one listing for each process.
    """

    def __init__(
        self, listing_count: int, batch_size: int, epochs: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.listing_count, self.epochs, self.seed = listing_count, epochs, seed
        self.rank, self.world_size = rank, world_size
        self.steps_per_epoch = -(-listing_count // batch_size)
        self.rank_batch_size = listing_count // self.steps_per_epoch // world_size
        if self.rank_batch_size < 1:
            raise SettingsError(
                f"{listing_count} listings in batches of {batch_size} are too few for {world_size} processes. "
                "Start fewer processes."
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
    """Training data that returns whole batches."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: Sequence[ListingDraw]) -> Batch:
        """The batch of the given rows; called in a worker."""


@dataclass(frozen=True)
class ModalityData:
    """One modality of the training data: features of a frozen backbone, or photos or texts for a trained one.

    features: (V, ...) features; None if photos or texts are read in every step
    paths: photo files; None for texts
    size, fit: of the image tower
    augment: vary crop, brightness and contrast of photos
    dropout: probability with which each feature is dropped
    """

    views: Views
    features: Features | None
    paths: Sequence[Path] | None = None
    size: int = 0
    fit: Fit = "pad"
    augment: bool = False
    dropout: float = 0.0

    def load(self, indices: Tensor, seeds: Tensor) -> Batch:
        """Load the views at the given indices, as "features", or as "items" if they are photos or texts.

        seeds: (n,) seeds of augmentation and dropout: one a view, so that the number of processes does not matter
        """
        if self.features is not None:
            features = torch.from_numpy(self.features[indices.numpy()])
            if self.dropout:
                for row, seed in zip(features, seeds.tolist(), strict=True):
                    row.copy_(drop_features(row, self.dropout, torch.Generator().manual_seed(seed)))
            return {"features": features}
        if self.paths is None:
            return {"items": [self.views.items[index] for index in indices.tolist()]}
        photos = [load_photo(self.paths[index], self.size, self.fit) for index in indices.tolist()]
        if self.augment:
            photo_seeds = zip(photos, seeds.tolist(), strict=True)
            photos = [augment(photo, np.random.default_rng(seed)) for photo, seed in photo_seeds]
        return {"items": torch.from_numpy(np.stack(photos)) if photos else torch.zeros(0, self.size, self.size, 3)}


@dataclass(frozen=True)
class ListingDataset(Dataset[Any]):
    """Listings as batches of sampled views.

    duplicate_labels: (N, 2) labels of product and title
    sample_views: function of photo counts, photo draws, text counts and text draws, each (B,), that returns the
        sampled photos and the sampled texts
    """

    photos: ModalityData
    texts: ModalityData
    duplicate_labels: Tensor
    sample_views: Any

    @classmethod
    def from_catalogue(
        cls,
        catalogue: Catalogue,
        features: CatalogueFeatures,
        towers: Towers,
        settings: TrainerSettings,
        sample_views: Any,
        photo_dropout: float = 0.0,
    ) -> ListingDataset:
        """The dataset of a catalogue: features for a frozen backbone, photos or texts for a trained one.

        photo_dropout: probability with which each feature of a photo is dropped
        """
        photos, texts, image = features.photo_views, features.text_views, towers.image
        paths = [catalogue.photo_path(name) for name in photos.items]
        return cls(
            ModalityData(photos, features.photos, dropout=photo_dropout)
            if settings.image_backbone == FROZEN
            else ModalityData(photos, None, paths, image.size, image.fit, settings.augment),
            ModalityData(texts, features.texts if settings.text_backbone == FROZEN else None),
            features.duplicate_labels,
            sample_views,
        )

    def __len__(self) -> int:
        return len(self.duplicate_labels)

    def __getitems__(self, draws: Sequence[ListingDraw]) -> Batch:
        """The batch of the given listings; called in a worker."""
        listings = torch.tensor([draw.listing for draw in draws])
        seeds = torch.tensor([draw.seed for draw in draws])
        counts = [torch.from_numpy(side.views.counts)[listings] for side in (self.photos, self.texts)]
        random = torch.tensor([[draw.photo_draw, draw.text_draw] for draw in draws], dtype=torch.float64)
        photos, texts = self.sample_views(counts[0], random[:, 0], counts[1], random[:, 1])
        return {
            "photos": self._load(self.photos, listings, photos, seeds),
            "photo_weights": photos.weights,
            "texts": self._load(self.texts, listings, texts, seeds),
            "text_weights": texts.weights,
            "duplicate_labels": self.duplicate_labels[listings],
        }

    @staticmethod
    def _load(side: ModalityData, listings: Tensor, sampled: SampledViews, seeds: Tensor) -> Batch:
        present = sampled.weights > 0
        indices = (torch.from_numpy(side.views.offsets)[listings][:, None] + sampled.indices)[present]
        return side.load(indices, (seeds[:, None] + sampled.indices)[present])
