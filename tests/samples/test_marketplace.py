"""The files of the sample marketplace: the same bytes for a seed, complete in their truth, sparse in their words."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from wares.samples import Marketplace, write_marketplace
from wares.samples.kinds import KINDS
from wares.samples.palette import COLOURS
from wares.samples.photography.photo_shoot import ROLES

Rows = Mapping[str, list[dict[str, Any]]]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_same_seed_gives_the_same_bytes_with_any_number_of_workers(market: Marketplace, tmp_path: Path) -> None:
    again = write_marketplace(tmp_path / "again", market.listings, seed=3, workers=2)
    assert contents(again.folder) == contents(market.folder)


def test_the_seed_fixes_the_text_files_for_good(market: Marketplace) -> None:
    """A change of words, order or random draws changes every figure that was measured on the sample marketplace.

    The photos are left out: versions of Pillow may round pixels differently.
    """
    digest = hashlib.sha256()
    for name in ("listings.jsonl", "queries.jsonl", "qrels.txt", "query_log.jsonl"):
        digest.update((market.folder / name).read_bytes())
    assert digest.hexdigest() == "fa867d3c065325f04ada20343c8ca078e66cd00098b8634682536e5db6117f6b"


def test_another_seed_gives_another_marketplace(market: Marketplace, tmp_path: Path) -> None:
    other = contents(write_marketplace(tmp_path / "other", 3, seed=4).folder)
    first_three = contents(market.folder)["listings.jsonl"].splitlines()[:3]
    assert other["listings.jsonl"].splitlines() != first_three
    photo = "images/0001-1.jpg"
    assert other[photo] != (market.folder / photo).read_bytes()


def test_a_script_without_a_guard_gets_advice(tmp_path: Path) -> None:
    """Workers start by running the script again; if it comes from standard input, they find nothing to run."""
    script = "from wares.samples import write_marketplace; write_marketplace({!r}, 40, workers=2)"
    done = subprocess.run(
        [sys.executable], input=script.format(str(tmp_path / "made")), capture_output=True, text=True, timeout=120
    )
    assert done.stderr.rstrip().endswith(
        'Pass workers=1. A script of your own must start under `if __name__ == "__main__":`.'
    ), done.stderr


def test_progress_counts_up_to_all_listings(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_marketplace(tmp_path, 5, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_every_photo_opens_and_every_file_is_named(market: Marketplace, rows: Rows) -> None:
    named = [image for row in rows["listings.jsonl"] for image in row["images"]]
    assert len(named) == market.photos == len(set(named))
    assert {f"images/{path.name}" for path in (market.folder / "images").iterdir()} == set(named)
    for image in named:
        with Image.open(market.folder / image) as photo:
            photo.load()
            assert photo.format == "JPEG"
            assert min(photo.size) >= 256


def test_listings_have_one_to_six_photos_and_no_hidden_attributes(rows: Rows) -> None:
    for row in rows["listings.jsonl"]:
        assert 1 <= len(row["images"]) <= 6
        assert row["title"].strip()
        assert row["description"].strip()
        assert set(row["attributes"]) <= {"condition", "size", "ships_from", "seller"}


def test_truth_covers_every_listing_and_every_photo(rows: Rows) -> None:
    truth = {row["id"]: row for row in rows["truth.jsonl"]}
    for row in rows["listings.jsonl"]:
        known = truth.pop(row["id"])
        assert known["kind"] in KINDS
        assert known["colour"] in COLOURS
        assert [photo["image"] for photo in known["photos"]] == row["images"]
        assert {photo["role"] for photo in known["photos"]} <= set(ROLES)
        assert all((photo["shows"] == "") == (photo["role"] in ("size-chart", "logo")) for photo in known["photos"])
    assert not truth


def test_titles_leave_out_what_the_photos_show(rows: Rows) -> None:
    truth = rows["truth.jsonl"]
    for attribute in ("colour", "pattern", "material", "occasion"):
        assert sum(attribute not in row["tells"]["title"] for row in truth) > 0.6 * len(truth)
    in_no_text = [row for row in truth if not any("colour" in names for names in row["tells"].values())]
    assert 0.3 < len(in_no_text) / len(truth) < 0.8


def test_queries_have_answers_and_judgments_name_listings(rows: Rows, judgments: Mapping[str, dict[str, int]]) -> None:
    ids = {row["id"] for row in rows["listings.jsonl"]}
    queries = rows["queries.jsonl"]
    assert {row["id"] for row in queries} == set(judgments)
    assert len({row["text"] for row in queries}) == len(queries)
    for grades in judgments.values():
        assert set(grades) <= ids
        assert set(grades.values()) <= {1, 2}
        assert 2 <= sum(grade == 2 for grade in grades.values()) <= 60


def test_log_and_interactions_name_known_queries_and_listings(rows: Rows) -> None:
    ids = {row["id"] for row in rows["listings.jsonl"]}
    texts = {row["text"] for row in rows["queries.jsonl"]}
    log = rows["query_log.jsonl"]
    assert {row["query"] for row in log} <= texts
    assert sum(row["count"] for row in log) >= 3000
    clicks = rows["interactions.jsonl"]
    assert {row["kind"] for row in clicks} == {"click", "favourite", "cart", "purchase"}
    assert {row["query"] for row in clicks} <= texts
    assert {row["listing"] for row in clicks} <= ids
    assert [row["time"] for row in clicks] == sorted(row["time"] for row in clicks)
