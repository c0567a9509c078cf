"""Queries to learn from: those of a log, or, for a shop that has none, queries written from its listings.

No judgment and no language model is needed: a query is written from a listing by term statistics. How written
queries look beside those of a log is what `likeness` measures. What scores listings for them is next door, in
`labelers`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import regex

from wares.catalogue import OnError, Problem, Query, replaced, rows_of, usable
from wares.errors import CatalogueError, SettingsError
from wares.progress import progress
from wares.terms import WORD, Terms, analyse
from wares.views import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from wares.catalogue import Listing
    from wares.corpus import Corpus

MAX_QUERY = 1_000  # characters; what is longer was pasted, not typed
MAX_WORD = 40  # characters; what is longer is a code, or a sentence of a script without spaces
LENGTHS = (0.12, 0.28, 0.28, 0.17, 0.10, 0.05)  # how often a written query has 1, 2, ... words; 3.0 on average
LAST = ("title", "tags")  # texts that end a query: a kind of thing ("boots") follows what is said of it
BREAK, FAR = 4, 12  # how far apart punctuation moves two words, and from where on distance no longer matters
JOINING = 2  # stop words at most that come along between two words, as in "map of the city"
NAMELESS = 0.2  # listings that a word is taken to name beyond those it does; what words of descriptions live on
TRIES = 20  # draws after which a listing has nothing new to say

SAID = regex.compile(WORD.pattern + r"(?:[-'’]\w+)*")  # a word as it is typed: with its hyphens and apostrophes
APOSTROPHE = re.compile(r"['’]")

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


# A log -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Log:
    """The distinct queries of a log, and what became of the others.

    wordless: queries left out because there is no letter or digit in them (nothing, spaces, signs, emoji)
    repeated: queries left out because they are there already
    shortened: queries that were cut to MAX_QUERY characters
    problems: rows that are no queries
    """

    queries: tuple[Query, ...]
    wordless: int
    repeated: int
    shortened: int
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        return (
            f"{len(self):,} distinct queries of {len(self) + self.wordless + self.repeated:,} in the log: "
            f"{self.repeated:,} repeated and {self.wordless:,} without a word are left out, "
            f"{self.shortened:,} are cut to {MAX_QUERY:,} characters."
        )

    def to_json(self) -> dict[str, int]:
        return {"wordless": self.wordless, "repeated": self.repeated, "shortened": self.shortened}


def read_log(path: str | Path, on_error: OnError = "stop") -> tuple[list[Query], list[Problem]]:
    """Every query of a log, and the rows that are none: queries with a "text", or interactions with a "query".

    path: a .jsonl, .csv or .parquet file
    on_error: "stop" raises at the first row that is no query; "skip" leaves it out and lists it

    Ids are `log-` and the line, since the same query may stand in many lines; it may be empty, too.
    Raises CatalogueError, also where there is no query.
    """
    source = Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} is no file. A log has a row of "text" or "query" for each query.')
    rows = rows_of(source, (), ("text", "query"))
    queries, problems = usable(rows, lambda line, row: _logged(source.name, line, row), on_error)
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one "text" a row.')
    return queries, problems


def _logged(file: str, line: int, row: dict[str, Any]) -> Query | Problem:
    text = row.get("text", row.get("query"))
    if isinstance(text, str):
        return Query(f"log-{line}", text)
    return Problem(
        file, line, "text", 'neither "text" nor "query" is a text', "Write what was typed", "no query", "row"
    )


def tidied(path: str | Path, on_error: OnError = "stop") -> Log:
    """The distinct queries of a log file, read as `read_log` does.

    Raises CatalogueError where it has none that can be used.
    """
    queries, problems = read_log(path, on_error)
    log = replace(from_log(queries), problems=tuple(problems))
    if not log.queries:
        raise CatalogueError(f"{path}: no query has a letter or a digit in it. Is this a log of queries?")
    return log


def from_log(queries: Sequence[Query]) -> Log:
    """Normalise the queries of a log and keep each once, the first of those that differ in case and spacing only."""
    kept: dict[str, Query] = {}
    wordless = shortened = 0
    for query in queries:
        text = normalised(query.text)
        short = _shortened(text)
        shortened += short != text
        if WORD.search(short):
            kept.setdefault(short.casefold(), Query(query.id, short))
        else:
            wordless += 1
    return Log(tuple(kept.values()), wordless, len(queries) - wordless - len(kept), shortened)


def normalised(text: str) -> str:
    """The text with its signs in one form (Unicode NFKC) and single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _shortened(text: str) -> str:
    """The text up to the last space within MAX_QUERY characters; where there is none, cut through."""
    if len(text) <= MAX_QUERY:
        return text
    cut = text[: MAX_QUERY + 1]
    return cut[: cut.rfind(" ")] if " " in cut else cut[:MAX_QUERY]


def split(queries: Sequence[Query], share: float, seed: int = 0) -> tuple[list[Query], list[Query]]:
    """Queries to learn from, and about this share of them held out, both in their order.

    share: in [0, 1)

    A query's side follows from its text and the seed alone, whatever else is in the log.
    """
    if not 0.0 <= share < 1.0:
        raise SettingsError(f"the share held out is in [0, 1), not {share}.")
    sides: tuple[list[Query], list[Query]] = ([], [])
    for query in queries:
        sides[_lot(query.text, seed) < share].append(query)
    return sides


def _lot(text: str, seed: int) -> float:
    """A number in [0, 1) that looks drawn, and is the same wherever the text comes up."""
    digest = hashlib.blake2b(f"{seed} {normalised(text).casefold()}".encode("utf-8", "surrogatepass"), digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / 2**53


# Queries written from listings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Queries written from listings; no two have the same terms.

    sources: the place in the corpus of the listing that each query was written from
    asked: how many queries were asked for; there are fewer where the listings have no more to say
    """

    queries: tuple[Query, ...]
    sources: tuple[int, ...]
    asked: int

    def __len__(self) -> int:
        return len(self.queries)

    def __str__(self) -> str:
        less = (
            "" if len(self) == self.asked else f"; {self.asked:,} were asked for, but the listings have no more to say"
        )
        return f"{len(self):,} queries written from {self.listings:,} listings{less}."

    @property
    def listings(self) -> int:
        """How many listings queries were written from."""
        return len(set(self.sources))

    def to_json(self) -> dict[str, int]:
        return {"asked": self.asked, "listings": self.listings}


def written(corpus: Corpus, count: int, seed: int = 0, lengths: Sequence[float] = LENGTHS) -> Written:
    """Write queries from the listings of a corpus: words that tell a listing from others, close to one another.

    count: queries, at most
    lengths: how often a query has 1, 2, ... words, in any unit; stop words between them come on top

    Listings take turns in random order. A query's first word is drawn by what it tells (`_Worth`) and by the length
    of its text, the next ones also by how near they stand to those before. Words keep the order of their text, and
    texts that of `LAST`. No query has all terms of its listing's title. Raises CatalogueError where not one can be
    written.

    Source: known-item queries drawn from a listing's own terms are Azzopardi, de Rijke and Balog, "Building simulated
    queries for known-item topics" (SIGIR 2007); worth by names, nearness and word order are our reading.
    """
    if count < 1:
        raise SettingsError(f"the number of queries is 1 or more, not {count}.")
    if not all(0 <= each < np.inf for each in lengths) or sum(lengths) == 0:
        raise SettingsError("lengths say how often a query has 1, 2, ... words: 0 or more, and not all 0.")
    chances = np.cumsum(lengths) / np.sum(lengths)
    drawn = islice(_distinct(corpus, chances, np.random.default_rng(seed)), count)
    found = list(progress(drawn, "writing queries", total=count, unit="queries"))
    if not found:
        raise CatalogueError(
            f"{corpus.catalogue.folder / corpus.catalogue.source}: no query can be written, for the listings have no "
            "words, or none but one in the title. Add descriptions or tags, or bring a query log."
        )
    queries = tuple(Query(f"w{number}", text) for number, (text, _) in enumerate(found))
    return Written(queries, tuple(source for _, source in found), count)


def lengths_of(queries: Sequence[Query]) -> list[float]:
    """How often queries have 1, 2, ... words, stop words not counted, for `written` to write queries as long.

    Raises SettingsError where no query has a word that counts.
    """
    lengths = np.bincount([len(analyse(query.text)) for query in queries], minlength=1)[1:]
    if not lengths.any():
        raise SettingsError("no query of the log has a word that is not a stop word, so it has no lengths to take.")
    return [float(each) for each in lengths]


def write_written(found: Written, corpus: Corpus, path: str | Path) -> None:
    """Write queries, one {"id", "text", "listing"} a line: what `read_queries` reads, and the listing they are of."""
    with replaced(Path(path)) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for query, source in zip(found.queries, found.sources, strict=True):
            row = {"id": query.id, "text": query.text, "listing": corpus.ids[source]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _distinct(corpus: Corpus, chances: Floats, random: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Query after query with its source, listing by listing in rounds; who has nothing new to say falls out."""
    worth = _Worth(corpus)
    pool: set[str] = set()
    left: Places = random.permutation(len(corpus))
    while len(left):
        heard = []
        for place in left:
            words = _Words.of(corpus.catalogue.listings[place], worth)
            for _ in range(TRIES if words.weights.any() else 0):
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


class _Worth:
    """How much a word tells of what is for sale: its idf, times how often listings with it name themselves by it.

    Titles and tags name a listing; a word of one or two listings is not yet trusted to name anything. Words such as
    "ideal" or "allows" are as rare in descriptions as "hood", yet no listing is called by them. This holds in any
    language, and needs no list of words.
    """

    def __init__(self, corpus: Corpus) -> None:
        names = Terms.of(" ".join([each.title, *each.tags]) for each in corpus.catalogue.listings)
        known = corpus.terms.document_frequency
        naming = np.zeros(len(known))
        naming[[corpus.terms.vocabulary[term] for term in names.words]] = names.document_frequency
        self.terms = np.log1p(len(corpus) / np.maximum(known, 1)) * (naming + NAMELESS) / (known + 2.0)
        self.vocabulary = corpus.terms.vocabulary
        self.words: dict[str, float] = {}

    def of(self, word: str) -> float:
        """The mean worth of the word's terms; 0 for a stop word."""
        if word not in self.words:
            columns = [self.vocabulary[term] for term in analyse(word) if term in self.vocabulary]
            stopped = not columns or APOSTROPHE.split(word)[0] in _function_words()
            self.words[word] = 0.0 if stopped else float(self.terms[columns].mean())
        return self.words[word]


@dataclass(frozen=True)
class _Words:
    """The words of one listing in the order of a query: its texts one after the other, `LAST` at the end.

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
    def of(cls, listing: Listing, worth: _Worth) -> _Words:
        texts = sorted(texts_of(listing), key=lambda named: LAST.index(named[0]) if named[0] in LAST else -1)
        said, steps, weights = [], [], []
        for text in (unicodedata.normalize("NFKC", text).lower() for _, text in texts):
            found = [match for match in SAID.finditer(text) if len(match.group()) <= MAX_WORD]
            gaps = [text[before.end() : after.start()] for before, after in pairwise(found)]
            said += [match.group() for match in found]
            steps += [FAR, *(1 if gap.isspace() and "\n" not in gap else BREAK for gap in gaps)][: len(found)]
            here = np.array([worth.of(match.group()) for match in found])
            weights.append(here / np.sqrt(max(len(here), 1)))
        title = frozenset(analyse(listing.title))
        pull = np.concatenate([np.zeros(0), *weights])
        if title and len(SAID.findall(unicodedata.normalize("NFKC", listing.title))) == 1:
            pull[[title <= set(analyse(word)) for word in said]] = 0.0
        return cls(said, np.cumsum(np.asarray(steps, dtype=np.float64)), pull, title)

    def draw(self, length: int, random: np.random.Generator) -> str:
        """A query of so many words, or of as many as there are; stop words between neighbours come along."""
        pull, apart = self.weights, np.full(len(self.said), FAR, dtype=np.float64)
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
        few = len(between) <= JOINING
        return between if few and unbroken and not self.weights[first + 1 : last].any() else range(0)


@cache
def _function_words() -> frozenset[str]:
    """Words that may stand within a query but not at its ends; more than those that are no terms."""
    from bm25s.stopwords import STOPWORDS_EN, STOPWORDS_EN_PLUS

    return frozenset((*STOPWORDS_EN, *STOPWORDS_EN_PLUS))


# How queries look --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Likeness:
    """What a set of queries looks like to a corpus; stop words are not counted, and every mean of nothing is 0.

    terms: per query, on average; quartiles: of the same
    idf: ln(listings / listings with the term), mean over the terms that the corpus knows
    unknown_terms: share of the terms that no listing has
    unknown_queries: share of the queries that have no term in common with any listing
    """

    queries: int
    terms: float
    quartiles: tuple[float, float, float]
    idf: float
    unknown_terms: float
    unknown_queries: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "quartiles": list(self.quartiles)}


def likeness(queries: Sequence[Query], corpus: Corpus) -> Likeness:
    """Statistics of queries, to be held beside those of other queries over the same corpus."""
    terms = corpus.terms
    lengths = np.array([len(analyse(query.text)) for query in queries])
    known = [terms.ids(query.text) for query in queries]
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *known])
    idf = np.log(len(corpus) / terms.document_frequency[columns])
    low, middle, high = np.percentile(lengths, [25, 50, 75]) if len(queries) else (0.0, 0.0, 0.0)
    return Likeness(
        queries=len(queries),
        terms=_mean(lengths),
        quartiles=(float(low), float(middle), float(high)),
        idf=_mean(idf),
        unknown_terms=float(1.0 - len(columns) / lengths.sum()) if lengths.sum() else 0.0,
        unknown_queries=_mean(np.array([len(each) == 0 for each in known])),
    )


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def render_likeness(console: Console, sets: Mapping[str, Likeness]) -> None:
    """Print sets of queries side by side, one column a set."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="How the queries look to the catalogue", title_justify="left")
    table.add_column("")
    for name in sets:
        table.add_column(escape(name), justify="right")
    rows = {
        "queries": [f"{each.queries:,}" for each in sets.values()],
        "terms per query, mean": [f"{each.terms:.2f}" for each in sets.values()],
        "terms per query, quartiles": [" / ".join(f"{each:g}" for each in one.quartiles) for one in sets.values()],
        "idf of known terms, mean": [f"{each.idf:.2f}" for each in sets.values()],
        "terms that no listing has": [f"{each.unknown_terms:.1%}" for each in sets.values()],
        "queries with no known term": [f"{each.unknown_queries:.1%}" for each in sets.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
