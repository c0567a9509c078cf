"""The systems of a shop: what ranks its listings."""

from __future__ import annotations

from typing import Literal, get_args

System = Literal["fused", "bm25", "fused+bm25"]  # the fused embedding, BM25, or the sum of both
SYSTEMS: tuple[System, ...] = get_args(System)
