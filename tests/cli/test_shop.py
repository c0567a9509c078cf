"""Commands of a shop: index, search, reembed, versions, rollback."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import done, environment, process, refused
from story import Shop, first, goods
from toys import write_rows

from wares.shop.shop import open_shop


def test_declared_texts_are_remembered_and_told_on(tmp_path: Path) -> None:
    rows = [{"id": str(i), "title": f"lamp {i}", "maker": f"maker{i}"} for i in range(12)]
    goods, model, path = tmp_path / "goods", tmp_path / "model", tmp_path / "shop"
    goods.mkdir()
    write_rows(rows, goods / "listings.jsonl")
    declared = ("--text-field", "maker", "--on-error", "skip")
    said = done(
        "pretrain", goods, "--out", model, "--towers", "small", "--epochs", 1, "--no-select-weights", *declared
    ).out
    assert f"Next: wares index {goods} --model {model} --out SHOP --text-field maker --on-error skip" in said
    done("index", goods, "--model", model, "--out", path, *declared)
    write_rows([*rows, {"id": "new", "title": "lamp", "maker": "maker99"}], goods / "listings.jsonl")
    answer = done("index", goods, "--out", path, "--update", "--json").json
    assert (answer["added"], answer["changed"]) == (1, 0)
    [hit] = done("search", path, "maker99", "--system", "bm25", "--json").json
    assert hit["id"] == "new"


def test_index_says_what_it_made(shop: Shop) -> None:
    made, record = shop.index.json, shop.pretrain.json
    assert (made["listings"], made["photos"], made["problems"]) == (40, record["photos"], 0)
    about = json.loads((open_shop(shop.path).build_folder / "about.json").read_text(encoding="utf-8"))
    assert made["model"] == about["model"] == json.loads((shop.model / "towers.json").read_text())["identity"]


def test_people_are_told_what_to_type_next(shop: Shop, tmp_path: Path) -> None:
    options = ("--towers", "small", "--epochs", 1, "--no-select-weights")
    said = done("pretrain", shop.catalogue, "--out", tmp_path / "a model", *options).out
    assert f"Next: wares index {shop.catalogue} --model '{tmp_path}/a model' --out SHOP" in said
    said = done("index", shop.catalogue, "--model", shop.model, "--out", tmp_path / "shop").out
    assert "40 listings" in said
    [following] = re.findall(r"Next: (.*)", said)
    assert first(shop)["id"] in process_of_a_shell(following)


def process_of_a_shell(line: str) -> str:
    """What a command printed by wares does when it is pasted."""
    script = f"wares() {{ '{sys.executable}' -c 'from wares.cli.main import main; main()' \"$@\"; }}\n{line}"
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=100, env=environment())
    assert found.returncode == 0, found.stderr
    return found.stdout


SHOWN = ("title", "description", "tags", "price", "photo", "photos", "attributes")  # of a listing, in its hit


QUERIES: dict[str, Callable[[Shop], list[object]]] = {
    "text": lambda shop: [first(shop)["title"]],
    "photo": lambda shop: ["--photo", shop.catalogue / first(shop)["images"][0]],
    "like": lambda shop: ["--like", first(shop)["id"]],
    "text and photo": lambda shop: ["necklace", "--photo", shop.catalogue / first(shop)["images"][0]],
    "all three": lambda shop: [
        *("necklace", "--like", first(shop)["id"]),
        *("--photo", shop.catalogue / first(shop)["images"][0]),
    ],
    "bm25": lambda shop: ["silver necklace", "--system", "bm25"],
    "fused+bm25": lambda shop: ["silver necklace", "--system", "fused+bm25"],
    "where": lambda shop: ["necklace", "--where", "price < 20 AND attributes.condition = 'like new'"],
}


@pytest.mark.parametrize("kind", QUERIES)
def test_search_explains_every_score(shop: Shop, kind: str) -> None:
    hits = done("search", shop.path, *QUERIES[kind](shop), "--json", "-k", 5).json
    assert 1 <= len(hits) <= 5
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    for hit in hits:
        assert set(hit) == {"id", "score", "why", *SHOWN}
        assert hit["score"] == pytest.approx(math.fsum(why["contribution"] for why in hit["why"]), rel=1e-6)
        assert all(set(why) - {"similarity"} == {"view", "kind", "contribution"} for why in hit["why"])
        assert [why["view"] for why in hit["why"] if "similarity" not in why] in ([], ["words"])
        photos = [why for why in hit["why"] if why["kind"] == "photo"]
        best = max(photos, key=lambda why: why["similarity"])["view"] if photos else next(iter(hit["photos"]), None)
        assert hit["photo"] == best


def test_search_finds_what_was_asked_for(shop: Shop) -> None:
    """By a title of its own, by a word, beside itself, and where the filter leaves room."""
    listing = first(shop)
    assert done("search", shop.path, listing["title"], "--json").json[0]["id"] == listing["id"]
    by_words = done("search", shop.path, listing["title"], "--system", "bm25", "--json").json
    assert by_words[0]["id"] == listing["id"]
    assert [why["view"] for why in by_words[0]["why"]] == ["words"]
    alike = done("search", shop.path, "--like", listing["id"], "--json", "-k", 100).json
    assert len(alike) == 39 and listing["id"] not in {hit["id"] for hit in alike}
    cheap = done("search", shop.path, "mug", "--where", "price < 20", "--json", "-k", 100).json
    every = done("search", shop.path, "mug", "--json", "-k", 100).json
    assert [hit["id"] for hit in cheap] == [hit["id"] for hit in every if hit["price"] < 20]
    assert 0 < len(cheap) < len(every) == 40
    assert done("search", shop.path, "mug", "--where", "price > 1e9", "--json").json == []
    assert "Nothing found." in done("search", shop.path, "mug", "--where", "price > 1e9").out


def test_search_shows_reasons_only_when_asked(shop: Shop) -> None:
    plain, why = (done("search", shop.path, "silver necklace", "-k", 2, *flag).out for flag in ([], ["--why"]))
    hits = done("search", shop.path, "silver necklace", "-k", 2, "--json").json
    assert "images/" not in plain and all(hit["id"] in plain for hit in hits)
    assert len(plain.splitlines()) == 3
    assert [f"{hit['photo']}, the best photo" in why for hit in hits] == [True, True]
    for hit in hits:
        for share in hit["why"]:
            assert re.search(rf"{re.escape(format(share['contribution'], '+.3f'))} +{re.escape(share['view'])}", why)


def test_json_is_alone_on_standard_output(shop: Shop) -> None:
    found = process("search", shop.path, "silver necklace", "--json", "-k", "3")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == done("search", shop.path, "silver necklace", "--json", "-k", 3).json


def test_a_shop_is_replaced_only_on_purpose(tmp_path: Path) -> None:
    catalogue, shop = goods(tmp_path / "c"), tmp_path / "shop"
    build = ("index", catalogue, "--towers", "small", "--out")
    done(*build, shop)
    assert "is already a shop. Pass --overwrite" in refused(*build, shop)
    (catalogue / "listings.jsonl").write_text('{"id": "a", "title": "one mug"}\n', encoding="utf-8")
    done(*build, shop, "--overwrite")
    assert [hit["id"] for hit in done("search", shop, "red mug", "--json").json] == ["a"]
    assert "is not empty and is not a shop" in refused(*build, catalogue, "--overwrite")
    assert (catalogue / "red.png").exists()


def test_index_needs_a_model_or_towers_and_not_both(shop: Shop, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "shop")
    said = "give either --model MODEL"
    assert said in refused("index", shop.catalogue, *out)
    assert said in refused("index", shop.catalogue, "--model", shop.model, "--towers", "small", *out)
    assert "is not a model" in refused("index", shop.catalogue, "--model", tmp_path / "none", *out)
    assert not (tmp_path / "shop").exists()


def test_a_shop_is_brought_in_line_and_set_back(tmp_path: Path) -> None:
    catalogue, shop = goods(tmp_path / "c"), tmp_path / "shop"
    made = done("index", catalogue, "--towers", "small", "--out", shop, "--json").json
    assert made["vector_index"]["kind"] == "exact" and made["vector_index"]["target"] == 0.95
    rows = (catalogue / "listings.jsonl").read_text(encoding="utf-8").splitlines()
    new = json.dumps({"id": "new", "title": "brass whistle"})
    (catalogue / "listings.jsonl").write_text("\n".join([*rows[1:], new]) + "\n", encoding="utf-8")
    said = done("index", catalogue, "--out", shop, "--update", "--json").json
    assert (said["added"], said["changed"], said["deleted"], said["listings"]) == (1, 0, 1, len(rows))
    assert done("search", shop, "brass whistle", "--system", "bm25", "--json").json[0]["id"] == "new"
    said = done("index", catalogue, "--out", shop, "--update", "--target-recall", 0.9).out
    assert f"0 listings added, 0 changed, 0 deleted, {len(rows)} unchanged." in said
    assert open_shop(shop).vector_index.target == 0.9
    now, _, before = done("versions", shop, "--json").json
    assert (now["current"], before["current"]) == (True, False)
    assert now["name"] in done("versions", shop).out
    assert f"is version {before['name']}" in done("rollback", shop, before["name"]).out
    assert done("search", shop, "brass whistle", "--system", "bm25", "--json").json == []
    assert 'has no version "last week"' in refused("rollback", shop, "last week")


def test_a_shop_is_updated_by_its_own_model_and_moved_to_another(shop: Shop, tmp_path: Path) -> None:
    catalogue, path = goods(tmp_path / "c"), tmp_path / "shop"
    before = done("index", catalogue, "--towers", "small", "--out", path, "--json").json
    update = ("index", catalogue, "--out", path, "--update")
    assert done(*update, "--towers", "small", "--json").json["changed"] == 0
    assert "wares reembed" in refused(*update, "--model", shop.model)
    assert "Leave out --ranker, --staging and --overwrite" in refused(*update, "--overwrite")
    assert "was built from the catalogue in" in refused("index", goods(tmp_path / "d"), "--out", path, "--update")
    moved = done("reembed", path, "--model", shop.model, "--json").json
    assert (moved["listings"], moved["model"]) == (before["listings"], shop.index.json["model"])
    assert moved["model"] != before["model"]
    assert f"wares versions {path}" in done("reembed", path, "--towers", "small").out


def test_a_damaged_shop_says_so(tmp_path: Path) -> None:
    catalogue, shop = goods(tmp_path / "c"), tmp_path / "shop"
    done("index", catalogue, "--towers", "small", "--out", shop)
    weights = open_shop(shop).build_folder / "model" / "towers.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "towers.safetensors does not load" in refused("search", shop, "mug")
    assert len(done("search", shop, "mug", "--system", "bm25", "--json").json) == 4, "words need no towers"
    weights.write_bytes(whole[:-4] + b"\0\0\1\0")
    assert re.search(r"was built with model \w+…; this model is", refused("search", shop, "mug"))
    weights.unlink()
    assert "does not load" in refused("search", shop, "mug")
    (shop / "shop.json").write_text("{", encoding="utf-8")
    assert "shop.json is damaged" in refused("search", shop, "mug")
    assert "does not exist" in refused("search", tmp_path / "nowhere", "mug")


def test_search_says_what_is_wrong(shop: Shop) -> None:
    assert "the query is empty" in refused("search", shop.path)
    assert "k is 0. Give a number of results" in refused("search", shop.path, "mug", "-k", 0)
    assert 'there is no listing "nobody"' in refused("search", shop.path, "--like", "nobody")
    assert "reads text only" in refused("search", shop.path, "--like", "w0001", "--system", "bm25")
    assert "colour" in refused("search", shop.path, "mug", "--where", "colour = 'red'")
