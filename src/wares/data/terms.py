"""Words as counts: what lexical labelers, performance predictors and queries written from listings share.

A term is a word in lower case and composed Unicode (NFKC), no stop word, cut to its English stem (Snowball). Writing
without spaces between words is one term a run of letters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import regex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scipy.sparse import csr_array


Counts = npt.NDArray[np.int64]
# A letter or digit, and what follows it; unlike that of re, \w here has the vowels that Hindi, Thai or Hebrew write as
# marks. A mark alone is no word: emoji have them, too.
TOKEN_PATTERN = regex.compile(r"[\p{L}\p{N}_]\w*")


@dataclass(frozen=True)
class TermCounts:
    """How often each term stands in each text of a collection.

    vocabulary: term -> column
    counts: (N, V) sparse, int32; a row for each text
    """

    vocabulary: dict[str, int]
    counts: csr_array[Any]

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> TermCounts:
        """Count the terms of these texts."""
        from scipy.sparse import csr_array

        vocabulary: dict[str, int] = {}
        rows = [[vocabulary.setdefault(term, len(vocabulary)) for term in analyse(text)] for text in texts]
        columns = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        ones = np.ones(len(columns), dtype=np.int32)
        counts = csr_array((ones, columns, offsets), shape=(len(rows), len(vocabulary)))
        counts.sum_duplicates()
        return cls(vocabulary, counts)

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @property
    def vocabulary_size(self) -> int:
        """V, how many terms there are."""
        return len(self.vocabulary)

    def term_ids(self, text: str) -> Counts:
        """Columns of the terms of a text that the collection knows, repeated as they are in the text."""
        known = [self.vocabulary[term] for term in analyse(text) if term in self.vocabulary]
        return np.asarray(known, dtype=np.int64)

    @cached_property
    def lengths(self) -> Counts:
        """(N,) terms of each text, repetitions counted."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @cached_property
    def document_frequency(self) -> Counts:
        """(V,) how many texts hold each term."""
        return np.bincount(self.counts.indices, minlength=self.vocabulary_size).astype(np.int64)

    @cached_property
    def collection_frequency(self) -> Counts:
        """(V,) how often each term stands in all texts together."""
        return np.asarray(self.counts.sum(axis=0), dtype=np.int64)

    @cached_property
    def term_list(self) -> list[str]:
        """(V,) the terms, by column."""
        return list(self.vocabulary)


def analyse(text: str) -> list[str]:
    """The terms of a text, in their order."""
    words = [
        word for word in TOKEN_PATTERN.findall(unicodedata.normalize("NFKC", text).lower()) if word not in _stop_words()
    ]
    stems: list[str] = _stemmer().stemWords(words)
    return stems


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
