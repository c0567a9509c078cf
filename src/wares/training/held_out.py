"""How well the views of held-out listings retrieve each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.hits import average_precision
from wares.data.duplicates import duplicate_mask
from wares.encoders.features import embed_features
from wares.encoders.fusion import barycentres

if TYPE_CHECKING:
    from wares.data.views import Views
    from wares.encoders.features import CatalogueFeatures, Embeddings, Vectors
    from wares.encoders.settings import Marginals
    from wares.encoders.towers import Towers


Floats = npt.NDArray[np.float64]
TITLE_TO_PHOTOS = "title->photos"  # the protocol in which nothing may fall behind single view
LOG_PROBABILITY = "log probability"  # that the title gives to its own photos among all those held out


def score_held_out(features: CatalogueFeatures, towers: Towers) -> dict[str, Floats]:
    """Protocol -> (N,) how well each listing's views find other views of it; NaN where none of them asks.

    title->photos, text->photos: the title, or each other text, asks for the mean of a listing's photos under the
        towers' marginals; the text that asks is left out of the agreement that weighs them
    photo->title, photo->primary-photo: each photo but the first asks for the title, or for the first photo

    Values are average precisions, meaned over a listing's views that ask; under `LOG_PROBABILITY`, the log probability that
    the title gives to the right photos, at the temperature that training arrived at. Listings that share a product
    or a title are relevant to each other.
    """
    embeddings = embed_features(features, towers)
    photos, texts, same = (
        embeddings.photo_views,
        embeddings.text_views,
        duplicate_mask(features.duplicate_labels).numpy(),
    )
    with_photos, with_texts = np.flatnonzero(photos.counts > 0), np.flatnonzero(texts.counts > 0)
    precision, certainty = np.full(len(texts.items), np.nan), np.full(len(texts.items), np.nan)
    text_places = np.arange(len(texts.items)) - texts.offsets[texts.owners]
    for place in range(int(texts.counts.max(initial=0))):
        asking = np.flatnonzero((text_places == place) & (photos.counts > 0)[texts.owners])
        means = photo_means(embeddings, text_places != place, towers.fusion.marginals)[with_photos]
        scores, truth = embeddings.texts[asking] @ means.T, same[texts.owners[asking]][:, with_photos]
        precision[asking] = average_precision_by_score(scores, truth)
        certainty[asking] = log_probability(float(towers.scale.detach()) * scores, truth)
    found = {
        TITLE_TO_PHOTOS: _by_listing(precision, texts, text_places == 0),
        LOG_PROBABILITY: _by_listing(certainty, texts, text_places == 0),
        "text->photos": _by_listing(precision, texts, text_places > 0),
    }
    extra = np.arange(len(photos.items)) > photos.offsets[photos.owners]
    for name, vectors, there in (
        ("photo->title", embeddings.texts[texts.offsets[with_texts]], with_texts),
        ("photo->primary-photo", embeddings.photos[photos.offsets[with_photos]], with_photos),
    ):
        asking = np.flatnonzero(extra & np.isin(photos.owners, there))
        precision = np.full(len(photos.items), np.nan)
        truth = same[photos.owners[asking]][:, there]
        precision[asking] = average_precision_by_score(embeddings.photos[asking] @ vectors.T, truth)
        found[name] = _by_listing(precision, photos, extra)
    return found


def photo_means(embeddings: Embeddings, kept: npt.NDArray[np.bool_], marginals: Marginals) -> Vectors:
    """(N, d) the direction of each listing's photos under marginals that see only the texts kept, (Vt,)."""
    seen = replace(embeddings, text_views=embeddings.text_views.filter(kept), texts=embeddings.texts[kept])
    means = barycentres(seen, marginals, "photo")[0]
    unit: Vectors = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return unit


def average_precision_by_score(scores: Vectors, truth: npt.NDArray[np.bool_]) -> Floats:
    """(Q,) of rankings by score, (Q, N); a row of truth, (Q, N), has a relevant one. Ties keep their order."""
    return average_precision(np.take_along_axis(truth, np.argsort(-scores, axis=1, kind="stable"), axis=1))


def log_probability(logits: Vectors, truth: npt.NDArray[np.bool_]) -> Floats:
    """(Q,) of the relevant ones together, under the softmax of each row of (Q, N)."""
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    values: Floats = np.log(np.maximum((odds * truth).sum(axis=1), 1e-300) / odds.sum(axis=1))
    return values


def _by_listing(values: Floats, views: Views, asking: npt.NDArray[np.bool_]) -> Floats:
    """(N,) mean over each listing's views that ask, (V,); NaN where there is none."""
    there = asking & ~np.isnan(values)
    counts = np.bincount(views.owners[there], minlength=len(views.counts))
    sums = np.bincount(views.owners[there], values[there], minlength=len(views.counts))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
