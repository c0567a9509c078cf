"""Shops of any size that nobody has: listings whose words, photos and vectors are computed from their numbers.

For measuring what depends on size. A category, a type of goods and a common word each have a vector, and that of a
text is the sum of its words'. A listing is of a type, popular types having most of the listings, and has words of its
own; the vector of its photo is that of its words with noise, which decays over directions as it does in trained
embeddings. So listings lie in clouds within clouds, a query of two words lies off to the side of what it asks for, as
texts do of photos, and which listing it was written for is known.

Nothing is drawn in order: listing 7,000,000 costs what listing 0 does, and is the same in every process.
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
from wares.shop.content import content_hashes
from wares.shop.table import EmbeddedListings, round_to_float16

if TYPE_CHECKING:
    from wares.data.listings import OnError


CATEGORY_COUNT, TYPE_COUNT, COMMON_WORD_COUNT = 60, 3_000, 20_000  # words of each sort
COMMON_WORDS_PER_TITLE = 3  # common words in a title
WORD_VECTOR_LENGTHS = {"category": 1.0, "type": 1.4, "common": 0.5}  # of the words' vectors
PHOTO_NOISE = 0.6  # length of a photo's noise beside the unit vector of its listing's words
SPECTRUM_DECAY = 0.5  # direction i of a vector is i ** -DECAY of the first
COLOURS = ("black", "white", "red", "blue", "green", "grey", "beige", "pink", "brown", "gold", "silver", "other")
TYPE_STREAM, PRICE_STREAM, POPULARITY_STREAM, SECOND_WORD_STREAM, COLOUR_STREAM, WORD_STREAM = range(
    6
)  # what a number is drawn for
Vectors = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SyntheticCatalogue:
    """So many listings, as a catalogue that is computed where it is read.

    photos_per_listing: of each listing; changed: listings whose words are others than they were
    """

    listing_count: int
    photos_per_listing: int = 2
    changed: range = field(default=range(0))

    def __len__(self) -> int:
        return self.listing_count

    @property
    def folder(self) -> Path:
        """Where the photos would be."""
        return Path("/clouds")

    def chunks(self, size: int) -> Iterator[Catalogue]:
        """So many listings at a time."""
        for start in range(0, self.listing_count, size):
            yield self._part(np.arange(start, min(start + size, self.listing_count)))

    def read(self) -> Catalogue:
        """All of them."""
        return self._part(np.arange(self.listing_count))

    def queries(self, count: int) -> tuple[list[Query], list[str]]:
        """A log of queries, popular listings coming more often, and the id of the listing that each was written for.

        A query is the word of the listing's type and one of its common words.
        """
        numbers, said = np.arange(count), _vocabulary()
        listings = (self.listing_count * _uniform(numbers, POPULARITY_STREAM) ** 3).astype(np.int64)
        words = self._words(listings)
        second = words[numbers, 2 + (COMMON_WORDS_PER_TITLE * _uniform(numbers, SECOND_WORD_STREAM)).astype(np.int64)]
        pairs = zip(words[:, 1].tolist(), second.tolist(), strict=True)
        queries = [Query(f"q{i}", f"{said[kind]} {said[own]}") for i, (kind, own) in enumerate(pairs)]
        return queries, [_id(place) for place in listings]

    def _part(self, places: Integers) -> Catalogue:
        prices = np.round(np.exp(2 + 4 * _uniform(places, PRICE_STREAM)), 2).tolist()
        colours = (len(COLOURS) * _uniform(places, COLOUR_STREAM)).astype(np.int64)
        rows = zip(places.tolist(), self._words(places), prices, colours, strict=True)
        return Catalogue(self.folder, tuple(self._listing(*row) for row in rows))

    def _listing(self, place: int, words: Integers, price: float, colour: int) -> Listing:
        said = [_vocabulary()[word] for word in words]
        return Listing(
            _id(place),
            " ".join(said),
            description=f"{said[0]} {said[1]} in {COLOURS[colour]}",
            images=tuple(f"{place}-{view}.jpg" for view in range(self.photos_per_listing)),
            price=price,
            attributes={"colour": COLOURS[colour]},
        )

    def _words(self, places: Integers) -> Integers:
        """(n, 5) the words of titles: category, type, and common ones."""
        anew = (places >= self.changed.start) & (places < self.changed.stop)
        type = (TYPE_COUNT * _uniform(places, TYPE_STREAM) ** 2).astype(np.int64)
        draws = [
            np.where(
                anew, _uniform(places, WORD_STREAM + COMMON_WORDS_PER_TITLE + i), _uniform(places, WORD_STREAM + i)
            )
            for i in range(COMMON_WORDS_PER_TITLE)
        ]
        own = [(COMMON_WORD_COUNT * draw**3).astype(np.int64) + CATEGORY_COUNT + TYPE_COUNT for draw in draws]
        return np.stack([type % CATEGORY_COUNT, CATEGORY_COUNT + type, *own], axis=1)


@dataclass(frozen=True)
class SyntheticTowers:
    """What makes the vectors of clouds: the model of their shop, and its encoder."""

    dimension: int = 256
    fusion: Fusion = field(default_factory=Fusion)

    @property
    def identity(self) -> str:
        """Tells these vectors from others."""
        return f"clouds-{self.dimension}"

    def save(self, folder: Path) -> None:
        """Nothing has to be kept but that."""
        folder.mkdir(parents=True)
        (folder / "clouds.txt").write_text(self.identity + "\n", encoding="utf-8")

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors of texts: the sums of their words'; other words than clouds have count for nothing."""
        words = [[_numbers()[word] for word in text.split() if word in _numbers()] or [0] for text in texts]
        starts = np.cumsum([0, *map(len, words[:-1])])
        return _unit(np.add.reduceat(self._of_words[[word for row in words for word in row]], starts))

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors of photos, which are told by their names."""
        found = _of_photos([path.name for path in paths])
        return self._photos(
            self.encode_texts([listing.title for listing in SyntheticCatalogue(0)._part(found[:, 0]).listings]), found
        )

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        """The views of listings, and what they fuse to."""
        photos, texts = photo_views(catalogue), text_views(catalogue)
        of_texts = self.encode_texts(texts.items)
        found = _of_photos(photos.items)
        titles = of_texts[texts.offsets[:-1]]
        embeddings = round_to_float16(Embeddings(photos, self._photos(titles[photos.owners], found), texts, of_texts))
        return embeddings, fuse(embeddings, self.fusion)

    def chunks(self, catalogue: SyntheticCatalogue, size: int) -> Iterator[EmbeddedListings]:
        """The listings with their vectors, for `wares.shop.build.write_shop`."""
        for part in catalogue.chunks(size):
            yield EmbeddedListings(part, *self.encode_listings(part, "stop"), content_hashes(part))

    def _photos(self, titles: Vectors, found: Integers) -> Vectors:
        """titles: (n, d) of the photos' listings; found: (n, 2) listing and place of each photo"""
        cells = (100 * found[:, :1] + found[:, 1:]) * self.dimension + np.arange(self.dimension)
        noise = (2 * _uniform(cells, WORD_STREAM + 2 * COMMON_WORDS_PER_TITLE).astype(np.float32) - 1) * self._spectrum
        return _unit(titles + PHOTO_NOISE * _unit(noise))

    @cached_property
    def _spectrum(self) -> Vectors:
        return np.arange(1, self.dimension + 1, dtype=np.float32) ** -SPECTRUM_DECAY

    @cached_property
    def _of_words(self) -> Vectors:
        """(W, d) vectors of all words."""
        drawn = np.random.default_rng(0).normal(size=(len(_vocabulary()), self.dimension)).astype(np.float32)
        lengths = np.repeat(
            np.array(list(WORD_VECTOR_LENGTHS.values()), dtype=np.float32),
            [CATEGORY_COUNT, TYPE_COUNT, COMMON_WORD_COUNT],
        )
        return lengths[:, None] * _unit(drawn * self._spectrum)


@cache
def _vocabulary() -> tuple[str, ...]:
    """Words that can be said: those of categories, of types, and common ones."""
    syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
    numbers = np.random.default_rng(0).choice(
        len(syllables) ** 3, CATEGORY_COUNT + TYPE_COUNT + COMMON_WORD_COUNT, replace=False
    )
    return tuple("".join(syllables[number // 70**place % 70] for place in range(3)) for number in numbers.tolist())


@cache
def _numbers() -> dict[str, int]:
    return {word: number for number, word in enumerate(_vocabulary())}


def _of_photos(names: Sequence[str]) -> Integers:
    """(n, 2) listing and place in it of each photo."""
    numbers = [name.removesuffix(".jpg").split("-") for name in names]
    return np.array(numbers, dtype=np.int64).reshape(-1, 2)


def _id(place: int) -> str:
    return f"g{place:09d}"


def _uniform(numbers: Integers, drawn_for: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that look random, each by its own number and what it is drawn for alone (SplitMix64)."""
    salt = np.uint64((drawn_for + 1) * 0xD1B54A32D192ED03 % 2**64)
    bits = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + salt
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((bits ^ (bits >> np.uint64(31))) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
