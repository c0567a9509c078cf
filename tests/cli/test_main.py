"""The command line as its user meets it: the whole path, what scripts read, and every kind of bad input.

Most commands run in this process through `main`, which is what the console script calls; what only a real
process shows (streams, signals, start-up) runs in one.
"""

from __future__ import annotations

import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Answer, done, environment, process, refused, wares
from toys import png_header, write_rows

from wares.data.listings import Listing
from wares.data.queries import read_queries
from wares.data.runs import read_run
from wares.data.writers import write_listings
from wares.samples.marketplace import write_marketplace
from wares.shop.shop import open_shop

MEASURES = ["nDCG@10", "R@10", "R@100", "R@500", "AP", "RR"]
SYSTEMS = ["fused", "bm25", "fused+bm25", "dense", "bm25+dense"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """No test reads or writes the user's own features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@dataclass(frozen=True)
class Shop:
    """A sample marketplace that went through `pretrain` and `index`."""

    catalogue: Path
    model: Path
    path: Path
    pretrain: Answer
    index: Answer

    @property
    def judged(self) -> tuple[object, ...]:
        return ("--queries", self.catalogue / "queries.jsonl", "--qrels", self.catalogue / "qrels.txt")

    def evaluate(self, *arguments: object) -> dict[str, Any]:
        file = self.path.parent / "evaluation.json"
        done("evaluate", *arguments, *self.judged, "--json", file)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("story")
    catalogue, model, path = folder / "market", folder / "model", folder / "shop"
    write_marketplace(catalogue, 40)
    pretrain = done("pretrain", catalogue, "--out", model, "--towers", "small", "--epochs", 3, "--no-choose", "--json")
    index = done("index", catalogue, "--model", model, "--out", path, "--json")
    return Shop(catalogue, model, path, pretrain, index)


# The whole path --------------------------------------------------------------------------------------------------


def test_check_passes_a_good_catalogue_and_says_what_comes_next(shop: Shop) -> None:
    answer = done("check", shop.catalogue)
    assert re.search(r"listings +│ +40 ", answer.out)
    assert f"wares pretrain {shop.catalogue} --out MODEL" in answer.out
    report = done("check", shop.catalogue, "--json").json
    assert (report["ok"], report["listings"], report["problems"]) == (True, 40, [])


def test_what_is_somebody_elses_is_not_written_over(shop: Shop, lamps: Path) -> None:
    small = ("--towers", "small", "--epochs", 1, "--no-choose", "--overwrite")
    for out in (lamps, shop.path):
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert "files that are no model's" in refused("pretrain", shop.catalogue, "--out", out, *small)
        run = ("supervise", lamps, "--queries", lamps / "queries.jsonl", "--out", out)
        (lamps / "queries.jsonl").write_text('{"id": "1", "text": "oak"}\n')
        before |= {lamps / "queries.jsonl": (lamps / "queries.jsonl").read_bytes()} if out == lamps else {}
        assert "files that are no run's" in refused(*run)
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_declared_texts_are_remembered_and_told_on(tmp_path: Path) -> None:
    rows = [{"id": str(i), "title": f"lamp {i}", "maker": f"maker{i}"} for i in range(12)]
    goods, model, path = tmp_path / "goods", tmp_path / "model", tmp_path / "shop"
    goods.mkdir()
    write_rows(rows, goods / "listings.jsonl")
    declared = ("--text-field", "maker", "--on-error", "skip")
    said = done("pretrain", goods, "--out", model, "--towers", "small", "--epochs", 1, "--no-choose", *declared).out
    assert f"Next: wares index {goods} --model {model} --out SHOP --text-field maker --on-error skip" in said
    done("index", goods, "--model", model, "--out", path, *declared)
    write_rows([*rows, {"id": "new", "title": "lamp", "maker": "maker99"}], goods / "listings.jsonl")
    answer = done("index", goods, "--out", path, "--update", "--json").json
    assert (answer["added"], answer["changed"]) == (1, 0)
    [hit] = done("search", path, "maker99", "--system", "bm25", "--json").json
    assert hit["id"] == "new"


def test_pretrain_leaves_a_complete_record(shop: Shop) -> None:
    record = json.loads((shop.model / "pretrain.json").read_text(encoding="utf-8"))
    assert record == shop.pretrain.json
    assert record["settings"]["method"] == "factorized"
    assert record["settings"]["seed"] == 0
    assert record["settings"]["fusion"]["marginals"]["kind"] == "agreement"
    assert (record["listings"], record["skipped_photos"], record["resumed"]) == (40, 0, 0)
    assert len(record["losses"]) == record["settings"]["epochs"] == record["steps"] == 3
    assert record["seconds"] > 0
    assert {"python", "torch", "wares", "numpy"} <= record["versions"].keys()
    assert not (shop.model / "checkpoint.pt").exists()


def test_pretrain_chooses_the_weights_that_are_not_given(shop: Shop, tmp_path: Path) -> None:
    train = ("pretrain", shop.catalogue, "--towers", "small", "--epochs", 1, "--out")
    record = done(*train, tmp_path / "one", "--alpha", 0.6, "--json").json
    marginals, choice = record["settings"]["fusion"]["marginals"], record["choice"]
    chosen = {"alpha": 0.6, "beta": marginals["beta"], "intra_modal": record["settings"]["intra_modal"]}
    assert choice["chosen"] == chosen
    assert len(choice["candidates"]) > 1
    assert chosen in [{name: each[name] for name in chosen} for each in choice["candidates"]]
    assert json.loads((tmp_path / "one" / "pretrain.json").read_text(encoding="utf-8"))["choice"] == choice
    assert "Weights selected without labels" in done(*train, tmp_path / "two", "--beta", 1, "--intra-modal", 0).out
    given = done(*train, tmp_path / "three", "--no-choose", "--beta", 0.7, "--json").json["choice"]
    assert given["chosen"] == {"alpha": 0.5, "beta": 0.7, "intra_modal": 0.25}
    assert given["candidates"] == []


def test_index_says_what_it_made(shop: Shop) -> None:
    made, record = shop.index.json, shop.pretrain.json
    assert (made["listings"], made["photos"], made["problems"]) == (40, record["photos"], 0)
    about = json.loads((open_shop(shop.path).build_folder / "about.json").read_text(encoding="utf-8"))
    assert made["model"] == about["model"] == json.loads((shop.model / "towers.json").read_text())["identity"]


def test_people_are_told_what_to_type_next(shop: Shop, tmp_path: Path) -> None:
    options = ("--towers", "small", "--epochs", 1, "--no-choose")
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


def first(shop: Shop) -> dict[str, Any]:
    line = (shop.catalogue / "listings.jsonl").read_text(encoding="utf-8").splitlines()[0]
    row: dict[str, Any] = json.loads(line)
    return row


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
        assert all(set(why) == {"view", "kind", "contribution"} for why in hit["why"])


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
    for hit in hits:
        for share in hit["why"]:
            assert re.search(rf"{re.escape(format(share['contribution'], '+.3f'))} +{re.escape(share['view'])}", why)


def test_json_is_alone_on_standard_output(shop: Shop) -> None:
    found = process("search", shop.path, "silver necklace", "--json", "-k", "3")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == done("search", shop.path, "silver necklace", "--json", "-k", 3).json


# Evaluation ------------------------------------------------------------------------------------------------------


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


# Comparison ------------------------------------------------------------------------------------------------------


def test_compare_writes_the_promised_shape(shop: Shop, tmp_path: Path) -> None:
    methods = ("--methods", "factorized,random-view,factorized", "--towers", "small", "--seeds", 2, "--epochs", 1)
    listings = shop.catalogue / "listings.jsonl"  # the queries are found beside the file, as in the folder
    options = ("--no-choose", "--baseline", "bm25", "--out", tmp_path / "out", "--json", tmp_path / "copy.json")
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
    assert set(found["budgets"]) == {"equal wall-clock", "equal epochs"}
    assert found["methods"] == found["budgets"]["equal wall-clock"]["methods"]
    for name in ("queries.png", "cross-view.png", "gains.png", "cost.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.format == "PNG" and min(picture.size) > 300
    assert "query → listing" in answer.out
    baselines = {(test["protocol"] == "query->listing", test["baseline"]) for test in found["tests"]["equal epochs"]}
    assert baselines == {(True, "bm25"), (False, "factorized")}, "bm25 finds no photos, and single-view is not here"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert found["setup"]["command"].startswith("wares compare ") and "--baseline bm25" in page


def test_compare_says_what_is_wrong(shop: Shop, tmp_path: Path) -> None:
    options = ("--towers", "small", "--out", tmp_path / "out")
    queries = shop.catalogue / "queries.jsonl"
    assert "no method 'mean'; there are factorized, single-view" in refused(
        "compare", shop.catalogue, "--methods", "factorized,mean", *options
    )
    assert "--queries and --qrels go together" in refused("compare", shop.catalogue, "--queries", queries, *options)
    assert "no system 'tfidf' to test against; there are factorized, factorized + bm25, bm25, dense" in refused(
        "compare", shop.catalogue, "--baseline", "tfidf", "--methods", "factorized", *options
    )
    few = goods(tmp_path / "few")
    assert "4 listings are too few" in refused("compare", few, *options)
    assert not (tmp_path / "out").exists()


# Queries ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lamps(tmp_path: Path) -> Path:
    """A catalogue without photos, a real log of it, and interactions."""
    listings = [Listing(name, f"{name} desk lamp", "Warm light to read by.", ("Lamps",)) for name in ("oak", "brass")]
    write_listings(listings, tmp_path / "listings.jsonl")
    log = [{"text": "Oak  lamp"}, {"text": "oak lamp"}, {"text": ""}, {"query": "zebra", "listing": "oak"}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    return tmp_path


def test_queries_are_written_and_shown(lamps: Path) -> None:
    answer = done("queries", lamps, "--out", lamps / "queries.jsonl", "--count", 8, "--like", lamps / "log.jsonl")
    assert "written: 8 queries written from 2 listings." in answer.out
    assert (
        "like: 2 distinct queries of 4 in the log: 1 duplicates and 1 queries without a word are left out" in answer.out
    )
    assert re.search(r"terms that no listing has +│ +0\.0% │ +33\.3%", answer.out)
    written = [query.text for query in read_queries(lamps)]
    assert len(written) == 8
    assert all(f"\n  {text}\n" in answer.out for text in written)


def test_queries_as_json_follow_from_the_seed(lamps: Path) -> None:
    first, again, other = (
        done("queries", lamps, "--out", lamps / name, "--count", 8, "--seed", seed, "--json").json
        for name, seed in (("a.jsonl", 3), ("b.jsonl", 3), ("c.jsonl", 4))
    )
    assert first["sets"]["written"]["queries"] == len(first["examples"]) == 8
    assert first["examples"] == again["examples"] != other["examples"]
    assert (lamps / "a.jsonl").read_text() == (lamps / "b.jsonl").read_text()


def test_queries_of_a_log(lamps: Path) -> None:
    out = lamps / "tidy.jsonl"
    found = done("queries", lamps, "--out", out, "--log", lamps / "log.jsonl", "--json").json
    assert [query.text for query in read_queries(out)] == found["examples"] == ["Oak lamp", "zebra"]
    assert found["sets"]["log"]["duplicates"] == found["sets"]["log"]["wordless"] == 1
    assert found["sets"]["log"]["unknown_queries"] == 0.5


def test_some_queries_of_a_log_are_kept_apart(lamps: Path) -> None:
    texts = [f"oak lamp {i}" for i in range(40)]
    (lamps / "log.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out, test = lamps / "learn.jsonl", lamps / "test.jsonl"
    answer = done("queries", lamps, "--out", out, "--log", lamps / "log.jsonl", "--held-out", test, "--share", 0.5)
    learn, kept = ({query.text for query in read_queries(path)} for path in (out, test))
    assert learn | kept == set(texts) and not learn & kept and 10 <= len(kept) <= 30
    assert f"{len(kept)} of them are kept apart" in answer.out


def test_queries_refusals(lamps: Path) -> None:
    log, out = lamps / "log.jsonl", lamps / "queries.jsonl"
    assert "is there already" in refused("queries", lamps, "--out", log)
    assert "name all that it takes" in refused("queries", lamps, "--out", out, "--held-out", lamps / "test.jsonl")
    assert "name all that it takes" in refused("queries", lamps, "--out", out, "--log", log, "--share", 0.5)
    assert "leave them out" in refused("queries", lamps, "--out", out, "--log", log, "--seed", 0)
    assert "does not exist" in refused("queries", lamps, "--out", out, "--log", lamps / "none.jsonl")
    assert "No such file or directory" in refused("queries", lamps, "--out", lamps / "none" / "queries.jsonl")
    write_listings([Listing("a", "🍕")], lamps / "listings.jsonl")
    assert "no query can be written" in refused("queries", lamps, "--out", out)
    assert not out.exists()


# Rankers from queries that nobody judged ---------------------------------------------------------------------------

SMALL = ("--labelers", "bm25,query-likelihood(mu=10.0)", "--rankers", "dense(towers='small')", "--epochs", 1)


@pytest.fixture
def passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text corpus with queries to learn from, and two with judgments."""
    monkeypatch.setattr("wares.supervision.recipe.BASELINES", ("bm25", "dense(towers='small')"))
    folder, things = tmp_path / "passages", ["lamp", "mug", "scarf", "boot", "chair", "table", "ring", "book"]
    folder.mkdir()
    rows = [
        {"id": f"p{i}", "title": f"{kind} {thing}", "text": f"a {thing} that is {kind} and old"}
        for i, (kind, thing) in enumerate((kind, thing) for kind in ("oak", "red", "tall") for thing in things)
    ]
    asked = [{"id": f"q{i}", "text": f"{thing} old"} for i, thing in enumerate(things)]
    tests = [{"id": "t1", "text": "red mug"}, {"id": "t2", "text": "oak"}]
    for name, lines in (("corpus", rows), ("asked", asked), ("tests", tests)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    (folder / "qrels.txt").write_text("t1 0 p9 1\nt2 0 p0 1\nt2 0 p1 1\n")
    return folder


def test_supervise_trains_measures_and_says_what_to_keep(passages: Path) -> None:
    judged = ("--test-queries", passages / "tests.jsonl", "--qrels", passages / "qrels.txt")
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run", *SMALL, *judged)
    answer = done(*run, "--strategy", "self", "--rounds", 2)
    assert re.search(r"1 │ dense\(towers='small'\) +│ 0\.\d\d bm25", answer.out)
    assert "Titles find their listings among others without titles." in answer.out
    assert re.search(r"dense\(towers='small'\), untrained +│ +\d\.\d{3}", answer.out)
    assert re.search(r"Keep ", answer.out)
    results = json.loads((passages / "run" / "results.json").read_text())
    assert {"bm25", "bm25+dense", "dense(towers='small') weak-1", "dense(towers='small') self-2 + bm25"} <= set(
        results["systems"]
    )
    assert "holds a run. Choose another --out, or pass --resume" in refused(*run)
    again = done(*run, "--strategy", "self", "--rounds", 2, "--resume", "--json").json
    assert [each["round"] for each in again["rounds"]] == [1, 2]
    assert again["reliability"]["labelers"]["bm25"] > 0.3


def test_supervise_refusals(passages: Path) -> None:
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run")
    assert "name both" in refused(*run, "--qrels", passages / "qrels.txt")
    assert "no labeler 'luck'; there are bm25" in refused(*run, "--labelers", "luck")
    assert "no ranker 'tree'; there are static" in refused(*run, "--rankers", "tree")
    assert "no ranking loss 'hinge'" in refused(*run, "--loss", "hinge")
    assert "needs two rankers" in refused(*run, "--strategy", "cross")
    dev = ("--dev-queries", passages / "tests.jsonl", "--dev-qrels", passages / "qrels.txt")
    assert "name both" in refused(*run, *dev[:2])
    assert "choose teachers, which weak does not" in refused(*run, *dev)
    assert "judges none of the queries" in refused(*run, "--dev-queries", passages / "asked.jsonl", *dev[2:])
    assert "2 of --dev-queries are among --test-queries" in refused(*run, *dev, "--test-queries", dev[1])
    assert not (passages / "run").exists()


def test_supervise_chooses_by_judged_dev_queries(passages: Path) -> None:
    """BM25 finds the red mug at once, and comes first of those that do; no agreement is perfect."""
    run = ("supervise", passages, "--queries", passages / "asked.jsonl", "--out", passages / "run", *SMALL)
    (passages / "dev.txt").write_text("t1 0 p9 1\nelsewhere 0 p0 1\n")
    dev = ("--dev-queries", passages / "tests.jsonl", "--dev-qrels", passages / "dev.txt")
    found = done(*run, *dev, "--strategy", "greedy", "--rounds", 2, "--json").json
    assert found["rounds"][1]["greedy"][0] == ["bm25", 1.0]
    assert "judged dev queries" in (passages / "run" / "report.html").read_text()


# Bad input -------------------------------------------------------------------------------------------------------

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "yellow": (230, 210, 40)}


def goods(folder: Path, *rows: dict[str, Any], raw: bytes = b"") -> Path:
    """Four good listings with a photo each, and what is given."""
    folder.mkdir(parents=True)
    good = [{"id": name, "title": f"{name} mug", "images": [f"{name}.png"]} for name in COLOURS]
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    lines = "".join(json.dumps(row) + "\n" for row in [*good, *rows])
    (folder / "listings.jsonl").write_bytes(lines.encode() + raw)
    return folder


def noise() -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


BAD_PHOTOS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "bad.png, which does not exist"),
    "truncated": (noise()[:-3000], "bad.png is truncated or damaged"),
    "no image": (b"just words", "bad.png is not a photo"),
    "web page": (b"<!doctype html><html>404</html>", "bad.png is a web page"),
    "zero-byte": (b"", "bad.png, which is empty (0 bytes)"),
    "huge": (png_header(20_000, 20_000), "bad.png is 20,000 x 20,000 pixels"),
}
LONG = {"id": "odd", "title": "odd one", "description": "word " * 20_000}
BAD_ROWS: dict[str, tuple[dict[str, Any] | bytes, str, int]] = {  # row, what is said, listings that are left
    "repeated id": ({"id": "red", "title": "red again"}, '"id" red is already the id of line 1', 4),
    "empty title": ({"id": "odd", "title": " "}, '"title" is empty', 4),
    "100 kB description": (LONG, '"description" is 100,000 characters long', 5),
    "broken UTF-8": (b'{"id": "odd", "title": "caf\xe9"}\n', "broken UTF-8 at byte", 4),
    "broken JSON": (b'{"id": "odd", "title": \n', "broken JSON", 4),
    "path out": ({"id": "odd", "title": "odd one", "images": ["../red.png"]}, "leaves the catalogue's folder", 5),
    "absolute path": ({"id": "odd", "title": "odd one", "images": ["/red.png"]}, "is an absolute path", 5),
}


@pytest.mark.parametrize("kind", [*BAD_PHOTOS, *BAD_ROWS])
def test_bad_input_stops_or_is_listed_and_counted(tmp_path: Path, kind: str) -> None:
    if kind in BAD_PHOTOS:
        content, said = BAD_PHOTOS[kind]
        listings, photos = 5, 5
        catalogue = goods(tmp_path / "c", {"id": "odd", "title": "odd one", "images": ["red.png", "bad.png"]})
        if content is not None:
            (catalogue / "bad.png").write_bytes(content)
    else:
        row, said, listings = BAD_ROWS[kind]
        photos = 4
        catalogue = goods(tmp_path / "c", raw=row) if isinstance(row, bytes) else goods(tmp_path / "c", row)
    said = f"listings.jsonl, line 5: .*{re.escape(said)}"

    report = wares("check", catalogue, "--json")
    [problem] = report.json["problems"]
    assert report.code == 1 and re.search(said, problem["text"])
    assert (report.json["listings"], report.json["photos"]) == (listings, len(COLOURS))

    options = ("--towers", "small", "--json")
    train = ("pretrain", catalogue, "--epochs", 1, *options, "--out")
    build = ("index", catalogue, *options, "--out")
    for run, out in ((train, tmp_path / "model"), (build, tmp_path / "shop")):
        message = refused(*run, out)
        assert re.search(said, message) and re.search("pass --on-error skip", message, re.IGNORECASE)
        assert not out.exists(), "a run that stops leaves nothing"
        answer = done(*run, out, "--on-error", "skip")
        listed, counted = answer.err.splitlines()
        assert re.search(said, listed) and counted.startswith("wares: 1 in all")
        assert (answer.json["listings"], answer.json["photos"]) == (listings, photos)
    assert answer.json["problems"] == 1
    [listed] = open_shop(tmp_path / "shop").problems
    assert re.search(said, listed)
    hits = done("search", tmp_path / "shop", "mug", "--json").json
    assert {hit["id"] for hit in hits} == {*COLOURS, *(["odd"] if listings == 5 else [])}


def test_everything_bad_at_once_is_listed_line_by_line(tmp_path: Path) -> None:
    """Nothing vanishes: good and bad add up to what was there."""
    names = {kind: kind.replace(" ", "-") + ".png" for kind in BAD_PHOTOS}
    rows = [{"id": name, "title": kind, "images": [name]} for kind, name in names.items()]
    raws = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row, _, _ in BAD_ROWS.values()]
    catalogue = goods(tmp_path / "c", *rows, raw=raws[0] + raws[1] + raws[3])
    for kind, (content, _) in BAD_PHOTOS.items():
        if content is not None:
            (catalogue / names[kind]).write_bytes(content)
    answer = done("index", catalogue, "--towers", "small", "--out", tmp_path / "shop", "--on-error", "skip", "--json")
    *listed, counted = answer.err.splitlines()
    assert sorted(int(re.findall(r"line (\d+)", line)[0]) for line in listed) == list(range(5, 14))
    assert counted.startswith("wares: 9 in all")
    assert (answer.json["listings"], answer.json["photos"], answer.json["problems"]) == (10, 4, 9)


def save_odd(folder: Path) -> list[str]:
    """Photos that are odd and good: cyan below a white sky, held and stored in every way."""
    upright = Image.new("RGB", (60, 60), (250, 250, 250))
    upright.paste((0, 180, 200), (0, 30, 60, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "rotated.jpg", exif=exif, quality=95)
    upright.save(folder / "upright.png")
    upright.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    upright.quantize(8).save(folder / "palette.png")
    alpha = upright.convert("RGBA")
    alpha.putalpha(Image.new("L", upright.size, 255))
    alpha.save(folder / "alpha.png")
    upright.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", (60, 60), "black")])
    return ["rotated.jpg", "upright.png", "cmyk.jpg", "palette.png", "alpha.png", "animated.gif"]


def test_odd_photos_are_indexed_and_found(tmp_path: Path) -> None:
    """EXIF-turned, CMYK, palette, alpha and animated photos are photos like others, and alike to each other."""
    catalogue = goods(tmp_path / "c")
    names = save_odd(catalogue)
    rows = [{"id": name, "title": "cyan thing", "images": [name]} for name in names]
    with (catalogue / "listings.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    assert done("check", catalogue, "--json").json["photos"] == 10
    trained = done("pretrain", catalogue, "--towers", "small", "--epochs", 1, "--out", tmp_path / "model", "--json")
    built = done("index", catalogue, "--model", tmp_path / "model", "--out", tmp_path / "shop", "--json")
    assert (trained.err, built.err) == ("", "")
    assert (built.json["listings"], built.json["photos"]) == (10, 10)
    for name in names:
        hits = done("search", tmp_path / "shop", "--photo", catalogue / name, "-k", 6, "--json").json
        assert {hit["id"] for hit in hits} == set(names), name


def test_a_photo_that_asks_is_checked_like_any_other(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no photo")
    assert "note.png is not a photo" in refused("search", shop.path, "--photo", tmp_path / "note.png")
    assert "does not exist" in refused("search", shop.path, "--photo", tmp_path / "none.png")


def test_one_listing_can_be_searched_but_teaches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "listings.jsonl").write_text('{"id": "a", "title": "one mug"}\n', encoding="utf-8")
    assert done("check", folder, "--json").json["listings"] == 1
    out = ("--towers", "small", "--out")
    assert "a catalogue of one listing" in refused("pretrain", folder, *out, tmp_path / "model")
    done("index", folder, *out, tmp_path / "shop")
    assert [hit["id"] for hit in done("search", tmp_path / "shop", "mug", "--json").json] == ["a"]


def test_listings_without_photos_are_searched_by_text(tmp_path: Path) -> None:
    words = ["tea", "coffee", "soup", "juice", "milk"]
    listings = [Listing(word, f"{word} mug", f"a mug to drink {word} from") for word in words]
    (tmp_path / "c").mkdir()
    write_listings(listings, tmp_path / "c" / "listings.csv")
    assert "No listing has a photo" in done("check", tmp_path / "c").out
    train = ("pretrain", tmp_path / "c", "--towers", "small", "--epochs", 1, "--no-choose", "--out")
    assert done(*train, tmp_path / "model", "--json").json["photos"] == 0
    done("index", tmp_path / "c", "--model", tmp_path / "model", "--out", tmp_path / "shop")
    [best] = done("search", tmp_path / "shop", "soup", "-k", 1, "--json").json
    assert (best["id"], best["photo"]) == ("soup", None)
    assert "there is nothing to align" in refused(*train, tmp_path / "other", "--method", "single-view")


@pytest.mark.parametrize("content", [b"", b"\n\n", None])
def test_no_listings_at_all(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    if content is not None:
        (folder / "listings.jsonl").write_bytes(content)
    said = "has no listings.jsonl" if content is None else "is empty: no listings"
    out = ("--towers", "small", "--on-error", "skip", "--out", tmp_path / "out")
    assert said in refused("check", folder)
    assert said in refused("pretrain", folder, *out)
    assert said in refused("index", folder, *out)
    assert not (tmp_path / "out").exists()


# Models and shops that are there, are not, or are damaged --------------------------------------------------------


def test_a_model_is_replaced_only_on_purpose(tmp_path: Path) -> None:
    catalogue, model = goods(tmp_path / "c"), tmp_path / "model"
    train = ("pretrain", catalogue, "--towers", "small", "--epochs", 1, "--no-choose", "--out", model)
    assert f"{model} has no checkpoint to resume" in refused(*train, "--resume")
    done(*train)
    before = (model / "towers.safetensors").read_bytes()
    assert "holds a model already" in refused(*train, "--seed", 5)
    assert "is finished; there is nothing to resume" in refused(*train, "--resume")
    assert (model / "towers.safetensors").read_bytes() == before
    done(*train, "--seed", 5, "--overwrite")
    assert (model / "towers.safetensors").read_bytes() != before
    assert json.loads((model / "pretrain.json").read_text())["settings"]["seed"] == 5


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
    said = done("index", catalogue, "--out", shop, "--update", "--recall", 0.9).out
    assert f"0 listings are new, 0 have changed, 0 are gone, {len(rows)} are as they were." in said
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
    assert "leave out --ranker, --rows and --overwrite" in refused(*update, "--overwrite")
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


# Errors, help, signals -------------------------------------------------------------------------------------------


def test_an_error_is_one_line_and_a_traceback_on_demand(tmp_path: Path) -> None:
    short = process("check", tmp_path / "nowhere")
    assert (short.returncode, short.stdout) == (1, "")
    assert short.stderr == (
        f"wares: {tmp_path}/nowhere does not exist. Name a catalogue's folder or its listings file.\n"
    )
    long = process("--debug", "check", tmp_path / "nowhere")
    assert long.returncode != 0
    assert "Traceback (most recent call last)" in long.stderr and "CatalogueError" in long.stderr


def test_what_the_system_refuses_is_one_line_too(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = ("--towers", "small", "--epochs", 1, "--out", tmp_path / "file")
    assert f"{tmp_path}/file" in refused("pretrain", shop.catalogue, *out)
    answer = wares("evaluate", shop.path, *shop.judged, "--json", tmp_path / "none" / "found.json")
    assert answer.code == 1
    assert answer.err == f"wares: {tmp_path}/none/found.json: No such file or directory.\n"


def test_wrong_usage_is_told_from_wrong_input(tmp_path: Path) -> None:
    for wrong in (
        ["sell"],
        ["search"],
        ["pretrain", tmp_path],
        ["index", tmp_path, "--out", "x", "--on-error", "hide"],
    ):
        answer = wares(*wrong)
        assert (answer.code, answer.out) == (2, "")
        assert "Usage: wares" in answer.err and "Traceback" not in answer.err


COMMANDS = ["demo", "check", "pretrain", "finetune", "index", "search", "queries", "supervise", "evaluate", "compare"]
COMMANDS += ["reembed", "versions", "publish", "serve"]


def test_help_lists_every_command_and_is_quick() -> None:
    code = "import sys, wares.cli; print([m for m in ('torch', 'lancedb', 'pyarrow', 'numpy') if m in sys.modules])"
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert heavy.stdout.strip() == "[]"
    shown = process("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w+", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    said = done(name, "--help").out
    assert f"Usage: wares {name} [OPTIONS]" in said
    options = re.split(r"\n +(?=-)", said.partition("Options:")[2])[1:]
    assert len(options) > 1
    assert all(re.search(r"\w\S*\.(\s|$)", option) or "--help" in option for option in options), "each has a sentence"


# Fine-tuning, and trained backbones ------------------------------------------------------------------------------


def test_finetune_measures_what_it_gained_on_later_interactions(shop: Shop, tmp_path: Path) -> None:
    tune = ("finetune", shop.catalogue, "--interactions", shop.catalogue / "interactions.jsonl", "--model", shop.model)
    said = done(*tune, "--out", tmp_path / "tuned", "--epochs", 1, "--json", tmp_path / "gain.json").out
    found = json.loads((tmp_path / "gain.json").read_text())
    assert set(found["systems"]) == {"pretrained", "fine-tuned"}
    assert all(set(means) == set(MEASURES) for means in found["systems"].values())
    assert f"wares index {shop.catalogue} --model {tmp_path / 'tuned'} --out SHOP" in " ".join(said.split())
    record = json.loads((tmp_path / "tuned" / "finetune.json").read_text())
    assert record["settings"]["interactions"] > 100
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert f"| fine-tuned | {found['systems']['fine-tuned']['nDCG@10']:.3f} |" in card
    done("index", shop.catalogue, "--model", tmp_path / "tuned", "--out", tmp_path / "shop")
    assert "holds a model already" in refused(*tune, "--out", tmp_path / "tuned")
    assert "purchase=5" in refused(*tune, "--out", tmp_path / "other", "--kind", "purchase=much")
    assert "share" in refused(*tune, "--out", tmp_path / "other", "--later", 1)


def test_interactions_of_unknown_listings_are_named_or_left_out(shop: Shop, tmp_path: Path) -> None:
    rows = (shop.catalogue / "interactions.jsonl").read_text().splitlines()
    (tmp_path / "clicks.jsonl").write_text("\n".join([*rows[:60], '{"query": "mug", "listing": "gone", "time": 0}']))
    tune = (
        "finetune",
        shop.catalogue,
        "--interactions",
        tmp_path / "clicks.jsonl",
        "--model",
        shop.model,
        "--epochs",
        1,
    )
    assert "clicks.jsonl, line 61" in refused(*tune, "--out", tmp_path / "tuned")
    answer = done(*tune, "--out", tmp_path / "tuned", "--on-error", "skip")
    assert "'gone' is not in the catalogue" in answer.err


def test_backbones_are_trained_and_the_shop_is_built_of_them(shop: Shop, shelf: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    train = ("pretrain", shop.catalogue, "--towers", shelf / "clip", "--epochs", 1, "--workers", 0, "--no-choose")
    answer = done(*train, "--image-backbone", "last-1", "--text-backbone", "lora", "--out", model, "--json").json
    assert answer["settings"]["trainer"]["text_backbone"] == "lora"
    assert json.loads((model / "towers.json").read_text())["trained"] == ["image", "text"]
    made = done("index", shop.catalogue, "--model", model, "--out", tmp_path / "shop", "--json").json
    assert made["listings"] == 40
    assert done("search", tmp_path / "shop", "red boots", "--json").json
    clicks = ("--interactions", shop.catalogue / "interactions.jsonl", "--text-backbone", "last-1", "--epochs", 1)
    how = ("--bf16", "--accumulate", 2, "--views-at-once", 16, "--workers", 0, "--checkpoint-steps", 5, "--no-augment")
    done("finetune", shop.catalogue, "--model", model, *clicks, *how, "--out", tmp_path / "tuned")
    trainer = json.loads((tmp_path / "tuned" / "finetune.json").read_text())["settings"]["trainer"]
    assert (
        trainer["bf16"],
        trainer["gradient_accumulation_steps"],
        trainer["mini_batch_size"],
        trainer["augment"],
    ) == (
        True,
        2,
        16,
        False,
    )
    assert "last-N" in refused(*train, "--image-backbone", "some", "--out", tmp_path / "other")
    assert "epochs" in refused(*train, "--image-backbone", "all", "--seconds", 3, "--out", tmp_path / "other")


@pytest.mark.slow
def test_torchrun_trains_on_two_processes(shop: Shop, shelf: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    code = "from wares.cli.main import main\nif __name__ == '__main__':\n    main()\n"
    (tmp_path / "run.py").write_text(code)
    train = ["pretrain", shop.catalogue, "--towers", shelf / "clip", "--epochs", 1, "--out", tmp_path / "model"]
    options = ["--image-backbone", "last-1", "--workers", 0]
    environ = environment() | {"OMP_NUM_THREADS": "1"}
    run = [*command, tmp_path / "run.py", *train]
    answer = subprocess.run([*map(str, [*run, *options])], capture_output=True, text=True, env=environ)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("Next: wares index") == 1
    done("index", shop.catalogue, "--model", tmp_path / "model", "--out", tmp_path / "shop")
    heads = subprocess.run([*map(str, [*run, "--overwrite"])], capture_output=True, text=True, env=environ)
    assert heads.returncode != 0
    assert "train in seconds, on one process" in heads.stderr


SLOW = """
from wares.cli.main import main
from wares.training import pretraining

pretraining.CHECKPOINT_SECONDS = 0.0
main()
"""


def test_a_killed_run_is_resumed_from_the_command_line(tmp_path: Path) -> None:
    """SIGKILL in the middle of training; --resume goes on where the last checkpoint was."""
    catalogue, model = goods(tmp_path / "c"), tmp_path / "model"
    train = ["pretrain", catalogue, "--towers", "small", "--seed", 3, "--no-choose", "--out", model]
    child = [sys.executable, "-c", SLOW, *map(str, [*train, "--epochs", 100_000])]
    with subprocess.Popen(child, env=environment(), stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 100
        while not (model / "checkpoint.pt").exists() and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert (model / "checkpoint.pt").exists() and not (model / "towers.json").exists()

    assert "a run that was stopped" in refused(*train, "--epochs", 7), "it is not begun anew unasked"
    assert "of a run with other settings" in refused(*train, "--epochs", 7, "--resume")
    assert "is not a model" in refused("index", catalogue, "--model", model, "--out", tmp_path / "shop")
    state = torch.load(model / "checkpoint.pt", weights_only=True)
    passed = len(state["record"]["losses"])
    assert passed >= 1
    state["record"]["settings"]["epochs"] = passed + 2  # so that the end is near
    torch.save(state, model / "checkpoint.pt")
    record = done(*train, "--epochs", passed + 2, "--resume", "--json").json
    assert (record["resumed"], record["steps"], len(record["losses"])) == (1, passed + 2, passed + 2)
    assert record["losses"][:passed] == state["record"]["losses"]
    assert not (model / "checkpoint.pt").exists()
    done("index", catalogue, "--model", model, "--out", tmp_path / "shop")
