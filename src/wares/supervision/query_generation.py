"""Queries generated from a catalogue's own listings."""

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
import regex

from wares.core.errors import CatalogueError, SettingsError
from wares.core.files import atomic_write
from wares.core.progress import progress
from wares.data.listings import Query
from wares.data.terms import TOKEN_PATTERN, TermCounts, analyse
from wares.data.views import listing_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Listing
    from wares.data.query_log import Floats, Indices


MAX_WORD_LENGTH = 40  # characters; what is longer is a code, or a sentence of a script without spaces
LENGTH_WEIGHTS = (0.12, 0.28, 0.28, 0.17, 0.10, 0.05)  # how often a written query has 1, 2, ... words; 3.0 on average
FINAL_FIELDS = ("title", "tags")  # texts that end a query: a kind of thing ("boots") follows what is said of it
PUNCTUATION_DISTANCE, MAX_DISTANCE = (
    4,
    12,
)  # how far apart punctuation moves two words, and from where on distance no longer matters
MAX_JOINING_STOP_WORDS = 2  # stop words at most that come along between two words, as in "map of the city"
NAME_SMOOTHING = 0.2  # listings that a word is taken to name beyond those it does; what words of descriptions live on
MAX_ATTEMPTS = 20  # draws after which a listing has nothing new to say
WORD_PATTERN = regex.compile(
    TOKEN_PATTERN.pattern + r"(?:[-'’]\w+)*"
)  # a word as it is typed: with its hyphens and apostrophes
APOSTROPHE_PATTERN = re.compile(r"['’]")


# Queries written from listings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GeneratedQueries:
    """Queries written from listings; no two have the same terms.

    sources: the place in the corpus of the listing that each query was written from
    requested: how many queries were asked for; there are fewer where the listings have no more to say
    """

    queries: tuple[Query, ...]
    sources: tuple[int, ...]
    requested: int

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        less = (
            ""
            if len(self) == self.requested
            else f"; {self.requested:,} were asked for, but the listings have no more to say"
        )
        return f"{len(self):,} queries written from {self.listing_count:,} listings{less}."

    @property
    def listing_count(self) -> int:
        """How many listings queries were written from."""
        return len(set(self.sources))

    def to_json(self) -> dict[str, int]:
        return {"asked": self.requested, "listings": self.listing_count}


def generate_queries(
    corpus: Corpus, count: int, seed: int = 0, length_weights: Sequence[float] = LENGTH_WEIGHTS
) -> GeneratedQueries:
    """Write queries from the listings of a corpus: words that tell a listing from others, close to one another.

    count: queries, at most
    length_weights: how often a query has 1, 2, ... words, in any unit; stop words between them come on top

    Listings take turns in random order. A query's first word is drawn by what it tells (`TermSalience`) and by the length
    of its text, the next ones also by how near they stand to those before. Words keep the order of their text, and
    texts that of `FINAL_FIELDS`. No query has all terms of its listing's title. Raises CatalogueError where not one can be
    written.

    Source: known-item queries drawn from a listing's own terms are Azzopardi, de Rijke and Balog, "Building simulated
    queries for known-item topics" (SIGIR 2007); worth by names, nearness and word order are our reading.
    """
    if count < 1:
        raise SettingsError(f"the number of queries is 1 or more, not {count}.")
    if not all(0 <= each < np.inf for each in length_weights) or sum(length_weights) == 0:
        raise SettingsError("lengths say how often a query has 1, 2, ... words: 0 or more, and not all 0.")
    chances = np.cumsum(length_weights) / np.sum(length_weights)
    drawn = islice(_distinct(corpus, chances, np.random.default_rng(seed)), count)
    found = list(progress(drawn, "writing queries", total=count, unit="queries"))
    if not found:
        raise CatalogueError(
            f"{corpus.catalogue.folder / corpus.catalogue.file_name}: no query can be written, for the listings have no "
            "words, or none but one in the title. Add descriptions or tags, or bring a query log."
        )
    queries = tuple(Query(f"w{number}", text) for number, (text, _) in enumerate(found))
    return GeneratedQueries(queries, tuple(source for _, source in found), count)


def query_length_weights(queries: Sequence[Query]) -> list[float]:
    """How often queries have 1, 2, ... words, stop words not counted, for `generate_queries` to write queries as long.

    Raises SettingsError where no query has a word that counts.
    """
    lengths = np.bincount([len(analyse(query.text)) for query in queries], minlength=1)[1:]
    if not lengths.any():
        raise SettingsError("no query of the log has a word that is not a stop word, so it has no lengths to take.")
    return [float(each) for each in lengths]


def write_generated_queries(generated: GeneratedQueries, corpus: Corpus, path: str | Path) -> None:
    """Write queries, one {"id", "text", "listing"} a line: what `read_queries` reads, and the listing they are of."""
    with atomic_write(Path(path)) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for query, source in zip(generated.queries, generated.sources, strict=True):
            row = {"id": query.id, "text": query.text, "listing": corpus.ids[source]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _distinct(corpus: Corpus, chances: Floats, random: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Query after query with its source, listing by listing in rounds; who has nothing new to say falls out."""
    worth = TermSalience(corpus)
    pool: set[str] = set()
    left: Indices = random.permutation(len(corpus))
    while len(left):
        heard = []
        for place in left:
            words = _ListingWords.of(corpus.catalogue.listings[place], worth)
            for _ in range(MAX_ATTEMPTS if words.weights.any() else 0):
                text = words.draw(1 + int(np.searchsorted(chances, random.random(), side="right")), random)
                terms = analyse(text)
                key = " ".join(sorted(terms))
                if key not in pool and _reads_as_query(text, terms, words.title):
                    pool.add(key)
                    heard.append(place)
                    yield text, int(place)
                    break
        left = random.permutation(np.asarray(heard, dtype=np.int64))


def _reads_as_query(text: str, terms: Sequence[str], title: frozenset[str]) -> bool:
    """Whether no term comes twice, something is a word and no number or letter, and the title is not all there."""
    words = any(len(word) > 1 or not word.isascii() for word in text.split() if not word[0].isdecimal())
    return words and len(set(terms)) == len(terms) and not (title and title <= set(terms))


class TermSalience:
    """How much a word tells of what is for sale: its idf, times how often listings with it name themselves by it.

    Titles and tags name a listing; a word of one or two listings is not yet trusted to name anything. Words such as
    "ideal" or "allows" are as rare in descriptions as "hood", yet no listing is called by them. This holds in any
    language, and needs no list of words.
    """

    def __init__(self, corpus: Corpus) -> None:
        names = TermCounts.from_texts(" ".join([each.title, *each.tags]) for each in corpus.catalogue.listings)
        known = corpus.term_counts.document_frequency
        naming = np.zeros(len(known))
        naming[[corpus.term_counts.vocabulary[term] for term in names.term_list]] = names.document_frequency
        self.terms = np.log1p(len(corpus) / np.maximum(known, 1)) * (naming + NAME_SMOOTHING) / (known + 2.0)
        self.vocabulary = corpus.term_counts.vocabulary
        self.words: dict[str, float] = {}

    def of(self, word: str) -> float:
        """The mean worth of the word's terms; 0 for a stop word."""
        if word not in self.words:
            columns = [self.vocabulary[term] for term in analyse(word) if term in self.vocabulary]
            stopped = not columns or APOSTROPHE_PATTERN.split(word)[0] in _function_words()
            self.words[word] = 0.0 if stopped else float(self.terms[columns].mean())
        return self.words[word]


@dataclass(frozen=True)
class _ListingWords:
    """The words of one listing in the order of a query: its texts one after the other, `FINAL_FIELDS` at the end.

    said: (W,) words in lower case; places: (W,) where they stand, neighbours one apart
    weights: (W,) worth over the root of the length of the text, so that a title is heard beside a long description;
        0 for a stop word, and for a word that is the whole title
    title: the terms of the title
    """

    said: list[str]
    places: Floats
    weights: Floats
    title: frozenset[str]

    @classmethod
    def of(cls, listing: Listing, worth: TermSalience) -> _ListingWords:
        texts = sorted(
            listing_texts(listing), key=lambda named: FINAL_FIELDS.index(named[0]) if named[0] in FINAL_FIELDS else -1
        )
        said, steps, weights = [], [], []
        for text in (unicodedata.normalize("NFKC", text).lower() for _, text in texts):
            found = [match for match in WORD_PATTERN.finditer(text) if len(match.group()) <= MAX_WORD_LENGTH]
            gaps = [text[before.end() : after.start()] for before, after in pairwise(found)]
            said += [match.group() for match in found]
            steps += [
                MAX_DISTANCE,
                *(1 if gap.isspace() and "\n" not in gap else PUNCTUATION_DISTANCE for gap in gaps),
            ][: len(found)]
            here = np.array([worth.of(match.group()) for match in found])
            weights.append(here / np.sqrt(max(len(here), 1)))
        title = frozenset(analyse(listing.title))
        pull = np.concatenate([np.zeros(0), *weights])
        if title and len(WORD_PATTERN.findall(unicodedata.normalize("NFKC", listing.title))) == 1:
            pull[[title <= set(analyse(word)) for word in said]] = 0.0
        return cls(said, np.cumsum(np.asarray(steps, dtype=np.float64)), pull, title)

    def draw(self, length: int, random: np.random.Generator) -> str:
        """A query of so many words, or of as many as there are; stop words between neighbours come along."""
        pull, apart = self.weights, np.full(len(self.said), MAX_DISTANCE, dtype=np.float64)
        chosen: list[int] = []
        while len(chosen) < length and (reach := np.cumsum(pull))[-1] > 0:
            chosen.append(int(np.searchsorted(reach, random.random() * reach[-1], side="right")))
            apart = np.minimum(apart, np.abs(self.places - self.places[chosen[-1]]))
            pull = self.weights / np.maximum(apart, 1.0)
            pull[chosen] = 0.0
        chosen.sort()
        between = [place for first, last in pairwise(chosen) for place in self._joining(first, last)]
        return " ".join(self.said[place] for place in sorted([*chosen, *between]))

    def _joining(self, first: int, last: int) -> range:
        """The words between two, where they are few, all stop words, and without punctuation."""
        between = range(first + 1, last)
        unbroken = self.places[last] - self.places[first] == last - first
        few = len(between) <= MAX_JOINING_STOP_WORDS
        return between if few and unbroken and not self.weights[first + 1 : last].any() else range(0)


@cache
def _function_words() -> frozenset[str]:
    """Words that may stand within a query but not at its ends; more than those that are no terms."""
    from bm25s.stopwords import STOPWORDS_EN, STOPWORDS_EN_PLUS

    return frozenset((*STOPWORDS_EN, *STOPWORDS_EN_PLUS))
