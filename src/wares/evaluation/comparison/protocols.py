"""The four cross-view protocols of a comparison, on held-out listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wares.encoders.fusion import barycentres
from wares.evaluation.cross_view import measure_cross_view

if TYPE_CHECKING:
    from wares.encoders.features import Embeddings
    from wares.encoders.settings import Fusion
    from wares.evaluation.comparison.results import ProtocolValues
    from wares.evaluation.cross_view import Floats, GroupLabels
    from wares.evaluation.measures import PerQuery
    from wares.ranking.scoring import Indices


def measure_cross_view_protocols(embeddings: Embeddings, groups: GroupLabels, fusion: Fusion) -> ProtocolValues:
    """Return protocol -> measure -> querying group -> value, for the protocols that the views allow.

    embeddings: of N held-out listings
    groups: (N,) number of each listing's group (`duplicate_groups` of the whole catalogue); listings of a group are
        relevant to each other. The key of a group is its number as text

    title->photos, description->photos: a text is the query, the weighted means of photos are the candidates
    photo->title, photo->primary-photo: each photo but the first is a query, titles or first photos are the candidates
    The value of a listing is the mean over its queries, and the value of a group the mean over its listings: listings
    of a group ask for the same results, so each group has the same weight.
    The query text is excluded from the texts that the photo weights agree with, so it does not change its own ranking.
    """
    values: ProtocolValues = {}
    for text in ("title", "description"):
        text_values = _text_to_photos(embeddings, text, groups, fusion)
        if text_values is not None:
            values[f"{text}->photos"] = text_values
    photos, has_photos = embeddings.photo_views, embeddings.photo_views.counts > 0
    primary = photos.offsets[:-1][has_photos]
    auxiliary = np.setdiff1d(np.arange(len(embeddings.photos)), primary)
    if len(auxiliary):
        owners = photos.owners[auxiliary]
        titles = embeddings.text_views.offsets[:-1]
        for name, candidates, labels in (
            ("photo->title", embeddings.texts[titles], groups),
            ("photo->primary-photo", embeddings.photos[primary], groups[has_photos]),
        ):
            measured = measure_cross_view(embeddings.photos[auxiliary], candidates, (groups[owners], labels))
            values[name] = _mean_by_group(measured, owners, groups)
    return values


def _text_to_photos(embeddings: Embeddings, text: str, groups: GroupLabels, fusion: Fusion) -> PerQuery | None:
    """Values with the texts of one name as queries; None if no listing has both such a text and a photo."""
    with_photos = np.flatnonzero(embeddings.photo_views.counts > 0)
    is_query = np.array([name == text for name in embeddings.text_views.names], dtype=np.bool_)
    is_query &= np.isin(embeddings.text_views.owners, with_photos)
    if not is_query.any():
        return None
    others = replace(embeddings, text_views=embeddings.text_views.filter(~is_query), texts=embeddings.texts[~is_query])
    means = barycentres(others, fusion.marginals, "photo")[0][with_photos]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    owners = embeddings.text_views.owners[is_query]
    measured = measure_cross_view(embeddings.texts[is_query], means, (groups[owners], groups[with_photos]))
    return _mean_by_group(measured, owners, groups)


def _mean_by_group(values: Mapping[str, Floats], owners: Indices, groups: GroupLabels) -> PerQuery:
    """Mean over the queries of each listing, then over the listings of each group.

    values: measure -> (Q,); owners: (Q,) listing of each query; groups: (N,) of the listings
    """
    listings, of_query = np.unique(owners, return_inverse=True)
    numbers, of_listing = np.unique(groups[listings], return_inverse=True)
    return {
        name: dict(zip(map(str, numbers), _means(_means(row, of_query), of_listing).tolist(), strict=True))
        for name, row in values.items()
    }


def _means(values: Floats, labels: Indices) -> Floats:
    """Mean of the values of each label. labels: (n,) from 0, without gaps"""
    means: Floats = np.bincount(labels, values) / np.bincount(labels)
    return means
