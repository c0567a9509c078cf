"""How well the views of held-out listings retrieve each other, without labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.hits import average_precision
from wares.data.duplicates import duplicate_groups
from wares.encoders.features import embed_features
from wares.encoders.fusion import barycentres

if TYPE_CHECKING:
    from wares.data.views import Views
    from wares.encoders.features import CatalogueFeatures, Embeddings, Vectors
    from wares.encoders.settings import Marginals
    from wares.encoders.towers import Towers


Floats = npt.NDArray[np.float64]
TITLE_TO_PHOTOS = "title->photos"  # the protocol in which no candidate may be worse than single view
LOG_PROBABILITY = "log probability"  # of a listing's photos, given its title, among all held-out listings


def score_held_out(features: CatalogueFeatures, towers: Towers) -> dict[str, Floats]:
    """Protocol → (N,) how well the views of each listing retrieve its other views; NaN if no view is a query.

    title->photos, text->photos: the title, or each other text, retrieves the mean of a listing's photos under the
        towers' marginals; the query text is left out of the agreement that weighs the photos
    photo->title, photo->primary-photo: each photo but the first retrieves the title, or the first photo

    Values are average precisions, averaged over the queries of a listing. `LOG_PROBABILITY` is the log probability that
    the title gives to the right photos at the trained temperature. Listings of one group of duplicates are relevant to
    each other.
    """
    embeddings = embed_features(features, towers)
    photos, texts = embeddings.photo_views, embeddings.text_views
    groups = duplicate_groups(features.duplicate_labels)
    relevant = groups[:, None] == groups
    with_photos, with_texts = np.flatnonzero(photos.counts > 0), np.flatnonzero(texts.counts > 0)
    precision, log_prob = np.full(len(texts.items), np.nan), np.full(len(texts.items), np.nan)
    text_indices = np.arange(len(texts.items)) - texts.offsets[texts.owners]
    for index in range(int(texts.counts.max(initial=0))):
        queries = np.flatnonzero((text_indices == index) & (photos.counts > 0)[texts.owners])
        means = photo_means(embeddings, text_indices != index, towers.fusion.marginals)[with_photos]
        scores, truth = embeddings.texts[queries] @ means.T, relevant[texts.owners[queries]][:, with_photos]
        precision[queries] = average_precision_by_score(scores, truth)
        log_prob[queries] = log_probability(float(towers.scale.detach()) * scores, truth)
    values = {
        TITLE_TO_PHOTOS: _mean_by_listing(precision, texts, text_indices == 0),
        LOG_PROBABILITY: _mean_by_listing(log_prob, texts, text_indices == 0),
        "text->photos": _mean_by_listing(precision, texts, text_indices > 0),
    }
    extra = np.arange(len(photos.items)) > photos.offsets[photos.owners]
    for name, vectors, candidates in (
        ("photo->title", embeddings.texts[texts.offsets[with_texts]], with_texts),
        ("photo->primary-photo", embeddings.photos[photos.offsets[with_photos]], with_photos),
    ):
        queries = np.flatnonzero(extra & np.isin(photos.owners, candidates))
        precision = np.full(len(photos.items), np.nan)
        truth = relevant[photos.owners[queries]][:, candidates]
        precision[queries] = average_precision_by_score(embeddings.photos[queries] @ vectors.T, truth)
        values[name] = _mean_by_listing(precision, photos, extra)
    return values


def photo_means(embeddings: Embeddings, kept: npt.NDArray[np.bool_], marginals: Marginals) -> Vectors:
    """(N, d) unit mean of each listing's photos under marginals that see only some texts.

    kept: (Vt,) True for each text that the marginals see
    """
    seen = replace(embeddings, text_views=embeddings.text_views.filter(kept), texts=embeddings.texts[kept])
    means = barycentres(seen, marginals, "photo")[0]
    unit: Vectors = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return unit


def average_precision_by_score(scores: Vectors, truth: npt.NDArray[np.bool_]) -> Floats:
    """(Q,) average precision of rankings by score; ties keep the order of candidates.

    scores, truth: (Q, N) scores and relevance; each row has a relevant candidate
    """
    return average_precision(np.take_along_axis(truth, np.argsort(-scores, axis=1, kind="stable"), axis=1))


def log_probability(logits: Vectors, truth: npt.NDArray[np.bool_]) -> Floats:
    """(Q,) log probability of all relevant candidates under the softmax of each row.

    logits, truth: (Q, N) logits and relevance
    """
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    values: Floats = np.log(np.maximum((odds * truth).sum(axis=1), 1e-300) / odds.sum(axis=1))
    return values


def _mean_by_listing(values: Floats, views: Views, queries: npt.NDArray[np.bool_]) -> Floats:
    """(N,) mean over the queries of each listing; NaN if it has none.

    values: (V,) value of each view, NaN if it was not measured; queries: (V,) True for each view that is a query
    """
    measured = queries & ~np.isnan(values)
    counts = np.bincount(views.owners[measured], minlength=len(views.counts))
    sums = np.bincount(views.owners[measured], values[measured], minlength=len(views.counts))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
