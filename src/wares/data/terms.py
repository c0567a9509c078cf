"""Terms of texts and their counts, for lexical labelers, query performance predictors and query generation.

A term is a word in NFKC and lower case, reduced to its English stem (Snowball); stop words are dropped. Scripts without
spaces between words give one term per run of letters.
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
# A letter or digit, then word characters. Unlike in `re`, \w includes marks, which are the vowels of Hindi, Thai or
# Hebrew. A mark alone is not a word: emoji have marks, too.
TOKEN_PATTERN = regex.compile(r"[\p{L}\p{N}_]\w*")


@dataclass(frozen=True)
class TermCounts:
    """Counts of each term in each text of a collection.

    vocabulary: term -> column
    counts: (N, V) sparse, int32; one row per text
    """

    vocabulary: dict[str, int]
    counts: csr_array[Any]

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> TermCounts:
        """Count the terms of texts."""
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
        """Number of terms, V."""
        return len(self.vocabulary)

    def term_ids(self, text: str) -> Counts:
        """Columns of the terms of a text, in order and with repetitions; unknown terms are left out."""
        columns = [self.vocabulary[term] for term in analyse(text) if term in self.vocabulary]
        return np.asarray(columns, dtype=np.int64)

    @cached_property
    def lengths(self) -> Counts:
        """(N,) number of terms of each text, with repetitions."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @cached_property
    def document_frequency(self) -> Counts:
        """(V,) number of texts with each term."""
        return np.bincount(self.counts.indices, minlength=self.vocabulary_size).astype(np.int64)

    @cached_property
    def collection_frequency(self) -> Counts:
        """(V,) number of occurrences of each term in all texts."""
        return np.asarray(self.counts.sum(axis=0), dtype=np.int64)

    @cached_property
    def term_list(self) -> list[str]:
        """(V,) the term of each column."""
        return list(self.vocabulary)


def analyse(text: str) -> list[str]:
    """Terms of a text, in order."""
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
