"""Query generation: queries written from the words of a catalogue's own listings."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import regex

from wares.core.errors import CatalogueError, SettingsError
from wares.core.files import atomic_write
from wares.core.progress import progress
from wares.data.listings import Query
from wares.data.query_log import unshared_queries
from wares.data.terms import TOKEN_PATTERN, TermCounts, analyse
from wares.data.views import listing_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Listing

Floats = npt.NDArray[np.float64]
MAX_WORD_LENGTH = 40  # characters; longer ones are codes, or sentences of a script without spaces
LENGTH_WEIGHTS = (0.12, 0.28, 0.28, 0.17, 0.10, 0.05)  # how often a query has 1, 2, ... words; 3.0 on average
FINAL_FIELDS = ("title", "tags")  # texts whose words end a query: the kind of thing ("boots") follows its qualities
PUNCTUATION_DISTANCE = 4  # between words that punctuation separates; neighbours have distance 1
MAX_DISTANCE = 12  # from which on distance no longer matters
MAX_JOINING_STOP_WORDS = 2  # stop words kept between two words, as in "map of the city"
NAME_SMOOTHING = 0.2  # listings added to those that a word names, so that words of descriptions are drawn at all
MAX_ATTEMPTS = 20  # draws without a new query after which a listing is exhausted
WORD_PATTERN = regex.compile(TOKEN_PATTERN.pattern + r"(?:[-'’]\w+)*")  # a word as typed, with hyphens and apostrophes
APOSTROPHE_PATTERN = re.compile(r"['’]")


@dataclass(frozen=True)
class GeneratedQueries:
    """Queries generated from listings; no two have the same terms.

    sources: index in the corpus of the listing that each query comes from
    requested: number of queries requested; there are fewer if the listings have too few words
    excluded: number of queries that are test queries by chance, and were left out
    """

    queries: tuple[Query, ...]
    sources: tuple[int, ...]
    requested: int
    excluded: int = 0

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        missing = ""
        if len(self) + self.excluded < self.requested:
            missing = f"; {self.requested:,} were requested, but the listings have too few words"
        excluded = f"; {self.excluded:,} more are test queries, and are left out" if self.excluded else ""
        return f"{len(self):,} queries written from {self.listing_count:,} listings{excluded}{missing}."

    def without(self, queries: Iterable[Query]) -> GeneratedQueries:
        """Return the queries whose text is none of the given ones', as `unshared_queries` compares them."""
        kept = {query.id for query in unshared_queries(self.queries, queries)}
        rows = [row for row in zip(self.queries, self.sources, strict=True) if row[0].id in kept]
        return GeneratedQueries(
            tuple(query for query, _ in rows),
            tuple(source for _, source in rows),
            self.requested,
            self.excluded + len(self) - len(rows),
        )

    @property
    def listing_count(self) -> int:
        """Number of listings that queries come from."""
        return len(set(self.sources))

    def to_json(self) -> dict[str, int]:
        return {"requested": self.requested, "listings": self.listing_count, "excluded": self.excluded}


def generate_queries(
    corpus: Corpus, count: int, seed: int = 0, length_weights: Sequence[float] = LENGTH_WEIGHTS
) -> GeneratedQueries:
    """Write queries from listings: salient words of one listing that are close to each other.

    count: maximum number of queries
    length_weights: relative frequency of queries with 1, 2, ... words, stop words between them not counted

    Listings take turns in random order. The first word of a query is drawn by its salience (`TermSalience`) and the
    length of its text, the next ones also by their distance to the words before. Words keep the order of their text,
    and texts that of `FINAL_FIELDS`. No query contains all terms of its listing's title. Raises CatalogueError if no
    query can be written.

    Source: known-item queries drawn from a listing's own terms are Azzopardi, de Rijke and Balog, "Building simulated
    queries for known-item topics" (SIGIR 2007); salience by names, distance and word order are our reading.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing
        >>> from wares.data.corpus import Corpus
        >>> from wares.supervision import generate_queries
        >>> corpus = Corpus(Catalogue(Path("."), (Listing("1", "Red boots"),)))
        >>> sorted(query.text for query in generate_queries(corpus, 5).queries)
        ['boots', 'red']
    """
    if count < 1:
        raise SettingsError(f"the number of queries must be at least 1, not {count}.")
    if not all(0 <= weight < np.inf for weight in length_weights) or sum(length_weights) == 0:
        raise SettingsError(f"length weights must be 0 or more and not all 0, not {list(length_weights)}.")
    length_distribution = np.cumsum(length_weights) / np.sum(length_weights)
    distinct = islice(_distinct_queries(corpus, length_distribution, np.random.default_rng(seed)), count)
    generated = list(progress(distinct, "writing queries", total=count, unit="queries"))
    if not generated:
        raise CatalogueError(
            f"{corpus.catalogue.folder / corpus.catalogue.file_name}: the listings have no words, or only one in the "
            "title, so no query can be written. Add descriptions or tags, or pass a query log."
        )
    queries = tuple(Query(f"w{number}", text) for number, (text, _) in enumerate(generated))
    return GeneratedQueries(queries, tuple(source for _, source in generated), count)


def query_length_weights(queries: Sequence[Query]) -> list[float]:
    """Number of queries with 1, 2, ... terms (`analyse`), as weights for `generate_queries`.

    Raises SettingsError if no query has a term.
    """
    lengths = np.bincount([len(analyse(query.text)) for query in queries], minlength=1)[1:]
    if not lengths.any():
        raise SettingsError("the query log has no words, so query lengths are unknown. Pass another log.")
    return [float(number) for number in lengths]


def write_generated_queries(generated: GeneratedQueries, corpus: Corpus, path: str | Path) -> None:
    """Write one line {"id", "text", "listing"} for each query; `read_queries` reads id and text back."""
    with atomic_write(Path(path)) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for query, source in zip(generated.queries, generated.sources, strict=True):
            row = {"id": query.id, "text": query.text, "listing": corpus.ids[source]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _distinct_queries(
    corpus: Corpus, length_distribution: Floats, random: np.random.Generator
) -> Iterator[tuple[str, int]]:
    """Yields each new query and its listing's index; a listing that has no new query drops out.

    length_distribution: (L,) cumulative probabilities of 1, 2, ... words
    """
    salience = TermSalience(corpus)
    known: set[str] = set()
    active = random.permutation(len(corpus))
    while len(active):
        productive = []
        for index in active:
            words = _ListingWords.from_listing(corpus.catalogue.listings[index], salience)
            for _ in range(MAX_ATTEMPTS if words.weights.any() else 0):
                length = 1 + int(np.searchsorted(length_distribution, random.random(), side="right"))
                text = words.draw(length, random)
                terms = analyse(text)
                key = " ".join(sorted(terms))
                if key not in known and _is_query(text, terms, words.title):
                    known.add(key)
                    productive.append(index)
                    yield text, int(index)
                    break
        active = random.permutation(np.asarray(productive, dtype=np.int64))


def _is_query(text: str, terms: Sequence[str], title: frozenset[str]) -> bool:
    """True if no term is repeated, a word is neither number nor letter, and a term of the title is missing."""
    has_word = any(len(word) > 1 or not word.isascii() for word in text.split() if not word[0].isdecimal())
    return has_word and len(set(terms)) == len(terms) and not (title and title <= set(terms))


class TermSalience:
    """Salience of words: idf, times the share of the listings with the word that have it in their title or tags.

    Titles and tags name a listing; a word of one or two listings is smoothed towards naming none. Words such as "ideal"
    or "allows" are as rare in descriptions as "hood", yet no listing is called by them. This holds in any language, and
    needs no list of words.
    """

    def __init__(self, corpus: Corpus) -> None:
        names = TermCounts.from_texts(" ".join([listing.title, *listing.tags]) for listing in corpus.catalogue.listings)
        counts = corpus.term_counts
        named = np.zeros(len(counts.document_frequency))  # (V,) listings with the term in their title or tags
        named[[counts.vocabulary[term] for term in names.term_list]] = names.document_frequency
        idf = np.log1p(len(corpus) / np.maximum(counts.document_frequency, 1))
        self.of_terms = idf * (named + NAME_SMOOTHING) / (counts.document_frequency + 2.0)
        self.of_terms[counts.is_stop_word] = 0.0
        self.vocabulary = counts.vocabulary
        self._of_words: dict[str, float] = {}

    def of_word(self, word: str) -> float:
        """The mean salience of the word's terms; 0 for a stop word."""
        if word not in self._of_words:
            columns = [self.vocabulary[term] for term in analyse(word) if term in self.vocabulary]
            is_stop_word = not columns or APOSTROPHE_PATTERN.split(word)[0] in _function_words()
            self._of_words[word] = 0.0 if is_stop_word else float(self.of_terms[columns].mean())
        return self._of_words[word]


@dataclass(frozen=True)
class _ListingWords:
    """The words of one listing in the order of a query: text by text, `FINAL_FIELDS` last.

    words: (W,) in lower case; positions: (W,) neighbours in a text are 1 apart
    weights: (W,) salience over the root of the length of the text, so that a title counts beside a long description;
        0 for a stop word, and for a word that is the whole title
    title: the terms of the title
    """

    words: list[str]
    positions: Floats
    weights: Floats
    title: frozenset[str]

    @classmethod
    def from_listing(cls, listing: Listing, salience: TermSalience) -> _ListingWords:
        order = {name: rank for rank, name in enumerate(FINAL_FIELDS)}
        texts = sorted(listing_texts(listing), key=lambda named: order.get(named[0], -1))
        words: list[str] = []
        steps: list[int] = []
        weights = [np.zeros(0)]
        for text in (unicodedata.normalize("NFKC", text).lower() for _, text in texts):
            matches = [match for match in WORD_PATTERN.finditer(text) if len(match.group()) <= MAX_WORD_LENGTH]
            gaps = [text[before.end() : after.start()] for before, after in pairwise(matches)]
            distances = [1 if gap.isspace() and "\n" not in gap else PUNCTUATION_DISTANCE for gap in gaps]
            words += [match.group() for match in matches]
            steps += [MAX_DISTANCE, *distances][: len(matches)]
            saliences = np.array([salience.of_word(match.group()) for match in matches])
            weights.append(saliences / np.sqrt(max(len(saliences), 1)))
        title, joined = frozenset(analyse(listing.title)), np.concatenate(weights)
        if title and len(WORD_PATTERN.findall(unicodedata.normalize("NFKC", listing.title))) == 1:
            joined[[title <= set(analyse(word)) for word in words]] = 0.0
        return cls(words, np.cumsum(np.asarray(steps, dtype=np.float64)), joined, title)

    def draw(self, length: int, random: np.random.Generator) -> str:
        """A query of at most this many words, plus the stop words between neighbours."""
        weights, distances = self.weights, np.full(len(self.words), MAX_DISTANCE, dtype=np.float64)
        drawn: list[int] = []
        while len(drawn) < length and (cumulative := np.cumsum(weights))[-1] > 0:
            drawn.append(int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right")))
            distances = np.minimum(distances, np.abs(self.positions - self.positions[drawn[-1]]))
            weights = self.weights / np.maximum(distances, 1.0)
            weights[drawn] = 0.0
        drawn.sort()
        joining = [index for first, last in pairwise(drawn) for index in self._joining(first, last)]
        return " ".join(self.words[index] for index in sorted([*drawn, *joining]))

    def _joining(self, first: int, last: int) -> range:
        """Indices of the words between two, if they are few, all stop words, and without punctuation."""
        between = range(first + 1, last)
        unbroken = self.positions[last] - self.positions[first] == last - first
        few = len(between) <= MAX_JOINING_STOP_WORDS
        return between if few and unbroken and not self.weights[first + 1 : last].any() else range(0)


@cache
def _function_words() -> frozenset[str]:
    """Words that may occur within a query but not at its ends: more than the stop words of `analyse`."""
    from bm25s.stopwords import STOPWORDS_EN, STOPWORDS_EN_PLUS

    return frozenset((*STOPWORDS_EN, *STOPWORDS_EN_PLUS))
