"""Views to features (cached on disk) to unit vectors.

What a tower's frozen part computes for a photo or a text never changes, so it is computed once per content and kept
(wares.core.cache); a second run encodes only what is new.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wares.core.cache import FeatureCache, batched, default_cache, stack_features
from wares.core.errors import PhotoError
from wares.core.progress import progress
from wares.data.digests import photo_digests
from wares.data.duplicates import duplicate_labels
from wares.data.listings import Catalogue, OnError, Problem
from wares.data.photos import load_photos
from wares.data.views import Views, photo_views, text_views
from wares.encoders.base import Features, ImageTower, TextTower, Tower
from wares.encoders.towers import Towers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


Vectors = npt.NDArray[np.float32]
T = TypeVar("T")
PHOTO_BATCH_SIZE = 64
PROJECTION_BATCH_SIZE = 32  # features at once under a head: a photo that asks waits for as many


@dataclass(frozen=True)
class CatalogueFeatures:
    """What training reads: the views of a catalogue and the towers' frozen features of each.

    photos: (Vp, ...) in the order of photo_views; texts: (Vt, ...) in the order of text_views
    duplicate_labels: (N, 2) labels of product and title (data.duplicates)
    problems: photos that could not be read and were left out
    truncated_texts: number of texts longer than the text tower reads
    """

    photo_views: Views
    photos: Features
    text_views: Views
    texts: Features
    duplicate_labels: Tensor
    problems: tuple[Problem, ...] = ()
    truncated_texts: int = 0

    def select(self, listings: npt.NDArray[np.int64]) -> CatalogueFeatures:
        """The features of some listings, in the order given."""
        return replace(
            self,
            photo_views=self.photo_views.select(listings),
            photos=self.photos[self.photo_views.view_indices(listings)],
            text_views=self.text_views.select(listings),
            texts=self.texts[self.text_views.view_indices(listings)],
            duplicate_labels=self.duplicate_labels[listings],
        )


@dataclass(frozen=True)
class Embeddings:
    """Every view of a catalogue as a unit vector. photos: (Vp, d), texts: (Vt, d).

    photo_attention: (d,) direction that learned marginals go by; None is no preference
    """

    photo_views: Views
    photos: Vectors
    text_views: Views
    texts: Vectors
    problems: tuple[Problem, ...] = ()
    photo_attention: Vectors | None = None


def catalogue_features(
    catalogue: Catalogue, towers: Towers, cache: Path | None = None, on_error: OnError = "stop"
) -> CatalogueFeatures:
    """Features of every view; photos and texts that were seen before come from the cache.

    cache: folder, `default_cache()` where None
    on_error: "stop" raises PhotoError at the first bad photo, "skip" leaves it out and lists it
    """
    cache = cache or default_cache()
    photos, texts = photo_views(catalogue), text_views(catalogue)
    encoded = text_features(texts.items, towers.text, cache)
    paths = [catalogue.photo_path(name) for name in photos.items]
    with closing(FeatureCache(cache, towers.image.cache_key)) as store:
        photo_features, bad = store.get_or_compute(
            photo_digests(paths, cache),
            lambda places: _encode_photos([paths[i] for i in places], towers.image),
        )
    problems = _problems(catalogue, photos, bad)
    if problems and on_error == "stop":
        raise PhotoError(f"{problems[0]} Or pass --on-error skip.")
    kept = np.isin(np.arange(len(paths)), list(bad), invert=True)
    return CatalogueFeatures(
        photos.filter(kept),
        photo_features,
        texts,
        encoded,
        torch.from_numpy(duplicate_labels(catalogue.listings)),
        problems,
        sum(towers.text.truncation_mask(sorted(set(texts.items)))),
    )


def text_features(texts: Sequence[str], tower: TextTower, cache: Path | None = None) -> Features:
    """(n, ...) features of texts; those that were seen before come from the cache. cache: as `catalogue_features`"""
    with closing(FeatureCache(cache or default_cache(), tower.cache_key)) as store:
        features, _ = store.get_or_compute(
            [hashlib.sha256(text.encode()).hexdigest() for text in texts],
            lambda places: _encode_texts([texts[i] for i in places], tower),
        )
    return features


def embed(catalogue: Catalogue, towers: Towers, cache: Path | None = None, on_error: OnError = "stop") -> Embeddings:
    """Every view of a catalogue as a unit vector in the shared space."""
    return embed_features(catalogue_features(catalogue, towers, cache, on_error), towers)


def embed_features(features: CatalogueFeatures, towers: Towers) -> Embeddings:
    """Unit vectors of features that are already there."""
    return Embeddings(
        features.photo_views,
        project_features(towers.image, features.photos, towers.dimension),
        features.text_views,
        project_features(towers.text, features.texts, towers.dimension),
        features.problems,
        towers.photo_attention.detach().cpu().numpy(),
    )


def embed_texts(texts: Sequence[str], towers: Towers) -> Vectors:
    """(n, d) unit vectors of texts, as for queries; not cached."""
    return project_features(towers.text, stack_features(_encode_texts(list(texts), towers.text)), towers.dimension)


def embed_photo_files(paths: Sequence[Path], towers: Towers) -> Vectors:
    """(n, d) unit vectors of photo files, as for queries; not cached. Raises PhotoError."""
    outcomes = list(_encode_photos(list(paths), towers.image))
    for error in outcomes:
        if isinstance(error, PhotoError):
            raise error
    found = [features for features in outcomes if not isinstance(features, PhotoError)]
    return project_features(towers.image, stack_features(found), towers.dimension)


@torch.inference_mode()
def project_features(tower: Tower, features: Features, dimension: int) -> Vectors:
    """(n, d) the trained part of a tower over features, in batches.

    A vector is the same to the last bit whatever else is projected with it: how a matrix product is rounded depends on
    its size, so that all batches are of one size, filled up with zeros.
    """
    blocks = [np.zeros((0, dimension), dtype=np.float32)]
    for start in range(0, len(features), PROJECTION_BATCH_SIZE):
        part = features[start : start + PROJECTION_BATCH_SIZE]
        padded = np.zeros((PROJECTION_BATCH_SIZE, *part.shape[1:]), dtype=part.dtype)
        padded[: len(part)] = part
        blocks.append(tower(torch.from_numpy(padded).to(tower.device)).cpu().numpy()[: len(part)])
    return np.concatenate(blocks)


def _encode_texts(texts: list[str], tower: TextTower) -> Iterator[Features]:
    with progress(None, "encoding texts", total=len(texts), unit="texts") as bar:
        for block in batched(texts, 1024):
            yield from tower.features(block)
            bar.update(len(block))


def _encode_photos(paths: list[Path], tower: ImageTower) -> Iterator[Features | PhotoError]:
    """Features or errors, in order; photos are decoded by other processes while this one encodes."""
    with progress(None, "encoding photos", total=len(paths), unit="photos") as bar:
        for block in batched(load_photos(paths, tower.size, tower.fit), PHOTO_BATCH_SIZE):
            decoded = [photo for photo in block if not isinstance(photo, PhotoError)]
            encoded = iter(tower.features(decoded) if decoded else ())
            yield from (photo if isinstance(photo, PhotoError) else next(encoded) for photo in block)
            bar.update(len(block))


def _problems(catalogue: Catalogue, photos: Views, bad: dict[int, PhotoError]) -> tuple[Problem, ...]:
    owners = photos.owners
    return tuple(catalogue.photo_problem(int(owners[place]), error) for place, error in sorted(bad.items()))
