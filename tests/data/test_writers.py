"""Writers of listings: every listing is read as it was written, in every format."""

from __future__ import annotations

from pathlib import Path

from catalogue_files import IDS, NONBLANK_TEXTS, TEXTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wares.data.catalogue import read_catalogue
from wares.data.formats import FILE_SUFFIXES
from wares.data.listings import Listing
from wares.data.writers import write_listings

numbers = st.floats(allow_nan=False, allow_infinity=False)
attributes = st.dictionaries(st.text(max_size=10), st.one_of(TEXTS, st.booleans(), numbers, st.lists(TEXTS)))
photos = st.lists(st.sampled_from(["photos/a.jpg", "photos/b.jpg", "photos/c.jpg"]), unique=True)


@st.composite
def catalogues(draw: st.DrawFn) -> list[Listing]:
    """Listings with every field at its most inconvenient, over photos that are there."""
    return [
        Listing(
            id=id,
            title=draw(NONBLANK_TEXTS),
            description=draw(TEXTS),
            tags=tuple(draw(st.lists(NONBLANK_TEXTS, max_size=3))),
            images=tuple(draw(photos)),
            price=draw(st.none() | st.floats(0, allow_nan=False, allow_infinity=False)),
            attributes=draw(attributes),
            product=draw(st.none() | IDS),
            texts=draw(st.dictionaries(st.sampled_from(["care", "reviews"]), NONBLANK_TEXTS, max_size=2)),
        )
        for id in draw(st.lists(IDS, min_size=1, max_size=5, unique=True))
    ]


@given(listings=catalogues(), suffix=st.sampled_from(FILE_SUFFIXES))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_listings_are_read_back(folder: Path, listings: list[Listing], suffix: str) -> None:
    path = folder / f"listings{suffix}"
    write_listings(listings, path)
    fields = sorted({name for listing in listings for name in listing.texts})
    catalogue = read_catalogue(path, text_fields=fields)
    assert catalogue.listings == tuple(listings)
    spaced = [listing.id for listing in listings if listing.id.split() != [listing.id]]
    noted = [(problem.kind, problem.severity) for problem in catalogue.problems]
    assert noted == [("id with spaces", "note")][: len(spaced)]
    assert [file.name for file in folder.iterdir() if file.name.endswith(".part")] == []
