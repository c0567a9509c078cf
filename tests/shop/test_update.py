"""Updates: the rows that a build would make, found at once, all or nothing, by one writer at a time; new photos."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import environment
from toys import BOOTS, COLOURS, MUG, SCARF, THREE, Toys, embedded, toy_shop, write_photos

from wares.core.errors import CatalogueError, PhotoError, ShopError
from wares.data.listings import Catalogue, Listing
from wares.shop import vector_index
from wares.shop.build import build_shop, summarize_catalogue, write_shop
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.update import UpdateResult, add_photo, delete, optimize, read_listings, upsert

GLOVES = Listing("gloves", "Green gloves", "Warm", ("Wool",), ("gloves-green.png",), 12.5, {"gender": "men"}, "p7")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three listings, and the photo of a fourth in the catalogue's folder."""
    found = toy_shop(tmp_path)
    write_photos(tmp_path / "catalogue", [GLOVES])
    return found


def rows(shop: Shop) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.table.to_arrow().to_pylist()}


def ids(shop: Shop, *query: str, **more: Any) -> list[str]:
    return [hit.id for hit in search(shop, *query, **more)]


# The rows that a build would make --------------------------------------------------------------------------------


def test_an_update_makes_the_rows_that_a_build_makes(shop: Shop, tmp_path: Path) -> None:
    attributes = {**BOOTS.attributes, "size": 41.0}
    boots = replace(BOOTS, title="Rubber boots", price=None, images=("boots-red.png",), attributes=attributes)
    assert upsert(shop, [GLOVES, boots]) == UpdateResult(added=1, changed=1)
    assert rows(shop) == rows(toy_shop(tmp_path / "built", [GLOVES, boots, SCARF, MUG]))


def test_real_towers_make_the_rows_that_a_build_makes(tmp_path: Path) -> None:
    from wares.encoders.registry import build_towers

    towers, built = build_towers("small"), [*THREE, replace(GLOVES, texts={"care": "Wash\nby hand", "fit": "Wide"})]
    write_photos(tmp_path / "c", built)
    whole = build_shop(Catalogue(tmp_path / "c", tuple(built)), towers, tmp_path / "whole", cache=tmp_path / "cache")
    build_shop(Catalogue(tmp_path / "c", tuple(built[1:3])), towers, tmp_path / "grown", cache=tmp_path / "cache")
    grown = open_shop(tmp_path / "grown")
    upsert(grown, [replace(built[3], attributes={})])
    upsert(grown, [replace(built[3], attributes={"gender": "men"})])
    expected, found = rows(whole)["gloves"], rows(grown)["gloves"]
    for name in ("vector", "view_vectors", "view_weights"):
        assert np.array_equal(found[name], expected[name]), name
    for row in (expected, found):
        del row["attributes"]
    assert found == expected
    assert search(grown, "gloves", k=1, system="fused")[0].why == search(whole, "gloves", k=1, system="fused")[0].why


values: dict[str, st.SearchStrategy[Any]] = {
    "size": st.floats(0, 99),
    "new": st.booleans(),
    "gender": st.text(max_size=3),
    "colors": st.lists(st.text(max_size=3), max_size=2),
}
words = st.sampled_from(["", " ", "Red wool", 'it\'s; -- \\ "x"', "a\nb", "靴"])
listings = st.builds(
    Listing,
    id=st.sampled_from(["a", "boots", "it's", "靴\n1"]),
    title=words.filter(str.strip),
    description=words,
    tags=st.lists(words.filter(str.strip), max_size=2).map(tuple),
    images=st.sampled_from([(), ("boots-red.png",), ("scarf-blue.png", "boots-chart.png")]),
    price=st.none() | st.floats(0, 1e6),
    attributes=st.fixed_dictionaries({}, optional=values),
    product=st.none() | st.just("p"),
    texts=st.dictionaries(st.sampled_from(["care", "fit.1", "é"]), words.filter(str.strip), max_size=2),
)


@settings(max_examples=12, deadline=None)
@given(drawn=st.lists(listings, max_size=3, unique_by=lambda listing: listing.id))
def test_what_is_put_in_can_be_read_and_taken_out(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Listing]
) -> None:
    shop = toy_shop(tmp_path_factory.mktemp("any"))
    kept = {listing.id: listing for listing in THREE} | {listing.id: listing for listing in drawn}
    known = sum(listing.id == "boots" for listing in drawn)
    assert upsert(shop, drawn) == UpdateResult(len(drawn) - known, known)
    assert len(shop) == len(kept)
    found = read_listings(shop, [*kept, "nobody"])
    assert list(found) == list(kept)
    assert {id: whole(listing) for id, listing in found.items()} == {id: whole(each) for id, each in kept.items()}
    assert delete(shop, [*(listing.id for listing in drawn), "nobody", "' OR '1' = '1"]) == len(drawn)
    assert set(rows(shop)) == {"boots", "scarf", "mug"} - {listing.id for listing in drawn}


def whole(listing: Listing) -> Listing:
    """With plain dictionaries, which compare."""
    return replace(listing, attributes=dict(listing.attributes), texts=dict(listing.texts))


def test_attributes_under_other_names_and_of_several_types(tmp_path: Path) -> None:
    first = [Listing("a", "a", attributes={"a.b": 1.0, "size": "XL"}), Listing("b", "b", attributes={"size": 4.0})]
    shop = toy_shop(tmp_path, first)
    new = Listing("c", "c", attributes={"a.b": 2.0, "size": 5.0})
    upsert(shop, [new])
    assert rows(shop) == rows(toy_shop(tmp_path / "built", [*first, new]))
    assert read_listings(shop, ["c"])["c"].attributes == {"a.b": 2.0, "size": "5"}
    assert ids(shop, "c", where="attributes.a_b = 2 AND attributes.size = '5'") == ["c"]


# Found at once, here and by others -------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [False, True], ids=["at once", "optimised"])
@pytest.mark.parametrize("indexed", [False, True], ids=["exact", "indexed"])
def test_changes_are_found_at_once(
    tmp_path: Path, settled: bool, indexed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By vector, by words and by filter, in the shop that was changed and in another that is refreshed."""
    monkeypatch.setattr(vector_index, "MIN_INDEXED_ROWS", 200 if indexed else 1000)
    many = [Listing(f"{i:03}", f"thing {i}", price=float(i)) for i in range(300)]
    shop = toy_shop(tmp_path, many, chunk=300)
    other = open_shop(shop.path, Toys())
    before = rows(other)
    upsert(shop, [Listing("007", "Purple kettle", price=900.0), Listing("new", "Purple teapot", price=901.0)])
    delete(shop, ["008"])
    if settled:
        optimize(shop)
    assert rows(other) == before, "who reads sees no change that it did not ask for"
    other.refresh()
    for each in (shop, other):
        assert sorted(ids(each, "purple", k=2)) == ["007", "new"]
        assert ids(each, "purple", system="bm25") == ["007", "new"]
        assert ids(each, "thing", system="bm25", where="id IN ('006', '007', '008', '009')") == ["006", "009"]
        assert sorted(ids(each, "thing", where="price > 298")) == ["007", "299", "new"]
        assert ids(each, like="new", k=1) == ["007"]
        assert len(ids(each, "thing", k=1000)) == 300
    assert len(list(shop.table.list_indices())) == indexed
    if settled:
        found = [shop.table.index_stats(index.name) for index in shop.table.list_indices()]
        assert [stats.num_unindexed_rows for stats in found if stats is not None] == [0] * indexed


def test_a_shop_that_grows_gets_an_index_of_its_vectors(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "MIN_INDEXED_ROWS", 300)
    upsert(shop, [Listing(f"{i:03}", f"thing {i}") for i in range(300)])
    before = ids(shop, "thing 5", k=303)
    optimize(shop)
    assert {tuple(index.columns) for index in shop.table.list_indices()} == {("vector",)}
    assert ids(shop, "thing 5", k=303) == before


def test_memory_of_indexes_that_are_no_more_is_given_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def session() -> object:
        return shop.table_opener._session

    monkeypatch.setattr(vector_index, "MIN_INDEXED_ROWS", 300)
    upsert(shop, [Listing(f"{i:03}", f"thing {i}") for i in range(300)])
    first = session()
    upsert(shop, [Listing("new", "Purple teapot")])
    ids(shop, "purple", system="bm25")
    assert session() is first, "a change leaves what is known of the rest"
    optimize(shop)
    assert session() is not first
    assert ids(shop, "purple", system="bm25") == ["new"]


def test_a_search_that_began_before_a_change_sees_none(shop: Shop) -> None:
    began = shop.table
    row = began.search().where("id = 'boots'").with_row_id(True).to_arrow()["_rowid"].to_pylist()
    upsert(shop, [replace(BOOTS, title="Rubber boots")])
    delete(shop, ["boots"])
    optimize(shop)
    assert began.take_row_ids(row).select(["title"]).to_arrow()["title"].to_pylist() == ["Leather boots"]


# What is refused -------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[Listing], str]] = {
    "no title": ([Listing("x", "")], 'listing "x": "title" is missing'),
    "no id": ([Listing(" ", "x")], '"id" is empty'),
    "spaces": ([Listing("x ", "x")], 'listing "x ": "id" has spaces around it'),
    "twice": ([Listing("x", "x"), MUG, Listing("x", "y")], 'duplicate listing "x": 2 times in one update'),
    "price": ([Listing("x", "x", price=float("nan"))], '"price" must be a finite number, 0 or more'),
    "long": ([Listing("x", "x" * 20_001)], '"title" is 20,001 characters long'),
    "half a letter": ([Listing("x", "\ud800")], "UTF-8"),
    "one photo twice": ([Listing("x", "x", images=("a.png", "a.png"))], "a.png more than once"),
    "unknown attribute": (
        [Listing("x", "x", attributes={"colour": "red"})],
        'listing "x": attribute "colour" has no column in this shop (columns: colors, gender, new, size). Remove it',
    ),
    "another type": (
        [Listing("x", "x", attributes={"size": "XL"})],
        'listing "x": attribute "size" is text; its column in this shop holds a number. Correct it',
    ),
    "a number of a flag": ([Listing("x", "x", attributes={"new": 1.0})], "its column in this shop holds true or false"),
    "infinite": ([Listing("x", "x", attributes={"size": float("inf")})], '"size" of "attributes" must be'),
    "outside": ([Listing("x", "x", images=("../boots.png",))], '"../boots.png" leaves the catalogue'),
    "missing photo": ([Listing("x", "x", images=("none.png",))], 'listing "x": none.png is not a photo'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_batch_that_cannot_be_stored_changes_nothing(shop: Shop, what: str) -> None:
    bad, message = REFUSED[what]
    before = rows(shop)
    with pytest.raises(CatalogueError) as caught:
        upsert(shop, [GLOVES, *bad])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and str(shop.path.parent) not in str(caught.value)
    assert rows(shop) == rows(open_shop(shop.path, Toys())) == before


def test_a_shop_without_attributes_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r'"size" has no column in this shop \(columns: none\)\.'):
        upsert(toy_shop(tmp_path, [Listing("a", "a")]), [Listing("b", "b", attributes={"size": 1.0})])


def test_a_bad_photo_can_be_left_out(shop: Shop) -> None:
    (Path(shop.build_info.catalogue) / "broken.png").write_bytes(b"broken")
    bad = replace(GLOVES, images=("broken.png", *GLOVES.images))
    done = upsert(shop, [bad], on_error="skip")
    assert (done.added, done.problems) == (1, ('listing "gloves": broken.png is not a photo.',))
    assert read_listings(shop, ["gloves"]) == {"gloves": GLOVES}


def test_nothing_is_nothing(shop: Shop) -> None:
    version = shop.table.version
    assert upsert(shop, []) == UpdateResult(0, 0)
    assert delete(shop, []) == 0
    assert delete(shop, ["nobody"]) == 0
    assert read_listings(shop, []) == {}
    assert len(shop) == 3 and shop.table.version == version


def test_a_build_that_is_no_longer_the_shop_is_not_changed(shop: Shop) -> None:
    catalogue = Catalogue(Path(shop.build_info.catalogue), (MUG,))
    write_shop(summarize_catalogue(catalogue), Toys(), embedded(catalogue, Toys()), shop.path, overwrite=True)
    changes: list[Callable[[Shop], object]] = [
        lambda old: upsert(old, [MUG]),
        lambda old: delete(old, ["mug"]),
        optimize,
    ]
    for change in changes:
        with pytest.raises(ShopError, match=r"was rebuilt or rolled back .* Open the shop again"):
            change(shop)
    assert len(shop) == 3
    assert upsert(open_shop(shop.path, Toys()), [replace(GLOVES, attributes={})]).added == 1


# Several processes -----------------------------------------------------------------------------------------------

WRITER = """
    import sys
    from toys import *
    from wares.shop.update import *
    shop = open_shop(sys.argv[1], Toys())
    for i in range(int(sys.argv[3])):
        upsert(shop, [Listing(f"{sys.argv[2]}{i}", f"thing {i}"), Listing("last", f"{sys.argv[2]} {i}")])
        if i % 5 == 4:
            optimize(shop)
        print(i, flush=True)
"""


def writer(shop: Shop, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(shop.path), name, str(count)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_writer_loses_nothing_that_it_acknowledged(shop: Shop) -> None:
    acknowledged: list[str] = []
    for name, before_the_end in (("a", 3), ("b", 6)):
        with writer(shop, name, 10_000) as process:
            assert process.stdout is not None
            acknowledged += [f"{name}{process.stdout.readline().strip()}" for _ in range(before_the_end)]
            process.send_signal(signal.SIGKILL)
            acknowledged += [f"{name}{line.strip()}" for line in process.stdout]
        found = open_shop(shop.path, Toys())
        assert set(acknowledged) <= set(rows(found))
        assert len(found) <= 4 + len(acknowledged) + 2, "one more for each kill at most, and whole"
        assert set(ids(found, "thing", k=10_000)) == set(rows(found))
        assert upsert(found, [replace(GLOVES, id=f"after {name}")]).added == 1, "its lock went with it"
        acknowledged.append(f"after {name}")


def test_writers_exclude_each_other_and_all_get_through(shop: Shop) -> None:
    processes = [writer(shop, name, 6) for name in ("a", "b")]
    for i in range(6):
        upsert(shop, [Listing(f"c{i}", f"thing {i}")])
    assert [process.communicate()[0].split() for process in processes] == [[str(i) for i in range(6)]] * 2
    assert [process.returncode for process in processes] == [0, 0]
    shop.refresh()
    assert set(rows(shop)) == {"boots", "scarf", "mug", "last", *(f"{name}{i}" for name in "abc" for i in range(6))}
    assert len(shop) == 22


# Photos ----------------------------------------------------------------------------------------------------------


def photo(kind: str = "PNG", colour: str = "green") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[colour]).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("GIF", ".gif")])
def test_a_photo_is_kept_under_its_digest(shop: Shop, kind: str, suffix: str) -> None:
    name = add_photo(shop, photo(kind))
    assert name == f"uploads/{hashlib.sha256(photo(kind)).hexdigest()}{suffix}" == add_photo(shop, photo(kind))
    assert shop.photo_path(name).read_bytes() == photo(kind)
    assert list((shop.path / "photos").iterdir()) == [shop.photo_path(name)]


def test_a_listing_with_an_uploaded_photo_is_found_by_it(shop: Shop) -> None:
    name = add_photo(shop, photo())
    upsert(shop, [replace(GLOVES, title="Something", images=(name, "gloves-green.png"))])
    assert read_listings(shop, ["gloves"])["gloves"].images == (name, "gloves-green.png")
    [hit] = search(shop, photo=shop.photo_path(name), k=1)
    assert (hit.id, hit.photo) == ("gloves", name)
    assert open_shop(shop.path).photo_path(name).read_bytes() == photo()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the photo is empty"),
        (b"<html>", "the photo is a web page"),
        (b"PK", "the photo is not a photo"),
        (photo()[:-30], "the photo is truncated or damaged"),
    ],
)
def test_what_is_no_photo_is_not_kept(shop: Shop, content: bytes, message: str) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        add_photo(shop, content)
    assert str(shop.path) not in str(caught.value)
    assert list((shop.path / "photos").iterdir()) == []


def test_a_photos_name_never_leads_out(shop: Shop, tmp_path: Path) -> None:
    folder = Path(shop.build_info.catalogue)
    (tmp_path / "secret.png").write_bytes(photo())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "way").symlink_to(tmp_path)
    (folder / "alias.png").symlink_to(folder / "boots-red.png")
    uploaded = add_photo(shop, photo())
    stolen = uploaded.replace(uploaded[8:16], "00000000")
    (shop.path / "photos" / stolen.removeprefix("uploads/")).symlink_to(tmp_path / "secret.png")
    outside = [
        *("", ".", "..", "../secret.png", "a/../../secret.png", "a/../boots-red.png", "uploads/../../secret.png"),
        *(str(tmp_path / "secret.png"), str(folder / "boots-red.png"), "//secret.png", "boots\\red.png"),
        *("boots-red.png\0", "\0", "\ud800.png", "link.png", "way/secret.png", stolen, f"{uploaded}/../x"),
    ]
    for name in outside:
        with pytest.raises(PhotoError, match="leaves the catalogue's folder"):
            shop.photo_path(name)
    for name in ("boots-red.png", "alias.png", "uploads/mine.png", "nowhere/x.png"):
        assert shop.photo_path(name) == folder / name
