"""The word index of a shop: by eye, against the labeler `bm25`, and against a fresh build after any changes."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from copy import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import Toys, toy_shop

from wares.data.corpus import Corpus
from wares.data.listings import Catalogue, Listing, Query
from wares.data.terms import analyse
from wares.ranking.labelers.bm25 import BM25
from wares.shop import word_index as module
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.sync import update_shop
from wares.shop.table import open_table
from wares.shop.update import delete, optimize, read_listings, upsert
from wares.shop.versions import list_versions, roll_back
from wares.shop.word_index import WORD_INDEX_FILE, WordScores, build_word_index, read_word_index

WORDS = ["red", "boots", "the", "IT", "wool", "mug", "lamp", "Hermès", "C++", "desk"]
QUERIES = ["red boots", "the wool mug", "the IT", "zebra lamp red", "hermes red red boots c++ desk", "zebra", "?!"]


def listings_at(seed: int, count: int, prefix: str = "") -> list[Listing]:
    """Listings of some words with ids in no order."""
    random = np.random.default_rng(seed)
    ids = random.permutation(3 * count)[:count]
    return [Listing(f"{prefix}{id}", " ".join(random.choice(WORDS, random.integers(1, 9)))) for id in ids]


def listings_of(shop: Shop) -> list[Listing]:
    ids = sorted(shop.table.search().select(["id"]).limit(10_000).to_arrow()["id"].to_pylist())
    return list(read_listings(shop, ids).values())


def assert_fresh(shop: Shop) -> None:
    """The index of the shop is that of its present listings, and scores as the labeler does, to the last bit."""
    index, listings = shop.word_index, listings_of(shop)
    assert index.ids.to_pylist() == [listing.id for listing in listings]
    assert len(index) == len(listings)
    rows = shop.table.search().select(["id"]).with_row_id(True).limit(10_000).to_arrow()
    row_ids = dict(zip(rows["id"].to_pylist(), rows["_rowid"].to_pylist(), strict=True))
    assert index.row_ids.tolist() == [row_ids[listing.id] for listing in listings]
    corpus = Corpus(Catalogue(Path("/shop"), tuple(listings)))
    everything = np.tile(np.arange(len(corpus)), (len(QUERIES), 1))
    scores = np.nan_to_num(BM25().fit(corpus).score([Query(text, text) for text in QUERIES], everything))
    fresh = build_word_index(shop.table)
    for text, expected in zip(QUERIES, scores, strict=True):
        words = index.scores(text)
        assert words.indices.tolist() == np.flatnonzero(expected).tolist()
        np.testing.assert_array_equal(words.scores, expected[words.indices])
        np.testing.assert_array_equal(words.coverage, fresh.scores(text).coverage)
        np.testing.assert_allclose(words.coverage, coverage(corpus, text)[words.indices], rtol=1e-6)
        assert words.count == len(listings)
    assert index.terms.lengths.tolist() == corpus.term_counts.lengths.tolist()


def coverage(corpus: Corpus, text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of the query's idf that each text has, from the definition."""
    terms, query = corpus.term_counts, Counter(analyse(text))

    def idf(term: str) -> float:
        frequency = terms.document_frequency[terms.vocabulary[term]] if term in terms.vocabulary else 0
        return math.log(1 + (len(corpus) - frequency + 0.5) / (frequency + 0.5))

    total = sum(count * idf(term) for term, count in query.items())
    counts = terms.counts.toarray()
    has = {term: counts[:, terms.vocabulary[term]] > 0 if term in terms.vocabulary else False for term in query}
    covered = [count * idf(term) * np.asarray(has[term]) for term, count in query.items()]
    return np.asarray(np.broadcast_to(sum(covered, np.zeros(len(corpus))), len(corpus)) / (total or 1.0))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return toy_shop(tmp_path_factory.mktemp("words"), listings_at(3, 30), chunk=30)


# By eye


def test_scores_and_coverage_by_eye(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path, [Listing("c", "red boots"), Listing("a", "red mug"), Listing("b", "wool")])
    words = shop.word_index.scores("red boots")
    assert shop.word_index.ids.to_pylist() == ["a", "b", "c"]
    assert words.indices.tolist() == [0, 2]
    common, rare = math.log(1 + 1.5 / 2.5), math.log(1 + 2.5 / 1.5)
    norm = 1 + 1.2 * (0.25 + 0.75 * 2 / (5 / 3))
    assert words.scores.tolist() == pytest.approx([common / norm, (common + rare) / norm])
    assert words.coverage.tolist() == [pytest.approx(common / (common + rare)), 1.0]
    unknown = math.log(1 + 3.5 / 0.5)
    assert shop.word_index.scores("red zebra").coverage.tolist() == pytest.approx([common / (common + unknown)] * 2)
    assert len(shop.word_index.scores("zebra").indices) == 0


def test_every_product_word_finds_its_listing(tmp_path: Path) -> None:
    """Stop words alone, sizes, accents left out, long words of other scripts, decomposed letters."""
    titles = [
        "Hermès silk scarf", "Bouclé armchair", "Macramé wall hanging", "Down jacket", "T-shirt size M", "Can opener",
        "Off-white sneakers", "White sneakers", unicodedata.normalize("NFD", "Kühltasche"), "IT manual", "C++ primer",
        "ステンレス製急須日本製ティーポット", "электроинструментальный набор", "Women's boots",
    ]  # fmt: skip
    shop = toy_shop(tmp_path, [Listing(title, title) for title in titles], chunk=20)
    queries = {
        "hermes": 0, "boucle armchair": 1, "macrame": 2, "down": 3, "M": 4, "can": 5, "off-white sneakers": 6,
        "kühltasche": 8, "Kuhltasche": 8, "IT": 9, "c++": 10, "ステンレス製急須日本製ティーポット": 11,
        "электроинструментальный": 12, "womens": 13, "women": 13,
    }  # fmt: skip
    for text, title in queries.items():
        assert search(shop, text, system="bm25")[0].id == titles[title], text
    assert search(shop, "s", system="bm25") == []


@given(st.lists(st.integers(1, 4), max_size=30), st.integers(0, 35))
def test_the_best_are_the_first_of_a_stable_sort(scores: list[int], k: int) -> None:
    some = np.asarray(scores, dtype=np.float32)
    words = WordScores(np.arange(len(scores)), some, some, len(scores))
    assert words.best(k).tolist() == np.argsort(-some, kind="stable")[:k].tolist()


# Changes


@pytest.mark.parametrize("allowed_changes", [0, 10, 1_000], ids=["always merged", "sometimes merged", "never merged"])
@pytest.mark.parametrize("seed", range(2))
def test_after_any_changes_the_index_is_that_of_a_fresh_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, allowed_changes: int
) -> None:
    """In the shop that was changed, in one that is refreshed now and then, and in one that is opened."""
    monkeypatch.setattr(module, "ALLOWED_CHANGES", allowed_changes)
    monkeypatch.setattr(module, "MAX_CHANGED_FRACTION", 0.0)
    monkeypatch.setattr(module, "READ_ROWS", 3)
    random = np.random.default_rng(seed)
    shop = toy_shop(tmp_path, listings_at(seed, 20), chunk=20)
    other = open_shop(shop.path, Toys())
    assert_fresh(shop)
    for step in range(12):
        present = [listing.id for listing in listings_of(shop)]
        change = random.choice(["insert", "replace", "delete", "optimize"], p=[0.3, 0.3, 0.25, 0.15])
        if change == "insert":
            upsert(shop, listings_at(100 * seed + step, 4, "new"))
        elif change == "replace":
            some = random.choice(present, 3, replace=False)
            upsert(shop, [Listing(str(id), " ".join(random.choice(WORDS, 4)), price=float(step)) for id in some])
        elif change == "delete":
            delete(shop, map(str, random.choice(present, 3, replace=False)))
        else:
            optimize(shop)
        assert_fresh(shop)
        if random.random() < 0.4:
            other.refresh()
            assert_fresh(other)
    other.refresh()
    assert_fresh(other)
    assert_fresh(open_shop(shop.path, Toys()))


def test_all_listings_deleted_and_new_ones(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path, listings_at(0, 5))
    delete(shop, [listing.id for listing in listings_of(shop)])
    assert (len(shop.word_index), len(shop.word_index.scores("red").indices)) == (0, 0)
    assert search(shop, "red", system="bm25") == []
    upsert(shop, listings_at(1, 3))
    assert_fresh(shop)


def test_a_snapshot_keeps_its_version(tmp_path: Path) -> None:
    """Also where the shop that it is a copy of has loaded another."""
    shop = toy_shop(tmp_path, [Listing("a", "red boots"), Listing("b", "wool")])
    snapshot = copy(shop)
    upsert(shop, [Listing("c", "red lamp")])
    assert shop.word_index.scores("red").count == 3
    assert snapshot.word_index.scores("red").count == 2
    assert shop.word_index.ids.to_pylist() == ["a", "b", "c"]
    assert_fresh(snapshot)


def test_equal_texts_have_equal_scores_whenever_they_came(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path, [Listing(f"old{i}", "red mug", "for tea") for i in range(3)])
    upsert(shop, [Listing(f"new{i}", "red mug", "for tea") for i in range(40)])
    at_once = search(shop, "red mug", system="bm25", k=43)
    assert len({hit.score for hit in at_once}) == 1
    optimize(shop)
    assert search(open_shop(shop.path, Toys()), "red mug", system="bm25", k=43) == at_once


def test_an_update_ranks_as_a_fresh_build_and_a_roll_back_as_before(tmp_path: Path) -> None:
    """Replaced rows count no more, neither in the order nor in the copy that was kept."""
    first = [Listing(f"d{i:02}", f"summer shirt model{i}") for i in range(50)] + [Listing("a", "summer hat")]
    second = [Listing(listing.id, listing.title.removeprefix("summer ")) for listing in first[:-1]] + first[-1:]
    second += [Listing("b", "wool dress"), Listing("c", "silk dress")]
    shop = toy_shop(tmp_path, first, chunk=60)
    before = search(shop, "summer dress", system="bm25", k=60)
    update_shop(shop, Catalogue(shop.catalogue_folder, tuple(second)))
    fresh = toy_shop(tmp_path / "fresh", second, chunk=60)
    after = search(shop, "summer dress", system="bm25", k=60)
    assert [(hit.id, hit.score) for hit in after] == [
        (hit.id, hit.score) for hit in search(fresh, "summer dress", system="bm25", k=60)
    ]
    assert after[0].id == "a"
    upsert(shop, [Listing("e", "summer dress")])
    _, previous = list_versions(shop.path)
    roll_back(shop.path, previous.name)
    assert search(open_shop(shop.path, Toys()), "summer dress", system="bm25", k=60) == before


def test_rows_that_only_moved_are_not_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = toy_shop(tmp_path, listings_at(0, 20))
    upsert(shop, [Listing("new", "red wool")])
    other = open_shop(shop.path, Toys())
    before = set(other.word_index.row_ids.tolist())
    optimize(shop)
    other.refresh()
    monkeypatch.setattr(module, "count_terms", lambda *_: pytest.fail("texts were counted"))
    moved = other.word_index
    assert before.isdisjoint(moved.row_ids.tolist())
    monkeypatch.undo()
    assert_fresh(other)


# The file


def test_a_build_and_optimize_save_the_index(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path, listings_at(0, 20))
    saved = read_word_index(shop.build_folder)
    assert saved is not None
    assert saved.version == shop.table.version
    upsert(shop, listings_at(1, 5, "new"))
    optimize(shop)
    saved = read_word_index(shop.build_folder)
    assert saved is not None
    assert (saved.version, saved.ids) == (shop.table.version, shop.word_index.ids)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "indices"])
def test_a_missing_or_damaged_file_is_counted_again(tmp_path: Path, damage: str) -> None:
    shop = toy_shop(tmp_path, listings_at(0, 20))
    file = shop.build_folder / WORD_INDEX_FILE
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "indices":
        saved = build_word_index(shop.table)
        saved.base.terms.counts.indices[0] = 10_000
        module.write_word_index(saved, shop.build_folder)
    elif damage != "missing":
        random = np.random.default_rng(0)
        damaged: dict[str, bytes | bytearray] = {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "noise": random.bytes(len(content)),
        }
        file.write_bytes(damaged[damage])
    assert read_word_index(shop.build_folder) is None
    assert_fresh(open_shop(shop.path, Toys()))


def test_who_has_the_file_open_keeps_it_when_it_is_replaced(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path, listings_at(0, 20))
    saved = read_word_index(shop.build_folder)
    assert saved is not None
    before = saved.base.terms.counts.toarray()
    upsert(shop, listings_at(1, 50, "new"))
    optimize(shop)
    np.testing.assert_array_equal(saved.base.terms.counts.toarray(), before)
    assert saved.catch_up(shop.table).ids == shop.word_index.ids


def test_an_index_catches_up_with_an_earlier_version_as_well(tmp_path: Path) -> None:
    """A replica may copy the file of a later version than that of its rows."""
    shop = toy_shop(tmp_path, listings_at(0, 20))
    early = open_table(shop.build_folder)
    before = build_word_index(early)
    upsert(shop, listings_at(1, 5, "new"))
    delete(shop, [listings_at(0, 20)[3].id])
    late = shop.word_index.catch_up(early)
    assert late.ids == before.ids
    for text in QUERIES:
        np.testing.assert_array_equal(late.scores(text).scores, before.scores(text).scores)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join))
def test_reordered_words_score_and_cover_the_same(many: Shop, text: str) -> None:
    index = many.word_index
    some, other = index.scores(text), index.scores(" ".join(reversed(text.split())))
    np.testing.assert_array_equal(some.scores, other.scores)
    np.testing.assert_array_equal(some.coverage, other.coverage)
    assert ((some.coverage > 0) & (some.coverage <= 1)).all()
