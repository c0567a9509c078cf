"""A corpus: the listings of a catalogue as one text each, which labelers and rankers score.

Passages are listings without photos.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wares.data.terms import TermCounts
from wares.data.views import listing_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from wares.data.listings import Catalogue, OnError, Problem


@dataclass(frozen=True)
class Corpus:
    """The listings of a catalogue as one text each, with term counts.

    on_error: whether an unusable photo stops the encoding of photos or is skipped
    problems: of skipped photos

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing
        >>> corpus = Corpus(Catalogue(Path("."), (Listing("1", "Red boots", "Warm."),)))
        >>> corpus.texts[0].splitlines()
        ['Red boots', 'Warm.']
    """

    catalogue: Catalogue
    on_error: OnError = "stop"
    problems: list[Problem] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.catalogue)

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Add problems, without duplicates."""
        self.problems[:] = dict.fromkeys([*self.problems, *problems])

    @cached_property
    def texts(self) -> list[str]:
        """All texts of each listing, joined by line breaks."""
        return ["\n".join(text for _, text in listing_texts(listing)) for listing in self.catalogue.listings]

    @cached_property
    def term_counts(self) -> TermCounts:
        """Term counts of `texts`."""
        return TermCounts.from_texts(self.texts)

    @cached_property
    def ids(self) -> npt.NDArray[np.object_]:
        """(N,) ids of the listings."""
        return np.array([listing.id for listing in self.catalogue.listings], dtype=np.object_)
