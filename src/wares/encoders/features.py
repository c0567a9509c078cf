"""Views to cached features to unit vectors.

The frozen part of a tower always returns the same features for the same photo or text, so they are computed once and
cached by content (wares.core.cache): a second run encodes only new photos and texts.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wares.core.cache import FeatureCache, batched, default_cache, stack_features
from wares.core.errors import PhotoError
from wares.core.progress import notice, progress
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
PHOTO_BATCH_SIZE = 64
PROJECTION_BATCH_SIZE = 32  # padded, so a small batch costs as much: one photo query waits for this many


@dataclass(frozen=True)
class CatalogueFeatures:
    """The views of a catalogue and the frozen features of each view, as training reads them.

    photos: (Vp, ...) in the order of photo_views
    texts: (Vt, ...) in the order of text_views
    duplicate_labels: (N, 2) labels of product and title (wares.data.duplicates)
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
        """Features of the given listings, in the given order. listings: (n,) indices"""
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
    """Every view of a catalogue as a unit vector.

    photos: (Vp, d) in the order of photo_views
    texts: (Vt, d) in the order of text_views
    problems: photos that could not be read and were left out
    photo_attention: (d,) direction of learned marginals; None weighs as the fixed marginals do
    aligned: True if photos and texts share a space; otherwise the fused embedding is that of the texts
    """

    photo_views: Views
    photos: Vectors
    text_views: Views
    texts: Vectors
    problems: tuple[Problem, ...] = ()
    photo_attention: Vectors | None = None
    aligned: bool = True


def catalogue_features(
    catalogue: Catalogue, towers: Towers, cache: Path | None = None, on_error: OnError = "stop"
) -> CatalogueFeatures:
    """Compute the features of every view; cached photos and texts are not encoded again.

    cache: folder of the cache; None uses `default_cache()`
    on_error: "stop" raises PhotoError at the first photo that cannot be read, "skip" leaves it out and lists it

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_towers
        >>> from wares.encoders import catalogue_features
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue scarf")))
        >>> catalogue_features(catalogue, build_towers("small")).texts.shape
        (2, 512)
    """
    cache = cache or default_cache()
    photos, texts = photo_views(catalogue), text_views(catalogue)
    texts_encoded = text_features(texts.items, towers.text, cache)
    paths = [catalogue.photo_path(name) for name in photos.items]
    with closing(FeatureCache(cache, towers.image.cache_key)) as store:
        photos_encoded, errors = store.get_or_compute(
            photo_digests(paths, cache),
            lambda indices: _encode_photos([paths[i] for i in indices], towers.image),
        )
    problems = _photo_problems(catalogue, photos, errors)
    if problems and on_error == "stop":
        raise PhotoError(f"{problems[0]} Or pass --on-error skip.")
    readable = np.isin(np.arange(len(paths)), list(errors), invert=True)
    return CatalogueFeatures(
        photos.filter(readable),
        photos_encoded,
        texts,
        texts_encoded,
        torch.from_numpy(duplicate_labels(catalogue.listings)),
        problems,
        sum(towers.text.truncation_mask(sorted(set(texts.items)))),
    )


def text_features(texts: Sequence[str], tower: TextTower, cache: Path | None = None) -> Features:
    """(n, ...) features of texts; cached texts are not encoded again. cache: see `catalogue_features`"""
    with closing(FeatureCache(cache or default_cache(), tower.cache_key)) as store:
        features, _ = store.get_or_compute(
            [hashlib.sha256(text.encode()).hexdigest() for text in texts],
            lambda indices: _encode_texts([texts[i] for i in indices], tower),
        )
    return features


def notice_truncated(texts: Sequence[str], tower: TextTower, reader: str) -> None:
    """Print how many of the texts are longer than the tower reads, if any are. reader: what encodes them"""
    if count := sum(tower.truncation_mask(texts)):
        notice(f"{count:,} of {len(texts):,} texts are longer than {reader} reads, and are truncated.")


def embed(catalogue: Catalogue, towers: Towers, cache: Path | None = None, on_error: OnError = "stop") -> Embeddings:
    """Embed every view of a catalogue as a unit vector in the shared space.

    cache, on_error: see `catalogue_features`

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_towers
        >>> from wares.encoders import embed
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue scarf")))
        >>> embed(catalogue, build_towers("small")).texts.shape
        (2, 128)
    """
    return embed_features(catalogue_features(catalogue, towers, cache, on_error), towers)


def embed_features(features: CatalogueFeatures, towers: Towers) -> Embeddings:
    """Unit vectors of features that are already computed."""
    return Embeddings(
        features.photo_views,
        project_features(towers.image, features.photos, towers.dimension),
        features.text_views,
        project_features(towers.text, features.texts, towers.dimension),
        features.problems,
        towers.photo_attention.detach().cpu().numpy(),
        towers.aligned,
    )


def embed_texts(texts: Sequence[str], towers: Towers) -> Vectors:
    """(n, d) unit vectors of texts such as queries; not cached."""
    return project_features(towers.text, stack_features(_encode_texts(list(texts), towers.text)), towers.dimension)


def embed_photo_files(paths: Sequence[Path], towers: Towers) -> Vectors:
    """(n, d) unit vectors of photo files such as queries; not cached. Raises PhotoError."""
    outcomes = list(_encode_photos(list(paths), towers.image))
    for error in outcomes:
        if isinstance(error, PhotoError):
            raise error
    rows = [features for features in outcomes if not isinstance(features, PhotoError)]
    return project_features(towers.image, stack_features(rows), towers.dimension)


@torch.inference_mode()
def project_features(tower: Tower, features: Features, dimension: int) -> Vectors:
    """(n, d) unit vectors: the trained part of a tower applied to features, in batches.

    Rounding of a matrix product depends on its size, so all batches are padded with zeros to one size. A vector is
    therefore the same to the last bit, whatever else is projected with it.
    """
    vectors = [np.zeros((0, dimension), dtype=np.float32)]
    for start in range(0, len(features), PROJECTION_BATCH_SIZE):
        batch = features[start : start + PROJECTION_BATCH_SIZE]
        padded = np.zeros((PROJECTION_BATCH_SIZE, *batch.shape[1:]), dtype=batch.dtype)
        padded[: len(batch)] = batch
        vectors.append(tower(torch.from_numpy(padded).to(tower.device)).cpu().numpy()[: len(batch)])
    return np.concatenate(vectors)


def _encode_texts(texts: list[str], tower: TextTower) -> Iterator[Features]:
    with progress(None, "encoding texts", total=len(texts), unit="texts") as bar:
        for batch in batched(texts, 1024):
            yield from tower.features(batch)
            bar.update(len(batch))


def _encode_photos(paths: list[Path], tower: ImageTower) -> Iterator[Features | PhotoError]:
    """Features or errors, in order; other processes decode photos while this process encodes."""
    with progress(None, "encoding photos", total=len(paths), unit="photos") as bar:
        for batch in batched(load_photos(paths, tower.size, tower.fit), PHOTO_BATCH_SIZE):
            decoded = [photo for photo in batch if not isinstance(photo, PhotoError)]
            encoded = iter(tower.features(decoded) if decoded else ())
            yield from (photo if isinstance(photo, PhotoError) else next(encoded) for photo in batch)
            bar.update(len(batch))


def _photo_problems(catalogue: Catalogue, photos: Views, errors: dict[int, PhotoError]) -> tuple[Problem, ...]:
    owners = photos.owners
    return tuple(catalogue.photo_problem(int(owners[index]), error) for index, error in sorted(errors.items()))
