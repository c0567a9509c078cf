"""What sellers write, phrase by phrase. Read from phrases.toml."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic.dataclasses import dataclass

from wares.samples.palette import Words
from wares.samples.tables import CHECKED, read_table


@dataclass(frozen=True, config=CHECKED)
class TitlePhrases:
    """Parts of a title, in the order in which they are written."""

    openers: Words
    vague_nouns: Words
    sizes: Words
    joins: Words
    closers: Words
    endings: Words


@dataclass(frozen=True, config=CHECKED)
class DescriptionPhrases:
    """Sentences of a description: on each attribute, on the fit, on other items, on anything else."""

    sentences: Mapping[str, Words]
    fit: Words
    other_items: Words
    boilerplate: Words


@dataclass(frozen=True, config=CHECKED)
class TagPhrases:
    """Tags that say nothing of the item."""

    noise: Words


@dataclass(frozen=True, config=CHECKED)
class ListingPhrases:
    """Values of the listing's attributes."""

    conditions: Words
    places: Words


@dataclass(frozen=True, config=CHECKED)
class SellerNames:
    """Halves of sellers' names."""

    first: Words
    second: Words


@dataclass(frozen=True, config=CHECKED)
class Phrases:
    """All of phrases.toml."""

    title: TitlePhrases
    description: DescriptionPhrases
    tags: TagPhrases
    listing: ListingPhrases
    sellers: SellerNames


PHRASES = read_table("phrases.toml", Phrases)
