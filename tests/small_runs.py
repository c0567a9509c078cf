"""Small supervision runs: a tiny corpus, queries, and settings that train in no time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tiny_models import WORDS, named

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.settings import SuperviseSettings

QUERIES = [Query(str(i), f"{one} {other}") for i, (one, other) in enumerate(pairwise(WORDS))]
PAIRS = [(one, two) for i, one in enumerate(WORDS) for two in WORDS[i + 1 :]]
TESTS = [Query("t1", "red wool"), Query("t2", "winter")]
BASELINES = ("bm25", "query-likelihood")  # in place of those that need pretrained towers


def small_corpus(folder: Path) -> Corpus:
    """Fifteen listings of three words, two of them in the title."""
    words = [[WORDS[(i * step) % len(WORDS)] for step in (1, 2, 4)] for i in range(len(WORDS))]
    words += [[WORDS[i], WORDS[i + 1], WORDS[i + 3]] for i in range(6)]
    listings = [
        Listing(f"l{i}", " ".join(each[:2]), " ".join(each[1:]), (), (), None, {}) for i, each in enumerate(words)
    ]
    return Corpus(Catalogue(folder, tuple(listings)))


def small_settings(shelf: Path) -> SuperviseSettings:
    """Two weak labelers and two rankers that train in no time. shelf: folder of tiny published models"""
    towers = named("pair", shelf)
    return SuperviseSettings(
        labelers=("bm25", "query-likelihood(mu=10)"),
        rankers=(f"static(towers={towers!r})", f"dense(towers={towers!r})"),
        rounds=2,
        depth=5,
        random_candidates=3,
        stop_overlap=1.0,
        training=RankerTrainingSettings(epochs=2),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the round records, which hold times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "round.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
