"""Hits, the contribution of each view to the score of a hit, and the photo that matches best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wares.shop.retrieval import RankedListing
    from wares.shop.shop import Shop
    from wares.shop.systems import System
    from wares.shop.table import Vectors


BM25_VIEW = "words"  # the name of the BM25 part of a score among the views
HIT_COLUMNS = ("id", "title", "description", "tags", "price", "images", "attributes")
VIEW_COLUMNS = ("view_names", "view_kinds", "view_weights", "view_vectors")
ViewKind = Literal["photo", "text", "words"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The contribution of one view, or of the words of the query, to a score.

    similarity: cosine of the view with the query; None for the words. The contribution is this times the view's weight
    """

    view: str
    contribution: float
    kind: ViewKind
    similarity: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of an entry of `why`."""
        similarity = {} if self.similarity is None else {"similarity": self.similarity}
        return {"view": self.view, "kind": self.kind, "contribution": self.contribution, **similarity}


@dataclass(frozen=True, slots=True)
class Hit:
    """One result.

    why: contributions of the views, which sum to the score, the largest first
    photo: the photo most similar to the query, the first one if photos do not count; None without photos
    photos: all photos in the order of the listing
    rerank_score: of the shop's ranker; None without reranking, or if the ranker abstained
    """

    id: str
    score: float
    title: str
    price: float | None
    photo: str | None
    why: tuple[Explanation, ...]
    attributes: dict[str, Any]
    description: str
    tags: tuple[str, ...]
    photos: tuple[str, ...]
    rerank_score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `wares search --json`, without NaN."""
        reranked = {} if self.rerank_score is None else {"rerank_score": self.rerank_score}
        return {
            "id": self.id,
            "score": self.score,
            **reranked,
            "why": [why.to_json() for why in self.why],
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "price": _finite(self.price),
            "photo": self.photo,
            "photos": list(self.photos),
            "attributes": {key: _finite(value) for key, value in self.attributes.items()},
        }


def explain(shop: Shop, ranked: Sequence[RankedListing], query: Vectors | None, system: System) -> list[Hit]:
    """Ranked rows as hits, with the contribution of each view to the score.

    query: (d,) query vector; None if the system used none
    """
    return explain_batch(shop, [(ranked, query)], system)[0]


def explain_batch(
    shop: Shop, lists: Sequence[tuple[Sequence[RankedListing], Vectors | None]], system: System
) -> list[list[Hit]]:
    """`explain` for several lists, each with its query vector. Reads all rows in one query of the table."""
    row_ids = list(dict.fromkeys(listing.row_id for ranked, _ in lists for listing in ranked))
    if not row_ids:
        return [[] for _ in lists]
    columns = [name for name in shop.table.schema.names if name in HIT_COLUMNS + VIEW_COLUMNS]
    table = shop.table.take_row_ids(row_ids).select(columns).to_arrow()
    views = [vectors.values.to_numpy(zero_copy_only=False) for vectors in table["view_vectors"]]
    rows = table.drop_columns(["view_vectors"]).to_pylist()
    by_id = {row["id"]: row | {"view_vectors": flat} for row, flat in zip(rows, views, strict=True)}
    return [[_hit(listing, by_id[listing.id], query, system) for listing in ranked] for ranked, query in lists]


def _hit(listing: RankedListing, row: dict[str, Any], query: Vectors | None, system: System) -> Hit:
    views = [] if query is None else _explain_views(row, query, listing.vector_score)
    words = [Explanation(BM25_VIEW, listing.bm25_score, "words")] if listing.bm25_score else []
    return Hit(
        id=listing.id,
        score=listing.score,
        title=row["title"],
        price=row["price"],
        photo=_best_photo(views) or next(iter(row["images"]), None),
        why=tuple(sorted([*words, *views], key=lambda item: -item.contribution)),
        attributes={key: value for key, value in (row.get("attributes") or {}).items() if value is not None},
        description=row["description"],
        tags=tuple(row["tags"]),
        photos=tuple(row["images"]),
        rerank_score=listing.rerank_score,
    )


def _explain_views(row: dict[str, Any], query: Vectors, score: float) -> list[Explanation]:
    """The contribution of each view of a row to its cosine with the query, computed in float64."""
    weights = np.asarray(row["view_weights"], dtype=np.float64)
    vectors = row["view_vectors"].astype(np.float64).reshape(len(weights), -1)
    similarities = vectors @ query.astype(np.float64)
    contributions = _sum_to_score(weights * similarities, score)
    columns = (row["view_names"], contributions.tolist(), row["view_kinds"], similarities.tolist())
    return [Explanation(*view) for view in zip(*columns, strict=True)]


def _best_photo(views: Sequence[Explanation]) -> str | None:
    """The photo most similar to the query; None if no photo contributes to the score."""
    photos = [view for view in views if view.kind == "photo"]
    if not any(photo.contribution for photo in photos):
        return None
    return max(photos, key=lambda photo: photo.similarity or 0.0).view


def _sum_to_score(contributions: Floats, score: float) -> Floats:
    """The contributions, with the float32 rounding error of the score added to the largest."""
    adjusted = contributions.copy()
    adjusted[np.argmax(np.abs(contributions))] += score - contributions.sum()
    return adjusted


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
