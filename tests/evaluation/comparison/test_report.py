"""Reports of `wares compare`: the page is complete, escaped and self-contained; the JSON has its documented shape."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from wares.evaluation.comparison.columns import format_p_value, format_percent, join_names
from wares.evaluation.comparison.report import write_comparison
from wares.evaluation.comparison.results import (
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    SINGLE_VIEW_ALL_FUSED,
    Comparison,
    ComparisonResult,
    Cost,
    ProtocolValues,
    SelectedWeights,
)
from wares.evaluation.comparison.setup import ExperimentSetup
from wares.evaluation.measures import DEFAULT_MEASURES
from wares.evaluation.systems import BASELINES
from wares.training.settings import PretrainSettings

METHODS = ("factorized", "single-view", "random-view")
EVIL = '<script>alert("boots")</script>'
VOID = {"meta", "img", "br", "link", "hr", "input"}


def comparison_result(queries: bool = True) -> ComparisonResult:
    """Two seeds of three methods; 20 listings, of which 6 are held out."""
    random = np.random.default_rng(0)

    def protocol(level: float, asking: int) -> dict[str, dict[str, float]]:
        return {
            m: {f"l{i}": float(np.clip(level + random.normal(0, 0.2), 0, 1)) for i in range(asking)}
            for m in DEFAULT_MEASURES
        }

    def table() -> dict[str, ProtocolValues]:
        levels = {"factorized": 0.7, "single-view": 0.5, SINGLE_VIEW_ALL_FUSED: 0.55, "random-view": 0.6}
        rows: dict[str, ProtocolValues] = {
            name: {"title->photos": protocol(level, 6)} for name, level in levels.items()
        }
        if queries:
            for name, level in levels.items():
                rows[name][QUERY_PROTOCOL] = protocol(level, 30)
                rows[name + HYBRID_SUFFIX] = {QUERY_PROTOCOL: protocol(level, 30)}
            rows |= {name: {QUERY_PROTOCOL: protocol(0.4, 30)} for name in BASELINES}
        return rows

    def comparison(tables: list[dict[str, ProtocolValues]]) -> Comparison:
        trained = {name: int(name not in BASELINES) for name in tables[0]}
        candidates = {"title->photos": 6, QUERY_PROTOCOL: 150}
        return Comparison(
            tables, {n: 2.5 * k for n, k in trained.items()}, {n: 30 * k for n, k in trained.items()}, candidates
        )

    tables = [table(), table()]
    costs = {name: Cost(1.9, 2.0, 0.2 * (i + 1), 6.7) for i, name in enumerate(METHODS)}
    weights = {"alpha": 0.75, "beta": 0.5, "gamma": 0.5, "intra_modal": 0.25}
    selected = [SelectedWeights("factorized", 0, weights, 6, 12.5)]
    budgets = {"equal wall-clock": comparison(tables), "equal epochs": comparison(tables)}
    return ComparisonResult(budgets, costs, selected, 1536)


def setup() -> ExperimentSetup:
    facts = {"listings": "20", "versions": "python 3.11", "date": "2026-01-01 00:00 UTC"}
    return ExperimentSetup(EVIL, f"wares compare '{EVIL}'", facts, [PretrainSettings(method=name) for name in METHODS])  # type: ignore[arg-type]


class Page(HTMLParser):
    """Open tags, all references, and the text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data if self.open[-1:] != ["style"] else ""


class Written:
    """A report in a folder, and the console output."""

    def __init__(self, folder: Path, result: ComparisonResult, baseline: str = "single-view") -> None:
        console = Console(file=io.StringIO(), width=120, record=True)
        self.files = write_comparison(console, result, setup(), folder, baseline)
        self.output = console.export_text()
        self.text = (folder / "report.html").read_text(encoding="utf-8")
        self.page = Page(self.text)
        self.words = " ".join(self.page.words.split())
        self.json = json.loads((folder / "compare.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("report"), comparison_result())


# The page --------------------------------------------------------------------------------------------------------


def test_the_page_is_complete_and_has_no_references(written: Written) -> None:
    assert written.page.open == [], "every tag is closed"
    pictures = [file for file in written.files if file.suffix == ".png"]
    assert len(written.page.references) == len(pictures) == 4
    assert all(reference.startswith("data:image/png;base64,") for reference in written.page.references)
    assert not written.page.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import", written.text)


def test_the_page_escapes_its_input(written: Written) -> None:
    assert EVIL not in written.text
    assert f"Pretraining methods on {EVIL}" in written.words
    assert f"wares compare '{EVIL}'" in written.words


def test_the_page_has_setup_and_results(written: Written) -> None:
    first = comparison_result().budgets["equal wall-clock"]
    for text in (
        f"{first.mean('factorized', QUERY_PROTOCOL, 'nDCG@10'):.3f}",
        "1,536 bytes",
        "At most 150 listings are ranked",
        "trivial",
        "python 3.11",
        "9,999 bootstrap resamples",
        "Holm",
        "strongest without transport",
        "random-view: one view per modality",
        "not held out",
        "12.5",
    ):
        assert text in written.words
    gain = next(
        g for g in first.gains(QUERY_PROTOCOL, "single-view") if (g.system, g.measure) == ("factorized", "R@100")
    )
    assert format_percent(gain.relative) in written.words
    assert "full-transport" not in written.words, "it was not compared"


def test_the_page_has_a_mobile_and_a_dark_layout(written: Written) -> None:
    assert 'name="viewport"' in written.text
    assert "prefers-color-scheme: dark" in written.text
    assert written.text.count("<table") == written.text.count('<div class="scroll"><table'), (
        "tables scroll by themselves"
    )


def test_a_report_without_queries(tmp_path: Path) -> None:
    written = Written(tmp_path, comparison_result(queries=False))
    assert "query → listing" not in written.words
    assert written.page.open == []
    assert {file.name for file in written.files} == {
        "compare.json",
        "cross-view.png",
        "gains.png",
        "cost.png",
        "report.html",
    }


# JSON ------------------------------------------------------------------------------------------------------------


def test_json_has_the_documented_results_at_the_top(written: Written) -> None:
    promised = comparison_result().budgets["equal wall-clock"].results()
    assert {name: written.json[name] for name in promised} == promised
    assert written.json["budgets"]["equal epochs"]["seeds"] == 2
    for row in written.json["methods"].values():
        for name, protocol in row.items():
            assert name == "seconds" or all(cell.keys() == {"mean", "std"} for cell in protocol.values())


def test_json_has_the_details_in_further_keys(written: Written) -> None:
    low, high = written.json["ci"]["equal wall-clock"]["factorized"][QUERY_PROTOCOL]["R@10"]
    assert low < written.json["methods"]["factorized"][QUERY_PROTOCOL]["R@10"]["mean"] < high
    assert written.json["trivial"] == {"title->photos": ["R@10", "R@100", "R@500"], QUERY_PROTOCOL: ["R@500"]}
    assert "R@500" not in written.json["ci"]["equal epochs"]["bm25"][QUERY_PROTOCOL]
    assert written.json["epochs"]["equal epochs"]["factorized"] == 30
    assert written.json["cost"]["random-view"]["milliseconds"] == pytest.approx(0.6)
    assert written.json["choices"][0]["weights"]["alpha"] == 0.75
    assert {test["protocol"] for test in written.json["tests"]["equal wall-clock"]} == {"title->photos", QUERY_PROTOCOL}
    gains = written.json["gains"]["equal epochs"]
    assert {gain["over"] for gain in gains["baseline"]} == {"single-view"}
    assert not {gain["over"] for gain in gains["strongest without transport"]} & {
        "factorized",
        "factorized + bm25",
    }
    assert written.json["setup"]["settings"][0]["method"] == "factorized"


def test_another_baseline_is_used_if_it_was_measured(tmp_path: Path) -> None:
    tests = Written(tmp_path, comparison_result(), "bm25").json["tests"]["equal wall-clock"]
    baselines = {(test["protocol"], test["baseline"]) for test in tests}
    assert baselines == {("title->photos", "single-view"), (QUERY_PROTOCOL, "bm25")}


# Pictures and the console ----------------------------------------------------------------------------------------


def test_charts_have_a_viewable_size(written: Written) -> None:
    for file in written.files:
        if file.suffix == ".png":
            with Image.open(file) as picture:
                assert min(picture.size) > 400 and max(picture.size) < 4000


def test_the_console_has_the_main_tables(written: Written) -> None:
    assert "equal epochs, nDCG@10" in written.output
    assert "▲" in written.output
    assert "R@500 left out: only 150 listings are ranked" in " ".join(written.output.split())
    assert "ms per listing and epoch" in written.output
    assert "report.html" in written.output
    assert "factorized + bm25" not in written.output, "hybrids are on the page only"
    assert max(map(len, written.output.splitlines())) <= 120


def test_number_formats() -> None:
    assert [format_p_value(p) for p in (0.5, 0.00005, 1.0)] == [".5000", "< .0001", "1.0000"]
    assert format_percent(-0.0714) == "-7.1 %"
    assert [join_names(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
