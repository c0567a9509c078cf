"""A corpus with a photo, shared by the tests of labelers."""

from __future__ import annotations

import pytest
from labeler_cases import (
    LISTINGS,
    make_corpus,
)
from toys import write_photos

from wares.data.corpus import Corpus


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("goods")
    write_photos(folder, LISTINGS)
    return make_corpus(*LISTINGS, folder=folder)
