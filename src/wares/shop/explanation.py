"""Hits, and the contribution of each view to the score of a hit."""

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
    """The contribution of one view, or of the words of the query, to a score."""

    view: str
    contribution: float
    kind: ViewKind


@dataclass(frozen=True, slots=True)
class Hit:
    """One result.

    why: contributions of the views, which sum to the score, the largest first
    photo: the photo with the largest contribution, the first one if only words count; None without photos
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
            "why": [{"view": why.view, "kind": why.kind, "contribution": why.contribution} for why in self.why],
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
    names: list[str] = row["view_names"]
    cosines = np.zeros(len(names)) if query is None else _cosine_contributions(query, row)
    photos = [index for index, kind in enumerate(row["view_kinds"]) if kind == "photo"]
    why = [Explanation(BM25_VIEW, listing.bm25_score, "words")] if listing.bm25_score else []
    if query is not None:
        contributions = _sum_to_score(cosines, listing.vector_score).tolist()
        why += [Explanation(*view) for view in zip(names, contributions, row["view_kinds"], strict=True)]
    return Hit(
        id=listing.id,
        score=listing.score,
        title=row["title"],
        price=row["price"],
        photo=names[max(photos, key=lambda index: cosines[index])] if photos else None,
        why=tuple(sorted(why, key=lambda item: -item.contribution)),
        attributes={key: value for key, value in (row.get("attributes") or {}).items() if value is not None},
        description=row["description"],
        tags=tuple(row["tags"]),
        photos=tuple(row["images"]),
        rerank_score=listing.rerank_score,
    )


def _cosine_contributions(query: Vectors, row: dict[str, Any]) -> Floats:
    """(V,) contribution of each view to the cosine, computed in float64."""
    weights = np.asarray(row["view_weights"], dtype=np.float64)
    views = row["view_vectors"].astype(np.float64).reshape(len(weights), -1)
    return np.asarray(weights * (views @ query.astype(np.float64)))


def _sum_to_score(contributions: Floats, score: float) -> Floats:
    """The contributions, with the float32 rounding error of the score added to the largest."""
    adjusted = contributions.copy()
    adjusted[np.argmax(np.abs(contributions))] += score - contributions.sum()
    return adjusted


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
