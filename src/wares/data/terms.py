"""Terms of texts and their counts, for lexical labelers, a shop's BM25, query predictors and query generation.

A term is a word in lower case without accents, reduced to its English stem (Snowball). `C++`, `C#` and `.NET` are
words, and a possessive "'s" is not. Scripts without spaces between words give one term per run of letters.

Stop words are terms, too, so that "IT" or "Off-White for her" are found by them, but they do not count where there are
other words: `analyse` drops them from a query that has any, and the length of a text leaves them out.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import regex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scipy.sparse import csr_array


Counts = npt.NDArray[np.int64]
# One letter with plus or number signs (C++, F#), .NET, or a letter or digit and the word characters after it. Unlike in
# `re`, \w includes marks, which are the vowels of Hindi, Thai or Hebrew. A mark alone is not a word: emoji have marks.
TOKEN_PATTERN = regex.compile(r"\p{L}[+#]+(?!\w)|\.(?i:net)\b|[\p{L}\p{N}_]\w*")
POSSESSIVE_PATTERN = regex.compile(r"(?<=\w)['’ʼ]s\b")
# Accents are typed or not in scripts that have letters without them; of Hebrew or Thai, marks are part of the word.
ACCENT_PATTERN = regex.compile(r"(?<=[\p{Latin}\p{Greek}])\p{Mn}+")
PLAIN_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "ё": "е"})
TEXTS_PER_CHUNK = 10_000  # counted at once


@dataclass(frozen=True)
class TermCounts:
    """Counts of each term in each text of a collection, stop words included.

    vocabulary: term -> column
    counts: (N, V) sparse, int32; one row per text
    """

    vocabulary: dict[str, int]
    counts: csr_array[Any]

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> TermCounts:
        """Count the terms of texts. Memory grows with the distinct terms of each text, not with its length.

        Example:
            >>> terms = TermCounts.from_texts(["Red boots", "the boot"])
            >>> terms.term_list, terms.lengths.tolist()
            (['red', 'boot', 'the'], [2, 1])
        """
        vocabulary: dict[str, int] = {}
        return cls(vocabulary, count_terms(texts, vocabulary))

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @property
    def vocabulary_size(self) -> int:
        """Number of terms, V."""
        return len(self.vocabulary)

    def term_ids(self, text: str) -> Counts:
        """Columns of the terms of a query, in order and with repetitions; unknown terms are left out."""
        columns = [self.vocabulary[term] for term in analyse(text) if term in self.vocabulary]
        return np.asarray(columns, dtype=np.int64)

    def query_terms(self, text: str) -> tuple[Counts, npt.NDArray[np.float32]]:
        """Columns of the distinct terms of a query in alphabetical order, and how often it has each."""
        known = Counter(term for term in analyse(text) if term in self.vocabulary)
        terms = sorted(known)
        columns = np.asarray([self.vocabulary[term] for term in terms], dtype=np.int64)
        return columns, np.asarray([known[term] for term in terms], dtype=np.float32)

    @cached_property
    def is_stop_word(self) -> npt.NDArray[np.bool_]:
        """(V,) whether each term is a stop word."""
        return np.fromiter((term in _stop_words() for term in self.vocabulary), np.bool_, self.vocabulary_size)

    @cached_property
    def lengths(self) -> Counts:
        """(N,) number of terms of each text, with repetitions and without stop words."""
        return np.asarray(self.counts @ (~self.is_stop_word).astype(np.int64), dtype=np.int64)

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
    """Terms of a query, in order: without stop words, unless it has no other words.

    Example:
        >>> analyse("Women's boots for the crème-coloured C++ fan")
        ['women', 'boot', 'creme', 'colour', 'c++', 'fan']
        >>> analyse("IT")
        ['it']
    """
    terms: list[str] = _stemmer().stemWords(_words(text))
    return [term for term in terms if term not in _stop_words()] or terms


def count_terms(texts: Iterable[str], vocabulary: dict[str, int]) -> csr_array[Any]:
    """(N, V) counts of each term in each text; new terms are added to the vocabulary."""
    from scipy.sparse import csr_array

    columns = _WordColumns(vocabulary)
    data, indices, offsets = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    remaining = iter(texts)
    while chunk := list(islice(remaining, TEXTS_PER_CHUNK)):
        flat, ends = array("i"), [0]
        for text in chunk:
            flat.extend(map(columns.__getitem__, _words(text)))
            ends.append(len(flat))
        ones = np.ones(len(flat), dtype=np.int32)
        counts = csr_array((ones, np.asarray(flat), np.asarray(ends)), shape=(len(chunk), len(vocabulary)))
        counts.sum_duplicates()
        data.append(counts.data)
        indices.append(counts.indices.astype(np.int32))
        offsets.append(offsets[-1][-1] + counts.indptr[1:])
    starts = np.concatenate(offsets)
    # SciPy gives all index arrays the widest of their types; 32 bits take half the memory.
    starts = starts.astype(np.int32 if starts[-1] < 2**31 else np.int64)
    shape = (len(starts) - 1, len(vocabulary))
    return csr_array((np.concatenate(data), np.concatenate(indices), starts), shape=shape)


class _WordColumns(dict[str, int]):
    """The column of each word's term. A word is stemmed when it occurs first; a new term extends the vocabulary."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self._vocabulary = vocabulary

    def __missing__(self, word: str) -> int:
        column = self[word] = self._vocabulary.setdefault(_stemmer().stemWord(word), len(self._vocabulary))
        return column


def _words(text: str) -> list[str]:
    """The words of a text in lower case, without accents and possessives."""
    lower = unicodedata.normalize("NFKC", text).lower()
    if not lower.isascii():
        bare = ACCENT_PATTERN.sub("", unicodedata.normalize("NFD", lower))
        lower = unicodedata.normalize("NFC", bare).translate(PLAIN_LETTERS)
    words: list[str] = TOKEN_PATTERN.findall(POSSESSIVE_PATTERN.sub("", lower))
    return words


@cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


@cache
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
