"""A search request and its result, independent of HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wares.core.errors import SettingsError
from wares.shop.explanation import Hit
from wares.shop.systems import System

MAX_RESULTS = 1000  # listings of a search; pages, facets and the total are computed from these


@dataclass(frozen=True)
class SearchRequest:
    """The parameters of GET /api/search.

    photo: a photo token, or the content of an image file
    """

    text: str | None = None
    photo: str | bytes | None = None
    like: str | None = None
    filters: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    page: int = 1
    per_page: int = 20
    system: System | None = None
    rerank: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the request has no query; its results are all listings."""
        return self.text is None and self.photo is None and self.like is None

    @property
    def resolved_system(self) -> System:
        """The system that ranks: the given one, or the default. Raises SettingsError if it cannot rank this request."""
        if self.rerank and self.text is None:
            raise SettingsError("rerank needs q, because the ranker scores texts. Add q, or leave out rerank.")
        if self.system == "bm25" and (self.photo is not None or self.like is not None):
            raise SettingsError('system "bm25" ranks by words only. Leave out photo and like, or use "fused".')
        if self.system == "fused+bm25" and self.text is None and not self.is_empty:
            raise SettingsError('system "fused+bm25" needs q. Add q, or use "fused".')
        return self.system or ("fused" if self.text is None else "fused+bm25")

    @property
    def page_slice(self) -> slice:
        """Where the page's listings are among the results."""
        return slice((self.page - 1) * self.per_page, min(MAX_RESULTS, self.page * self.per_page))


@dataclass(frozen=True)
class SearchResult:
    """A page of results, with counts over all results.

    total: number of results, at most `MAX_RESULTS`; capped: whether more listings matched
    photo: token of the request's photo
    facets: column -> value -> number of results; ranges: column of numbers -> "min" and "max"
    """

    hits: Sequence[Hit]
    system: System
    total: int
    capped: bool
    photo: str | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
