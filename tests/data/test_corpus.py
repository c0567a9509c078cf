"""A corpus: the texts and terms of listings, and their problems."""

from __future__ import annotations

from pathlib import Path

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing


def test_a_corpus_has_one_text_per_listing() -> None:
    """All texts, but no price, attribute or name of a photo."""
    boots = Listing("b7", "Red boots", "For winter", ("Shoes", "Wool"), ("photo.png",), 80.0, {"size": 44.0}, "product")
    mug = Listing("a1", "Mug", description=" ", texts={"care": "Dishwasher safe"})
    corpus = Corpus(Catalogue(Path("/shop"), (boots, mug)))
    assert len(corpus) == 2
    assert corpus.ids.tolist() == ["b7", "a1"]
    assert corpus.texts == ["Red boots\nFor winter\nShoes, Wool", "Mug\nDishwasher safe"]
    assert corpus.term_counts.term_list == ["red", "boot", "for", "winter", "shoe", "wool", "mug", "dishwash", "safe"]
    assert corpus.term_counts.lengths.tolist() == [5, 3]
