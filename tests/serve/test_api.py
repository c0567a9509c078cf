"""The HTTP API over toy shops: searches, pages, facets, photos, refusals, limits, batches, and what is told of it all.

The server is real (uvicorn in a thread of this process, or `wares serve` in another one); only its towers are toys.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toys import THREE, Toys, opened, toy_shop

from wares.core.errors import FilterError, SettingsError
from wares.data.listings import Listing
from wares.serve.api import create_app
from wares.serve.batching import Batcher
from wares.serve.errors import ApiError
from wares.serve.filters import Column, filterable_columns, parse_filter, sql_condition
from wares.serve.observability import JsonLinesFormatter
from wares.serve.photo_tokens import decode_photo_token, encode_photo_token
from wares.serve.searcher import Searcher, SearchRequest, count_values, value_range
from wares.serve.security import BodyLimitMiddleware
from wares.serve.settings import ServeSettings, parse_shops
from wares.shop.retrieval import SYSTEMS
from wares.shop.searching import search
from wares.shop.shop import Shop, open_shop
from wares.shop.update import upsert

MANY = tuple(
    Listing(
        f"g{i:03d}",
        f"{'red' if i % 2 else 'blue'} thing {i}",
        price=float(i),
        images=(f"{i}-red.png",) if i % 2 else (),
        attributes={"colour": "red" if i % 2 else "blue", "odd": bool(i % 2), "sizes": ["s", "m"][: i % 3]},
    )
    for i in range(1, 61)
)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a shop of three listings and of one of sixty."""
    folder = tmp_path_factory.mktemp("shops")
    return {
        "three": toy_shop(folder / "three", THREE).path,
        "many": toy_shop(folder / "many", MANY).path,
    }


def client_of(shops: dict[str, Path], **settings: Any) -> TestClient:
    named = tuple((name, str(folder)) for name, folder in shops.items())
    return TestClient(create_app(ServeSettings(shops=named, **settings), opened), raise_server_exceptions=False)


def until_ready(client: TestClient) -> TestClient:
    while client.get("/readyz").status_code != 200:
        pass
    return client


@pytest.fixture(scope="module")
def client(shops: dict[str, Path]) -> Iterator[TestClient]:
    with client_of(shops) as found:
        yield until_ready(found)


def found(client: TestClient, **parameters: Any) -> dict[str, Any]:
    answer = client.get("/api/search", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def refused(client: TestClient, path: str = "/api/search", **parameters: Any) -> tuple[int, str, str]:
    answer = client.get(path, params=parameters)
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "\n" not in error["message"]
    return answer.status_code, error["code"], error["message"]


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]


def png(colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8), {"red": (200, 30, 30), "blue": (40, 60, 200)}[colour]).save(content, "PNG")
    return content.getvalue()


# Searching


@pytest.mark.parametrize("system", ["fused", "bm25", "fused+bm25"])
@pytest.mark.parametrize("asked", ["red boots", "wool", "coffee mug"])
def test_the_same_hits_as_in_process(client: TestClient, shops: dict[str, Path], asked: str, system: Any) -> None:
    here = search(opened(shops["three"]), asked, system=system)
    there = found(client, q=asked, system=system)
    assert ids(there) == [hit.id for hit in here]
    for hit, sent in zip(here, there["hits"], strict=True):
        assert sent == json.loads(json.dumps(hit.to_json()))


def test_the_first_shop_answers_unless_another_is_named(client: TestClient) -> None:
    assert found(client, q="mug")["shop"] == "three"
    assert found(client, q="mug", shop="many")["shop"] == "many"
    assert refused(client, q="mug", shop="none")[:2] == (404, "shop")


def test_shares_sum_to_the_score_and_the_best_photo_is_named(client: TestClient) -> None:
    [first, *_] = found(client, q="red")["hits"]
    assert first["id"] == "boots"
    assert first["photo"] == "boots-red.png"
    assert first["photos"] == ["boots-red.png", "boots-chart.png"]
    assert sum(why["contribution"] for why in first["why"]) == pytest.approx(first["score"], abs=1e-6)
    assert {why["view"]: why["kind"] for why in first["why"]}["boots-red.png"] == "photo"


@pytest.mark.parametrize("asked", [{}, {"q": ""}, {"q": "  "}])
def test_nothing_looked_for_shows_everything(client: TestClient, asked: dict[str, str]) -> None:
    answer = found(client, **asked)
    assert ids(answer) == ["boots", "scarf", "mug"]
    assert answer["total"] == 3
    assert [(hit["score"], hit["why"]) for hit in answer["hits"]] == [(0.0, [])] * 3


def test_pages_divide_the_results(client: TestClient) -> None:
    whole = found(client, q="red", shop="many", per_page=60)
    pages = [found(client, q="red", shop="many", per_page=7, page=page) for page in range(1, 11)]
    assert [id for page in pages for id in ids(page)] == ids(whole)
    assert {(page["total"], page["pages"]) for page in pages} == {(60, 9)}
    assert ids(pages[-1]) == []


def test_filters_hold_together_and_several_values_of_a_column_are_any(client: TestClient) -> None:
    asked = {"q": "thing", "shop": "many", "per_page": 100}
    dear = found(client, **asked, filter=["price>50", "attributes.colour=red"])
    assert sorted(ids(dear)) == ["g051", "g053", "g055", "g057", "g059"]
    assert dear["total"] == 5
    either = found(client, **asked, filter=["attributes.colour=red", "attributes.colour=blue", "price<=2"])
    assert sorted(ids(either)) == ["g001", "g002"]
    assert sorted(ids(found(client, **asked, filter=["attributes.sizes=m", "price<9"]))) == ["g002", "g005", "g008"]
    assert found(client, **asked, filter=["attributes.odd=false"])["total"] == 30


def test_a_facet_counts_without_its_own_filters(client: TestClient) -> None:
    asked = {"q": "thing", "shop": "many", "facet": ["attributes.colour", "attributes.odd", "price"]}
    free = found(client, **asked)
    assert free["facets"] == {"attributes.colour": {"blue": 30, "red": 30}, "attributes.odd": {"false": 30, "true": 30}}
    assert free["ranges"] == {"price": {"min": 1.0, "max": 60.0}}
    red = found(client, **asked, filter=["attributes.colour=red", "price>=31"])
    assert red["facets"]["attributes.colour"] == {"blue": 15, "red": 15}
    assert red["facets"]["attributes.odd"] == {"true": 15}
    assert red["ranges"] == {"price": {"min": 1.0, "max": 59.0}}


def test_a_listing_is_not_like_itself(client: TestClient) -> None:
    answer = found(client, like="boots")
    assert "boots" not in ids(answer)
    assert answer["total"] == 2


def test_words_find_only_what_shares_one(client: TestClient) -> None:
    answer = found(client, q="mug", system="bm25")
    assert ids(answer) == ["mug"]
    assert (answer["total"], answer["capped"]) == (1, False)
    assert {why["kind"] for why in answer["hits"][0]["why"]} == {"words"}


# Photos


def test_a_photo_finds_its_colour_and_its_token_finds_the_same(client: TestClient) -> None:
    sent = client.post("/api/search", files={"photo": ("a.png", png("blue"), "image/png")}).json()
    assert ids(sent)[0] == "scarf"
    again = found(client, photo=sent["photo"])
    assert ids(again) == ids(sent)
    assert again["photo"] == sent["photo"]


def test_a_photo_and_words_are_added_up(client: TestClient, shops: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("blue"))
    here = search(opened(shops["three"]), "boots", tmp_path / "a.png")
    there = client.post("/api/search?q=boots", files={"photo": png("blue")}).json()
    assert [hit.id for hit in here] == ids(there)
    assert [hit.score for hit in here] == pytest.approx([hit["score"] for hit in there["hits"]])


@given(st.binary(max_size=300))
def test_whatever_is_uploaded_is_a_photo_or_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/search", files={"photo": ("x.jpg", content, "image/jpeg")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "photo")
    assert "/tmp" not in answer.json()["error"]["message"]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claimed(width: int, height: int, more: bytes = b"") -> bytes:
    """A PNG that says how large it is, and then has hardly any pixels. more: chunks before them"""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "is an SVG drawing"),
        (b"<!doctype html><script>alert(1)</script>", "is a web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run", "is not a photo"),
        (b"%PDF-1.7", "is not a photo"),
        (b"", "is empty"),
        (claimed(60_000, 60_000), "60,000 x 60,000 pixels"),
        (claimed(7_000, 7_000), "is not a photo"),
        (claimed(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**22)))), "too large"),
        (claimed(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**22)))), "too large"),
    ],
    ids=["svg", "html", "postscript", "pdf", "nothing", "bomb", "liar", "text bomb", "profile bomb"],
)
def test_what_only_looks_like_a_photo_is_refused(client: TestClient, content: bytes, said: str) -> None:
    answer = client.post("/api/search", files={"photo": ("x.png", content, "image/png")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "photo")
    assert said in answer.json()["error"]["message"]


def test_a_photo_of_too_many_pixels_is_not_decoded(shops: dict[str, Path]) -> None:
    with client_of(shops, max_upload_pixels=63) as small:
        answer = until_ready(small).post("/api/search", files={"photo": png()})
    assert answer.status_code == 422
    assert "8 x 8 pixels; the limit is 63" in answer.json()["error"]["message"]


@pytest.mark.parametrize("size", [160, 320, 640, 1280])
def test_thumbnails_are_no_larger_than_asked(client: TestClient, size: int) -> None:
    answer = client.get("/api/photos/boots-red.png", params={"size": size})
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) <= size
    again = client.get(
        "/api/photos/boots-red.png", params={"size": size}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_photo_without_a_size_is_the_file(client: TestClient, shops: dict[str, Path]) -> None:
    answer = client.get("/api/photos/boots-red.png")
    assert answer.content == opened(shops["three"]).photo_path("boots-red.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.png",
        "..%2fshop%2fshop.json",
        "%2e%2e/shop/shop.json",
        "..%5c..%5cetc%5cpasswd",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "a%00.png",
        "secret.txt",
        "out.png",
        "x" * 5000,
    ],
)
def test_nothing_but_photos_of_the_shop_is_served(client: TestClient, shops: dict[str, Path], name: str) -> None:
    folder = Path(opened(shops["three"]).build_info.catalogue)
    (folder / "secret.txt").write_text("secret")
    (folder.parent / "outside.png").write_bytes(png())
    (folder / "out.png").unlink(missing_ok=True)
    (folder / "out.png").symlink_to(folder.parent / "outside.png")
    answer = client.get(f"/api/photos/{name}")
    assert answer.status_code == 404
    assert str(folder) not in answer.text


@pytest.mark.parametrize(
    "path",
    ["../api.py", "%2e%2e/api.py", "..%2fapi.py", "vendor/..%5c..%5capi.py", "/etc/passwd", "%2fetc%2fpasswd", "%00"],
)
def test_nothing_but_the_page_is_served_as_its_assets(client: TestClient, path: str) -> None:
    assert client.get("/assets/app.js").status_code == 200
    assert client.get(f"/assets/{path}").status_code == 404


# What is refused


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"nothing": "1"}, "request", "nothing: there is no such field or parameter."),
        ({"page": "0"}, "request", "page: Input should be greater than or equal to 1"),
        ({"per_page": "101"}, "request", "per_page"),
        ({"q": "x" * 1001}, "request", "q: String should have at most 1000 characters"),
        ({"system": "magic"}, "request", "system"),
        ({"filter": "price"}, "filter", "has no operator"),
        ({"filter": "cost<3"}, "filter", "names no column of this shop"),
        ({"filter": "price<cheap"}, "filter", '"cheap" is none'),
        ({"filter": "price<nan"}, "filter", '"nan" is none'),
        ({"filter": "attributes.gender<men"}, "filter", "only = and != go with it"),
        ({"filter": "attributes.new=yes"}, "filter", "is true or false"),
        ({"filter": "vector=1"}, "filter", "names no column"),
        ({"facet": "view_vectors"}, "filter", "is no column"),
        ({"rerank": "true"}, "query", "rerank needs q"),
        ({"system": "bm25", "like": "mug"}, "query", "ranks by words alone"),
        ({"system": "fused+bm25", "like": "mug"}, "query", "ranks by words too"),
        ({"like": "nothing"}, "query", 'there is no listing "nothing" in three'),
        ({"photo": "AAAA"}, "photo_token", "no photo token"),
        ({"photo": "é" * 40}, "photo_token", "no photo token"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: TestClient, parameters: dict[str, str], code: str, message: str
) -> None:
    status, said, line = refused(client, **parameters)
    assert (status, said) == (422, code)
    assert message in line


def test_a_shop_without_a_ranker_says_so(client: TestClient) -> None:
    status, _, message = refused(client, q="mug", rerank="true")
    assert status == 422
    assert "has no ranker" in message


@pytest.mark.parametrize(
    "attempt",
    [
        "attributes.gender=men' OR '1'='1",
        "attributes.gender=x') OR (1=1",
        "attributes.gender=men; DROP TABLE listings",
        "attributes.gender=men' -- ",
        "title=\\' OR 1=1",
        'title=" OR ""="',
        "title=`id`",
        "attributes.gender=\x00",
    ],
)
def test_a_filter_cannot_break_out(client: TestClient, attempt: str) -> None:
    assert found(client, q="mug", filter=attempt)["total"] == 0


def test_what_is_no_route_is_not_found(client: TestClient) -> None:
    assert refused(client, "/api/nothing")[:2] == (404, "not_found")
    assert client.put("/api/search").status_code == 405
    assert client.get("/docs").status_code == 404


def test_long_bodies_are_refused_stated_or_not(shops: dict[str, Path]) -> None:
    with client_of(shops, max_upload_bytes=1000) as small:
        stated = small.post("/api/search", files={"photo": bytes(2000)})
        streamed = small.post(
            "/api/search",
            content=iter([b"--x\r\n", *[bytes(500)] * 4]),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    for answer in (stated, streamed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_body_that_does_not_end_is_not_waited_for() -> None:
    async def stalled() -> None:
        async def reads(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass

        parts = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Any:
            return parts.pop() if parts else await asyncio.Event().wait()

        await BodyLimitMiddleware(reads, 100, 0.01)({"type": "http", "headers": []}, receive, None)  # type: ignore[arg-type]

    with pytest.raises(ApiError, match="took longer than") as refusal:
        asyncio.run(stalled())
    assert (refusal.value.status, refusal.value.headers) == (408, {"Connection": "close"})


@pytest.mark.parametrize(("method", "path"), [("PUT", "listings/hat"), ("POST", "photos"), ("POST", "search")])
def test_what_is_refused_is_not_read(shops: dict[str, Path], method: str, path: str) -> None:
    """Neither without the key nor where a client asks too often."""
    with client_of(shops, api_key=KEY, rate_limit="1/hour") as strict:
        strict.get("/api/shops") if path == "search" else None
        body = iter([b"--x\r\n", b"more"])
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = strict.request(method, f"/api/{path}", content=body, headers=headers)
    assert answer.status_code == (429 if path == "search" else 401)
    assert list(body) == [b"--x\r\n", b"more"]


def test_a_client_that_asks_too_often_waits(shops: dict[str, Path]) -> None:
    with client_of(shops, rate_limit="3/minute") as limited:
        until_ready(limited)
        codes = [limited.get("/api/shops").status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]
        assert limited.get("/healthz").status_code == 200
        assert limited.get("/api/shops").headers["retry-after"] == "1"


def test_an_unknown_failure_tells_nothing_of_the_inside(
    shops: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Toys):
        def encode_texts(self, texts: Sequence[str]) -> Any:
            if "boom" in texts:
                raise RuntimeError("secret /inside/path")
            return super().encode_texts(texts)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), lambda folder: open_shop(folder, Broken()))
    with TestClient(app, raise_server_exceptions=False) as broken, caplog.at_level(logging.ERROR, "wares.serve"):
        answer = until_ready(broken).get("/api/search", params={"q": "boom"})
        assert found(broken, q="mug")["hits"]
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]
    [record] = [record for record in caplog.records if record.message == "request failed"]
    assert record.request_id == answer.headers["x-request-id"]  # type: ignore[attr-defined]


# Opening


def test_a_server_lives_before_its_shops_are_open(shops: dict[str, Path]) -> None:
    go = threading.Event()

    def slowly(folder: Path) -> Shop:
        go.wait()
        return opened(folder)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), slowly)
    with TestClient(app) as early:
        assert early.get("/healthz").status_code == 200
        assert refused(early, "/readyz")[:2] == (503, "opening")
        answer = early.get("/api/search", params={"q": "mug"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        go.set()
        assert found(until_ready(early), q="mug")["total"] == 3


def test_what_cannot_be_opened_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(ServeSettings(shops=(("gone", str(tmp_path / "gone")),)), opened)
    with caplog.at_level(logging.ERROR, "wares.serve"), TestClient(app) as early:
        while "cannot be opened" not in (answer := early.get("/api/search")).json()["error"]["message"]:
            pass
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert [record.message for record in caplog.records] == ["shop cannot be opened"]


def test_shops_are_told_with_the_columns_worth_offering(client: TestClient) -> None:
    told = client.get("/api/shops").json()
    assert told["writes"] is False
    assert [shop["name"] for shop in told["shops"]] == ["three", "many"]
    many = told["shops"][1]
    assert many["listings"] == 60
    kinds = {facet["name"]: facet["kind"] for facet in many["facets"]}
    assert kinds == {
        "price": "number",
        "attributes.colour": "string",
        "attributes.odd": "bool",
        "attributes.sizes": "list",
    }
    assert many["examples"] == ["red thing", "blue thing"]


# Changes


KEY = "a key for these tests"
AUTHORISED = {"Authorization": f"Bearer {KEY}"}
HAT = {"title": "Straw hat", "price": 12.5, "attributes": {"gender": "women", "colors": ["white"], "size": 57}}


@pytest.fixture
def writable(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a shop of its own that may be changed."""
    with client_of({"three": toy_shop(tmp_path).path}, api_key=KEY) as changing:
        changing.headers.update(AUTHORISED)
        yield until_ready(changing)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "listings/hat"), ("POST", "listings"), ("DELETE", "listings/mug"), ("POST", "photos")],
)
def test_changes_need_the_key(client: TestClient, writable: TestClient, method: str, path: str) -> None:
    closed = client.request(method, f"/api/{path}", headers=AUTHORISED)
    assert (closed.status_code, closed.json()["error"]["code"]) == (403, "closed")
    for value in (b"", KEY.encode(), f"Bearer {KEY}x".encode(), b"Bearer \xff"):
        writable.headers.pop("authorization", None)
        answer = writable.request(method, f"/api/{path}", headers=[(b"authorization", value)])
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key")
    assert found(writable)["total"] == 3
    assert writable.get("/api/shops").json()["writes"] is True


def test_a_listing_is_found_by_the_next_request(writable: TestClient) -> None:
    assert writable.put("/api/listings/hat", json=HAT).json() == {"added": 1, "changed": 0}
    assert ids(found(writable, q="straw hat"))[0] == "hat"
    assert ids(found(writable, q="straw", system="bm25")) == ["hat"]
    assert sorted(ids(found(writable, filter="attributes.gender=women"))) == ["hat", "scarf"]
    assert writable.get("/api/listings/hat").json() == {
        "id": "hat", "title": "Straw hat", "description": "", "tags": [], "price": 12.5, "photos": [],
        "attributes": {"gender": "women", "colors": ["white"], "size": 57.0},
    }  # fmt: skip
    assert writable.put("/api/listings/hat", json={"title": "Felt hat"}).json() == {"added": 0, "changed": 1}
    assert found(writable, q="straw", system="bm25")["total"] == 0
    assert found(writable)["total"] == 4
    assert writable.delete("/api/listings/hat").json() == {"deleted": 1}
    assert found(writable)["total"] == 3
    for gone in (writable.get("/api/listings/hat"), writable.delete("/api/listings/hat")):
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "listing")


def test_ids_may_be_anything(writable: TestClient) -> None:
    for id in ("a/b", "ü?&", "it's", "100%", '"', "\N{GRINNING FACE}", "\u202ea", "..", "' OR 1=1 --", " hat "):
        path, id = f"/api/listings/{quote(id, safe='').replace('.', '%2E')}", id.strip()
        assert writable.put(path, json={"title": "odd"}).status_code == 200
        assert writable.get(path).json()["id"] == id
        assert id not in ids(found(writable, like=id))
        assert writable.delete(path).json() == {"deleted": 1}


@pytest.mark.parametrize("id", ["a\nb", "a\x00b", " ", "x" * 201])
def test_ids_that_no_path_can_name_are_refused(writable: TestClient, id: str) -> None:
    assert writable.post("/api/listings", json={"listings": [{"id": id, **HAT}]}).status_code == 422
    assert writable.put(f"/api/listings/{quote(id, safe='')}", json=HAT).status_code in (404, 422)
    assert found(writable)["total"] == 3


def test_a_key_may_have_any_letters(tmp_path: Path) -> None:
    key = "schlüssel für alle"
    with client_of({"three": toy_shop(tmp_path).path}, api_key=key) as changing:
        until_ready(changing)
        headers = [(b"authorization", f"Bearer {key}".encode())]
        assert changing.request("DELETE", "/api/listings/mug", headers=headers).json() == {"deleted": 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"title": ""}, "title"),
        ({"title": "x", "colour": "red"}, "colour: there is no such field"),
        ({"title": "x", "price": -1}, "price"),
        ({"title": "x", "attributes": {"weight": 3}}, "weight"),
        ({"title": "x", "attributes": {"size": "large"}}, "size"),
        ({"title": "x", "images": ["none.png"]}, "none.png"),
        ({"title": "x", "images": ["../shop/shop.json"]}, "shop.json"),
        ({"title": "x", "images": ["boots-red.png", "boots-red.png"]}, "named twice"),
    ],
)
def test_a_batch_is_taken_whole_or_not_at_all(writable: TestClient, bad: dict[str, Any], message: str) -> None:
    answer = writable.post("/api/listings", json={"listings": [{"id": "hat", **HAT}, {"id": "bad", **bad}]})
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]
    assert "/tmp" not in answer.text
    assert found(writable)["total"] == 3
    good = writable.post("/api/listings", json={"listings": [{"id": "hat", **HAT}, {"id": "mug", "title": "Tea mug"}]})
    assert good.json() == {"added": 1, "changed": 1}


def test_bodies_that_are_no_json_object_are_refused_in_words(writable: TestClient) -> None:
    for content, kind, message in (
        (
            b'{"title": "R"}',
            "text/plain",
            "the body: this is no JSON object. Send one, with Content-Type",
        ),
        (b'[{"title": "R"}]', "application/json", "the body: this is no JSON object"),
        (b'{"title": ', "application/json", "the body, character 10: this is broken JSON."),
    ):
        answer = writable.put("/api/listings/hat", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert message in answer.json()["error"]["message"]


def test_an_uploaded_photo_is_a_view_of_a_listing(writable: TestClient) -> None:
    name = writable.post("/api/photos", files={"photo": png("blue")}).json()["name"]
    assert writable.post("/api/photos", files={"photo": png("blue")}).json()["name"] == name
    writable.put("/api/listings/hat", json={"title": "Hat", "images": [name]})
    best = writable.post("/api/search", files={"photo": png("blue")}).json()["hits"][:2]
    assert {hit["id"] for hit in best} == {"scarf", "hat"}
    assert {hit["photo"] for hit in best} == {"scarf-blue.png", name}
    assert writable.get(f"/api/photos/{name}", params={"size": 160}).status_code == 200
    refused_photo = writable.post("/api/photos", files={"photo": b"no photo"})
    assert (refused_photo.status_code, refused_photo.json()["error"]["code"]) == (422, "photo")


def test_a_search_under_way_sees_the_shop_as_it_began(tmp_path: Path) -> None:
    shop = opened(toy_shop(tmp_path).path)

    async def asked() -> tuple[int, int]:
        searcher = Searcher(shop)
        before = await searcher.latest()
        await searcher.write(lambda shop: upsert(shop, [Listing("hat", "Hat")]))
        after = await searcher.latest()
        return len(before), len(after)

    assert asyncio.run(asked()) == (3, 4)


def test_what_others_change_is_seen_by_every_route(writable: TestClient, tmp_path: Path) -> None:
    """Also where nobody searches."""
    before = writable.get("/api/shops").json()["shops"][0]["listings"]
    upsert(opened(tmp_path / "shop"), [Listing("from elsewhere", "Hat")])
    assert writable.get("/api/listings/from elsewhere").json()["title"] == "Hat"
    assert writable.get("/api/shops").json()["shops"][0]["listings"] == before + 1


def test_a_shop_that_nobody_changes_is_one_to_all_requests(tmp_path: Path) -> None:
    """Or else none of them could be worked on together. Just after a change it is looked at again."""

    async def asked() -> tuple[list[Shop], Shop]:
        searcher = Searcher(opened(toy_shop(tmp_path).path))
        before = [await searcher.latest() for _ in range(1000)]
        await searcher.write(lambda shop: upsert(shop, [Listing("hat", "Hat")]))
        return before, await searcher.latest()

    before, after = asyncio.run(asked())
    assert before[-1] is before[-2]
    assert all(shop is not after for shop in before)


def test_questions_that_come_together_get_what_each_gets_alone(tmp_path: Path) -> None:
    questions = [SearchRequest(text, system=system) for text in ("red shoe", "hat", "blue") for system in SYSTEMS] * 5

    async def asked() -> None:
        searcher = Searcher(opened(toy_shop(tmp_path).path))
        together = await asyncio.gather(*(searcher.search(question) for question in questions))
        assert list(together) == [await searcher.search(question) for question in questions]

    asyncio.run(asked())


def test_a_query_is_encoded_once_and_keeps_nobody_waiting_who_needs_no_model(shops: dict[str, Path]) -> None:
    encoding, go_on = threading.Event(), threading.Event()
    encoded: list[str] = []

    class Slow(Toys):
        def encode_texts(self, texts: Sequence[str]) -> Any:
            encoded.extend(texts)
            if "slow" in texts:
                encoding.set()
                go_on.wait()
            return super().encode_texts(texts)

    app = create_app(ServeSettings(shops=(("three", str(shops["three"])),)), lambda folder: open_shop(folder, Slow()))
    with TestClient(app) as asked, ThreadPoolExecutor(1) as pool:
        until_ready(asked)
        slow = pool.submit(found, asked, q="slow")
        encoding.wait()
        assert asked.get("/healthz").status_code == 200
        assert ids(found(asked, q="mug", system="bm25")) == ["mug"]
        go_on.set()
        first = slow.result()["hits"]
        assert found(asked, q="slow")["hits"] == first
    assert encoded.count("slow") == 1


def fragments(folder: Path) -> int:
    stats: Any = opened(folder).table.stats()
    return int(stats["fragment_stats"]["num_fragments"])


def test_a_table_is_put_in_order_after_many_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wares.serve.searcher.CHANGES_PER_OPTIMIZE", 3)
    folder = toy_shop(tmp_path).path
    with client_of({"three": folder}, api_key=KEY) as changing:
        until_ready(changing)
        for number in range(3):
            changing.put(f"/api/listings/new{number}", json=HAT, headers=AUTHORISED)
        while fragments(folder) > 2:  # of four
            pass
        assert found(changing)["total"] == 6


def test_a_shop_that_was_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = toy_shop(tmp_path).path
    shops: list[weakref.ref[Shop]] = []

    def watched(folder: Path) -> Shop:
        shop = opened(folder)
        shops.append(weakref.ref(shop))
        return shop

    app = create_app(ServeSettings(shops=(("three", str(folder)),)), watched)
    with TestClient(app) as client:
        until_ready(client)
        for count in (2, 1):
            assert found(client, q="boots")["total"] == count + 1
            toy_shop(tmp_path, THREE[:count], overwrite=True)
            while found(client, q="boots")["total"] != count:
                pass
        while any(shop() for shop in shops[:-1]):  # some are still looked at by the last search, or in a thread
            gc.collect()
        assert shops[-1]() is not None


# What is seen from outside


def test_security_headers_are_on_every_answer(client: TestClient) -> None:
    for path in ("/api/shops", "/api/nothing", "/api/search?page=0", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_other_sites_may_read_only_where_they_are_named(shops: dict[str, Path]) -> None:
    with client_of(shops, cors_origin=("https://shop.example",)) as open_to:
        named = open_to.get("/healthz", headers={"Origin": "https://shop.example"})
        other = open_to.get("/healthz", headers={"Origin": "https://other.example"})
    assert named.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in other.headers


def test_metrics_count_requests_by_route(client: TestClient) -> None:
    found(client, q="counted before")
    before = client.get("/metrics").text
    found(client, q="counted once")
    after = client.get("/metrics").text
    line = 'wares_requests_total{route="/api/search",status="200"}'
    number = {name: float(text.split(line)[1].split()[0]) for name, text in (("before", before), ("after", after))}
    assert number["after"] == number["before"] + 1
    assert 'wares_listings{shop="many"} 60.0' in after
    assert "counted" not in after


def test_a_request_is_a_line_of_json(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "wares.serve"):
        answer = client.get("/api/search", params={"q": "private words"})
    [record] = [record for record in caplog.records if record.message == "request"]
    line = json.loads(JsonLinesFormatter().format(record))
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("GET", "/api/search", 200, "info")
    assert line["ms"] > 0
    assert "private" not in json.dumps(line)


# Filters, tokens, batches


COLUMNS = {
    "price": Column("price", "price", "number"),
    "title": Column("title", "title", "string"),
    "attributes.a=b": Column("attributes.a=b", "attributes.`a=b`", "string"),
}


@given(st.text(max_size=30))
def test_a_text_filter_means_its_text(text: str) -> None:
    sql = parse_filter(f"title={text}", COLUMNS).sql
    assert sql == "title = '" + text.strip().replace("'", "''") + "'"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_filter_means_its_number(number: float) -> None:
    sql = parse_filter(f"price >= {number}", COLUMNS).sql
    assert float(sql.removeprefix("price >= ")) == number


def test_a_name_may_contain_an_operator() -> None:
    assert parse_filter("attributes.a=b=c", COLUMNS).sql == "attributes.`a=b` = 'c'"


def test_conditions_are_joined() -> None:
    filters = [parse_filter(text, COLUMNS) for text in ("title=a", "price<3", "title=b", "title!=c", "price>1")]
    assert sql_condition(filters) == (
        "(title = 'a' OR title = 'b') AND (price < 3.0) AND ((title IS NULL OR title != 'c')) AND (price > 1.0)"
    )
    assert sql_condition(filters, excluded_column="title") == "(price < 3.0) AND (price > 1.0)"
    assert sql_condition([]) is None


@pytest.mark.parametrize("text", ["", "=", "price", "price ~ 3", "nothing=1", "price=", "price=1e999"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(FilterError):
        parse_filter(text, COLUMNS)


def test_columns_have_kinds(shops: dict[str, Path]) -> None:
    kinds = {name: column.kind for name, column in filterable_columns(opened(shops["three"]).table.schema).items()}
    assert kinds == {
        "id": "string",
        "title": "string",
        "description": "string",
        "product": "string",
        "tags": "list",
        "price": "number",
        "attributes.colors": "list",
        "attributes.gender": "string",
        "attributes.new": "bool",
        "attributes.size": "number",
    }


def test_a_token_keeps_its_vector() -> None:
    vector = np.random.default_rng(0).normal(size=64).astype(np.float32)
    vector /= np.linalg.norm(vector)
    token = encode_photo_token(vector, "0123456789")
    np.testing.assert_allclose(decode_photo_token(token, "0123456789", 64), vector, atol=1e-3)
    with pytest.raises(ApiError, match="read by another model"):
        decode_photo_token(token, "123", 64)
    other = encode_photo_token(vector[:32], "9876543210")
    np.testing.assert_array_equal(
        decode_photo_token(f"{token}.{other}", "9876543210", 32), decode_photo_token(other, "9876543210", 32)
    )
    with pytest.raises(ApiError, match="no photo token"):
        decode_photo_token(token, "0123456789", 32)
    with pytest.raises(ApiError, match="no photo token"):
        decode_photo_token(encode_photo_token(np.full(64, np.nan, np.float32), "0123456789"), "0123456789", 64)


def test_values_are_counted_and_numbers_spanned() -> None:
    assert count_values(["b", None, ["a", "b"], True, []]) == {"b": 2, "a": 1, "true": 1}
    assert value_range([3.0, None, float("nan"), 1.0]) == {"min": 1.0, "max": 3.0}
    assert value_range([None]) == {}


def test_questions_that_wait_are_answered_together() -> None:
    """By eye: while one batch is held, the five questions that come are two batches by kind, most at a time."""
    gate = threading.Event()
    sizes: list[int] = []

    def doubled(questions: Sequence[int]) -> list[int]:
        gate.wait()
        return [2 * question for question in questions]

    async def asked() -> list[int]:
        batches = Batcher(doubled, pool, 1, 2, sizes.append)
        answers = [asyncio.ensure_future(batches.submit(i, i % 2)) for i in range(6)]
        await asyncio.sleep(0)  # all six have asked
        gate.set()
        return await asyncio.gather(*answers)

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(asked()) == [0, 2, 4, 6, 8, 10]
    assert sizes == [1, 2, 2, 1]


def test_a_failed_batch_fails_its_questions_alone() -> None:
    def work(questions: Sequence[int]) -> list[int]:
        if 0 in questions:
            raise ValueError("zero")
        return list(questions)

    async def asked() -> list[Any]:
        batches = Batcher(work, pool, 1, 8)
        return await asyncio.gather(*(batches.submit(i, i) for i in range(3)), return_exceptions=True)

    with ThreadPoolExecutor(1) as pool:
        [failed, *answered] = asyncio.run(asked())
    assert isinstance(failed, ValueError)
    assert answered == [1, 2]


def test_questions_whose_asker_has_gone_are_dropped() -> None:
    gate = threading.Event()
    worked: list[int] = []

    def work(questions: Sequence[int]) -> list[int]:
        gate.wait()
        worked.extend(questions)
        return list(questions)

    async def asked() -> int:
        batches = Batcher(work, pool, 1, 1)
        first, gone, last = (asyncio.ensure_future(batches.submit(i)) for i in range(3))
        await asyncio.sleep(0)
        gone.cancel()
        gate.set()
        return await first + await last

    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(asked()) == 2
    assert worked == [0, 2]


# Settings


def test_shops_are_named_by_their_folders_or_as_told(tmp_path: Path) -> None:
    assert parse_shops([str(tmp_path / "a"), f"b={tmp_path}/c"]) == (("a", f"{tmp_path}/a"), ("b", f"{tmp_path}/c"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shops": ()}, "no shop is given"),
        ({"shops": (("a b", "x"),)}, "is not a valid name of a shop"),
        ({"shops": (("a", "x"), ("a", "y"))}, 'two shops have the name "a"'),
        ({"api_key": "short"}, "has 5 characters"),
        ({"rate_limit": "often"}, '"often" is not a rate'),
        ({"max_upload_bytes": 0}, "upload limit is 0 bytes"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ServeSettings(**{"shops": (("a", "x"),), **settings})


def test_settings_travel_to_other_processes() -> None:
    settings = ServeSettings(
        shops=(("a", "x"), ("b", "y")),
        api_key="k" * 16,
        cors_origin=("https://a.example",),
        rate_limit="3/second",
        max_upload_bytes=7,
        max_upload_pixels=8,
    )
    assert ServeSettings.from_json(settings.to_json()) == settings
