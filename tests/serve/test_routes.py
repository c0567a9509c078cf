"""Routes of the API over toy shops: searches, pages, facets, listings and changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api_client import HAT, error_of, ids, search_json
from fastapi.testclient import TestClient
from toys import opened

from wares.data.listings import Listing
from wares.shop.searching import search
from wares.shop.systems import SYSTEMS, System
from wares.shop.update import upsert


@pytest.mark.parametrize("system", ["fused", "bm25", "fused+bm25"])
@pytest.mark.parametrize("query", ["red boots", "wool", "coffee mug"])
def test_hits_equal_those_in_process(client: TestClient, shops: dict[str, Path], query: str, system: Any) -> None:
    local = search(opened(shops["three"]), query, system=system)
    remote = search_json(client, q=query, system=system)
    assert ids(remote) == [hit.id for hit in local]
    for hit, sent in zip(local, remote["hits"], strict=True):
        assert sent == json.loads(json.dumps(hit.to_json()))


def test_the_first_shop_is_the_default(client: TestClient) -> None:
    assert search_json(client, q="mug")["shop"] == "three"
    assert search_json(client, q="mug", shop="many")["shop"] == "many"
    assert error_of(client, q="mug", shop="none")[:2] == (404, "shop")


def test_contributions_sum_to_the_score_and_photo_is_the_best_match(client: TestClient) -> None:
    [first, *_] = search_json(client, q="red")["hits"]
    assert first["id"] == "boots"
    assert first["photo"] == "boots-red.png"
    assert first["photos"] == ["boots-red.png", "boots-chart.png"]
    assert sum(why["contribution"] for why in first["why"]) == pytest.approx(first["score"], abs=1e-6)
    assert {why["view"]: why["kind"] for why in first["why"]}["boots-red.png"] == "photo"


@pytest.mark.parametrize("query", [{}, {"q": ""}, {"q": "  "}])
def test_an_empty_request_returns_all_listings(client: TestClient, query: dict[str, str]) -> None:
    answer = search_json(client, **query)
    assert ids(answer) == ["boots", "scarf", "mug"]
    assert answer["total"] == 3
    assert [(hit["score"], hit["why"]) for hit in answer["hits"]] == [(0.0, [])] * 3


@pytest.mark.parametrize("facet", [[], ["price"]])
@pytest.mark.parametrize("system", SYSTEMS)
def test_pages_are_parts_of_one_ranking(client: TestClient, system: System, facet: list[str]) -> None:
    query = {"q": "red thing", "shop": "many", "system": system, "facet": facet}
    all_results = search_json(client, **query, per_page=60)
    pages = [search_json(client, **query, per_page=7, page=page) for page in range(1, 11)]
    assert [id for page in pages for id in ids(page)] == ids(all_results)
    assert {(page["total"], page["pages"]) for page in pages} == {(60, 9)}
    assert ids(pages[-1]) == []


def test_filters_are_combined_with_and_and_values_of_a_column_with_or(client: TestClient) -> None:
    query = {"q": "thing", "shop": "many", "per_page": 100}
    expensive = search_json(client, **query, filter=["price>50", "attributes.colour=red"])
    assert sorted(ids(expensive)) == ["g051", "g053", "g055", "g057", "g059"]
    assert expensive["total"] == 5
    either = search_json(client, **query, filter=["attributes.colour=red", "attributes.colour=blue", "price<=2"])
    assert sorted(ids(either)) == ["g001", "g002"]
    medium = search_json(client, **query, filter=["attributes.sizes=m", "price<9"])
    assert sorted(ids(medium)) == [
        "g002",
        "g005",
        "g008",
    ]
    assert search_json(client, **query, filter=["attributes.odd=false"])["total"] == 30


def test_counts_of_a_facet_ignore_its_own_filters(client: TestClient) -> None:
    query = {"q": "thing", "shop": "many", "facet": ["attributes.colour", "attributes.odd", "price"]}
    unfiltered = search_json(client, **query)
    assert unfiltered["facets"] == {
        "attributes.colour": {"blue": 30, "red": 30},
        "attributes.odd": {"false": 30, "true": 30},
    }
    assert unfiltered["ranges"] == {"price": {"min": 1.0, "max": 60.0}}
    red = search_json(client, **query, filter=["attributes.colour=red", "price>=31"])
    assert red["facets"]["attributes.colour"] == {"blue": 15, "red": 15}
    assert red["facets"]["attributes.odd"] == {"true": 15}
    assert red["ranges"] == {"price": {"min": 1.0, "max": 59.0}}


def test_like_excludes_the_listing_itself(client: TestClient) -> None:
    answer = search_json(client, like="boots")
    assert "boots" not in ids(answer)
    assert answer["total"] == 2


def test_bm25_returns_only_listings_with_a_word_of_the_query(client: TestClient) -> None:
    answer = search_json(client, q="mug", system="bm25")
    assert ids(answer) == ["mug"]
    assert (answer["total"], answer["capped"]) == (1, False)
    assert {why["kind"] for why in answer["hits"][0]["why"]} == {"words"}


@pytest.mark.parametrize(
    "path",
    ["../api.py", "%2e%2e/api.py", "..%2fapi.py", "vendor/..%5c..%5capi.py", "/etc/passwd", "%2fetc%2fpasswd", "%00"],
)
def test_assets_serve_only_files_of_the_page(client: TestClient, path: str) -> None:
    assert client.get("/assets/app.js").status_code == 200
    assert client.get(f"/assets/{path}").status_code == 404


def test_the_next_request_sees_a_change(writable: TestClient) -> None:
    assert writable.put("/api/listings/hat", json=HAT).json() == {"added": 1, "changed": 0}
    assert ids(search_json(writable, q="straw hat"))[0] == "hat"
    assert ids(search_json(writable, q="straw", system="bm25")) == ["hat"]
    assert sorted(ids(search_json(writable, filter="attributes.gender=women"))) == ["hat", "scarf"]
    assert writable.get("/api/listings/hat").json() == {
        "id": "hat", "title": "Straw hat", "description": "", "tags": [], "price": 12.5, "photos": [],
        "attributes": {"gender": "women", "colors": ["white"], "size": 57.0},
    }  # fmt: skip
    assert writable.put("/api/listings/hat", json={"title": "Felt hat"}).json() == {"added": 0, "changed": 1}
    assert search_json(writable, q="straw", system="bm25")["total"] == 0
    assert search_json(writable)["total"] == 4
    assert writable.delete("/api/listings/hat").json() == {"deleted": 1}
    assert search_json(writable)["total"] == 3
    for gone in (writable.get("/api/listings/hat"), writable.delete("/api/listings/hat")):
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "listing")


def test_ids_with_special_characters_work(writable: TestClient) -> None:
    for id in ("a/b", "ü?&", "it's", "100%", '"', "\N{GRINNING FACE}", "\u202ea", "..", "' OR 1=1 --", " hat "):
        path, id = f"/api/listings/{quote(id, safe='').replace('.', '%2E')}", id.strip()
        assert writable.put(path, json={"title": "odd"}).status_code == 200
        assert writable.get(path).json()["id"] == id
        assert id not in ids(search_json(writable, like=id))
        assert writable.delete(path).json() == {"deleted": 1}


@pytest.mark.parametrize("id", ["a\nb", "a\x00b", " ", "x" * 201])
def test_ids_with_control_characters_are_rejected(writable: TestClient, id: str) -> None:
    assert writable.post("/api/listings", json={"listings": [{"id": id, **HAT}]}).status_code == 422
    assert writable.put(f"/api/listings/{quote(id, safe='')}", json=HAT).status_code in (404, 422)
    assert search_json(writable)["total"] == 3


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
def test_an_invalid_listing_rejects_the_batch(writable: TestClient, bad: dict[str, Any], message: str) -> None:
    answer = writable.post("/api/listings", json={"listings": [{"id": "hat", **HAT}, {"id": "bad", **bad}]})
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]
    assert "/tmp" not in answer.text
    assert search_json(writable)["total"] == 3
    good = writable.post("/api/listings", json={"listings": [{"id": "hat", **HAT}, {"id": "mug", "title": "Tea mug"}]})
    assert good.json() == {"added": 1, "changed": 1}


def test_every_route_sees_changes_of_other_processes(writable: TestClient, tmp_path: Path) -> None:
    """A route does not depend on a search to refresh the shop."""
    before = writable.get("/api/shops").json()["shops"][0]["listings"]
    upsert(opened(tmp_path / "shop"), [Listing("from elsewhere", "Hat")])
    assert writable.get("/api/listings/from elsewhere").json()["title"] == "Hat"
    assert writable.get("/api/shops").json()["shops"][0]["listings"] == before + 1
