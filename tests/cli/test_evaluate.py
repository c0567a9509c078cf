"""Commands that measure: evaluate and compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from processes import done, refused
from story import Shop, goods

from wares.data.runs import read_run

MEASURES = ["nDCG@10", "R@10", "R@100", "R@500", "AP", "RR"]


SYSTEMS = ["fused", "bm25", "fused+bm25", "dense", "dense-views", "bm25+dense", "bm25+dense-views"]


def test_evaluate_writes_the_promised_shape(shop: Shop) -> None:
    found = shop.evaluate(shop.path)
    assert set(found) == {"queries", "systems", "tests"}
    assert found["queries"] == len((shop.catalogue / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    assert list(found["systems"]) == SYSTEMS
    for means in found["systems"].values():
        assert list(means) == MEASURES
        assert all(0 <= mean <= 1 for mean in means.values())
    assert len(found["tests"]) == (len(SYSTEMS) - 1) * len(MEASURES)
    for test in found["tests"]:
        assert set(test) == {"system", "baseline", "measure", "difference", "p", "p_holm"}
        assert test["baseline"] == "bm25"
        means = found["systems"]
        expected = means[test["system"]][test["measure"]] - means["bm25"][test["measure"]]
        assert test["difference"] == pytest.approx(expected)
        assert 0 <= test["p"] <= test["p_holm"] <= 1


def test_saved_runs_are_systems_of_their_own(shop: Shop, tmp_path: Path) -> None:
    whole = shop.evaluate(shop.path, "--save-runs", tmp_path / "runs")
    files = {system: tmp_path / "runs" / f"{system}.txt" for system in SYSTEMS}
    assert set((tmp_path / "runs").iterdir()) == set(files.values())
    assert set(read_run(files["dense"])) == {f"q{i:03}" for i in range(1, whole["queries"] + 1)}
    again = shop.evaluate(*files.values(), "--baseline", "bm25")
    for system, means in whole["systems"].items():
        assert again["systems"][system] == pytest.approx(means)
    other = shop.evaluate(files["dense"], files["fused"], "--measures", "P@5, AP")
    assert {test["baseline"] for test in other["tests"]} == {"dense"}, "without BM25 the first is the baseline"
    assert {test["measure"] for test in other["tests"]} == {"P@5", "AP"}


def test_two_shops_side_by_side(shop: Shop, tmp_path: Path) -> None:
    done("index", shop.catalogue, "--towers", "small", "--out", tmp_path / "an untrained shop")
    other = tmp_path / "an untrained shop"
    runs = tmp_path / "runs"
    found = shop.evaluate(shop.path, other, "--baseline", f"{other.name}/fused", "--save-runs", runs)
    assert set(found["systems"]) == {f"{place}/{system}" for place in ("shop", other.name) for system in SYSTEMS}
    assert {test["baseline"] for test in found["tests"]} == {f"{other.name}/fused"}
    alone = shop.evaluate(shop.path)["systems"]
    assert {f"shop/{name}": means for name, means in alone.items()}.items() <= found["systems"].items()
    assert found["systems"][f"{other.name}/dense"] == found["systems"]["shop/dense"], "untrained is untrained"
    assert found["systems"][f"{other.name}/fused"] != found["systems"]["shop/fused"]
    assert len(list(runs.iterdir())) == 2 * len(SYSTEMS)


def test_the_table_names_what_it_measured(shop: Shop) -> None:
    said = done("evaluate", shop.path, *shop.judged).out
    for word in [*SYSTEMS, *MEASURES, "13 judged queries"]:
        assert word in said


def test_evaluate_says_what_is_wrong(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "note").mkdir()
    assert "'tfidf' is not among the systems: fused, bm25" in refused(
        "evaluate", shop.path, *shop.judged, "--baseline", "tfidf"
    )
    assert "two systems have the name" in refused("evaluate", shop.path, shop.path, *shop.judged)
    assert "is not a shop" in refused("evaluate", tmp_path / "note", *shop.judged)
    assert "cannot be read" in refused("evaluate", tmp_path / "run.txt", *shop.judged)
    assert "'nDCG@ten' is not a measure" in refused("evaluate", shop.path, *shop.judged, "--measures", "nDCG@ten")
    missing = ("--queries", tmp_path / "none.jsonl", "--qrels", shop.catalogue / "qrels.txt")
    assert "none.jsonl does not exist" in refused("evaluate", shop.path, *missing)


def test_compare_writes_the_promised_shape(shop: Shop, tmp_path: Path) -> None:
    methods = ("--methods", "factorized,random-view,factorized", "--towers", "small", "--seeds", 2, "--epochs", 1)
    listings = shop.catalogue / "listings.jsonl"  # the queries are found beside the file, as in the folder
    options = ("--no-select-weights", "--baseline", "bm25", "--out", tmp_path / "out", "--json", tmp_path / "copy.json")
    answer = done("compare", listings, *methods, *options)
    written = tmp_path / "out" / "compare.json"
    assert written.read_bytes() == (tmp_path / "copy.json").read_bytes()
    found = json.loads(written.read_text(encoding="utf-8"))
    assert found["seeds"] == 2
    assert {"factorized", "random-view", "bm25", "dense", "bm25+dense"} <= found["methods"].keys()
    protocols = {"title->photos", "description->photos", "photo->title", "photo->primary-photo", "query->listing"}
    for name, row in found["methods"].items():
        trained = name in ("factorized", "random-view")
        assert row.keys() - {"seconds"} == (protocols if trained else {"query->listing"})
        assert (row["seconds"] > 0) == ("factorized" in name or "random-view" in name)
        for protocol in row.keys() - {"seconds"}:
            assert list(row[protocol]) == MEASURES
            for value in row[protocol].values():
                assert set(value) == {"mean", "std"}
                assert 0 <= value["mean"] <= 1 and value["std"] >= 0
    assert list(found["fusions"]["query->listing"]["random-view"]) == ["own", "primary", "uniform", "agreement"]
    assert {row["epochs"] for rows in found["validation"].values() for row in rows} == {1}
    for name in ("queries.png", "cross-view.png", "fusions.png", "gains.png", "cost.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.format == "PNG" and min(picture.size) > 300
    assert "query → listing" in answer.out
    assert {test["baseline"] for test in found["tests"] if test["protocol"] == "query->listing"} == {"bm25"}
    others = {test["baseline"] for test in found["tests"] if test["protocol"] == "title->photos"}
    assert all(name.startswith("random-view") for name in others), "bm25 finds no photos"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert found["setup"]["command"].startswith("wares compare ") and "--baseline bm25" in page


def test_compare_says_what_is_wrong(shop: Shop, tmp_path: Path) -> None:
    options = ("--towers", "small", "--out", tmp_path / "out")
    queries = shop.catalogue / "queries.jsonl"
    assert "no method 'mean'. Choose among factorized, single-view" in refused(
        "compare", shop.catalogue, "--methods", "factorized,mean", *options
    )
    assert "--queries and --qrels go together" in refused("compare", shop.catalogue, "--queries", queries, *options)
    assert "no system 'tfidf' to test against. Choose among factorized, factorized + bm25, bm25, dense" in refused(
        "compare", shop.catalogue, "--baseline", "tfidf", "--methods", "factorized", *options
    )
    few = goods(tmp_path / "few")
    assert "4 listings form 4 groups" in refused("compare", few, *options)
    assert not (tmp_path / "out").exists()
