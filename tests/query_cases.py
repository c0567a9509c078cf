"""Small corpora and query logs, and words that people type, for the tests of queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query

WORDS = [
    *("red", "boots", "boot", "mug", "the", "of", "your", "it's", "it's-a", "men's", "42", "x"),
    *("красный", "靴子", "🍕"),
]
anything = st.text(max_size=40) | st.sampled_from(WORDS)


def corpus(*listings: Listing) -> Corpus:
    return Corpus(Catalogue(Path("/shop"), listings))


def titles(*texts: str) -> Corpus:
    return corpus(*(Listing(str(place), text) for place, text in enumerate(texts)))


def texts(queries: Sequence[Query]) -> list[str]:
    return [query.text for query in queries]


def log(*texts: str) -> list[Query]:
    return [Query(f"q{place}", text) for place, text in enumerate(texts)]
