"""Synthetic catalogues of any size, for benchmarks and tests of what depends on size.

`benchmarks/` and the tests of memory and vector indexes use them; no command does. Words, photos and vectors of a
listing are computed from its number: listing 7,000,000 costs as much as listing 0 and is the same in every process.

A category, a type of goods and a common word each have a vector, and the vector of a text is the sum of those of its
words. A listing has a type, popular types having most listings, and common words of its own. The vector of its photo is
that of its title plus noise, whose variance decays over dimensions as in trained embeddings. So vectors are clustered
at two levels, the vector of a two-word query is not near any listing, and the target listing of a query is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.data.listings import Catalogue, Listing, Query
from wares.data.views import photo_views, text_views
from wares.encoders.features import Embeddings
from wares.encoders.fusion import FusedEmbeddings, fuse
from wares.encoders.settings import Fusion
from wares.shop.content_diff import content_hashes
from wares.shop.table import EmbeddedListings, round_to_float16

if TYPE_CHECKING:
    from wares.data.listings import OnError


CATEGORY_COUNT, TYPE_COUNT, COMMON_WORD_COUNT = 60, 3_000, 20_000  # vocabulary size of each kind
COMMON_WORDS_PER_TITLE = 3  # besides category and type
WORD_VECTOR_LENGTHS = {"category": 1.0, "type": 1.4, "common": 0.5}  # norms of word vectors
PHOTO_NOISE = 0.6  # norm of the noise added to the unit vector of the title
SPECTRUM_DECAY = 0.5  # dimension i has i ** -SPECTRUM_DECAY of the scale of the first
COLOURS = ("black", "white", "red", "blue", "green", "grey", "beige", "pink", "brown", "gold", "silver", "other")
TYPE_STREAM, PRICE_STREAM, POPULARITY_STREAM, SECOND_WORD_STREAM, COLOUR_STREAM, WORD_STREAM = range(
    6
)  # streams of random numbers
Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SyntheticCatalogue:
    """A catalogue whose listings are computed when they are read.

    listing_count: number of listings; changed: range of listings with other words than before a change
    """

    listing_count: int
    photos_per_listing: int = 2
    changed: range = field(default=range(0))

    def __len__(self) -> int:
        return self.listing_count

    @property
    def folder(self) -> Path:
        """Folder in the paths of photos, which do not exist."""
        return Path("/synthetic")

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """Yield catalogues of `size` listings."""
        for start in range(0, self.listing_count, size):
            yield self._part(np.arange(start, min(start + size, self.listing_count)))

    def read(self) -> Catalogue:
        """Return the catalogue of all listings."""
        return self._part(np.arange(self.listing_count))

    def queries(self, count: int) -> tuple[list[Query], list[str]]:
        """Return a log of queries, and the id of the target listing of each; popular listings are targets more often.

        A query is the word of the target's type and one of its common words.
        """
        numbers, vocabulary = np.arange(count), _vocabulary()
        listings = (self.listing_count * _uniform(numbers, POPULARITY_STREAM) ** 3).astype(np.int64)
        words = self._words(listings)
        second = words[numbers, 2 + (COMMON_WORDS_PER_TITLE * _uniform(numbers, SECOND_WORD_STREAM)).astype(np.int64)]
        pairs = zip(words[:, 1].tolist(), second.tolist(), strict=True)
        queries = [Query(f"q{i}", f"{vocabulary[type]} {vocabulary[common]}") for i, (type, common) in enumerate(pairs)]
        return queries, [_id(number) for number in listings]

    def _part(self, numbers: Integers) -> Catalogue:
        prices = np.round(np.exp(2 + 4 * _uniform(numbers, PRICE_STREAM)), 2).tolist()
        colours = (len(COLOURS) * _uniform(numbers, COLOUR_STREAM)).astype(np.int64)
        rows = zip(numbers.tolist(), self._words(numbers), prices, colours, strict=True)
        return Catalogue(self.folder, tuple(self._listing(*row) for row in rows))

    def _listing(self, number: int, words: Integers, price: float, colour: int) -> Listing:
        title = [_vocabulary()[word] for word in words]
        return Listing(
            _id(number),
            " ".join(title),
            description=f"{title[0]} {title[1]} in {COLOURS[colour]}",
            images=tuple(f"{number}-{view}.jpg" for view in range(self.photos_per_listing)),
            price=price,
            attributes={"colour": COLOURS[colour]},
        )

    def _words(self, numbers: Integers) -> Integers:
        """(n, 5) word numbers of titles: category, type, and common words."""
        is_changed = (numbers >= self.changed.start) & (numbers < self.changed.stop)
        type = (TYPE_COUNT * _uniform(numbers, TYPE_STREAM) ** 2).astype(np.int64)
        draws = [
            np.where(
                is_changed,
                _uniform(numbers, WORD_STREAM + COMMON_WORDS_PER_TITLE + i),
                _uniform(numbers, WORD_STREAM + i),
            )
            for i in range(COMMON_WORDS_PER_TITLE)
        ]
        common = [(COMMON_WORD_COUNT * draw**3).astype(np.int64) + CATEGORY_COUNT + TYPE_COUNT for draw in draws]
        return np.stack([type % CATEGORY_COUNT, CATEGORY_COUNT + type, *common], axis=1)


@dataclass(frozen=True)
class SyntheticTowers:
    """Towers whose vectors are computed from words and photo names: both model and encoder of a shop."""

    dimension: int = 256
    fusion: Fusion = field(default_factory=Fusion)

    @property
    def identity(self) -> str:
        """Digest of the model."""
        return f"synthetic-{self.dimension}"

    def save(self, folder: Path) -> None:
        """Write the identity, which is all of the model."""
        folder.mkdir(parents=True)
        (folder / "synthetic.txt").write_text(self.identity + "\n", encoding="utf-8")

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors of texts, the sums of their word vectors; unknown words are ignored."""
        words = [[_word_numbers()[word] for word in text.split() if word in _word_numbers()] or [0] for text in texts]
        starts = np.cumsum([0, *map(len, words[:-1])])
        return _unit(np.add.reduceat(self._word_vectors[[word for row in words for word in row]], starts))

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors of photos, computed from their file names."""
        photo_numbers = _photo_numbers([path.name for path in paths])
        return self._photo_vectors(
            self.encode_texts([listing.title for listing in SyntheticCatalogue(0)._part(photo_numbers[:, 0]).listings]),
            photo_numbers,
        )

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        """Return the embeddings of all views, and the fused embeddings."""
        photos, texts = photo_views(catalogue), text_views(catalogue)
        text_vectors = self.encode_texts(texts.items)
        photo_numbers = _photo_numbers(photos.items)
        titles = text_vectors[texts.offsets[:-1]]
        embeddings = round_to_float16(
            Embeddings(photos, self._photo_vectors(titles[photos.owners], photo_numbers), texts, text_vectors)
        )
        return embeddings, fuse(embeddings, self.fusion)

    def chunks(self, catalogue: SyntheticCatalogue, size: int) -> Iterator[EmbeddedListings]:
        """Yield the listings with their vectors, for `wares.shop.build.write_shop`."""
        for part in catalogue.chunks(size):
            yield EmbeddedListings(part, *self.encode_listings(part, "stop"), content_hashes(part))

    def _photo_vectors(self, titles: Vectors, photo_numbers: Integers) -> Vectors:
        """(n, d) vectors of photos. titles: (n, d) of their listings; photo_numbers: (n, 2) of `_photo_numbers`"""
        cells = (100 * photo_numbers[:, :1] + photo_numbers[:, 1:]) * self.dimension + np.arange(self.dimension)
        noise = (2 * _uniform(cells, WORD_STREAM + 2 * COMMON_WORDS_PER_TITLE).astype(np.float32) - 1) * self._spectrum
        return _unit(titles + PHOTO_NOISE * _unit(noise))

    @cached_property
    def _spectrum(self) -> Vectors:
        return np.arange(1, self.dimension + 1, dtype=np.float32) ** -SPECTRUM_DECAY

    @cached_property
    def _word_vectors(self) -> Vectors:
        """(W, d) vectors of the vocabulary."""
        normal = np.random.default_rng(0).normal(size=(len(_vocabulary()), self.dimension)).astype(np.float32)
        lengths = np.repeat(
            np.array(list(WORD_VECTOR_LENGTHS.values()), dtype=np.float32),
            [CATEGORY_COUNT, TYPE_COUNT, COMMON_WORD_COUNT],
        )
        return lengths[:, None] * _unit(normal * self._spectrum)


@cache
def _vocabulary() -> tuple[str, ...]:
    """All words: of categories, of types, and common ones."""
    syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
    numbers = np.random.default_rng(0).choice(
        len(syllables) ** 3, CATEGORY_COUNT + TYPE_COUNT + COMMON_WORD_COUNT, replace=False
    )
    return tuple("".join(syllables[number // 70**digit % 70] for digit in range(3)) for number in numbers.tolist())


@cache
def _word_numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(_vocabulary())}


def _photo_numbers(names: Sequence[str]) -> Integers:
    """(n, 2) number of the listing, and index of the photo in it."""
    numbers = [name.removesuffix(".jpg").split("-") for name in names]
    return np.array(numbers, dtype=np.int64).reshape(-1, 2)


def _id(number: int) -> str:
    return f"g{number:09d}"


def _uniform(numbers: Integers, stream: int) -> npt.NDArray[np.float64]:
    """Pseudorandom numbers in [0, 1), each a hash of its number and the stream (SplitMix64)."""
    salt = np.uint64((stream + 1) * 0xD1B54A32D192ED03 % 2**64)
    bits = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((bits ^ (bits >> np.uint64(31))) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
