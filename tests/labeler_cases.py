"""A small corpus, queries and strategies for tests of labelers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.scoring import Labels

WORDS = ["red", "boot", "wool", "mug", "lamp", "desk"]
DOCUMENTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join), min_size=1, max_size=6)
QUERY_TEXTS = st.lists(st.lists(st.sampled_from([*WORDS, "green"]), max_size=5).map(" ".join), min_size=1, max_size=3)

LISTINGS = (
    Listing("boots", "Red leather boots", "Warm boots for winter", ("Shoes",), ("boots-red.png",)),
    Listing("sandals", "Leather sandals", "For the beach", ("Shoes",)),
    Listing("scarf", "Red wool scarf", "", ("Wool",)),
    Listing("mug", "Coffee mug", "A mug, dishwasher safe, for coffee and for tea"),
    Listing("sign", "!!!"),
    Listing("valenki", "Валенки", "Красные ботинки"),
    Listing("lamp", "Desk lamp", "Brass lamp with a warm light"),
)
QUERIES = [
    Query(f"q{index}", text) for index, text in enumerate(["red boots", "warm", "coffee mug", "leather leather"])
]


def make_corpus(*listings: Listing, folder: Path = Path("/shop")) -> Corpus:
    return Corpus(Catalogue(folder, listings))


def corpus_of_titles(*texts: str) -> Corpus:
    return make_corpus(*(Listing(str(index), text) for index, text in enumerate(texts)))


def make_queries(*texts: str) -> list[Query]:
    return [Query(f"q{index}", text) for index, text in enumerate(texts)]


def all_listings(queries: Sequence[Query], corpus: Corpus) -> npt.NDArray[np.int64]:
    """Every listing, for every query."""
    return np.tile(np.arange(len(corpus)), (len(queries), 1))


def assert_same_labels(one: Labels, other: Labels) -> None:
    np.testing.assert_array_equal(one.listings, other.listings)
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5, atol=1e-6)
