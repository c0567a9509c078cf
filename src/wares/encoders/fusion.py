"""All views of a listing into one cached embedding, and each view's exact share of a score.

The fused embedding is normalize(γ f̄ + (1-γ) ḡ), a weighted sum of the views; so a query's score is exactly
the same weighted sum of its scores with the views, and the terms of that sum are the shares.

Source: "all views are fused into a single cached embedding" (arXiv 2512.18117); the formula is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from wares.encoders.marginals import ViewBatch, all_views, learned_marginals, text_agreement_marginals
from wares.encoders.settings import Marginals

if TYPE_CHECKING:
    from wares.data.views import Views
    from wares.encoders.features import Embeddings, Vectors
    from wares.encoders.settings import Fusion


LISTINGS_PER_BLOCK = 2048


@dataclass(frozen=True)
class FusedEmbeddings:
    """One embedding per listing and what each view weighs in it.

    vectors: (N, d) unit vectors
    photo_weights: (Vp,), text_weights: (Vt,): the fused vector is exactly the sum of these weights times
        the views; they include gamma and the norm, so they need not sum to 1
    """

    vectors: Vectors
    photo_weights: Vectors
    text_weights: Vectors


def fuse(embeddings: Embeddings, fusion: Fusion) -> FusedEmbeddings:
    """The cached embedding of every listing. A listing without one modality is fused from the other alone."""
    f, photo_weights = barycentres(embeddings, fusion.marginals, "photo")
    g, text_weights = barycentres(embeddings, fusion.marginals, "text")
    photo_counts, text_counts = embeddings.photo_views.counts, embeddings.text_views.counts
    gamma = np.where(text_counts == 0, 1.0, np.where(photo_counts == 0, 0.0, fusion.gamma)).astype(np.float32)
    mixed = gamma[:, None] * f + (1 - gamma)[:, None] * g
    norm = np.maximum(np.linalg.norm(mixed, axis=1), 1e-12)
    return FusedEmbeddings(
        mixed / norm[:, None],
        photo_weights * (gamma / norm)[embeddings.photo_views.owners],
        text_weights * ((1 - gamma) / norm)[embeddings.text_views.owners],
    )


def contributions(query: Vectors, views: Vectors, weights: Vectors) -> Vectors:
    """(V,) what each view adds to <query, fused>; the shares sum to the score.

    query: (d,) unit vector; views: (V, d) the listing's views; weights: (V,) from `FusedEmbeddings`
    """
    return weights * (views @ query)


def barycentres(embeddings: Embeddings, marginals: Marginals, modality: str) -> tuple[Vectors, Vectors]:
    """(N, d) weighted means of each listing's views of one modality, and (V,) the weights used.

    modality: "photo" or "text"; listings without a view of it get zeros
    """
    blocks = [
        _block(embeddings, marginals, modality, start) for start in range(0, _listings(embeddings), LISTINGS_PER_BLOCK)
    ]
    return np.concatenate([mean for mean, _ in blocks]), np.concatenate([weights for _, weights in blocks])


def _block(embeddings: Embeddings, marginals: Marginals, modality: str, start: int) -> tuple[Vectors, Vectors]:
    listings = np.arange(start, min(start + LISTINGS_PER_BLOCK, _listings(embeddings)))
    if modality == "text":
        views = embeddings.text_views
        chosen = pad_all_views(views, embeddings.texts, listings, marginals.primary_weight("text"))
    else:
        views = embeddings.photo_views
        chosen = _photos_weighed(embeddings, marginals, listings)
    counts = torch.from_numpy(views.counts[listings])
    real = torch.arange(chosen.weights.shape[1]) < counts[:, None]
    return chosen.barycentre().numpy(), chosen.weights[real].numpy()


def _photos_weighed(embeddings: Embeddings, marginals: Marginals, listings: npt.NDArray[np.int64]) -> ViewBatch:
    photos = pad_all_views(embeddings.photo_views, embeddings.photos, listings, marginals.primary_weight("photo"))
    if marginals.kind == "agreement":
        texts = pad_all_views(embeddings.text_views, embeddings.texts, listings, marginals.primary_weight("text"))
        return text_agreement_marginals(photos, texts, marginals.epsilon)
    if marginals.kind == "learned" and embeddings.photo_attention is not None:
        return learned_marginals(photos, torch.from_numpy(embeddings.photo_attention))
    return photos


def pad_all_views(
    views: Views, vectors: Vectors, listings: npt.NDArray[np.int64], primary_weight: float | None
) -> ViewBatch:
    """All views of some listings as a padded batch with the fixed marginal (see `all_views`)."""
    chosen = all_views(torch.from_numpy(views.counts[listings]), primary_weight)
    places = torch.from_numpy(views.offsets[listings])[:, None] + chosen.indices
    table = torch.from_numpy(vectors) if len(vectors) else torch.zeros(1, vectors.shape[1])
    return ViewBatch(table[places.clamp(max=len(table) - 1)], chosen.weights)


def _listings(embeddings: Embeddings) -> int:
    return len(embeddings.photo_views.offsets) - 1
