"""Search: every system and kind of query, cases by eye, and properties against Python and NumPy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import BOOTS, THREE, Toys, toy_shop

from wares.core.errors import FilterError, PhotoError, SettingsError, ShopError
from wares.data.listings import Listing, Query
from wares.data.terms import analyse
from wares.encoders.registry import build_towers
from wares.ranking.score_fusion import CosineWithWords
from wares.shop.encoder import TowersEncoder
from wares.shop.explanation import Explanation, Hit
from wares.shop.searching import run_queries, search
from wares.shop.shop import Shop, open_shop
from wares.shop.systems import SYSTEMS, System

WORDS = ["red", "blue", "green", "wool", "boots", "mug", "scarf", "leather", "coffee", "knit"]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return toy_shop(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """120 listings of few words, so that many are alike, in no order of their ids."""
    return toy_shop(tmp_path_factory.mktemp("many"), some_listings(120), chunk=50)


def some_listings(count: int) -> list[Listing]:
    random = np.random.default_rng(7)
    listings = []
    for i in random.permutation(count):
        words = [str(word) for word in random.choice(WORDS, 3)]
        images = (f"{words[0]}.png", f"{words[1]}.png")[: int(random.integers(0, 3))]
        price = None if i % 5 == 0 else float(i)
        attributes: dict[str, Any] = {"kind": words[2], "size": float(i % 4)} if i % 3 else {}
        listings.append(Listing(f"{i:03}", " ".join(words[:2]), words[2], (words[0],), images, price, attributes))
    return listings


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def table(shop: Shop) -> list[dict[str, Any]]:
    return list(shop.table.to_arrow().to_pylist())


def cosines(shop: Shop, query: npt.NDArray[np.float32]) -> dict[str, float]:
    return {row["id"]: float(np.dot(np.asarray(row["vector"], np.float64), query)) for row in table(shop)}


# Contracts -------------------------------------------------------------------------------------------------------


def asked(shop: Shop, kind: str) -> dict[str, Any]:
    photo = shop.photo_path("boots-red.png")
    queries: dict[str, dict[str, Any]] = {
        "text": {"text": "red leather boots"},
        "photo": {"photo": photo},
        "like": {"like": "scarf"},
        "text and photo": {"text": "boots", "photo": photo},
        "all three": {"text": "boots", "photo": str(photo), "like": "mug"},
    }
    return queries[kind]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("kind", ["text", "photo", "like", "text and photo", "all three"])
def test_every_system_ranks_and_explains_every_query_it_can_read(three: Shop, system: System, kind: str) -> None:
    query = asked(three, kind)
    if (system == "bm25" and query.keys() != {"text"}) or (system == "fused+bm25" and "text" not in query):
        with pytest.raises(SettingsError, match="reads text"):
            search(three, **query, system=system)
        return
    hits = search(three, **query, system=system)
    assert hits and ids(hits)[0] in ("boots", "mug", "scarf")
    for hit in hits:
        assert hit.score == pytest.approx(math.fsum(why.contribution for why in hit.why), rel=1e-6)
        assert list(hit.why) == sorted(hit.why, key=lambda why: -why.contribution)
        assert set(hit.to_json()) >= {"id", "score", "why", "title", "price", "photo"}
        json.dumps(hit.to_json(), allow_nan=False)
    assert all(a.score >= b.score for a, b in pairwise(hits))


@pytest.mark.parametrize("system", SYSTEMS)
def test_k_bounds_the_results_and_may_be_larger_than_the_shop(three: Shop, system: System) -> None:
    assert len(search(three, "wool boots mug", k=1, system=system)) == 1
    assert len(search(three, "wool boots mug", k=10**12, system=system)) == 3
    with pytest.raises(SettingsError, match=r"k is 0\. Give a number"):
        search(three, "boots", k=0, system=system)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_is_an_error(three: Shop, system: System, text: str) -> None:
    with pytest.raises(SettingsError, match="is empty"):
        search(three, text, system=system)
    with pytest.raises(SettingsError, match="query q1 is empty"):
        run_queries(three, [Query("q1", text)], system=system)


ODD = [
    *('"boots"', '"boots', "text:boots", "boots AND (", "boots OR NOT", "+boots -mug", "boots~2 bo*", "boots\\"),
    *(
        "'boots'",
        "{boots}",
        "boots " * 1700,
        "boots\x00",
        "boots 😀",
        "ботинки boots",
        "靴 boots",
        "boots; DROP TABLE x",
    ),
]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text[:16]))
def test_signs_in_a_text_mean_nothing(three: Shop, system: System, text: str) -> None:
    assert "boots" in ids(search(three, text, system=system))


@pytest.mark.parametrize("text", ["😀", "靴", "!!!", "the", "x" * 10_000])
def test_a_text_without_a_known_word_finds_nothing_by_words(three: Shop, text: str) -> None:
    assert search(three, text, system="bm25") == []
    assert len(search(three, text, system="fused+bm25")) == 3


def test_a_query_needs_something(three: Shop) -> None:
    with pytest.raises(SettingsError, match="Give a text, a photo or the id of a listing"):
        search(three)
    with pytest.raises(SettingsError, match=r'no system "tfidf"\. Choose one of fused, bm25, fused\+bm25'):
        search(three, "boots", system="tfidf")  # type: ignore[arg-type]


def test_a_photo_that_is_none_is_an_error(three: Shop, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a photo")
    with pytest.raises(PhotoError):
        search(three, photo=tmp_path / "note.png")


def test_parts_that_cancel_out_are_an_error(three: Shop) -> None:
    class Opposite(Toys):
        def encode_photos(self, paths: object) -> npt.NDArray[np.float32]:
            return -self.encode_texts(["boots"])

    with pytest.raises(SettingsError, match="cancel each other out"):
        search(open_shop(three.path, Opposite()), "boots", photo="any.png")


def test_words_need_no_towers(three: Shop) -> None:
    without = open_shop(three.path)
    assert ids(search(without, "leather", system="bm25")) == ["boots"]
    assert list(run_queries(without, [Query("q", "leather")], system="bm25")["q"]) == ["boots"]


def test_a_table_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    shop = toy_shop(tmp_path)
    for file in (shop.build_folder / "listings.lance" / "data").iterdir():
        file.write_bytes(b"")
    with pytest.raises(ShopError, match="cannot be searched"):
        search(shop, "boots")


# By eye ----------------------------------------------------------------------------------------------------------


def test_a_word_finds_the_photo_that_shows_it(three: Shop) -> None:
    hit = search(three, "red")[0]
    assert (hit.id, hit.title, hit.price, hit.photo) == ("boots", "Leather boots", 80.0, "boots-red.png")
    assert hit.why[0].view == "boots-red.png"
    assert {why.view for why in hit.why} == {"title", "description", "tags", "boots-red.png", "boots-chart.png"}
    assert hit.attributes == BOOTS.attributes


def test_a_photo_finds_its_listing(three: Shop) -> None:
    hit = search(three, photo=three.photo_path("scarf-blue.png"))[0]
    assert (hit.id, hit.photo, hit.why[0].view) == ("scarf", "scarf-blue.png", "scarf-blue.png")


def test_a_listing_is_not_like_itself(three: Shop) -> None:
    assert sorted(ids(search(three, like="boots"))) == ["mug", "scarf"]
    assert sorted(ids(search(three, "leather", like="boots", system="fused+bm25"))) == ["mug", "scarf"]
    with pytest.raises(SettingsError, match='no listing "shoes"'):
        search(three, like="shoes")


def test_a_listing_without_photos_has_none_to_show(three: Shop) -> None:
    hit = search(three, "coffee mug")[0]
    assert (hit.id, hit.photo, hit.price) == ("mug", None, None)
    assert hit.to_json()["attributes"] == {"size": 0.3}


def test_bm25_scores_with_the_words_alone(three: Shop) -> None:
    hits = search(three, "wool boots", system="bm25")
    assert ids(hits) == ["boots", "scarf"]
    assert [hit.why for hit in hits] == [(Explanation("words", hit.score, "words"),) for hit in hits]
    assert hits[0].photo == "boots-red.png"


def test_stems_case_and_accents_are_one_word(three: Shop) -> None:
    assert ids(search(three, "BOOT", system="bm25")) == ["boots"]
    assert ids(search(three, "cöffée mugs", system="bm25")) == ["mug"]


def test_words_add_to_the_cosines_what_they_say_of_a_listing(three: Shop) -> None:
    """Each word is in one listing of three, so both have the same idf, and each listing covers half of it."""
    fused = {hit.id: hit for hit in search(three, "boots knitted", system="fused")}
    by_words = {hit.id: hit.score for hit in search(three, "boots knitted", system="bm25")}
    both = {hit.id: hit for hit in search(three, "boots knitted")}
    assert by_words.keys() == {"boots", "scarf"}
    for id, hit in both.items():
        words = CosineWithWords().weight * by_words.get(id, 0.0) * 0.5**2
        assert hit.score == pytest.approx(fused[id].score + words, rel=1e-5)
        exact = {why.view: why.contribution for why in fused[id].why}
        divided = {why.view: why.contribution for why in hit.why}
        assert divided.pop("words", 0.0) == pytest.approx(words, rel=1e-5)
        assert divided == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("where", [None, "price < 60"])
def test_fused_and_words_rank_as_the_sum_of_all_scores_does(many: Shop, where: str | None) -> None:
    text = " ".join(WORDS[:4])
    cosines = {hit.id: hit.score for hit in search(many, text, k=120, where=where, system="fused")}
    index = many.word_index
    found = index.scores(text)
    added = CosineWithWords().words(found.scores, found.coverage).tolist()
    words = dict(zip(index.ids.take(found.indices).to_pylist(), added, strict=True))
    total = {id: cosine + words.get(id, 0.0) for id, cosine in cosines.items()}
    hits = search(many, text, k=120, where=where)
    assert {hit.id: hit.score for hit in hits} == pytest.approx(total, abs=1e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_longer_list_begins_with_the_shorter_one(many: Shop, system: System) -> None:
    """So pages of a search are parts of one ranking."""
    for text in ("red", "wool boots", " ".join(WORDS)):
        longest = ids(search(many, text, k=120, system=system))
        for k in (1, 10, 37, 100, 101):
            assert ids(search(many, text, k=k, system=system)) == longest[:k]


# Filters ---------------------------------------------------------------------------------------------------------

FILTERS: dict[str, Callable[[Listing], object]] = {
    "price < 50": lambda row: row.price is not None and row.price < 50,
    "price IS NULL": lambda row: row.price is None,
    "array_has(tags, 'wool')": lambda row: "wool" in row.tags,
    "attributes.kind = 'red'": lambda row: row.attributes.get("kind") == "red",
    "attributes.size >= 2 AND NOT (price > 60)": lambda row: (
        row.attributes.get("size", 0) in (2, 3) and row.price is not None and row.price <= 60
    ),
    "id IN ('003', '007') OR price = 11 -- a comment": lambda row: row.id in ("003", "007", "011"),
    "title LIKE '%; )%'": lambda row: False,
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("where", FILTERS)
def test_a_filter_is_what_python_makes_of_it(many: Shop, system: System, where: str) -> None:
    everything = " ".join(WORDS)
    expected = sorted(row.id for row in some_listings(120) if FILTERS[where](row))
    hits = search(many, everything, where=where, k=120, system=system)
    assert sorted(ids(hits)) == expected
    assert ids(search(many, everything, where=where, k=3, system=system)) == ids(hits)[:3]
    assert len(search(many, everything, where=where, k=3, system=system)) == min(3, len(expected))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("pricee < 50", "no column pricee; did you mean price\\? Columns: id, title, "),
        ("attributes.gendr = 'men'", "no column attributes.gendr; did you mean attributes.gender\\? Columns: .*size, "),
        ("gender = 'men'", "no column gender; did you mean attributes.gender\\?"),
        ("price > 1 AND _score > 1", "no column _score. Columns"),
        ("price <", "found: EOF. Columns"),
        ("price", "does not return a boolean"),
        ("price < 'cheap'", "'cheap' is compared with a column of another type \\(Float64\\)"),
        ("tags = 'Shoes'", "array_has\\(COLUMN, 'Shoes'\\). Columns"),
        ("id = 3", "another type; write '3'. Columns"),
        ("price < $50", "stray \\$"),
        ("price < ?", "stray \\?"),
        ("price < :most", "stray :"),
        ("colour(price) < 3", "colour"),
        ("CAST(id AS INT) > 3", "Cannot cast"),
        ("", "filter is empty"),
        (" ", "filter is empty"),
        ("price < 50; DROP", "stray ;"),
        ("price < 50) LIMIT (3", "stray \\)"),
        ("price < 50 LIMIT 3", "found: LIMIT"),
    ],
)
def test_a_filter_that_cannot_be_applied_is_an_error(three: Shop, system: System, where: str, message: str) -> None:
    with pytest.raises(FilterError, match=message) as caught:
        search(three, "boots", where=where, system=system)
    assert "\n" not in str(caught.value)
    assert ".rs" not in str(caught.value)


def test_a_photo_on_the_web_is_to_be_fetched_first(three: Shop) -> None:
    for photo in ("https://shop.test/boots.jpg", Path("https://shop.test/boots.jpg")):
        with pytest.raises(SettingsError, match=r"is a URL\. Download the photo"):
            search(three, photo=photo)


def test_ids_of_any_spelling_can_be_liked(tmp_path: Path) -> None:
    odd = ["it's", 'say "b"', "a;b)", "--", "`", "ü 靴", "\\", "a\nb"]
    shop = toy_shop(tmp_path, [Listing(id, f"boots number {i}") for i, id in enumerate(odd)])
    for id in odd:
        assert sorted(ids(search(shop, like=id))) == sorted(set(odd) - {id})


# Properties ------------------------------------------------------------------------------------------------------

texts = st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=4).map(" ".join)
systems = st.sampled_from(SYSTEMS)


@settings(max_examples=25, deadline=None)
@given(text=texts, k=st.integers(1, 130), cheap=st.booleans())
def test_fused_is_brute_force(many: Shop, text: str, k: int, cheap: bool) -> None:
    scores = cosines(many, Toys().encode_texts([text])[0])
    if cheap:
        scores = {row["id"]: scores[row["id"]] for row in table(many) if row["price"] is not None and row["price"] < 50}
    best = sorted(scores, key=lambda id: -scores[id])[:k]
    hits = search(many, text, k=k, where="price < 50" if cheap else None, system="fused")
    assert [hit.score for hit in hits] == pytest.approx([scores[id] for id in best], abs=1e-6)
    assert [hit.score for hit in hits] == pytest.approx([scores[hit.id] for hit in hits], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(text=texts, system=systems, k=st.integers(1, 130))
def test_shares_sum_to_the_score_and_ties_go_by_id(many: Shop, text: str, system: System, k: int) -> None:
    hits = search(many, text, k=k, system=system)
    for hit in hits:
        assert math.fsum(why.contribution for why in hit.why) == pytest.approx(hit.score, rel=1e-6)
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.id))


@settings(max_examples=15, deadline=None)
@given(text=texts, system=systems)
def test_fewer_results_are_the_first_of_more(many: Shop, text: str, system: System) -> None:
    """Also among ties: whichever listings tie at the k-th place, the smaller ids are kept."""
    all_of_them = ids(search(many, text, k=100, system=system))
    for k in (1, 5, 30):
        assert ids(search(many, text, k=k, system=system)) == all_of_them[:k]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("where", [None, "price < 50"])
def test_ranked_gives_what_search_gives(many: Shop, system: System, where: str | None) -> None:
    queries = [Query(f"q{i}", f"{a} {b}") for i, (a, b) in enumerate(pairwise(WORDS * 8))]
    runs = run_queries(many, queries, 10, system, where)
    assert list(runs) == [query.id for query in queries]
    for query in queries[:12]:
        hits = search(many, query.text, k=10, system=system, where=where)
        assert list(runs[query.id]) == ids(hits)
        assert list(runs[query.id].values()) == pytest.approx([hit.score for hit in hits], abs=1e-6)
    assert run_queries(many, [], 10, system) == {}


def test_bm25_is_the_bm25_of_another_library(many: Shop) -> None:
    """bm25s with the same k1 and b, over the same terms."""
    import bm25s

    rows = table(many)
    oracle = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    oracle.index([analyse(row["text"]) for row in rows], show_progress=False)
    run = run_queries(many, [Query(word, f"{word} mug") for word in WORDS], 120, "bm25")
    for word, found in run.items():
        scores = dict(zip([row["id"] for row in rows], oracle.get_scores(analyse(f"{word} mug")), strict=True))
        positive = {id: score for id, score in scores.items() if score > 0.0}
        assert found == pytest.approx(positive, rel=1e-5)


def test_a_photo_query_reaches_every_listing_once(three: Shop) -> None:
    assert sorted(ids(search(three, photo=three.photo_path("boots-chart.png")))) == sorted(row.id for row in THREE)


def test_untrained_towers_refuse_a_photo() -> None:
    with pytest.raises(SettingsError, match=r"image tower is untrained\. Train one with `wares pretrain`"):
        TowersEncoder(build_towers("small")).encode_photos([Path("boots.png")])
