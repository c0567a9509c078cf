"""A plain Python function as a labeler.

@labeler
def exact_words(query: str, listings: Sequence[Listing]) -> list[float | None]:
    return [float(query in each.title) or None for each in listings]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wares.errors import SettingsError
from wares.labelers import NONE, Labels

if TYPE_CHECKING:
    from wares.catalogue import Listing, Query
    from wares.corpus import Corpus
    from wares.labelers import Places, Scores

Function = Callable[[str, Sequence["Listing"]], Sequence[float | None]]


@dataclass(frozen=True)
class FunctionLabeler:
    """A function of a query's text and listings, which returns a score, or None to abstain, for each listing."""

    function: Function

    def over(self, corpus: Corpus) -> FunctionScorer:
        """The function on the listings of a corpus."""
        return FunctionScorer(self.function, corpus.catalogue.listings)


def labeler(function: Function) -> FunctionLabeler:
    """Make a labeler of a function (after snorkel's labeling functions, Ratner et al., VLDB 2017)."""
    return FunctionLabeler(function)


class FunctionScorer:
    """A function over one corpus. To retrieve, it is asked about every listing."""

    def __init__(self, function: Function, listings: Sequence[Listing]) -> None:
        self.function, self.listings = function, listings

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The k listings of highest score for each query."""
        everything = np.broadcast_to(np.arange(len(self.listings)), (len(queries), len(self.listings)))
        return Labels.of(everything, self.score(queries, everything)).top(k)

    def score(self, queries: Sequence[Query], listings: Places) -> Scores:
        """What the function says. Raises SettingsError where it does not say one thing for each listing."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        for place, query in enumerate(queries):
            there = np.flatnonzero(listings[place] != NONE)
            said = self.function(query.text, [self.listings[i] for i in listings[place, there]])
            if len(said) != len(there):
                name = getattr(self.function, "__name__", "the function")
                raise SettingsError(f"{name} returned {len(said)} scores for {len(there)} listings of {query.text!r}.")
            found[place, there] = [np.nan if score is None else score for score in said]
        return found
