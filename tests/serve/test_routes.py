"""Routes of the API over toy shops: searches, pages, facets, listings and changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api_client import HAT, found, ids, refused
from fastapi.testclient import TestClient
from toys import opened

from wares.data.listings import Listing
from wares.shop.searching import search
from wares.shop.update import upsert


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


@pytest.mark.parametrize(
    "path",
    ["../api.py", "%2e%2e/api.py", "..%2fapi.py", "vendor/..%5c..%5capi.py", "/etc/passwd", "%2fetc%2fpasswd", "%00"],
)
def test_nothing_but_the_page_is_served_as_its_assets(client: TestClient, path: str) -> None:
    assert client.get("/assets/app.js").status_code == 200
    assert client.get(f"/assets/{path}").status_code == 404


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


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"title": ""}, "title"),
        ({"title": "x", "colour": "red"}, "colour: unknown field"),
        ({"title": "x", "price": -1}, "price"),
        ({"title": "x", "attributes": {"weight": 3}}, "weight"),
        ({"title": "x", "attributes": {"size": "large"}}, "size"),
        ({"title": "x", "images": ["none.png"]}, "none.png"),
        ({"title": "x", "images": ["../shop/shop.json"]}, "shop.json"),
        ({"title": "x", "images": ["boots-red.png", "boots-red.png"]}, "a photo twice"),
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


def test_what_others_change_is_seen_by_every_route(writable: TestClient, tmp_path: Path) -> None:
    """Also where nobody searches."""
    before = writable.get("/api/shops").json()["shops"][0]["listings"]
    upsert(opened(tmp_path / "shop"), [Listing("from elsewhere", "Hat")])
    assert writable.get("/api/listings/from elsewhere").json()["title"] == "Hat"
    assert writable.get("/api/shops").json()["shops"][0]["listings"] == before + 1
