"""The command line as its user meets it: the whole path, what scripts read, and every kind of bad input.

Most commands run in this process through `main`, which is what the console script calls; what only a real
process shows (streams, signals, start-up) runs in one.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wares.cli import main
from wares.evaluate import read_run
from wares.samples import write_marketplace

MEASURES = ["nDCG@10", "R@10", "R@100", "R@500", "AP", "RR"]
SYSTEMS = ["fused", "bm25", "fused+bm25", "dense", "bm25+dense"]


@dataclass(frozen=True)
class Answer:
    """What a command leaves behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def wares(*arguments: object) -> Answer:
    """Run a command in this process, from the arguments to the exit code."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["wares", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Answer:
    """A command that must succeed."""
    answer = wares(*arguments)
    assert answer.code == 0, answer.err
    return answer


def refused(*arguments: object) -> str:
    """The one line on standard error of a command that must fail."""
    answer = wares(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("wares: ") and answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    return answer.err


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=100, env=environment())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from wares.cli import main; main()", *map(str, arguments)]


def environment() -> dict[str, str]:
    source = str(Path(__file__).parents[1] / "src")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))}


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
    pretrain = done("pretrain", catalogue, "--out", model, "--towers", "small", "--epochs", 3, "--json")
    index = done("index", catalogue, "--model", model, "--out", path, "--json")
    return Shop(catalogue, model, path, pretrain, index)


# The whole path --------------------------------------------------------------------------------------------------


def test_check_passes_a_good_catalogue_and_says_what_comes_next(shop: Shop) -> None:
    answer = done("check", shop.catalogue)
    assert re.search(r"listings +│ +40 ", answer.out)
    assert f"wares pretrain {shop.catalogue} --out MODEL" in answer.out
    report = done("check", shop.catalogue, "--json").json
    assert (report["ok"], report["listings"], report["problems"]) == (True, 40, [])


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


def test_index_says_what_it_made(shop: Shop) -> None:
    made, record = shop.index.json, shop.pretrain.json
    assert (made["listings"], made["photos"], made["problems"]) == (40, record["photos"], 0)
    about = json.loads((shop.path / "shop.json").read_text(encoding="utf-8"))
    assert made["model"] == about["model"] == json.loads((shop.model / "towers.json").read_text())["identity"]


def test_people_are_told_what_to_type_next(shop: Shop, tmp_path: Path) -> None:
    options = ("--towers", "small", "--epochs", 1)
    said = done("pretrain", shop.catalogue, "--out", tmp_path / "a model", *options).out
    assert f"Next: wares index {shop.catalogue} --model '{tmp_path}/a model' --out SHOP" in said
    said = done("index", shop.catalogue, "--model", shop.model, "--out", tmp_path / "shop").out
    assert "40 listings" in said
    [following] = re.findall(r"Next: (.*)", said)
    assert first(shop)["id"] in process_of_a_shell(following)


def process_of_a_shell(line: str) -> str:
    """What a command printed by wares does when it is pasted."""
    script = f"wares() {{ '{sys.executable}' -c 'from wares.cli import main; main()' \"$@\"; }}\n{line}"
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=100, env=environment())
    assert found.returncode == 0, found.stderr
    return found.stdout


def first(shop: Shop) -> dict[str, Any]:
    line = (shop.catalogue / "listings.jsonl").read_text(encoding="utf-8").splitlines()[0]
    row: dict[str, Any] = json.loads(line)
    return row


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
        assert set(hit) == {"id", "score", "why", "title", "price", "photo", "attributes"}
        assert hit["score"] == pytest.approx(math.fsum(why["share"] for why in hit["why"]), rel=1e-6)
        assert all(set(why) == {"view", "share"} for why in hit["why"])


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
            assert re.search(rf"{re.escape(format(share['share'], '+.3f'))} +{re.escape(share['view'])}", why)


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
    assert "two systems are called" in refused("evaluate", shop.path, shop.path, *shop.judged)
    assert "is not a shop" in refused("evaluate", tmp_path / "note", *shop.judged)
    assert "cannot be read" in refused("evaluate", tmp_path / "run.txt", *shop.judged)
    assert "'nDCG@ten' is not a measure" in refused("evaluate", shop.path, *shop.judged, "--measures", "nDCG@ten")
    missing = ("--queries", tmp_path / "none.jsonl", "--qrels", shop.catalogue / "qrels.txt")
    assert "none.jsonl does not exist" in refused("evaluate", shop.path, *missing)
