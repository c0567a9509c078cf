"""Commands that read data: check and queries, and what both say of bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

from processes import done, refused
from story import Shop

from wares.data.listings import Listing
from wares.data.queries import read_queries
from wares.data.writers import write_listings


def test_check_passes_a_good_catalogue_and_says_what_comes_next(shop: Shop) -> None:
    answer = done("check", shop.catalogue)
    assert re.search(r"listings +│ +40 ", answer.out)
    assert f"wares pretrain {shop.catalogue} --out MODEL" in answer.out
    report = done("check", shop.catalogue, "--json").json
    assert (report["ok"], report["listings"], report["problems"]) == (True, 40, [])


def test_queries_are_written_and_shown(lamps: Path) -> None:
    answer = done("queries", lamps, "--out", lamps / "queries.jsonl", "--count", 8, "--like", lamps / "log.jsonl")
    assert "generated: 8 queries written from 2 listings." in answer.out
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
    assert first["sets"]["generated"]["queries"] == len(first["examples"]) == 8
    assert first["examples"] == again["examples"] != other["examples"]
    assert (lamps / "a.jsonl").read_text() == (lamps / "b.jsonl").read_text()


def test_test_queries_are_left_out(lamps: Path) -> None:
    done("queries", lamps, "--out", lamps / "all.jsonl", "--count", 8)
    written = read_queries(lamps / "all.jsonl")
    test = lamps / "test.jsonl"
    texts = f"  {written[2].text.upper()}", "OAK lamp"
    test.write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
    answer = done("queries", lamps, "--out", lamps / "some.jsonl", "--count", 8, "--without", test)
    assert "7 queries written from 2 listings; 1 more are test queries, and are left out." in answer.out
    assert read_queries(lamps / "some.jsonl") == written[:2] + written[3:]
    log = ("--log", lamps / "log.jsonl", "--without", test)
    assert done("queries", lamps, "--out", lamps / "log_without.jsonl", *log, "--json").json["out"]
    assert [query.text for query in read_queries(lamps / "log_without.jsonl")] == ["zebra"]


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
    answer = done(
        "queries", lamps, "--out", out, "--log", lamps / "log.jsonl", "--held-out", test, "--test-fraction", 0.5
    )
    learn, kept = ({query.text for query in read_queries(path)} for path in (out, test))
    assert learn | kept == set(texts) and not learn & kept and 10 <= len(kept) <= 30
    assert f"{len(kept)} test queries are in" in answer.out


def test_queries_refusals(lamps: Path) -> None:
    log, out = lamps / "log.jsonl", lamps / "queries.jsonl"
    assert "exists. Choose another file" in refused("queries", lamps, "--out", log)
    assert "Pass --log and --held-out" in refused("queries", lamps, "--out", out, "--held-out", lamps / "test.jsonl")
    assert "Pass --log and --held-out" in refused("queries", lamps, "--out", out, "--log", log, "--test-fraction", 0.5)
    assert "Leave them out with --log" in refused("queries", lamps, "--out", out, "--log", log, "--seed", 0)
    assert "does not exist" in refused("queries", lamps, "--out", out, "--log", lamps / "none.jsonl")
    assert "No such file or directory" in refused("queries", lamps, "--out", lamps / "none" / "queries.jsonl")
    write_listings([Listing("a", "🍕")], lamps / "listings.jsonl")
    assert "no query can be written" in refused("queries", lamps, "--out", out)
    assert not out.exists()
