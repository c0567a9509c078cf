"""A corpus: listings, and what each says as one text. Passages are listings without photos.

What labels or ranks listings for queries starts here.
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
    """The listings of a catalogue, as one text each.

    on_error: what a photo that cannot be used does, to who looks at photos; problems: those that were left out
    """

    catalogue: Catalogue
    on_error: OnError = "stop"
    problems: list[Problem] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.catalogue)

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Add problems that are not known yet."""
        self.problems[:] = dict.fromkeys([*self.problems, *problems])

    @cached_property
    def texts(self) -> list[str]:
        """All texts of each listing as one, a line each."""
        return ["\n".join(text for _, text in listing_texts(each)) for each in self.catalogue.listings]

    @cached_property
    def term_counts(self) -> TermCounts:
        """Term counts of `texts`."""
        return TermCounts.from_texts(self.texts)

    @cached_property
    def ids(self) -> npt.NDArray[np.object_]:
        """(N,) the listings' ids."""
        return np.array([each.id for each in self.catalogue.listings], dtype=np.object_)
