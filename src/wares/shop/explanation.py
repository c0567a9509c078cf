"""Hits, and the contribution of each view to a hit's score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from wares.shop.retrieval import RankedListing, System, Vectors
    from wares.shop.shop import Shop


BM25_VIEW = "words"  # what the BM25 part of a score is called among the views
HIT_COLUMNS = ("id", "title", "description", "tags", "price", "images", "attributes")  # columns of a hit
VIEW_COLUMNS = ("view_names", "view_kinds", "view_weights", "view_vectors")  # columns of its reasons
ViewKind = Literal["photo", "text", "words"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one view, or the query's words, added to a score."""

    view: str
    contribution: float
    kind: ViewKind


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. The shares in `why` sum to the score, the largest first.

    photo: the photo with the largest share (the first one where only words counted); None where there is none
    photos: all of them, in the listing's own order
    rerank_score: the shop's ranker's own; None where it was not asked, or abstained
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
        """The shape that scripts rely on, without NaN."""
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
    """Rows as results, with what each view added to the score.

    query: (d,) as the rows were ranked by; None where vectors were not asked
    """
    return explain_batch(shop, [(ranked, query)], system)[0]


def explain_batch(
    shop: Shop, lists: Sequence[tuple[Sequence[RankedListing], Vectors | None]], system: System
) -> list[list[Hit]]:
    """`explain` of several lists, each with its query: their rows are read at once."""
    places = list(dict.fromkeys(hit.row_id for best, _ in lists for hit in best))
    if not places:
        return [[] for _ in lists]
    columns = [name for name in shop.table.schema.names if name in HIT_COLUMNS + VIEW_COLUMNS]
    found = shop.table.take_row_ids(places).select(columns).to_arrow()
    views = [vectors.values.to_numpy(zero_copy_only=False) for vectors in found["view_vectors"]]
    rows = found.drop_columns(["view_vectors"]).to_pylist()
    by_id = {row["id"]: row | {"view_vectors": flat} for row, flat in zip(rows, views, strict=True)}
    return [[_hit(hit, by_id[hit.id], query, system) for hit in best] for best, query in lists]


def _hit(hit: RankedListing, row: dict[str, Any], query: Vectors | None, system: System) -> Hit:
    names: list[str] = row["view_names"]
    shares = np.zeros(len(names)) if query is None else _shares(query, row)
    photos = [i for i, kind in enumerate(row["view_kinds"]) if kind == "photo"]
    why = [Explanation(BM25_VIEW, hit.bm25_score, "words")] if hit.bm25_score else []
    if hit.vector_score or system == "fused":
        divided = _exact(shares, hit.vector_score) if system == "fused" else _proportional(shares, hit.vector_score)
        why += [Explanation(*each) for each in zip(names, divided.tolist(), row["view_kinds"], strict=True)]
    return Hit(
        id=hit.id,
        score=hit.score,
        title=row["title"],
        price=row["price"],
        photo=names[max(photos, key=lambda i: shares[i])] if photos else None,
        why=tuple(sorted(why, key=lambda item: -item.contribution)),
        attributes={key: value for key, value in (row.get("attributes") or {}).items() if value is not None},
        description=row["description"],
        tags=tuple(row["tags"]),
        photos=tuple(row["images"]),
        rerank_score=hit.rerank_score,
    )


def _shares(query: Vectors, row: dict[str, Any]) -> npt.NDArray[np.float64]:
    """(V,) what each view adds to the cosine, computed in float64."""
    weights = np.asarray(row["view_weights"], dtype=np.float64)
    views = row["view_vectors"].astype(np.float64).reshape(len(weights), -1)
    return np.asarray(weights * (views @ query.astype(np.float64)))


def _exact(shares: npt.NDArray[np.float64], score: float) -> npt.NDArray[np.float64]:
    """The shares as they are, except that the largest takes up what float32 rounded off the score."""
    settled = shares.copy()
    settled[np.argmax(np.abs(shares))] += score - shares.sum()
    return settled


def _proportional(shares: npt.NDArray[np.float64], amount: float) -> npt.NDArray[np.float64]:
    """An amount divided in proportion to the shares of the cosine, as fused+bm25 explains a rank.

    A rank has no exact shares, so this is our reading of one. Views that speak against the match get nothing;
    where all do, they share equally.
    """
    helpful = np.maximum(shares, 0.0)
    if helpful.sum() <= 0.0:
        helpful = np.ones_like(shares)
    return np.asarray(amount * helpful / helpful.sum())


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
