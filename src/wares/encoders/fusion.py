"""Fusing all views of a listing into one cached embedding, and the exact contribution of each view to a score.

The fused embedding is normalize(γ f̄ + (1-γ) ḡ), a weighted sum of the views. A query's score is therefore exactly
the same weighted sum of its scores with the views, and the terms of that sum are the contributions.

Source: "all views are fused into a single cached embedding" (arXiv 2512.18117); the formula is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from wares.encoders.marginals import ViewBatch, all_views, learned_marginals, primary_share, text_agreement_marginals
from wares.encoders.settings import Marginals

if TYPE_CHECKING:
    from wares.data.views import Views
    from wares.encoders.features import Embeddings, Vectors
    from wares.encoders.settings import Fusion


LISTINGS_PER_BLOCK = 2048


@dataclass(frozen=True)
class FusedEmbeddings:
    """One embedding per listing, and the weight of each view in it.

    vectors: (N, d) unit vectors
    photo_weights, text_weights: (Vp,), (Vt,) weights that sum the views exactly to the fused vector; they include gamma
        and the norm, so they need not sum to 1
    """

    vectors: Vectors
    photo_weights: Vectors
    text_weights: Vectors


def fuse(embeddings: Embeddings, fusion: Fusion) -> FusedEmbeddings:
    """Fuse the views of every listing into one embedding.

    A listing without views of one modality is fused from the other modality alone. If photos and texts share no space
    (untrained towers), photos weigh nothing, and a listing of photos alone is a zero vector.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, build_towers
        >>> from wares.encoders import Fusion, embed, fuse
        >>> catalogue = Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Blue scarf")))
        >>> fuse(embed(catalogue, build_towers("small")), Fusion(gamma=0.4)).vectors.shape
        (2, 128)
    """
    f, photo_weights = barycentres(embeddings, fusion.marginals, "photo")
    g, text_weights = barycentres(embeddings, fusion.marginals, "text")
    photo_counts, text_counts = embeddings.photo_views.counts, embeddings.text_views.counts
    gamma = np.where(text_counts == 0, 1.0, np.where(photo_counts == 0, 0.0, fusion.gamma)).astype(np.float32)
    gamma *= embeddings.aligned
    weighted_sum = gamma[:, None] * f + (1 - gamma)[:, None] * g
    norm = np.maximum(np.linalg.norm(weighted_sum, axis=1), 1e-12)
    return FusedEmbeddings(
        weighted_sum / norm[:, None],
        photo_weights * (gamma / norm)[embeddings.photo_views.owners],
        text_weights * ((1 - gamma) / norm)[embeddings.text_views.owners],
    )


def contributions(query: Vectors, views: Vectors, weights: Vectors) -> Vectors:
    """(V,) contribution of each view to the score <query, fused>; the contributions sum to the score.

    query: (d,) unit vector
    views: (V, d) views of the listing
    weights: (V,) weights of these views in `FusedEmbeddings`
    """
    return weights * (views @ query)


def barycentres(embeddings: Embeddings, marginals: Marginals, modality: str) -> tuple[Vectors, Vectors]:
    """(N, d) weighted means of each listing's views of one modality, and (V,) the weights.

    modality: "photo" or "text"; a listing without such a view gets zeros
    """
    blocks = [
        _block_barycentres(embeddings, marginals, modality, start)
        for start in range(0, _listing_count(embeddings), LISTINGS_PER_BLOCK)
    ]
    return np.concatenate([mean for mean, _ in blocks]), np.concatenate([weights for _, weights in blocks])


def _block_barycentres(
    embeddings: Embeddings, marginals: Marginals, modality: str, start: int
) -> tuple[Vectors, Vectors]:
    listings = np.arange(start, min(start + LISTINGS_PER_BLOCK, _listing_count(embeddings)))
    if modality == "text":
        views = embeddings.text_views
        batch = pad_all_views(views, embeddings.texts, listings, marginals.primary_weight("text"))
    else:
        views = embeddings.photo_views
        batch = _weighted_photos(embeddings, marginals, listings)
    counts = torch.from_numpy(views.counts[listings])
    is_view = torch.arange(batch.weights.shape[1]) < counts[:, None]
    return batch.barycentre().numpy(), batch.weights[is_view].numpy()


def _weighted_photos(embeddings: Embeddings, marginals: Marginals, listings: npt.NDArray[np.int64]) -> ViewBatch:
    photos = pad_all_views(embeddings.photo_views, embeddings.photos, listings, marginals.primary_weight("photo"))
    if marginals.kind == "agreement":
        texts = pad_all_views(embeddings.text_views, embeddings.texts, listings, marginals.primary_weight("text"))
        return text_agreement_marginals(photos, texts, marginals.epsilon)
    if marginals.kind == "learned" and embeddings.photo_attention is not None:
        return learned_marginals(photos, torch.from_numpy(embeddings.photo_attention))
    return photos


def pad_all_views(views: Views, vectors: Vectors, listings: npt.NDArray[np.int64], primary_weight: float) -> ViewBatch:
    """All views of the given listings as a padded batch with fixed marginals. primary_weight: see `primary_share`"""
    counts = torch.from_numpy(views.counts[listings])
    sampled = all_views(counts, primary_share(counts, primary_weight))
    indices = torch.from_numpy(views.offsets[listings])[:, None] + sampled.indices
    table = torch.from_numpy(vectors) if len(vectors) else torch.zeros(1, vectors.shape[1])
    return ViewBatch(table[indices.clamp(max=len(table) - 1)], sampled.weights)


def _listing_count(embeddings: Embeddings) -> int:
    return len(embeddings.photo_views.offsets) - 1
